"""Who is told which decision: noted by the lane for every kind of outcome, posted after its commit with the right cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventcore.avro.envelope import Options
from eventcore.avro.outcome import read_outcome
from eventcore.cut import Cut
from eventcore.errors import LogUnavailable
from eventcore.lane import lane as lanes
from eventcore.lane.lane import Lane
from eventcore.lane.memory import LaneMemory
from eventcore.lane.reply import address_of, cut_of
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, Recorded, TopicPlan
from tests.bank import (
    COMMANDS,
    EVENTS,
    TOPICS,
    Deposit,
    Look,
    Misbehave,
    Split,
    Withdraw,
    accounts,
    command,
    everything,
    lane_on,
    memory_log,
    provision,
    run,
    send,
)

REPLIES = "bank.replies"
MINE = Options(reply="2/mine")


def log_with_replies() -> MemoryLog:
    """The topics of the account, and replies."""
    log = memory_log()
    log.provision([TopicPlan(REPLIES, 3)])
    return log


def told(log: MemoryLog, *records: Record) -> list[tuple[str, bool, Cut]]:
    """What is posted to `2/mine` once these are decided: kind, repeated, cut."""
    send(log, *records)
    lane = lane_on(log)
    lane.start()
    run(lane, log)
    lane.close()
    replies = everything(log, REPLIES, 2)
    assert {record.key for record in replies} <= {b"mine"}
    found = [(read_outcome(record.value).details, cut_of(record)) for record in replies]
    return [(details.kind, details.repeated, cut) for details, cut in found]


def at(end: int) -> Cut:
    """The cut that ends there."""
    return Cut({(TOPICS.events, 0): end})


def test_first_decisions_repeats_refusals_and_parked_commands_are_told_each_with_its_cut() -> None:
    records = [
        command("alice", Deposit(5), 1, options=MINE),
        command("alice", Split((1, 1, 1)), 2, options=MINE),
        command("alice", Deposit(6), "of nobody"),
        command("alice", Withdraw(900), 3, options=MINE),
        command("alice", Look(), 4, options=MINE),
        command("alice", Deposit(5), 1, options=MINE),
        command("alice", Withdraw(1), 5, options=Options(reply="2/mine", expected_version=99)),
        command("bob", Misbehave("raise"), 6, options=MINE),
        command("bob", Deposit(5), 7, options=MINE),
        Record(b"alice", b"garbage", records_envelope(8)),
    ]
    assert told(log_with_replies(), *records) == [
        ("accepted", False, at(1)),
        ("accepted", False, at(4)),
        ("refused", False, at(5)),
        ("accepted", False, at(5)),
        ("accepted", True, at(5)),
        ("conflict", False, at(5)),
        ("parked", False, at(5)),
        ("parked", False, at(5)),
        ("parked", False, at(5)),
    ]


def records_envelope(name: int) -> bytes | None:
    """The envelope of a command that is to be answered."""
    return command("alice", Deposit(1), name, options=MINE).envelope


def test_a_lane_that_starts_again_tells_a_repeat_with_a_cut_that_holds_its_events() -> None:
    log = log_with_replies()
    assert told(log, command("alice", Deposit(5), 1, options=MINE)) == [("accepted", False, at(1))]
    assert told(log, command("alice", Deposit(5), 1, options=MINE))[1:] == [("accepted", True, at(1))]


def test_a_log_without_replies_loses_nothing_by_them() -> None:
    log = memory_log()
    send(log, command("alice", Deposit(5), 1, options=MINE))
    lane = lane_on(log)
    lane.start()
    run(lane, log)
    assert lane.measures.outcomes == {"accepted": 1}
    lane.close()


class WithoutReplies(MemoryLog):
    """A log that does not say how many partitions its replies have, as a cluster that is away just then."""

    def partitions(self, topic: str) -> int:
        """Not of the replies."""
        if topic == REPLIES:
            raise LogUnavailable("Kafka does not answer. Nothing was written")
        return super().partitions(topic)


def test_replies_that_cannot_be_posted_undo_no_commit() -> None:
    log = WithoutReplies()
    provision(log)
    log.provision([TopicPlan(REPLIES, 3)])
    lane = lane_on(log)
    lane.start()
    (answer,) = lane.decide([command("alice", Deposit(5), 1, options=MINE)])
    assert read_outcome(answer.record).details.kind == "accepted"
    assert lane.memory.instances.keys() == {b"alice"}, "it goes on, and is not restored"
    lane.close()


def test_addresses_that_are_learnt_are_bounded_and_forgetting_them_changes_nothing() -> None:
    lanes_max, lanes.CLIENTS_MAX = lanes.CLIENTS_MAX, 3
    try:
        lane = Lane(accounts, TOPICS, 0, 1, commands=COMMANDS, events=EVENTS, memory=LaneMemory())
        records = [command("alice", Deposit(1), n, options=Options(reply=f"1/c{n % 7}")) for n in range(50)]
        recorded = [Recorded(n, r.key, r.value, r.envelope, r.time_ms) for n, r in enumerate(records)]
        batch = lane.take(recorded, 1_700_000_000_000)
        assert batch.replies == [(f"1/c{n % 7}", n) for n in range(50)]
        assert len(lane._known) <= 5
    finally:
        lanes.CLIENTS_MAX = lanes_max


@given(st.integers(0, 99_999), st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_an_address_is_read_as_it_was_written(partition: int, token: str) -> None:
    address = address_of(f"{partition}/{token}")
    assert address is not None
    assert (address.partition, address.token, str(address)) == (partition, token.encode(), f"{partition}/{token}")


@given(st.text())
def test_whatever_stands_there_is_an_address_or_none(text: str) -> None:
    address = address_of(text)
    assert address is None or address.partition >= 0
