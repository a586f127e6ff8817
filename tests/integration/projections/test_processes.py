"""V1 to V3 with real processes: one is killed or frozen in the middle of its commit, another goes on."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from eventcore.cut import Cut
from projections import Views, open_views, postgres_pool
from projections.views import Standing
from tests.contracts.views.bank import TOPIC, Balance, balances
from tests.integration.projections.child import ROWS

ROOT = Path(__file__).parents[3]
Started = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url: str = request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:{tmp_path / 'v.db'}"
    return url


@pytest.fixture
def views(address: str) -> Generator[Views]:
    with contextlib.closing(open_views(address)) as opened:
        opened.upgrade()
        opened.prepare([balances])
        yield opened


@pytest.fixture
def stalled_s() -> int:
    """For how long a server lets the child stand still in its transaction."""
    return postgres_pool.STALLED_S


@pytest.fixture
def child(views: Views, address: str, stalled_s: int) -> Generator[subprocess.Popen[str]]:
    """A process that has written its rows and has not committed."""
    del views  # it needs the tables
    command = [sys.executable, "-m", "tests.integration.projections.child", address, str(stalled_s)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "rows written\n"
            yield process
        finally:
            process.kill()


def test_a_process_killed_between_rows_and_commit_has_written_nothing(
    views: Views, child: subprocess.Popen[str]
) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert views.take_over(balances, TOPIC, [0]) == {0: Standing(2, 0, 0, 0)}
    assert list(views.rows(balances)) == []
    assert views.parked(balances) == []


def test_until_the_commit_nobody_sees_rows_or_position(views: Views, child: subprocess.Popen[str]) -> None:
    with views.rows(balances) as seen:
        assert (seen.cut, list(seen)) == (Cut(), [])
    assert views.ask(balances, "a1").row is None
    answer, _ = child.communicate("go on\n")
    assert answer == "committed\n"
    with views.rows(balances) as seen:
        assert (seen.cut, len(list(seen))) == (Cut({(TOPIC, 0): ROWS}), ROWS)


def test_whoever_takes_over_waits_for_a_commit_under_way(views: Views, child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go on\n")
    child.stdin.flush()
    standing = views.take_over(balances, TOPIC, [0])[0]
    assert standing == Standing(2, ROWS, ROWS, 1)
    assert views.ask(balances, "a1").row == Balance("a1", 1, 1)


@pytest.mark.parametrize("address", [pytest.param("postgres", marks=pytest.mark.server)], indirect=True)
@pytest.mark.parametrize("stalled_s", [1])  # it is waited for here, and nowhere else
def test_a_process_frozen_in_its_commit_loses_it(views: Views, child: subprocess.Popen[str]) -> None:
    """On a server nobody can tell a frozen process from a slow one, so the server ends its transaction."""
    child.send_signal(signal.SIGSTOP)
    assert views.take_over(balances, TOPIC, [0]) == {0: Standing(2, 0, 0, 0)}
    child.send_signal(signal.SIGCONT)
    answer, _ = child.communicate("go on\n")
    assert answer == "ViewsUnavailable\n"
    assert list(views.rows(balances)) == []
