"""A search that was cut goes on from its file, and comes to what one comes to that was never cut."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from eventcore.check import Bounds, Checked, Scope, always, always_step, check, never_stuck, sometimes
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.hashing import hash_of
from eventcore.check.report import Report
from eventcore.check.saved import load
from eventcore.check.search import Pulse
from eventcore.errors import InvalidValue, NotSupported
from examples.models import two_phase
from tests.unit.check.machines import Box, Map, anything, box_of, walk_of

PLACES = st.integers(0, 7)
MAPS = st.dictionaries(st.tuples(PLACES, st.integers(0, 2)), PLACES)


def compared(report: Report) -> dict[str, object]:
    """All that must be the same, however often the search was cut."""
    told = vars(report).copy()
    for varies in ("seconds", "memory_bytes", "doubts", "cut", "warnings"):
        del told[varies]
    return told


def in_pieces(checked: Checked[Any, Any, Any], states: int, file: Path, **how: Any) -> tuple[Report, int]:
    """The report of a search that is cut every so many states, and how many pieces it took."""
    report = check(checked, bounds=Bounds(states), resume=file, **how)
    for piece in range(1, 1000):
        if not file.exists():
            return report, piece
        assert report.cut == ["states"]
        assert report.verdict != "pass"
        report = check(checked, bounds=Bounds(report.distinct + states), resume=file, **how)
    raise AssertionError("it never ends")


@settings(max_examples=40, deadline=None)
@given(MAPS, PLACES, st.integers(1, 3))
def test_any_machine_comes_out_as_if_never_cut(roads: Map, place: int, states: int) -> None:
    claims = [
        always(lambda at: at.place != place, name="not_there"),
        always_step(lambda step: step.after.place != place + 1, name="onwards"),
        sometimes(lambda at: at.place == place + 1, name="next"),
        never_stuck(lambda at: at.place < 4, name="back"),
    ]
    checked = Checked(walk_of(roads), properties=claims, finished=lambda at: at.place > 5)
    whole = check(checked, keep_going=True)
    with (
        TemporaryDirectory() as folder,
        patch("eventcore.check.search.PULSE_STATES", 1),
    ):  # so few states are cut at all
        report, pieces = in_pieces(checked, states, Path(folder) / "kept", keep_going=True)
    assert compared(report) == compared(whole)
    assert pieces > 1 or whole.distinct <= states + 3, "each state adds three at most"


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_model_in_pieces(tmp_path: Path, symmetric: bool) -> None:
    whole = check(two_phase.five, symmetric=symmetric)
    report, pieces = in_pieces(two_phase.five, whole.distinct // 5, tmp_path / "kept", symmetric=symmetric)
    assert compared(report) == compared(whole)
    assert pieces >= 4
    assert list(tmp_path.iterdir()) == []


def test_what_was_found_wrong_and_turned_away_is_kept_too(tmp_path: Path) -> None:
    def dark(box: Box) -> bool:
        return not box.on

    def few(box: Box) -> bool:
        return len(box.on) < 3

    checked = Checked(box_of(), Scope(within=few), properties=[always(dark)], finished=anything)
    whole = check(checked, keep_going=True)
    file = tmp_path / "kept"
    check(checked, keep_going=True, bounds=Bounds(1), resume=file)
    report = check(checked, keep_going=True, resume=file)
    assert compared(report) == compared(whole)
    assert report.findings
    assert report.cut == ["within"]
    assert not file.exists()


def test_a_claim_that_raised_is_told_as_it_was(tmp_path: Path) -> None:
    def inside(box: Box) -> bool:
        return 1 // (box.on != {0, 1}) > 0

    checked = Checked(box_of(), Scope(within=inside))
    whole = check(checked, keep_going=True)
    assert [(each.kind, each.name) for each in whole.findings] == [("raises", "within")]
    file = tmp_path / "kept"
    with patch("eventcore.check.search.PULSE_STATES", 2):
        cut = check(checked, keep_going=True, bounds=Bounds(3), resume=file)
    assert (cut.findings, file.exists()) == (whole.findings, True)
    assert compared(check(checked, keep_going=True, resume=file)) == compared(whole)


def test_a_finding_ends_the_search_for_good(tmp_path: Path) -> None:
    def few(box: Box) -> bool:
        return len(box.on) < 2

    file = tmp_path / "kept"
    assert check(Checked(box_of(), properties=[always(few)]), resume=file).verdict == "fail"
    assert not file.exists()


def test_ctrl_c_ends_it_between_two_states(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    pressed = threading.Event()

    def press(pulse: Pulse) -> None:
        if not pressed.is_set():
            pressed.set()
            os.kill(os.getpid(), signal.SIGINT)

    with patch("eventcore.check.search.PULSE_S", 0.0):  # pressed at the first look at the clock
        cut = check(two_phase.five, resume=file, progress=press)
    assert (cut.verdict, cut.cut) == ("inconclusive", ["interrupted"])
    assert f"kept in {file}" in cut.warnings[-1]
    assert 0 < cut.distinct < 8_832
    report = check(two_phase.five, resume=file)
    assert (report.verdict, report.distinct, report.transitions, report.depth) == ("pass", 8_832, 58_146, 17)


def kept(file: Path) -> bytes:
    """A search of a few states, cut and kept."""
    file.unlink(missing_ok=True)
    check(two_phase.three, bounds=Bounds(16), resume=file)
    return file.read_bytes()


def test_whatever_was_changed_or_torn_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kept"
    data = kept(file)
    machine = AggregateMachine(two_phase.three)
    monkeypatch.setattr("eventcore.check.saved.hash_of", cache(hash_of))  # walked once, and not two thousand times
    assert len(load(file, machine).states) >= 16
    for place in range(len(data)):
        flipped = data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]
        for bad in (flipped, data[:place]) if place % 8 == 0 else (flipped,):
            file.write_bytes(bad)
            with pytest.raises(InvalidValue, match="Remove it to begin anew"):
                load(file, machine)
    file.write_bytes(data + b"x")
    with pytest.raises(InvalidValue, match="changed or torn"):
        check(two_phase.three, resume=file)


def test_another_machine_and_another_search_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    kept(file)
    for other in (two_phase.five, replace(two_phase.three, properties=[always(anything)])):
        with pytest.raises(InvalidValue, match="was kept for another two_phase"):
            check(other, resume=file)
    with pytest.raises(InvalidValue, match="or --symmetric have changed"):
        check(two_phase.three, resume=file, symmetric=True)
    with pytest.raises(NotSupported, match="cannot be resumed"):
        check(two_phase.three, resume=file, workers=2)


def test_where_it_cannot_be_kept_the_report_stands(tmp_path: Path) -> None:
    report = check(two_phase.three, bounds=Bounds(16), resume=tmp_path / "nowhere" / "kept")
    assert "could not be kept" in report.warnings[-1]
    assert report.distinct >= 16


def test_a_search_whose_claims_about_ways_were_not_judged_to_the_end_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = Checked(box_of(), properties=[never_stuck(anything)])
    file = tmp_path / "kept"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("eventcore.check.run.judge", interrupted)
        cut = check(checked, resume=file)
    assert (cut.verdict, cut.cut, file.exists()) == ("inconclusive", ["interrupted"], True)
    report = check(checked, resume=file)
    assert compared(report) == compared(check(checked))
    assert not file.exists()
