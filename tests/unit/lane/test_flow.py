"""A lane that decides while its last commit is under way: what shares a transaction, what is dropped, what is bounded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pytest

from eventcore.errors import DataError, LogUnavailable, WrongUse
from eventcore.lane import intake, runner
from eventcore.lane.intake import Intake, Pace
from eventcore.lane.runner import LaneRunner
from eventcore.log.checks import check_start
from eventcore.log.memory import MemoryFollower, MemoryLog, MemoryWriter
from eventcore.log.port import Record, Standing, Writer
from eventcore.topics import Topics
from tests.bank import TOPICS, Account, Deposit, command, happened, lane_on, outcomes, provision, run, send

WAIT_S = 10.0


class SlowWriter:
    """A writer whose commits are under way until its log says otherwise, or the lane waits."""

    def __init__(self, log: SlowLog, writer: MemoryWriter) -> None:
        self._log = log
        self._writer = writer
        self._open: list[tuple[str, Sequence[Record]]] = []
        self._under_way: tuple[list[tuple[str, Sequence[Record]]], int | None] | None = None

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Keep them."""
        self._open.append((topic, records))

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:
        """Begin."""
        assert self._under_way is None, "one commit at a time"
        self._under_way, self._open = (self._open, consumed), []
        self._log.begun.append((sum(len(r) for topic, r in self._under_way[0] if topic == TOPICS.outcomes), standing))

    def settle(self) -> Mapping[str, Sequence[int]]:
        """Commit, or fail."""
        if self._under_way is None:
            return {}
        (appended, consumed), self._under_way = self._under_way, None
        if self._log.fails:
            raise LogUnavailable("the log is away")
        for topic, records in appended:
            self._writer.append(topic, records)
        return self._writer.commit(consumed)

    def settled(self) -> bool:
        """What the test says."""
        if self._log.looks > 0:
            self._log.looks -= 1
            self._log.looked()
            return False
        return not self._log.slow

    def commit(self, consumed: int | None, standing: Standing | None = None) -> Mapping[str, Sequence[int]]:
        """Begin and settle."""
        self.begin_commit(consumed, standing)
        return self.settle()

    def abort(self) -> None:
        """Drop what is open."""
        self._open = []

    def close(self) -> None:
        """Close."""
        self._writer.close()


class SlowLog(MemoryLog):
    """A log whose commits take as long as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = self.fails = False
        self.begun: list[tuple[int, Standing | None]] = []
        self.looks = 0  # how often the lane may look before its commit is decided; something is sent at each look
        self.sent = 0

    def own(self, topics: Topics, partition: int) -> Writer:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # a slow one
        """Own."""
        return SlowWriter(self, super().own(topics, partition))

    def looked(self) -> None:
        """One more command comes while the lane waits."""
        self.sent += 1
        send(self, command("alice", Deposit(1), f"while it waits {self.sent}"))


@pytest.fixture
def log() -> SlowLog:
    """An empty one, whose commits are slow."""
    log = SlowLog()
    provision(log)
    log.slow = True
    return log


def started(log: SlowLog) -> LaneRunner:
    """A lane of it."""
    lane = lane_on(log)
    lane.start()
    return lane


def sizes(log: SlowLog) -> list[int]:
    """How many outcomes each transaction had."""
    return [count for count, _ in log.begun]


def test_a_batch_is_decided_while_the_one_before_it_is_committed(log: SlowLog) -> None:
    lane = started(log)
    send(log, command("alice", Deposit(1), 1))
    assert lane.flow(0.0) == 1
    assert (sizes(log), outcomes(log)) == ([1], [])
    send(log, command("alice", Deposit(1), 2))
    assert lane.flow(0.0) == 1
    assert lane.memory.instances == {b"alice": (Account(2), 2)}
    assert (sizes(log), len(outcomes(log))) == ([1, 1], 1)


def test_when_nothing_more_is_at_hand_the_commit_under_way_is_waited_for_at_once(log: SlowLog) -> None:
    lane = started(log)
    send(log, command("alice", Deposit(1), 1))
    lane.flow(0.0)
    assert lane.flow(WAIT_S) == 0  # it does not wait for commands meanwhile
    assert len(outcomes(log)) == 1


def test_what_comes_while_a_commit_is_under_way_shares_one_transaction(log: SlowLog) -> None:
    lane = started(log)
    send(log, command("alice", Deposit(1), 1))
    lane.flow(0.0)
    log.looks = 5
    send(log, command("alice", Deposit(1), 2))
    assert lane.flow(0.0) >= 5
    assert len(sizes(log)) == 2
    lane.finish()
    assert len(outcomes(log)) == sum(sizes(log))
    assert [h.envelope.version for h in happened(log)] == list(range(1, len(outcomes(log)) + 1))


def test_a_batch_that_is_full_waits_for_the_one_before_it(log: SlowLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BATCH_TURNS_MAX", 3)
    lane = started(log)
    send(log, *(command("alice", Deposit(1), n) for n in range(10)))
    for _ in range(4):
        lane.flow(0.0)
    assert sizes(log) == [3, 3, 3, 1]


def test_a_batch_that_is_old_waits_for_the_one_before_it(log: SlowLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "BATCH_AGE_S", 0.0)
    lane = started(log)
    send(log, command("alice", Deposit(1), 1))
    lane.flow(0.0)
    log.looks = 5
    send(log, command("alice", Deposit(1), 2))
    assert lane.flow(0.0) == 1
    assert (sizes(log), log.looks) == ([1, 1], 4)  # it looked once, when it had begun the second commit


def test_what_was_decided_on_top_of_a_commit_that_failed_is_dropped_with_it(log: SlowLog) -> None:
    lane = started(log)
    send(log, command("alice", Deposit(1), 1))
    lane.flow(0.0)
    send(log, command("alice", Deposit(1), 2))
    log.fails = True
    with pytest.raises(LogUnavailable):
        lane.flow(0.0)
    with pytest.raises(WrongUse, match="failed since: start it"):
        lane.flow(0.0)
    assert outcomes(log) == []
    log.fails = False
    lane.start()
    assert lane.step(0.0) == 2
    assert len(outcomes(log)) == 2
    assert lane.memory.instances == {b"alice": (Account(2), 2)}


def test_a_step_leaves_no_commit_under_way(log: SlowLog) -> None:
    lane = started(log)
    send(log, command("alice", Deposit(1), 1))
    assert lane.step(0.0) == 1
    assert len(outcomes(log)) == 1


def test_closing_drops_what_is_under_way_and_whoever_starts_reads_what_became_of_it(log: SlowLog) -> None:
    lane = started(log)
    send(log, command("alice", Deposit(1), 1))
    lane.flow(0.0)
    lane.close()
    lane.start()
    assert lane.step(0.0) == 1
    assert len(outcomes(log)) == 1


# --- the intake ------------------------------------------------------------------------------------------------------


class Epochs:
    """Standings that can be told apart."""

    def __init__(self) -> None:
        self.taken = 0

    def __call__(self) -> Standing | None:
        """One more."""
        self.taken += 1
        return self.taken


def intake_on(*values: bytes, most: int = 1_000) -> tuple[MemoryLog, Intake, Epochs]:
    """An intake on a log with these commands."""
    log, epochs = MemoryLog(), Epochs()
    provision(log)
    log.append(TOPICS.commands, 0, [Record(b"alice", value) for value in values])
    return log, Intake(log, TOPICS.commands, 0, 0, epochs), epochs


def test_a_piece_has_no_more_bytes_than_it_may_but_one_record_at_least() -> None:
    _, reads, _ = intake_on(b"x" * 40, b"x" * 40, b"x" * 200, b"x" * 40, b"x")
    taken = [[record.offset for record in reads.take(1_000, 100, 0.0)[0]] for _ in range(5)]
    assert [piece for piece in taken if piece] == [[0, 1], [2], [3, 4]]
    assert reads.position == 5


def test_after_large_records_fewer_are_asked_for() -> None:
    log, reads, _ = intake_on(*[b"x" * 1_000] * 10)
    reads.take(10, 10_000, 0.0)
    log.append(TOPICS.commands, 0, [Record(b"alice", b"x" * 1_000)] * 50)
    records, size = reads.take(1_000, 3_000, 0.0)
    assert (len(records), size) == (3, 3_000)
    assert reads.position == 13


def test_what_was_held_back_keeps_the_standing_that_was_taken_before_it_was_polled() -> None:
    log, reads, epochs = intake_on(*[b"x" * 40] * 4)
    pieces = [(len(reads.take(1_000, 80, 0.0)[0]), reads.standing) for _ in range(2)]
    assert pieces == [(2, 1), (2, 1)]
    log.append(TOPICS.commands, 0, [Record(b"alice", b"x")])
    reads.take(1_000, 80, 0.0)
    assert (reads.standing, epochs.taken) == (2, 2)


def test_a_transaction_has_the_oldest_standing_of_what_is_in_it(log: SlowLog) -> None:
    epochs = Epochs()
    lane = lane_on(log)
    lane._standing = epochs
    lane.start()
    send(log, command("alice", Deposit(1), 1))
    lane.flow(0.0)
    log.looks = 3
    send(log, command("alice", Deposit(1), 2))
    lane.flow(0.0)
    assert [standing for _, standing in log.begun] == [1, 2]
    assert epochs.taken > 3


def test_the_bytes_of_a_batch_are_bounded_however_many_commands_wait(
    log: SlowLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BATCH_BYTES_MAX", 100)
    assert intake.BATCH_TURNS_MAX == 1_000
    lane = started(log)
    one = command("alice", Deposit(1), 0)
    each = len(one.value or b"")
    send(log, *(command("alice", Deposit(1), n) for n in range(40)))
    while lane.flow(0.0):
        pass
    assert sum(sizes(log)) == 40
    assert max(sizes(log)) <= 100 // each + 1  # and one record at least each time it looks


def test_a_slow_decide_makes_batches_small_and_a_fast_one_makes_them_large_again() -> None:
    pace = Pace()
    assert pace.most == intake.BATCH_TURNS_FIRST
    most: list[int] = []
    for turns, seconds in ((128, 64.0), (2, 1.0), (1, 30.0), (1, 0.01), (100, 0.0)):
        pace.note(turns, seconds)
        most.append(pace.most)
    assert most == [2, 2, 1, 16, 256]
    pace.note(256, 0.0)
    assert pace.most == intake.BATCH_TURNS_MAX


class RetainingLog(MemoryLog):
    """A log whose commands before `first` were deleted by retention, as a broker does it."""

    first = 0

    def beginning(self, topic: str, partition: int) -> int:
        """Where its records begin."""
        return self.first if topic == TOPICS.commands else super().beginning(topic, partition)

    def follow(self, topic: str, starts: Mapping[int, int]) -> MemoryFollower:
        """As every log: not from before its beginning."""
        for partition, start in starts.items():
            check_start(topic, partition, start, self.beginning(topic, partition), self.end(topic, partition))
        return super().follow(topic, starts)


def test_a_lane_goes_on_behind_commands_that_were_deleted_and_says_which(caplog: pytest.LogCaptureFixture) -> None:
    log = RetainingLog()
    provision(log)
    send(log, command("bob", Deposit(1), 0))
    lane = lane_on(log)
    lane.start()
    run(lane, log)
    lane.close()
    send(log, *(command("bob", Deposit(1), n) for n in range(1, 8)))
    log.first = 5
    lane = lane_on(log)
    with caplog.at_level(logging.ERROR):
        lane.start()
        assert lane.step(0.0) == 3
    assert "bank.account.commands[0]: 4 commands, @1 to @4, were deleted before they were decided" in caplog.text
    assert [outcome.cause for outcome in outcomes(log)] == [0, 5, 6, 7]
    caplog.clear()
    lane.start()
    assert lane.step(0.0) == 0
    assert caplog.text == ""


def test_a_lane_whose_commands_were_all_deleted_takes_the_next_ones(caplog: pytest.LogCaptureFixture) -> None:
    log = RetainingLog()
    provision(log)
    send(log, command("bob", Deposit(1), 0), command("bob", Deposit(1), 1))
    log.first = 2
    lane = lane_on(log)
    with caplog.at_level(logging.ERROR):
        lane.start()
        assert lane.step(0.0) == 0
    assert "2 commands, @0 to @1, were deleted" in caplog.text
    lane.decide([command("bob", Deposit(1), 2)])
    assert [outcome.cause for outcome in outcomes(log)] == [2]


class OvertakingLog(RetainingLog):
    """A log whose retention goes on while a lane looks: each of `steps` is where it is by the next question."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []

    def beginning(self, topic: str, partition: int) -> int:
        """Where its records begin, and no longer once that was said."""
        first = super().beginning(topic, partition)
        if topic == TOPICS.commands and self.steps:
            self.first = self.steps.pop(0)
        return first


def test_retention_that_goes_on_while_a_lane_begins_to_read_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = OvertakingLog()
    provision(log)
    send(log, *(command("bob", Deposit(1), n) for n in range(8)))
    lane = lane_on(log)
    lane.start()
    log.first, log.steps = 2, [4, 6]
    with caplog.at_level(logging.ERROR):
        assert lane.step(0.0) == 0
        assert lane.step(0.0) == 2
    assert [outcome.cause for outcome in outcomes(log)] == [6, 7]
    assert "2 commands, @0 to @1" in caplog.text
    assert "4 commands, @2 to @5" in caplog.text


def test_a_topic_that_ends_before_the_next_command_stops_its_lane() -> None:
    """It was made anew: to go on there would be to pass over commands that are still to come."""
    log = RetainingLog()
    provision(log)
    send(log, command("bob", Deposit(1), 0))
    reads = Intake(log, TOPICS.commands, 0, 2, lambda: None)
    with pytest.raises(DataError, match=r"ends at 1, and the start asked for is 2"):
        reads.take(1_000, 80, 0.0)
