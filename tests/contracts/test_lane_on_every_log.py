"""A lane keeps its promises on every log: N1 to N4, R1 to R5, one owner, and nothing lost or doubled by a restart."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from eventcore.avro.envelope import Options, Source, read_envelope, write_envelope
from eventcore.errors import BrokenLog, Fenced, OwnedElsewhere, WrongUse
from eventcore.lane.checkpoint import Checkpointing
from eventcore.lane.facts import LANE
from eventcore.lane.memory import LaneMemory
from eventcore.lane.restore import restore
from eventcore.lane.runner import LaneRunner
from eventcore.log.port import Log, Record, TopicPlan
from eventcore.topics import partition_of
from tests.bank import (
    COMMANDS,
    EVENTS,
    TOPICS,
    Account,
    Deposit,
    Look,
    Misbehave,
    Split,
    Withdraw,
    accounts,
    command,
    decide_all,
    everything,
    happened,
    id_of,
    kinds,
    lane_on,
    outcomes,
    provision,
    run,
    send,
)
from tests.logs import EVERY_LOG, Opener, opened, opener_of

WAIT_S = 5.0  # no lane waits this long for commands that stand in its topic
SEED = 20_240_502


@pytest.fixture(params=EVERY_LOG)
def opener(request: pytest.FixtureRequest) -> Opener:
    """How handles of one log of each kind are opened."""
    return opener_of(request, request.param)


@pytest.fixture
def log(opener: Opener) -> Iterator[Log]:
    """A log of each kind, with the topics."""
    with opened(opener) as log:
        provision(log)
        yield log


def test_each_kind_of_decision_is_written_and_read_back(log: Log) -> None:
    sent = [
        command("alice", Deposit(5), 1),
        command("alice", Withdraw(9), 2),
        command("alice", Deposit(5), 1),
        command("bob", Misbehave("raise"), 3),
        command("bob", Deposit(5), 4),
        command("alice", Split((2, 3)), 5),
        Record(b"alice", b"garbage", b"garbage", 1_000),
        command("alice", Withdraw(10), 6),
    ]
    decided = decide_all(log, *sent)
    assert kinds(decided) == [
        "accepted",
        "refused insufficient_funds",
        "accepted*",
        "parked raised",
        "parked instance_quarantined",
        "accepted",
        "parked undecodable",
        "accepted",
    ]
    assert [o.cause for o in decided] == [record.offset for record in everything(log, TOPICS.commands)]
    assert [h.envelope.version for h in happened(log)] == [1, 2, 3, 4]
    lane = lane_on(log)
    lane.start()
    assert lane.memory.instances == {b"alice": (Account(0), 4)}
    assert set(lane.memory.quarantined) == {b"bob"}
    lane.close()


def test_a_caller_that_drives_its_lane_learns_where_its_events_are(log: Log) -> None:
    lane = lane_on(log)
    lane.start()
    answers = lane.decide([command("alice", Split((2, 3)), 1), command("alice", Withdraw(9), 2)])
    answers += lane.decide([command("alice", Deposit(1), 3), command("alice", Split((2, 3)), 1)])
    lane.close()
    assert kinds(a.outcome for a in answers) == ["accepted", "refused insufficient_funds", "accepted", "accepted*"]
    offsets = [record.offset for record in everything(log, TOPICS.events)]
    assert [a.last_event for a in answers] == [offsets[1], None, offsets[2], None]


def test_lanes_of_two_partitions_share_nothing(opener: Opener) -> None:
    with opened(opener) as log:
        provision(log, partitions=2)
        keys = [f"account-{n}" for n in range(8)]
        send(log, *(command(key, Deposit(2), f"{key} {n}") for n in range(3) for key in keys))
        for partition in range(2):
            lane = lane_on(log, partition)
            lane.start()
            run(lane, log, WAIT_S)
            mine = [key for key in keys if partition_of(key.encode(), 2) == partition]
            assert lane.memory.instances == {key.encode(): (Account(6), 3) for key in mine}
            lane.close()


def test_what_was_decided_is_there_for_another_process(opener: Opener) -> None:
    """A handle is closed and another opened; in memory the process is the log, so there it is the same."""
    log = opener()
    provision(log)
    decide_all(log, command("alice", Deposit(5), 1))
    if opener() is not log:
        log.close()
        log = opener()
    with contextlib.closing(log):
        assert kinds(decide_all(log, command("alice", Deposit(5), 1), command("alice", Withdraw(5), 2))) == [
            "accepted*",
            "accepted",
        ]


def test_an_owner_is_fenced_or_the_only_one(opener: Opener, log: Log) -> None:
    """Two who both believe that they own the lane: what one of them decides the other does not."""
    rival_log = opener()
    with contextlib.ExitStack() as stack:
        if rival_log is not log:
            stack.callback(rival_log.close)
        first, second = lane_on(log), lane_on(rival_log)
        stack.callback(first.close)
        stack.callback(second.close)
        first.start()
        first.decide([command("alice", Deposit(5), 1)])
        try:
            second.start()
        except OwnedElsewhere:
            first.decide([command("alice", Deposit(7), 2)])  # it goes on undisturbed
        else:
            with pytest.raises(Fenced):
                first.decide([command("alice", Deposit(7), 2)])
            with pytest.raises(WrongUse):
                first.step(0.0)
            run(second, rival_log, WAIT_S)
            second.decide([command("alice", Deposit(7), 2)])
    assert [h.envelope.version for h in happened(log)] == [1, 2]
    first_decisions = Counter(o.command_id for o in outcomes(log) if not o.details.repeated)
    assert first_decisions == {id_of(1): 1, id_of(2): 1}


def test_a_source_that_names_no_record_makes_no_repeat_of_what_is_relayed_later(log: Log) -> None:
    """Whoever may send a command may say in its envelope that a relay sent it, of any record."""
    source = "bank.transfer.events"
    log.provision([TopicPlan(source, 1)])
    log.append(source, 0, [Record(b"t1", b"any")] * 3)
    forged, *relayed = (
        command("alice", Deposit(1), name, options=Options(source=Source(source, 0, offset)))
        for name, offset in (("forged", 10**12), ("first", 0), ("second", 1), ("third", 2))
    )
    pace, after_a_window = Checkpointing(window=4, outcomes=4), list[str]()
    for turn, one in enumerate((forged, *relayed, relayed[0])):
        lane = LaneRunner(log, accounts, TOPICS, 0, commands=COMMANDS, events=EVENTS, checkpoints=pace)
        lane.start()
        send(log, one)
        run(lane, log, WAIT_S)
        after_a_window += kinds(outcomes(log)[-1:])
        send(log, *(command("bob", Look(), f"{turn} {n}") for n in range(12)))
        run(lane, log, WAIT_S)
        lane.close()
    assert after_a_window == ["accepted", "accepted", "accepted", "accepted", "accepted*"]
    assert [each.id for each in happened(log)] == ["alice"] * 4


def test_a_lane_restores_from_its_checkpoint_as_from_the_whole_log(log: Log) -> None:
    often = Checkpointing(window=20, outcomes=10, at_once=4)

    def read_back(pace: Checkpointing) -> tuple[LaneMemory, int]:
        seen = {f"{TOPICS.events}[0]": 0}
        memory = restore(log, accounts, TOPICS, 0, EVENTS, lambda what, done, _: seen.update({what: done}), pace)
        return memory, seen[f"{TOPICS.events}[0]"]

    for life in range(3):
        lane = LaneRunner(log, accounts, TOPICS, 0, commands=COMMANDS, events=EVENTS, checkpoints=often)
        lane.start()
        for n in range(15):
            lane.decide([command(("alice", "bob")[n % 2], Deposit(2), f"{life} {n}"), command("carol", Look(), f"{n}")])
        lane.close()
    memory, events = read_back(often)
    assert events < 25
    whole, events = read_back(often._replace(window=1_000))  # another window: the checkpoint is not trusted
    assert events == 45
    assert (memory.instances, memory.next_command, memory.event_sequence, memory.outcome_sequence) == (
        whole.instances,
        whole.next_command,
        whole.event_sequence,
        whole.outcome_sequence,
    )


def test_a_lane_without_commands_completes_its_checkpoint(log: Log) -> None:
    rare = Checkpointing(window=100, outcomes=20, at_once=4)
    lane = LaneRunner(log, accounts, TOPICS, 0, commands=COMMANDS, events=EVENTS, checkpoints=rare)
    lane.start()
    names = [f"account {n}" for n in range(30)]
    lane.decide([command(name, Deposit(2), name) for name in names])
    assert lane.memory.marked == 0
    while lane.checkpoint_under_way:
        assert lane.step(WAIT_S) == 0
    lane.decide([command("one more", Deposit(2), "one more")])
    knew = lane.memory
    lane.close()
    assert knew.marked == 30
    seen = {f"{TOPICS.events}[0]": 0}
    again = restore(log, accounts, TOPICS, 0, EVENTS, lambda what, done, _: seen.update({what: done}), rare)
    assert (again.instances, again.decided, seen[f"{TOPICS.events}[0]"]) == (knew.instances, knew.decided, 1)
    assert {record.key for record in everything(log, TOPICS.snapshots)} == {*(n.encode() for n in names), LANE}


def test_a_lane_that_loses_its_partition_while_it_reads_is_fenced_and_finds_nothing_broken(log: Log) -> None:
    """Its successor writes between its reading of events and of outcomes, which then count other events."""
    decide_all(log, command("alice", Deposit(5), 1))
    lane, successor = lane_on(log), lane_on(log)
    taken_over: list[int] = []

    def progress(what: str, _done: int, _end: int) -> None:
        if what == f"{TOPICS.events}[0]" and not taken_over:
            send(log, command("alice", Deposit(5), 2))
            successor.start()
            taken_over.append(successor.step(WAIT_S))

    lane.own()
    with contextlib.closing(successor):
        with pytest.raises(Fenced):
            lane.restore(progress)
        assert taken_over == [1]


def test_what_a_lane_left_open_is_gone_when_it_is_owned_again(log: Log) -> None:
    """An aborted transaction leaves a gap in the offsets; nothing in it was ever decided."""
    decide_all(log, command("alice", Deposit(5), 1))
    writer = log.own(TOPICS, 0)
    aborted = everything(log, TOPICS.events)[0]
    for topic in (TOPICS.events, TOPICS.outcomes):
        writer.append(topic, [Record(b"alice", aborted.value, aborted.envelope, 1_000)])
    writer.abort()
    writer.close()
    assert kinds(decide_all(log, command("alice", Withdraw(5), 2))) == ["accepted"]
    lane = lane_on(log)
    lane.start()
    assert lane.memory.instances == {b"alice": (Account(0), 2)}
    assert not lane.memory.quarantined
    lane.close()


def test_a_foreign_event_stops_its_instance_and_nothing_else(log: Log) -> None:
    """R2: somebody else's producer writes into the events."""
    decide_all(log, command("alice", Deposit(5), 1), command("bob", Deposit(5), 2))
    log.append(TOPICS.events, 0, [Record(b"alice", b"hello", None, 1_000)])
    decided = decide_all(log, command("alice", Deposit(5), 3), command("bob", Deposit(5), 4))
    assert kinds(decided) == ["parked instance_quarantined", "accepted"]


def test_a_forged_event_that_goes_on_counting_stops_the_lane(log: Log) -> None:
    """R5: it bears the next sequence, so only the outcomes tell that no lane wrote it."""
    decide_all(log, command("alice", Deposit(5), 1), command("alice", Deposit(5), 2))
    second = everything(log, TOPICS.events)[1]
    own = read_envelope(second.envelope)
    forged = write_envelope(replace(own, sequence=3, stamp=own.stamp + 1))
    log.append(TOPICS.events, 0, [Record(b"alice", second.value, forged, 1_000)])
    with pytest.raises(BrokenLog, match="counts 2 events, there are 3"):
        lane_on(log).start()


def test_a_random_program_with_restarts_loses_and_doubles_nothing(log: Log) -> None:
    """Retries of everything, at random, over a few lanes' lives; each command has one first decision."""
    chance = random.Random(SEED)
    keys = ["alice", "bob", "carol"]
    pool = [command(chance.choice(keys), chance.choice([Deposit(2), Withdraw(4), Split((2, 4))]), n) for n in range(60)]
    sent = 0
    for _ in range(5):
        lane = lane_on(log)
        lane.start()
        for _ in range(4):
            batch = chance.sample(pool, 12)
            sent += len(batch)
            if chance.random() < 0.5:
                send(log, *batch)
            else:
                lane.decide(batch)
        if chance.random() < 0.5:
            run(lane, log, WAIT_S)
        lane.close()
    decide_all(log)
    decided = outcomes(log)
    assert len(decided) == sent
    assert [o.sequence for o in decided] == list(range(1, sent + 1))
    assert [o.cause for o in decided] == [record.offset for record in everything(log, TOPICS.commands)]
    firsts = Counter(o.command_id for o in decided if not o.details.repeated)
    assert set(firsts.values()) == {1}
    assert set(firsts) == {o.command_id for o in decided}
    for key in keys:
        versions = [h.envelope.version for h in happened(log) if h.id == key]
        assert versions == list(range(1, len(versions) + 1))
