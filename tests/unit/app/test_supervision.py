"""A part is started again where that can help and halted where it cannot; a watchdog counts its own time."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Generator

import pytest

from eventcore.app import supervision
from eventcore.app.parts import LanePart, Portion
from eventcore.app.supervision import Restarts, Supervised
from eventcore.app.watchdog import TICK_MOST_S, Watchdog, Watched, stacks
from eventcore.errors import BrokenLog, EventcoreError, Fenced, LogUnavailable, OwnedElsewhere
from eventcore.lane.restore import Progress, no_progress
from eventcore.lane.runner import LaneRunner
from eventcore.log.memory import MemoryLog
from tests.bank import COMMANDS, EVENTS, TOPICS, accounts, memory_log
from tests.running import WAIT_S, wait_until


class Troubled(LaneRunner):
    """A lane that raises what a test wants, at each of its begins or steps."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log, accounts, TOPICS, 0, commands=COMMANDS, events=EVENTS)
        self.trouble: Callable[[int], BaseException | None] = lambda _: None
        self.begun = 0
        self.reports = 0  # how often a restore reports, if it is to go on until it is told to end
        self.finished = self.closed = 0

    def restore(self, progress: Progress = no_progress) -> None:
        """Report as often as it is told to; then restore."""
        self.begun += 1
        pause = threading.Event()
        for done in range(self.reports):
            progress("bank.account.events[0]", done * 1_000, self.reports * 1_000)
            pause.wait(0.01)
        super().restore(progress)

    def flow(self, timeout_s: float) -> int:
        """Raise, or do nothing for a moment."""
        if (fault := self.trouble(self.begun)) is not None:
            raise fault
        return super().flow(min(timeout_s, 0.01))

    def finish(self) -> None:
        """Note it."""
        self.finished += 1
        super().finish()

    def close(self) -> None:
        """Note it."""
        self.closed += 1
        super().close()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses."""
    for name, seconds in (("PAUSE_FIRST_S", 0.001), ("PAUSE_MOST_S", 0.005), ("PAUSE_FENCED_S", 0.01)):
        monkeypatch.setattr(supervision, name, seconds)


@pytest.fixture
def lane() -> Troubled:
    """A lane without trouble yet."""
    return Troubled(memory_log())


@pytest.fixture
def refused() -> list[EventcoreError]:
    """Why a worker cannot run at all."""
    return []


@pytest.fixture
def child(lane: Troubled, refused: list[EventcoreError]) -> Generator[Supervised]:
    """The lane, supervised, not started."""
    child = Supervised(LanePart(lane, lambda _: None), refused.append)
    yield child
    child.end()
    if child.thread.ident is not None:
        child.thread.join(WAIT_S)
        assert not child.thread.is_alive()


def ended(child: Supervised) -> tuple[str, str]:
    """What became of a part that ended by itself."""
    child.thread.start()
    child.thread.join(WAIT_S)
    return child.status, child.reason


def test_a_lane_that_was_fenced_takes_over_again_while_nobody_tells_it_to_end(
    lane: Troubled, child: Supervised
) -> None:
    lane.trouble = lambda begun: Fenced("a former owner woke up") if begun < 4 else None
    child.thread.start()
    wait_until(lambda: lane.begun == 4 and child.status == "running", "the fourth begin")
    assert child.standing().restarts == 3
    assert child.reason == ""


def test_two_that_fence_each_other_without_end_give_up(lane: Troubled, child: Supervised) -> None:
    lane.trouble = lambda _: Fenced("the other one is wrong about me")
    assert ended(child) == ("gave_up", "the other one is wrong about me")
    assert lane.begun == supervision.FENCED_MAX


def test_what_the_world_does_is_forgiven_more_often(lane: Troubled, child: Supervised) -> None:
    lane.trouble = lambda _: LogUnavailable("the broker is away")
    assert ended(child) == ("gave_up", "the broker is away")
    assert lane.begun == supervision.RESTARTS_MAX


def test_a_log_that_is_broken_is_not_read_twice(lane: Troubled, child: Supervised) -> None:
    lane.trouble = lambda _: BrokenLog("bank.account.events[0]@3", "sequence 5 follows 3")
    status, reason = ended(child)
    assert status == "halted"
    assert reason.startswith("BrokenLog: bank.account.events[0]@3: sequence 5 follows 3")
    assert lane.begun == 1


@pytest.mark.parametrize("fault", [ZeroDivisionError("in a driver"), SystemExit("in a driver")])
def test_what_nobody_foresaw_is_tried_a_few_times(lane: Troubled, child: Supervised, fault: BaseException) -> None:
    lane.trouble = lambda _: fault
    assert ended(child) == ("halted", f"{type(fault).__name__}: in a driver")
    assert lane.begun == supervision.UNFORESEEN_MAX


def test_a_worker_whose_log_another_process_has_is_told_so_once(
    lane: Troubled, child: Supervised, refused: list[EventcoreError], monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = OwnedElsewhere("process 7 has it")
    monkeypatch.setattr(lane, "own", lambda: (_ for _ in ()).throw(owned))
    ended(child)
    assert refused == [owned]


def test_failures_long_ago_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    restarts = Restarts()
    for n in range(10):
        now = n * 100.0
        restarts.note()
    assert (restarts.within(600.0), restarts.within(150.0), restarts.total) == (7, 2, 10)


def test_a_part_that_is_told_to_end_finishes_and_one_that_lost_its_partition_does_not(lane: Troubled) -> None:
    for drop, finished in ((False, 1), (True, 1)):
        child = Supervised(LanePart(lane, lambda _: None), lambda _: None)
        child.thread.start()
        wait_until(lambda child=child: child.status == "running", "it to run")  # type: ignore[misc]
        child.end("released", drop=drop)
        child.thread.join(WAIT_S)
        assert (child.status, lane.finished) == ("released", finished)


@pytest.mark.parametrize("trouble", [None, BrokenLog("bank.account.events[0]@3", "sequence 5 follows 3")])
def test_a_part_that_cannot_be_closed_is_not_shown_as_running(
    lane: Troubled, child: Supervised, monkeypatch: pytest.MonkeyPatch, trouble: BrokenLog | None
) -> None:
    lane.trouble = lambda _: trouble
    child.thread.start()
    wait_until(lambda: child.status in ("running", "halted"), "it to run or to halt")

    def close() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(lane, "close", close)
    child.end()
    child.thread.join(WAIT_S)
    assert (child.status, child.failed, child.ready, child.busy) == ("halted", True, False, False)
    if trouble is None:
        assert child.reason == "closing it raised OperationalError: disk I/O error"


def test_a_restore_can_be_interrupted(lane: Troubled, child: Supervised) -> None:
    lane.reports = 10**6
    child.thread.start()
    wait_until(lambda: child.status == "restoring" and child.beats > 3, "it to restore")
    child.end()
    child.thread.join(WAIT_S)
    assert child.status == "stopped"


def test_a_long_restore_says_how_far_it_is_how_fast_and_how_long_it_will_take(
    lane: Troubled, child: Supervised, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "PROGRESS_S", 0.05)
    lane.reports = 30
    with caplog.at_level(logging.INFO, "eventcore.worker"):
        child.thread.start()
        wait_until(lambda: child.status == "running", "it to run")
    said = [r.getMessage() for r in caplog.records if "restores" in r.getMessage()]
    assert said
    assert said[-1].startswith("bank.account[0] restores bank.account.events[0]: ")
    assert "of about 30,000 (" in said[-1]
    assert "s left)" in said[-1]


def test_a_standing_says_what_a_part_is_and_how_far(lane: Troubled, child: Supervised) -> None:
    child.thread.start()
    wait_until(lambda: child.status == "running", "it to run")
    standing = child.standing()
    assert (standing.name, standing.kind, standing.machine, standing.status) == (
        "bank.account[0]",
        "lane",
        "account",
        "running",
    )
    assert (standing.reads, standing.term, standing.reason) == ("bank.account.commands", 1, "")
    assert lane.position == standing.position


def test_a_portion_wakes_whoever_waits_for_it() -> None:
    portion = Portion()
    before = portion.partitions
    waiting = threading.Thread(target=portion.wait_while, args=(before, WAIT_S))
    waiting.start()
    portion.give(3)
    portion.add(3)
    waiting.join(WAIT_S)
    assert not waiting.is_alive()
    assert portion.partitions == {3}
    portion.remove(3)
    assert not portion.partitions


def test_a_partition_that_was_taken_away_while_its_lane_was_fencing_is_not_had() -> None:
    portion = Portion()
    portion.give(3)
    portion.remove(3)
    portion.add(3)
    assert not portion.partitions


# --- the watchdog ----------------------------------------------------------------------------------------------------


def hangs_not(_name: str, _seconds: float) -> None:
    """Whoever ticks looks for himself."""


def test_a_part_that_does_not_return_is_found_after_its_time_and_not_before() -> None:
    beats = {"one": 0, "two": 0}
    dog = Watchdog(lambda: [Watched(name, count, busy=True) for name, count in beats.items()], 5.0, hangs_not)
    found: list[str | None] = []
    for _ in range(8):
        beats["two"] += 1
        found.append(dog.tick(1.0))
    assert found == [None] * 6 + ["one"] * 2


def test_a_part_that_waits_for_its_next_try_does_not_hang() -> None:
    dog = Watchdog(lambda: [Watched("one", 0, busy=False)], 5.0, hangs_not)
    assert [dog.tick(1.0) for _ in range(20)] == [None] * 20


def test_time_in_which_the_process_itself_was_stopped_does_not_count() -> None:
    dog = Watchdog(lambda: [Watched("one", 0, busy=True)], 5.0, hangs_not)
    dog.tick(1.0)
    assert dog.tick(3_600.0) is None
    assert TICK_MOST_S < 5.0


def test_the_stacks_name_the_threads() -> None:
    asked, over = threading.Event(), threading.Event()

    def stand_here() -> None:
        asked.set()
        over.wait(WAIT_S)

    thread = threading.Thread(target=stand_here, name="a lane")
    thread.start()
    asked.wait(WAIT_S)
    said = stacks()
    over.set()
    thread.join(WAIT_S)
    assert "a lane:\n" in said
    assert "in stand_here" in said
