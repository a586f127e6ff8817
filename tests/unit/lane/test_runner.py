"""A lane at work: it takes over, decides through its topic or for its caller, and forgets everything when it fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import pytest

from eventcore import Cut
from eventcore.errors import Fenced, LogUnavailable, OutcomeUnknown, WrongUse
from eventcore.lane import runner as running
from eventcore.lane.lane import Lane
from eventcore.log.memory import MemoryFollower, MemoryLog, MemoryWriter
from eventcore.log.port import Record, Standing, Writer
from eventcore.topics import Topics
from tests.bank import (
    TOPICS,
    Account,
    Deposit,
    Withdraw,
    command,
    decide_all,
    happened,
    id_of,
    kinds,
    lane_on,
    memory_log,
    outcomes,
    provision,
    run,
    send,
)
from tests.dying import POINTS, DyingLog, Killed


def test_a_lane_has_a_name_a_position_and_a_term() -> None:
    log = memory_log()
    decide_all(log, command("alice", Deposit(5), 1))
    lane = lane_on(log)
    assert lane.name == "bank.account[0]"
    lane.start()
    assert lane.position == Cut({(TOPICS.commands, 0): 1})
    assert lane.term == 2


def test_a_lane_that_was_not_started_decides_nothing() -> None:
    lane = lane_on(memory_log())
    for use in (lambda: lane.step(0.0), lambda: lane.decide([]), lambda: lane.memory):
        with pytest.raises(WrongUse, match=r"the lane bank.account\[0\] is not started, or failed since: start it"):
            use()


def test_starting_again_is_taking_over_from_oneself() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    lane.decide([command("alice", Deposit(5), 1)])
    lane.start()
    assert lane.memory.instances == {b"alice": (Account(5), 1)}


def test_a_lane_may_be_closed_twice() -> None:
    lane = lane_on(memory_log())
    lane.start()
    lane.close()
    lane.close()


# --- for its caller -------------------------------------------------------------------------------------------------


def test_a_caller_gets_its_answers_in_the_order_of_its_commands() -> None:
    lane = lane_on(memory_log())
    lane.start()
    answers = lane.decide(
        [
            command("alice", Deposit(5), 1),
            command("bob", Withdraw(9), 2),
            command("alice", Deposit(1), 3),
            command("alice", Deposit(5), 1),
        ]
    )
    decided = [answer.outcome for answer in answers]
    assert kinds(decided) == ["accepted", "refused insufficient_funds", "accepted", "accepted*"]
    assert [answer.last_event for answer in answers] == [0, None, 1, None]


def test_no_commands_have_no_answers() -> None:
    lane = lane_on(memory_log())
    lane.start()
    assert lane.decide([]) == []


def test_commands_that_stand_in_the_topic_are_decided_before_those_of_the_caller() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    for round_ in range(3):
        send(log, *(command("alice", Deposit(2), f"{round_} {n}") for n in range(1_200)))
        (answer,) = lane.decide([command("alice", Withdraw(1_200), f"{round_} out")])
        assert kinds([answer.outcome]) == ["refused insufficient_funds"]
        assert answer.outcome.details.message == "there is 1000"  # the ceiling
        (answer,) = lane.decide([command("alice", Withdraw(1_000), f"{round_} all")])
        assert kinds([answer.outcome]) == ["accepted"]


def test_what_a_caller_decided_is_not_read_again_from_the_topic() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    lane.decide([command("alice", Deposit(5), 1)])
    send(log, command("alice", Deposit(5), 2))
    assert lane.step(0.0) == 1
    lane.decide([command("alice", Deposit(5), 3)])
    assert lane.step(0.0) == 0
    assert [o.command_id for o in outcomes(log)] == [id_of(n) for n in (1, 2, 3)]


class RemoteWriter:
    """The writer of a log that is not embedded: it cannot receive."""

    def __init__(self, writer: MemoryWriter) -> None:
        self._writer = writer

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Append."""
        self._writer.append(topic, records)

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:
        """Commit; whoever asks is told so when it settles."""
        self._writer.begin_commit(consumed, standing)

    def settle(self) -> Mapping[str, Sequence[int]]:
        """What was committed."""
        return self._writer.settle()

    def settled(self) -> bool:
        """Never, until it was settled."""
        return False

    def commit(self, consumed: int | None, standing: Standing | None = None) -> Mapping[str, Sequence[int]]:
        """Commit."""
        return self._writer.commit(consumed, standing)

    def abort(self) -> None:
        """Abort."""
        self._writer.abort()

    def close(self) -> None:
        """Close."""
        self._writer.close()


class RemoteLog:
    """A log in memory as a broker shows itself: commands go through their topic."""

    def __init__(self) -> None:
        self.log = memory_log()
        for name in ("append", "follow", "end", "stable_end", "partitions", "beginning", "saved", "save"):
            setattr(self, name, getattr(self.log, name))

    def own(self, topics: Topics, partition: int) -> Writer:
        """Own."""
        return RemoteWriter(self.log.own(topics, partition))


def test_on_a_log_elsewhere_a_callers_commands_go_through_their_topic() -> None:
    remote = RemoteLog()
    lane = lane_on(remote)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # what a lane uses of a log
    lane.start()
    send(remote.log, command("alice", Deposit(1), "before"))
    answers = lane.decide(
        [command("alice", Deposit(5), 1), command("alice", Deposit(5), 1), command("bob", Deposit(2), 2)]
    )
    assert kinds(answer.outcome for answer in answers)[2] == "accepted"
    assert {answer.outcome.command_id for answer in answers[:2]} == {id_of(1)}
    assert len(happened(remote.log)) == 3


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_a_lane_that_failed_must_be_started_again_and_then_knows_what_the_log_says(point: str) -> None:
    log = DyingLog()
    provision(log)
    lane = lane_on(log)
    lane.start()
    lane.decide([command("alice", Deposit(5), 1)])
    log.point = point  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # one of POINTS
    with pytest.raises(Killed):
        lane.decide([command("alice", Deposit(7), 2)])
    with pytest.raises(WrongUse, match="failed since: start it"):
        lane.decide([command("alice", Deposit(7), 2)])
    lane.start()
    (answer,) = lane.decide([command("alice", Deposit(7), 2)])
    assert kinds([answer.outcome]) == ["accepted*" if point == "after commit" else "accepted"]
    assert lane.memory.instances == {b"alice": (Account(12), 2)}


class RemoteWriterAway(RemoteWriter):
    """One whose cluster goes away before the commit."""

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:
        """Fail."""
        raise LogUnavailable("the log is away. Nothing was written")


def test_commands_that_were_sent_through_their_topic_are_not_told_that_nothing_was_written() -> None:
    log = RemoteLog()
    lane = lane_on(log)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # what a lane needs
    lane.start()
    lane._writer = RemoteWriterAway(log.log.own(TOPICS, 0))
    with pytest.raises(
        OutcomeUnknown, match=r"bank.account\[0\]: the log went away after the commands were sent"
    ) as said:
        lane.decide([command("alice", Deposit(5), 1)])
    assert isinstance(said.value.__cause__, LogUnavailable)
    lane.start()
    lane.decide([command("alice", Deposit(5), 1)])
    assert lane.memory.instances == {b"alice": (Account(5), 1)}


class FailingWriter(MemoryWriter):
    """A writer whose log is away."""

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:
        """Fail."""
        raise LogUnavailable("the log is away")


def test_what_a_failed_commit_left_open_blocks_nobody() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    assert isinstance(lane._writer, MemoryWriter)
    lane._writer.__class__ = FailingWriter
    with pytest.raises(LogUnavailable):
        lane.decide([command("alice", Deposit(5), 1)])
    send(log, command("alice", Deposit(5), 2))  # the partition is free
    lane.start()
    run(lane, log)
    assert [o.command_id for o in outcomes(log)] == [id_of(2)]


def test_the_former_owner_is_fenced_and_writes_nothing() -> None:
    log = memory_log()
    former, owner = lane_on(log), lane_on(log)
    former.start()
    former.decide([command("alice", Deposit(5), 1)])
    owner.start()
    with pytest.raises(Fenced):
        former.decide([command("alice", Deposit(7), 2)])
    send(log, command("alice", Deposit(9), 3))
    with pytest.raises(WrongUse):
        former.step(0.0)
    run(owner, log)
    assert [o.command_id for o in outcomes(log)] == [id_of(1), id_of(3)]
    assert [o.term for o in outcomes(log)] == [1, 2]


def test_both_who_believe_that_they_own_a_lane_take_turns_without_harm() -> None:
    """Each fences the other at each start; what is decided is decided once."""
    log = memory_log()
    lanes = [lane_on(log), lane_on(log)]
    for n in range(20):
        send(log, command("alice", Deposit(2), n), command("alice", Deposit(2), n - 1))
        lane = lanes[n % 2]
        lane.start()
        run(lane, log)
    assert len(happened(log)) == 21
    assert [h.envelope.version for h in happened(log)] == list(range(1, 22))


def test_an_error_in_the_lane_itself_is_not_taken_for_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours stops the lane; it parks nobody's command."""

    def broken(*_: object) -> None:
        raise AssertionError("a broken invariant of ours")

    log = memory_log()
    lane = lane_on(log)
    lane.start()
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "_misplaced", broken)
        with pytest.raises(AssertionError):
            lane.decide([command("alice", Deposit(5), 1)])
    lane.start()
    assert kinds([lane.decide([command("alice", Deposit(5), 1)])[0].outcome]) == ["accepted"]


def test_the_wall_clock_is_read_once_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def clock() -> int:
        reads.append(1)
        return 1_700_000_000_000

    monkeypatch.setattr(running, "wall_clock_ms", clock)
    log = MemoryLog()
    provision(log)
    lane = lane_on(log)
    lane.start()
    send(log, *(command("alice", Deposit(1), n) for n in range(50)))
    lane.step(0.0)
    assert len(reads) == 1


class Sticking(MemoryFollower):
    """A follower that cannot be closed."""

    def close(self) -> None:
        """Raise what a driver raises."""
        raise sqlite3.OperationalError("disk I/O error")


def test_a_lane_whose_reader_cannot_be_closed_gives_its_partition_back_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    send(log, command("alice", Deposit(5), 1))
    monkeypatch.setattr("eventcore.log.memory.MemoryFollower", Sticking)
    run(lane, log)
    writer = lane._writer
    assert writer is not None
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        lane.close()
    with pytest.raises(WrongUse, match="this writer was closed"):
        writer.append(TOPICS.events, [command("alice", Deposit(5), 2)])
