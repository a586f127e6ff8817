"""Long reading says how far it is, to people who wait."""

import io
import sys
from pathlib import Path

import pytest

from eventcore.cli import progress
from tests.integration.cli.pantry import Add, app, jars


class Terminal(io.StringIO):
    """What a terminal is to a program."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_terminal_is_shown_what_is_read_how_much_of_it_and_how_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    with progress.reporting() as report:
        report("pantry.jar.events[0]", 500, 2_000)
        report("pantry.jar.events[0]", 1_500, 2_000)
        report("pantry.jar.events[1]", 10, 20)
    shown = terminal.getvalue()
    assert "pantry.jar.events[0]" in shown
    assert "of 2,000" in shown
    assert "10 of 20" in shown


def test_what_is_done_soon_and_what_is_no_terminal_is_shown_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.reporting() as report:
            report("pantry.jar.events[0]", 500, 2_000)
        assert stream.getvalue() == ""


def test_an_app_that_is_opened_tells_how_far_it_has_read_its_log(tmp_path: Path) -> None:
    address = f"sqlite:{tmp_path / 'pantry.db'}"
    with app.open(address, partitions=1) as first:
        first.send(jars.to("a", Add(1)))
    told: list[tuple[str, int, int]] = []
    with app.open(address, partitions=1, progress=lambda what, done, end: told.append((what, done, end))):
        assert told == [("pantry.jar.events[0]", 1, 1), ("pantry.jar.outcomes[0]", 1, 1)]
