"""A watchdog lets a worker live that is slow: in its first batch, in a release, and where a restore judges states."""

from __future__ import annotations

import threading
from collections.abc import Container

import pytest

from eventcore import Aggregate, Value
from eventcore.app import App, Worker
from eventcore.app.children import lane_of
from eventcore.app.outcome import command_record
from eventcore.app.wiring import provision
from eventcore.avro.control import Release, write_control
from eventcore.avro.envelope import command_envelope
from eventcore.lane.restore_events import JUDGE_AT_ONCE
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Log, Record
from projections import open_views
from tests.running import WAIT_S, wait_until

OUTCOMES = "count.counter.outcomes"
HANG_S = 2.0
SLOW_S, SLOW = 0.4, 7  # each of them far below what the watchdog allows, all together far above


class Counter(Value):
    """A state."""

    count: int = 0
    heavy: bool = False


class Count(Value):
    """Count; what comes of it is heavy to judge, or not."""

    heavy: bool = False


class Counted(Value):
    """It was counted."""

    heavy: bool


def evolve(counter: Counter, event: Counted) -> Counter:
    """One more."""
    return Counter(counter.count + 1, event.heavy)


def take(seconds: float) -> None:
    """Take so long."""
    threading.Event().wait(seconds)


def counters(decide_s: float = 0.0, judge_s: float = 0.0, *, fails: bool = False) -> Aggregate[Counter, Count, Counted]:
    """A counter whose turns, or whose invariant where it is heavy, take their time."""

    def decide(counter: Counter, command: Count) -> list[Counted]:
        take(decide_s)
        if fails:
            raise RuntimeError("on purpose")
        return [Counted(command.heavy)]

    def counts(counter: Counter) -> bool:
        take(judge_s if counter.heavy else 0.0)
        return counter.count >= 0

    return Aggregate("counter", Counter, decide, evolve, invariants=[counts])


def lived(aggregate: Aggregate[Counter, Count, Counted], log: Log, outcomes: int) -> list[str]:
    """Run a worker until there are so many outcomes and its lane stands ready; which of its parts seemed to hang."""
    hung: list[str] = []
    views = open_views("memory:")
    views.upgrade()
    app = App("count", [aggregate])
    worker = Worker(app, log, views, hang_s=HANG_S, hangs=lambda name, _: hung.append(name))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        wait_until(lambda: worker.ready and log.end(OUTCOMES, 0) >= outcomes, "the lane to be done")
    finally:
        worker.stop()
        thread.join(WAIT_S)
    return hung


def at_once(aggregate: Aggregate[Counter, Count, Counted], log: Log) -> None:
    """Decide all that stands in the log, in this thread."""
    lane = lane_of(App("count", [aggregate]).wiring.machine("counter"), log, 0)
    lane.start()
    while lane.step(0.0):
        pass
    lane.close()


def send(log: Log, *names: str, heavy: Container[str] = ()) -> None:
    """Append a command for each of these instances."""
    machine = App("count", [counters()]).wiring.machine("counter")
    records = [command_record(machine, counters().to(name, Count(name in heavy)), 1_000) for name in names]
    log.append("count.counter.commands", 0, records)


@pytest.fixture
def log() -> MemoryLog:
    """A log with everything in it."""
    log = MemoryLog()
    provision(log, App("count", [counters()]).wiring, 1)
    return log


def test_a_first_batch_of_slow_turns_does_not_hang(log: MemoryLog) -> None:
    send(log, *(f"c{n}" for n in range(SLOW)))
    assert lived(counters(SLOW_S), log, SLOW) == []


def test_a_release_of_slow_turns_does_not_hang(log: MemoryLog) -> None:
    send(log, *("c" for _ in range(SLOW)))
    at_once(counters(fails=True), log)
    log.append("count.counter.commands", 0, [Record(b"c", write_control(Release()), command_envelope(b"r" * 16))])
    assert lived(counters(SLOW_S), log, 2 * SLOW + 1) == []


def test_a_restore_that_judges_slowly_does_not_hang(log: MemoryLog) -> None:
    names = [f"c{n}" for n in range(3 * JUDGE_AT_ONCE)]
    heavy = names[:: JUDGE_AT_ONCE // 4]  # few long waits: each may be longer by what a loaded machine wakes late
    send(log, *names, heavy=heavy)
    at_once(counters(), log)
    # half as long again as is allowed: a watchdog that looks four times in HANG_S tells up to a quarter of it later
    assert lived(counters(judge_s=1.5 * HANG_S / len(heavy)), log, len(names)) == []
