"""A worker's children fail one at a time: some wait and go on, some halt alone, and each says why."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from eventcore import Aggregate, Value
from eventcore.app import App, Client, Worker, supervision
from eventcore.app.wiring import provision
from eventcore.errors import BrokenLog
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record
from eventcore.topics import partition_of
from projections import Projection, Views, open_views
from tests.failing import FailingLog
from tests.running import WAIT_S, running, wait_until

PARTITIONS = 2


class Counter(Value):
    """A state."""

    count: int = 0


class Count(Value):
    """Count, or do what no `decide` should."""

    how: str = ""


class Counted(Value):
    """It was counted."""

    how: str


class Row(Value):
    """A row that cannot be folded from everything."""

    counter: str
    count: int


def decide(counter: Counter, command: Count) -> list[Counted]:
    """Count."""
    if command.how == "exit":
        sys.exit(3)
    return [Counted(command.how)]


def evolve(counter: Counter, event: Counted) -> Counter:
    """One more."""
    return Counter(counter.count + 1)


def fold(row: Row | None, counter: str, event: Counted) -> Row:
    """One more; some events break it."""
    if event.how == "break the fold":
        raise ValueError("on purpose")
    return Row(counter, 1 if row is None else row.count + 1)


counters = Aggregate("counter", Counter, decide, evolve)
counts = Projection("counts", counters, Row, fold)
app = App("count", [counters], projections=[counts])
EVENTS = "count.counter.events"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, so that failures in a row take no time."""
    monkeypatch.setattr(supervision, "PAUSE_FIRST_S", 0.001)
    monkeypatch.setattr(supervision, "PAUSE_MOST_S", 0.01)


@pytest.fixture
def log() -> FailingLog:
    """A log with everything in it."""
    log = FailingLog()
    provision(log, app.wiring, PARTITIONS)
    return log


def name_in(partition: int) -> str:
    """A counter that lives in this partition."""
    return next(f"c{n}" for n in range(99) if partition_of(f"c{n}".encode(), PARTITIONS) == partition)


def views() -> Views:
    """Views in memory with their tables."""
    made = open_views("memory:")
    made.upgrade()
    made.prepare([counts])
    return made


def test_a_child_whose_log_was_away_goes_on(log: FailingLog) -> None:
    with running(app, log, views()) as run:
        client = Client(app, log)
        client.send(counters.to("a", Count()), timeout_s=WAIT_S)
        log.commits = 5
        outcome = client.send(counters.to("a", Count()), timeout_s=WAIT_S)
        assert outcome.version == 2
        lane = run.child(f"count.counter[{partition_of(b'a', PARTITIONS)}]")
        wait_until(lambda: lane.failures == 0, "the lane to be well again")
        assert (lane.status, lane.reason) == ("running", "")
        client.close()


def test_a_child_that_fails_without_end_gives_up_and_its_siblings_go_on(
    log: FailingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "RESTARTS_MAX", 5)
    with running(app, log, views()) as run:
        client = Client(app, log)
        log.commits = 10**9
        log.append("count.counter.commands", 0, [Record(b"x", b"garbage", b"garbage", 1_000)])
        wait_until(lambda: run.child("count.counter[0]").status == "gave_up", "the lane to give up")
        log.commits = 0
        assert client.send(counters.to(name_in(1), Count()), timeout_s=WAIT_S).accepted
        assert "the log is away" in run.child("count.counter[0]").reason
        client.close()


def test_a_lane_whose_log_is_broken_halts_alone(log: FailingLog) -> None:
    with running(app, log, views()):
        client = Client(app, log)
        for partition in range(PARTITIONS):
            client.send(counters.to(name_in(partition), Count()), timeout_s=WAIT_S)
            client.send(counters.to(name_in(partition), Count()), timeout_s=WAIT_S)
        client.close()
    _lose_first_event(log, 0)
    with running(app, log, views()) as run:
        client = Client(app, log)
        assert client.send(counters.to(name_in(1), Count()), timeout_s=WAIT_S).version == 3
        halted = run.child("count.counter[0]")
        wait_until(lambda: halted.status == "halted", "the lane to halt")
        assert halted.reason.startswith(f"{BrokenLog.__name__}: {EVENTS}[0]@1: sequence 2 follows 0")
        client.close()


def _lose_first_event(log: MemoryLog, partition: int) -> None:
    place = log._store.topics[EVENTS][partition]
    del place.records[0]
    place.visible -= 1


def test_a_projection_whose_fold_raises_halts_alone(log: FailingLog) -> None:
    with running(app, log, views()) as run:
        client = Client(app, log)
        client.send(counters.to("a", Count("break the fold")), timeout_s=WAIT_S)
        halted = run.child("projection:counts")
        wait_until(lambda: halted.status == "halted", "the projection to halt")
        assert "on purpose" in halted.reason
        assert client.send(counters.to("a", Count()), timeout_s=WAIT_S).version == 2
        client.close()


def test_a_decide_that_ends_the_program_stops_its_instance_and_its_lane_goes_on(log: FailingLog) -> None:
    one, other = [name for name in map("c{}".format, range(99)) if partition_of(name.encode(), PARTITIONS) == 0][:2]
    with running(app, log, views()) as run:
        client = Client(app, log)
        exits = client.send(counters.to(one, Count("exit")), timeout_s=WAIT_S)
        assert (exits.kind, exits.reason, exits.message) == ("parked", "raised", "SystemExit: 3")
        assert client.send(counters.to(other, Count()), timeout_s=WAIT_S).accepted
        assert run.child("count.counter[0]").status == "running"
        client.close()


def test_a_worker_can_be_stopped_while_a_child_waits(log: FailingLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "PAUSE_FIRST_S", 60.0)
    monkeypatch.setattr(supervision, "PAUSE_MOST_S", 60.0)
    with running(app, log, views()) as run:
        log.commits = 10**9
        log.append("count.counter.commands", 0, [Record(b"x", b"garbage", b"garbage", 1_000)])
        wait_until(lambda: run.child("count.counter[0]").status == "waiting", "the lane to wait")
    assert run.child("count.counter[0]").status == "stopped"


@pytest.mark.parametrize("when", ["it begins", "it works"])
def test_a_worker_that_is_interrupted_ends_its_threads_before_it_raises(when: str) -> None:
    """As Ctrl-C does in a program that calls `run` itself."""
    log = MemoryLog()
    provision(log, app.wiring, PARTITIONS)
    worker = Worker(app, log, views())

    def interrupts() -> None:
        if when == "it works":
            wait_until(lambda: worker.ready, "every part to run")
        else:
            wait_until(lambda: bool(worker.members), "the worker to begin")
        signal.raise_signal(signal.SIGINT)

    before = set(threading.enumerate())
    interrupter = threading.Thread(target=interrupts)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        worker.run()
    interrupter.join(WAIT_S)
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert left <= {"watchdog"}, "it is told to look no more, and is not waited for"
    assert {child.status for child in worker.children} <= {"stopped", "starting"}
