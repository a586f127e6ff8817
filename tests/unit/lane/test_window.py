"""The deduplication window: bounded, the same after a restart, and no window at all for what relays deliver."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore.avro.control import Discard, write_control
from eventcore.avro.envelope import Options, SagaStep, Source, command_envelope
from eventcore.errors import LogUnavailable, UnknownName
from eventcore.lane import backlog
from eventcore.lane.checkpoint import Checkpointing
from eventcore.lane.restore import restore
from eventcore.lane.runner import LaneRunner
from eventcore.lane.window import UNREADABLE_MAX, Readable, Window
from eventcore.log.port import Record, TopicPlan
from tests.bank import (
    COMMANDS,
    EVENTS,
    TOPICS,
    Deposit,
    Misbehave,
    Withdraw,
    accounts,
    command,
    happened,
    id_of,
    kinds,
    lane_on,
    memory_log,
    outcomes,
    run,
    send,
)


@given(st.integers(1, 10), st.lists(st.booleans(), max_size=80))
def test_the_last_outcomes_are_known_and_never_more_than_twice_as_many(size: int, first: list[bool]) -> None:
    window = Window[int](size)
    decided: list[int] = []
    for sequence, is_first in enumerate(first, 1):
        window.turn(sequence)
        if is_first:
            window.keep(sequence.to_bytes(16, "big"), sequence)
            decided.append(sequence)
        assert len(window) <= 2 * size
        assert all(window.get(s.to_bytes(16, "big")) == s for s in decided if s > sequence - size)


@given(st.integers(1, 10), st.integers(1, 80))
def test_a_window_read_back_from_the_beginning_of_its_older_generation_is_the_same(size: int, count: int) -> None:
    window = Window[int](size)
    for sequence in range(1, count + 1):
        window.turn(sequence)
        window.keep(sequence.to_bytes(16, "big"), sequence)
        window.deliver(Source("t", sequence % 3, sequence))
    again = Window[int](size, max(0, window.generation - 1), at_newer=window.at_older, delivered=window.at_older)
    for sequence in range(max(1, (window.generation - 1) * size), count + 1):
        again.turn(sequence)
        again.keep(sequence.to_bytes(16, "big"), sequence)
        again.deliver(Source("t", sequence % 3, sequence))
    assert (again.newer, again.older) == (window.newer, window.older)


def test_a_clients_command_is_forgotten_after_the_window_and_a_relayed_one_is_not() -> None:
    log = memory_log()
    log.provision([TopicPlan("bank.t.events", 1)])
    log.append("bank.t.events", 0, [Record(b"t1", b"x")] * 10)
    lane = lane_on(log)
    lane.start()
    lane.memory.decided.size = 3
    relayed = command("alice", Deposit(5), "relayed", options=Options(source=Source("bank.t.events", 0, 7)))
    step = SagaStep("transfer", "t1", "hold", "do")
    stepped = command("alice", Withdraw(9), "s", options=Options(source=Source("bank.t.events", 0, 8), step=step))
    client = command("alice", Deposit(1), "client")
    send(log, client, relayed, stepped, *(command("bob", Deposit(1), n) for n in range(9)), client, relayed, stepped)
    later = command("alice", Deposit(5), "later", options=Options(source=Source("bank.t.events", 0, 9)))
    send(log, later)
    run(lane, log)
    assert kinds(outcomes(log)[-4:]) == ["accepted", "accepted*", "refused insufficient_funds*", "accepted"]
    assert outcomes(log)[-3].details.message == "it was decided before the window of deduplication began"


def test_a_command_that_is_asked_for_again_and_again_is_decided_once() -> None:
    """Each repeat is an outcome, and counts."""
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    lane.memory.decided.size = 3
    poor, rich = command("alice", Withdraw(5), "poor"), command("alice", Deposit(5), "rich")
    send(log, poor, rich, *(each for _ in range(20) for each in (poor, rich)))
    run(lane, log)
    assert kinds(outcomes(log)) == [
        "refused insufficient_funds",
        "accepted",
        *(["refused insufficient_funds*", "accepted*"] * 20),
    ]
    assert len(happened(log)) == 1


def test_what_was_asked_for_again_is_known_after_a_restart_as_before() -> None:
    log = memory_log()
    pace = Checkpointing(window=4, outcomes=4)
    lane = LaneRunner(log, accounts, TOPICS, 0, commands=COMMANDS, events=EVENTS, checkpoints=pace)
    lane.start()
    asked = command("alice", Deposit(5), "asked")
    for n in range(9):
        lane.decide([asked, command("bob", Deposit(1), n)])
        knew = (lane.memory.decided.newer, lane.memory.decided.older)
        restored = restore(log, accounts, TOPICS, 0, EVENTS, pace=pace).decided
        assert (restored.newer, restored.older) == knew
    lane.close()
    lane.start()
    (again,) = lane.decide([asked])
    assert again.outcome.details.repeated
    assert lane.memory.instances[b"alice"][1] == 1


IMPOSSIBLE = [
    Source("x" * 3_900, 0, 1),
    Source("bank.t.commands", 0, 1),
    Source("shop.account.events", 0, 1),
    Source("bank.unknown.events", 0, 1),
    Source("bank.account.events", 1, 1),
    Source("bank.account.events", -1, 1),
    Source("bank.account.events", 0, -1),
]


@pytest.mark.parametrize("source", IMPOSSIBLE, ids=[f"{s.topic[:20]} {s.partition} {s.offset}" for s in IMPOSSIBLE])
def test_a_source_that_no_relay_can_read_is_not_kept_and_its_command_is_decided(source: Source) -> None:
    """An envelope says what its client likes: each would be kept for ever, in every checkpoint too."""
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    possible = Source("bank.account.outcomes", 0, 5)
    send(log, command("alice", Deposit(5), 1, options=Options(source=source)))
    send(log, command("alice", Deposit(5), 2, options=Options(source=possible)))
    run(lane, log)
    assert kinds(outcomes(log)) == ["accepted", "accepted"]
    assert outcomes(log)[0].details.source == source
    kept = {("bank.account.outcomes", 0): 5}
    assert lane.memory.decided.delivered == kept
    lane.close()
    lane.start()
    assert lane.memory.decided.delivered == kept


def test_a_topic_that_is_not_there_is_asked_for_once_in_a_while_and_remembered_within_bounds() -> None:
    asked: list[str] = []

    def partitions(topic: str) -> int:
        asked.append(topic)
        raise UnknownName("topic", topic, [])

    readable = Readable("bank", partitions, lambda _topic, _partition: 0)
    for n in range(2 * UNREADABLE_MAX):
        assert not readable(Source(f"bank.t{n}.events", 0, 1))
        assert not readable(Source(f"bank.t{n}.events", 0, 2))
    assert len(asked) == 2 * UNREADABLE_MAX
    assert len(readable._unknown_until) <= UNREADABLE_MAX


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_what_is_said_of_records_that_there_are_not_makes_no_repeat_of_what_was_not_delivered(
    size: int, forged: list[bool]
) -> None:
    window = Window[int](size, written=lambda _topic, _partition, offset: offset < len(forged))
    delivered = -1
    for sequence, is_forged in enumerate(forged, 1):
        window.turn(sequence)
        if is_forged:
            window.deliver(Source("t", 0, len(forged) + sequence))
        else:
            delivered += 1
            window.deliver(Source("t", 0, delivered))
        assert not window.delivered_before(Source("t", 0, delivered + 1))


def test_what_was_believed_while_nobody_could_be_asked_makes_no_repeat_afterwards() -> None:
    ends = {"t": 10**13}
    window = Window[int](4, written=lambda topic, _, offset: offset < ends[topic])
    window.deliver(Source("t", 0, 10**12))
    window.turn(4)
    window.turn(8)
    assert window.at_older == {("t", 0): 10**12}
    ends["t"] = 5
    assert not window.delivered_before(Source("t", 0, 3))
    window.turn(12)
    assert window.at_older == window.at_newer == window.delivered == {}


def test_where_a_partition_ends_is_asked_beyond_the_end_that_is_known() -> None:
    ends, asked = {"bank.a.events": 5}, list[str]()

    def end(topic: str, _: int) -> int:
        asked.append(topic)
        if topic not in ends:
            raise UnknownName("topic", topic, [])
        return ends[topic]

    readable = Readable("bank", lambda _: 1, end)
    assert [readable.written("bank.a.events", 0, offset) for offset in (0, 3, 4)] == [True, True, True]
    assert asked == ["bank.a.events"]
    assert not readable.written("bank.a.events", 0, 5)
    ends["bank.a.events"] = 6
    assert readable.written("bank.a.events", 0, 5)
    assert asked == ["bank.a.events"] * 3
    assert not readable.written("bank.gone.events", 0, 0)


def test_a_log_that_does_not_tell_where_a_partition_ends_is_believed_and_not_asked_again_soon() -> None:
    asked: list[int] = []

    def end(_: str, partition: int) -> int:
        asked.append(partition)
        raise LogUnavailable("no leader")

    readable = Readable("bank", lambda _: 9, end)
    assert all(readable.written("bank.a.events", partition, 10**12) for partition in range(9))
    assert asked == [0]


def test_a_step_that_was_not_kept_is_not_told_accepted_after_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though later ones from the same source were decided: there was no room for it among those that wait."""
    monkeypatch.setattr(backlog, "INSTANCE_MAX", 1)
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    lane.memory.decided.size = 3
    step = SagaStep("transfer", "t1", "hold", "do")
    stepped = command("bob", Deposit(9), "s", options=Options(source=Source("bank.t.events", 0, 7), step=step))
    later = command("alice", Deposit(5), "later", options=Options(source=Source("bank.t.events", 0, 8)))
    send(log, command("bob", Misbehave("raise"), "falls"), stepped, later)
    send(log, *(command("alice", Deposit(1), n) for n in range(9)), stepped)
    send(log, Record(b"bob", write_control(Discard()), command_envelope(id_of("d")), 1_000), stepped)
    run(lane, log)
    assert kinds(outcomes(log)[1:2]) == ["parked backlog_full"]
    assert kinds(outcomes(log)[-4:]) == ["parked backlog_full", "parked discarded", "accepted", "accepted"]


def test_the_id_of_a_command_that_waits_is_known_after_the_window_whomever_it_is_sent_to() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    lane.memory.decided.size = 3
    send(log, command("bob", Misbehave("raise"), "waits"), *(command("alice", Deposit(1), n) for n in range(9)))
    send(log, command("alice", Deposit(7), "waits"))
    run(lane, log)
    assert kinds(outcomes(log)[-1:]) == ["parked raised*"]
    assert lane.memory.waiting.count == 1
