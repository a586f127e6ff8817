"""A lane reads back what its predecessor knew, and no more (R1 to R5); the log is damaged here as no lane would."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any, cast

import pytest
from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value
from eventcore.avro.envelope import Envelope, Options, SagaStep, read_envelope, write_envelope
from eventcore.errors import BrokenLog, TimedOut
from eventcore.lane import restore as restoring
from eventcore.lane.journal import MESSAGE_BYTES_MAX
from eventcore.lane.memory import LaneMemory
from eventcore.lane.restore import read_to, restore
from eventcore.log.memory import MemoryLog
from eventcore.log.port import RECORD_BYTES_MAX, Record, Recorded
from eventcore.topics import ID_BYTES_MAX
from tests.bank import (
    EVENTS,
    TOPICS,
    UNLUCKY,
    Account,
    Deposit,
    Deposited,
    Event,
    Look,
    Misbehave,
    Noted,
    Split,
    Unsayable,
    UnsayableExit,
    Withdraw,
    Withdrawn,
    accounts,
    command,
    decide,
    decide_all,
    everything,
    evolve,
    kinds,
    lane_on,
    memory_log,
    outcomes,
)


def busy_log() -> MemoryLog:
    """Events 0 to 6 of alice, bob and carol, with refusals and a repeat between them, over two terms."""
    log = memory_log()
    decide_all(
        log,
        command("alice", Deposit(5), 1),
        command("bob", Split((1, 2)), 2),
        command("alice", Withdraw(9), 3),
        command("alice", Deposit(5), 1),
    )
    decide_all(log, command("alice", Withdraw(2), 4), command("carol", Deposit(7), 5), command("bob", Deposit(3), 6))
    decide_all(log, command("carol", Look(), 7), command("alice", Deposit(1), 8))
    return log


def read_back(log: MemoryLog, aggregate: Aggregate[Any, Any, Any] = accounts) -> LaneMemory:
    """What a lane reads back."""
    return restore(log, aggregate, TOPICS, 0, EVENTS)


def stored(log: MemoryLog, topic: str) -> list[Recorded]:
    """The log's own list: what is changed in it is changed for every reader."""
    return log._store.topics[topic][0].records


def delete(log: MemoryLog, topic: str, offset: int) -> None:
    """Take one record out of the log, leaving a gap."""
    place = log._store.topics[topic][0]
    place.records[:] = [record for record in place.records if record.offset != offset]
    place.visible = len(place.records)


def alter(log: MemoryLog, topic: str, offset: int, change: Callable[[Recorded], Recorded]) -> None:
    """Change one record in its place."""
    records = stored(log, topic)
    records[offset] = change(records[offset])


def test_everything_is_read_back() -> None:
    log = busy_log()
    lane = lane_on(log)
    lane.start()
    memory = lane.memory
    assert memory.instances == {b"alice": (Account(4), 3), b"bob": (Account(6), 3), b"carol": (Account(7), 1)}
    assert len(memory.decided) == 8
    assert (memory.term, memory.event_sequence, memory.outcome_sequence, memory.next_command) == (3, 7, 9, 9)
    assert lane.term == 4


def test_an_empty_log_is_the_beginning() -> None:
    assert read_back(memory_log()) == LaneMemory()


def test_reading_reports_how_far_it_is() -> None:
    seen: list[tuple[str, int, int]] = []
    restore(busy_log(), accounts, TOPICS, 0, EVENTS, lambda what, done, end: seen.append((what, done, end)))
    assert seen == [("bank.account.events[0]", 7, 7), ("bank.account.outcomes[0]", 9, 9)]


def test_a_restore_shows_signs_of_life_while_it_folds_and_judges() -> None:
    log = memory_log()
    for at in range(0, 1_100, 100):
        decide_all(log, *(command(f"account {n}", Deposit(5), n) for n in range(at, at + 100)))
    seen: list[tuple[str, int, int]] = []
    restore(log, accounts, TOPICS, 0, EVENTS, lambda what, done, end: seen.append((what, done, end)))
    folded = [("bank.account.events[0], folded", at, 1_100) for at in (500, 1_000)]
    judged = [("bank.account.events[0], judged", done, 1_100) for done in range(100, 1_100, 100)]
    read = [("bank.account.events[0]", 1_100, 1_100), ("bank.account.outcomes[0]", 1_100, 1_100)]
    assert seen == [read[0], *folded, read[1], *judged]


# --- R1 and R5: what is missing stops the lane ------------------------------------------------------------------------


@pytest.mark.parametrize("offset", range(6))
def test_a_missing_event_stops_the_lane_and_says_where(offset: int) -> None:
    """R1."""
    log = busy_log()
    delete(log, TOPICS.events, offset)
    with pytest.raises(
        BrokenLog, match=rf"bank\.account\.events\[0\]@{offset + 1}: sequence {offset + 2} follows {offset}"
    ):
        read_back(log)


@pytest.mark.parametrize("offset", range(8))
def test_a_missing_outcome_stops_the_lane_and_says_where(offset: int) -> None:
    """R1: the position of the next command is read from outcomes."""
    log = busy_log()
    delete(log, TOPICS.outcomes, offset)
    with pytest.raises(BrokenLog, match=rf"bank\.account\.outcomes\[0\]@{offset + 1}: .*outcomes are missing"):
        read_back(log)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_events_missing_at_the_end_stop_the_lane(count: int) -> None:
    """R5: no sequence shows this."""
    log = busy_log()
    for offset in range(7 - count, 7):
        delete(log, TOPICS.events, offset)
    said = (
        rf"bank\.account\.outcomes\[0\]@8: the last outcome counts 7 events, there are {7 - count}: events are missing"
    )
    with pytest.raises(BrokenLog, match=said):
        read_back(log)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_outcomes_missing_at_the_end_stop_the_lane(count: int) -> None:
    """R5: their commands would be decided a second time."""
    log = busy_log()
    for offset in range(9 - count, 9):
        delete(log, TOPICS.outcomes, offset)
    with pytest.raises(BrokenLog, match="there are 7: outcomes are missing after it"):
        read_back(log)


def test_outcomes_missing_at_the_end_that_had_no_events_go_unnoticed_and_are_decided_anew() -> None:
    """What no record can show: a refusal at the very end that was deleted is decided again, and may be otherwise."""
    log = memory_log()
    decide_all(log, command("alice", Deposit(5), 1), command("alice", Withdraw(9), 2))
    delete(log, TOPICS.outcomes, 1)
    assert kinds(decide_all(log)) == ["refused insufficient_funds"]


def test_a_lane_that_stopped_has_given_the_partition_back() -> None:
    log = busy_log()
    delete(log, TOPICS.events, 3)
    lane = lane_on(log)
    with pytest.raises(BrokenLog):
        lane.start()
    log.append(TOPICS.events, 0, [])  # nobody holds it


# --- R2: foreign records ----------------------------------------------------------------------------------------------


def foreign(envelope: bytes | None, key: bytes = b"alice", value: bytes | None = b"hello") -> Record:
    """A record that another program wrote into the events."""
    return Record(key, value, envelope, 1_000)


def copy_of(log: MemoryLog, offset: int, key: bytes = b"alice") -> Record:
    """An event written a second time, as a mirror that went wrong does."""
    record = everything(log, TOPICS.events)[offset]
    return Record(key, record.value, record.envelope, record.time_ms)


def older(log: MemoryLog) -> Record:
    """What an owner of an older term writes, were it not fenced."""
    last = everything(log, TOPICS.events)[-1]
    envelope = replace(read_envelope(last.envelope), term=1, sequence=8)
    return Record(b"alice", last.value, write_envelope(envelope), 1_000)


FOREIGN: dict[str, Callable[[MemoryLog], Record]] = {
    "no envelope": lambda log: foreign(None),
    "garbage": lambda log: foreign(b"garbage"),
    "empty": lambda log: foreign(b""),
    "no value": lambda log: foreign(None, value=None),
    "first again": lambda log: copy_of(log, 0),
    "last again": lambda log: copy_of(log, 6),
    "older term": older,
}


@pytest.mark.parametrize("write", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_event_stops_its_instance_and_nothing_else(write: Callable[[MemoryLog], Record]) -> None:
    log = busy_log()
    log.append(TOPICS.events, 0, [write(log)])
    memory = read_back(log)
    assert set(memory.quarantined) == {b"alice"}
    assert memory.quarantined[b"alice"].startswith("foreign record at bank.account.events[0]@7: ")
    assert memory.instances[b"alice"] == (Account(4), 3)
    decided = decide_all(log, command("alice", Deposit(1), "a"), command("bob", Deposit(1), "b"))
    assert kinds(decided) == ["parked instance_quarantined", "accepted"]
    assert kinds(decide_all(log, command("bob", Deposit(1), "c"))) == ["accepted"]


def test_a_foreign_event_without_a_key_stops_nobody() -> None:
    log = busy_log()
    log.append(TOPICS.events, 0, [foreign(None, key=b"")])
    assert set(read_back(log).quarantined) <= {b""}
    assert kinds(decide_all(log, command("alice", Deposit(1), "a"))) == ["accepted"]


@pytest.mark.parametrize("size", [ID_BYTES_MAX + 1, RECORD_BYTES_MAX - 20])
def test_a_foreign_event_whose_key_is_nobodys_id_stops_nobody(size: int, caplog: pytest.LogCaptureFixture) -> None:
    """What is remembered of it would be a record that the log refuses."""
    log = busy_log()
    log.append(TOPICS.events, 0, [foreign(None, key=b"k" * size, value=b"")])
    with caplog.at_level(logging.WARNING):
        assert kinds(decide_all(log, command("alice", Deposit(1), "a"))) == ["accepted"]
    assert "foreign record at bank.account.events[0]@7: eventcore.Envelope: the record has no header" in caplog.text
    assert f"no instance has an id of {size} bytes" in caplog.text
    assert read_back(log).foreign == {}


@pytest.mark.parametrize("value", [b"hello", b"", None])
def test_a_foreign_outcome_is_nobodys_decision(value: bytes | None) -> None:
    log = busy_log()
    before = read_back(log)
    log.append(TOPICS.outcomes, 0, [Record(b"alice", value, None, 1_000)])
    assert read_back(log) == before


def test_an_outcome_written_a_second_time_is_read_once() -> None:
    log = busy_log()
    before = read_back(log)
    again = everything(log, TOPICS.outcomes)[2]
    log.append(TOPICS.outcomes, 0, [Record(again.key or b"", again.value, None, 1_000)])
    assert read_back(log) == before


# --- R3: events of ours that do not fold ------------------------------------------------------------------------------


def test_an_event_that_does_not_decode_stops_its_instance_at_the_state_before() -> None:
    log = busy_log()
    alter(log, TOPICS.events, 3, lambda record: replace(record, value=b"hello"))
    memory = read_back(log)
    assert set(memory.quarantined) == {b"alice"}
    assert "bank.account.events[0]@3: UnknownFraming" in memory.quarantined[b"alice"]
    assert memory.instances[b"alice"] == (Account(5), 1)
    assert memory.instances[b"bob"] == (Account(6), 3)


def test_an_event_without_a_value_stops_its_instance() -> None:
    log = busy_log()
    alter(log, TOPICS.events, 3, lambda record: replace(record, value=None))
    assert set(read_back(log).quarantined) == {b"alice"}


def test_a_version_that_does_not_follow_stops_its_instance() -> None:
    def skip(record: Recorded) -> Recorded:
        envelope: Envelope = replace(read_envelope(record.envelope), version=9)
        return replace(record, envelope=write_envelope(envelope))

    log = busy_log()
    alter(log, TOPICS.events, 3, skip)
    assert read_back(log).quarantined == {b"alice": "bank.account.events[0]@3: version 9 follows 1"}


def changed(evolves: Any = evolve, **others: Any) -> Aggregate[Any, Any, Any]:
    """The account as another release of its code has it."""
    return Aggregate("account", others.pop("initial", Account), decide, evolves, **others)


def forgets_withdrawals(account: Account, event: Event) -> Account:
    """An evolve that lost a case."""
    if isinstance(event, Withdrawn):
        raise TypeError("withdrawals")
    return evolve(account, event)


def test_an_evolve_that_raises_stops_the_instances_that_it_raises_for() -> None:
    memory = read_back(busy_log(), changed(forgets_withdrawals))
    assert memory.quarantined == {b"alice": "bank.account.events[0]@3: TypeError: withdrawals"}


def raising(fault: BaseException) -> Callable[[Account, Event], Account]:
    """An evolve that raises this at each withdrawal."""

    def evolves(account: Account, event: Event) -> Account:
        if isinstance(event, Withdrawn):
            raise fault
        return evolve(account, event)

    return evolves


SAID: list[tuple[BaseException, str]] = [
    (SystemExit("leave"), "SystemExit: leave"),
    (GeneratorExit(), "GeneratorExit: "),
    (Unsayable(), "Unsayable, which cannot be shown"),
    (UnsayableExit(), "UnsayableExit, which cannot be shown"),
    (ValueError("half \ud800"), "ValueError: half \\ud800"),
    (ValueError("x" * 1_100_000), "ValueError: xxx"),
]


@pytest.mark.parametrize(("fault", "said"), SAID, ids=[str(n) for n in range(len(SAID))])
def test_whatever_an_evolve_raises_stops_its_instance_and_fits(fault: BaseException, said: str) -> None:
    log = busy_log()
    lane = lane_on(log, aggregate=changed(raising(fault)))
    lane.start()
    assert list(lane.memory.quarantined) == [b"alice"]
    assert lane.memory.quarantined[b"alice"].startswith(f"bank.account.events[0]@3: {said}")
    lane.decide([command("alice", Deposit(1), "a"), command("bob", Deposit(1), "b")])
    assert kinds(outcomes(log)[-2:]) == ["parked instance_quarantined", "accepted"]
    assert len((outcomes(log)[-2].details.message or "").encode()) <= MESSAGE_BYTES_MAX


def test_who_interrupts_a_restore_is_heard() -> None:
    with pytest.raises(KeyboardInterrupt):
        read_back(busy_log(), changed(raising(KeyboardInterrupt())))


# --- R4: states that today's code refuses -----------------------------------------------------------------------------


def never_above_six(account: Account) -> bool:
    """A rule that came later."""
    return account.balance <= 6


def test_a_state_that_breaks_todays_invariant_stops_its_instance() -> None:
    memory = read_back(busy_log(), changed(invariants=[never_above_six]))
    assert memory.quarantined == {b"carol": "its stored state at version 1 breaks never_above_six"}


def raises_for_seven(account: Account) -> bool:
    """An invariant that cannot be judged on every state."""
    return 1 // (account.balance - 7) < 100


def test_an_invariant_that_raises_stops_the_instances_that_it_raises_for() -> None:
    memory = read_back(busy_log(), changed(invariants=[raises_for_seven]))
    assert memory.quarantined == {
        b"carol": "its stored state at version 1 breaks an invariant, which raises ZeroDivisionError: "
        "integer division or modulo by zero"
    }


@pytest.mark.parametrize(("fault", "said"), SAID, ids=[str(n) for n in range(len(SAID))])
def test_whatever_an_invariant_raises_stops_its_instance_and_fits(fault: BaseException, said: str) -> None:
    def raises(account: Account) -> bool:
        if account.balance == 7:
            raise fault
        return True

    log = busy_log()
    lane = lane_on(log, aggregate=changed(invariants=[raises]))
    lane.start()
    assert list(lane.memory.quarantined) == [b"carol"]
    assert f"breaks an invariant, which raises {said}" in lane.memory.quarantined[b"carol"]
    lane.decide([command("carol", Deposit(1), "a"), command("bob", Deposit(2), "b")])
    assert kinds(outcomes(log)[-2:]) == ["parked instance_quarantined", "accepted"]


class Narrow(Value):
    """A state with a tighter bound than it once had."""

    balance: Annotated[int, Meta(le=6)] = 0
    note: str = ""


def decide_narrow(account: Narrow, command: Deposit) -> list[Event]:
    """Accept."""
    return [Deposited(command.amount)]


def evolve_narrow(account: Narrow, event: Event) -> Narrow:
    """As it always was."""
    return Narrow(evolve(Account(account.balance), event).balance)


def evolve_into_another(account: Narrow, event: Event) -> Narrow:
    """A mistake that a type checker would find."""
    return (
        cast("Narrow", Noted("x"))
        if isinstance(event, Deposited) and event.amount == 7
        else evolve_narrow(account, event)
    )


@pytest.mark.parametrize(
    ("evolves", "said"),
    [
        (evolve_narrow, "breaks Narrow.balance: 7 is more than 6"),
        (evolve_into_another, "breaks its type: evolve made a Noted, not a Narrow"),
    ],
)
def test_a_state_out_of_todays_type_stops_its_instance(evolves: Any, said: str) -> None:
    memory = read_back(busy_log(), Aggregate("account", Narrow, decide_narrow, evolves))
    assert memory.quarantined == {b"carol": f"its stored state at version 1 {said}"}


# --- what a lane remembers beside its states --------------------------------------------------------------------------


def test_steps_and_stops_are_read_back_as_they_were_known() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    step = Options(step=SagaStep("transfer", "t1", "hold", "do"))
    undo = Options(step=SagaStep("transfer", "t2", "hold", "undo"))
    for record in (
        command("alice", Deposit(5), 1, options=step),
        command("alice", Withdraw(5), 2, options=undo),
        command("bob", Misbehave("raise"), 3),
        command("carol", Deposit(UNLUCKY), 4),
        command("dave", Look(), 5),
    ):
        log.append(TOPICS.commands, 0, [record])
        lane.step(0.0)
    knew = lane.memory
    knew.term = lane.term
    assert read_back(log) == knew
    assert set(knew.quarantined) == {b"bob", b"carol"}


def test_a_log_that_stands_still_below_its_end_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "STALLED_S", 0.05)
    log = busy_log()
    writer = log.own(TOPICS, 0)
    writer.append(TOPICS.events, [foreign(None)])
    with pytest.raises(TimedOut, match=r"bank.account.events\[0\] yields nothing from @7 on .* ends at @8"):
        list(read_to(log, TOPICS.events, 0, log.end(TOPICS.events, 0)))
