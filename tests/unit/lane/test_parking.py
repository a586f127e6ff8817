"""Records that are no command: each is kept in an outcome with its position and reason, and its neighbours go on."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from eventcore import Aggregate, Value
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import HEAD, Envelope, Options, SagaStep, command_envelope, write_envelope
from eventcore.avro.limits import BODY_BYTES_MAX
from eventcore.avro.outcome import OutcomeRecord
from eventcore.context import COUNTER_BITS
from eventcore.lane.clock import AHEAD_MAX_MS
from eventcore.lane.journal import COMMAND_BYTES_MAX, ENVELOPE_BYTES_MAX, id_of_position
from eventcore.lane.runner import LaneRunner, wall_clock_ms
from eventcore.log.memory import MemoryLog
from eventcore.log.port import RECORD_BYTES_MAX, Record
from eventcore.topics import partition_of
from tests.bank import (
    COMMANDS,
    EVENTS,
    TOPICS,
    Account,
    Deposit,
    Deposited,
    Withdraw,
    command,
    decide_all,
    everything,
    happened,
    id_of,
    kinds,
    lane_on,
    memory_log,
    outcomes,
    run,
    send,
)

BODY = COMMANDS.encode(Deposit(5))
GOOD = command_envelope(id_of("x"))
AHEAD = wall_clock_ms() + AHEAD_MAX_MS + 3_600_000 << COUNTER_BITS


def record(
    *, key: bytes = b"alice", value: bytes | None = BODY, envelope: bytes | None = GOOD, headers: bool = False
) -> Record:
    """A command that would be good but for what a test changes."""
    return Record(key, value, envelope, 1_000, (("other", b"header"),) if headers else ())


HOSTILE = {
    "no envelope": (record(envelope=None), "undecodable", "no header named eventcore"),
    "an envelope of garbage": (record(envelope=b"garbage"), "undecodable", "the header begins with 67 61"),
    "an empty envelope": (record(envelope=b""), "undecodable", "0 bytes long"),
    "an envelope cut off": (record(envelope=GOOD[:-1]), "undecodable", "72 bytes long"),
    "an envelope with more behind it": (record(envelope=GOOD + b"\0"), "undecodable", "eventcore.Options"),
    "an envelope of another version": (record(envelope=b"\xc3\x01" + bytes(71)), "undecodable", "begins with c3 01 00"),
    "wrong magic": (record(value=b"\xc3\x02" + BODY[2:]), "undecodable", "expected c3 01"),
    "plain text": (record(value=b"hello"), "undecodable", "the record begins with 68 65 6c 6c 6f"),
    "an empty value": (record(value=b""), "undecodable", "begins with nothing"),
    "no value": (record(value=None), "undecodable", "and a value"),
    "a fingerprint cut off": (record(value=BODY[:7]), "undecodable", "expected c3 01"),
    "an unknown fingerprint": (
        record(value=BODY[:2] + bytes(8) + b"\x0a"),
        "undecodable",
        "0000000000000000 is not in",
    ),
    "an event for a command": (record(value=EVENTS.encode(Deposited(5))), "undecodable", "is not in this topic's"),
    "a truncated body": (record(value=BODY[:-1]), "undecodable", "bank.account.Deposit"),
    "an over-long body": (record(value=BODY + b"\0"), "undecodable", "bank.account.Deposit"),
    "a value out of bounds": (record(value=BODY[:10] + b"\x09"), "undecodable", "-5 is less than 1"),
    "an integer that never ends": (record(value=BODY[:10] + b"\xff" * 50), "undecodable", "bank.account.Deposit"),
    "a command too large": (record(value=BODY + bytes(COMMAND_BYTES_MAX)), "too_large", "a command may have"),
    "no key": (record(key=b""), "undecodable", "needs the id of its instance as key"),
    "a key that is not UTF-8": (record(key=b"\xff\xfe"), "undecodable", "the key is not UTF-8"),
    "a key too long": (record(key=b"x" * 256), "undecodable", "the key has 256 bytes"),
    "a key of half a megabyte": (
        record(key=b"x" * 500_000, value=BODY + bytes(400_000)),
        "undecodable",
        "the key has 500000 bytes",
    ),
    "an envelope too large": (
        record(envelope=command_envelope(id_of("x"), Options(trace="t" * ENVELOPE_BYTES_MAX))),
        "too_large",
        "an envelope of 4171 bytes",
    ),
    "an envelope that fills the record": (
        record(
            value=BODY + bytes(COMMAND_BYTES_MAX - len(BODY)),
            envelope=command_envelope(id_of("x"), Options(trace="t" * (RECORD_BYTES_MAX - COMMAND_BYTES_MAX - 90))),
        ),
        "too_large",
        "an envelope of",
    ),
    "a clock ahead": (record(envelope=command_envelope(id_of("x"), stamp=AHEAD)), "clock_ahead", "60000 ms ahead"),
    "a clock at the end of time": (
        record(envelope=command_envelope(id_of("x"), stamp=2**64 - 1)),
        "clock_ahead",
        "60000 ms ahead",
    ),
}


def neighbours(log: MemoryLog, bad: Record, *, known: bool) -> list[OutcomeRecord]:
    """The outcomes of a record between two good commands, of an instance that the lane holds or not."""
    before = "alice" if known else "bob"
    return decide_all(log, command(before, Deposit(1), "before"), bad, command("alice", Deposit(2), "after"))


@pytest.mark.parametrize("known", [False, True], ids=["new instance", "known instance"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_record_that_is_no_command_is_parked_and_its_neighbours_go_on(name: str, *, known: bool) -> None:
    bad, reason, said = HOSTILE[name]
    log = memory_log()
    before, parked, after = neighbours(log, bad, known=known)
    assert kinds([before, parked, after]) == ["accepted", f"parked {reason}", "accepted"]
    assert said in (parked.details.message or "")
    assert parked.cause == 1
    assert len(happened(log)) == 2
    kept = parked.details.command
    assert kept == (bad.value or b"" if len(bad.value or b"") <= COMMAND_BYTES_MAX else b"")


@pytest.mark.parametrize("name", HOSTILE)
def test_what_was_parked_is_passed_over_after_a_restart(name: str) -> None:
    """The lane does not meet the same record again and again: the one way in which bad input could stop it."""
    log = memory_log()
    neighbours(log, HOSTILE[name][0], known=True)
    assert kinds(decide_all(log, command("alice", Deposit(3), "later"))) == ["accepted"]


def test_a_record_whose_id_cannot_be_read_is_named_by_its_position() -> None:
    log = memory_log()
    decided = decide_all(log, *[record(envelope=None)] * 3)
    assert kinds(decided) == ["parked undecodable"] * 3
    assert [o.command_id for o in decided] == [id_of_position(TOPICS.commands, 0, offset) for offset in range(3)]


def test_a_parked_commands_id_is_answered_as_before() -> None:
    """A client that sends the same bad bytes again is told the same."""
    bad = record(value=b"hello", envelope=command_envelope(id_of(1)))
    decided = decide_all(memory_log(), bad, bad, command("alice", Deposit(1), 1))
    assert kinds(decided) == ["parked undecodable", "parked undecodable*", "parked undecodable*"]


def test_a_step_that_cannot_be_read_is_answered_to_its_saga() -> None:
    """A target that runs older code than its saga: the saga hears of it and stands visibly stuck."""
    step = SagaStep("transfer", "t1", "credit", "do")
    bad = record(value=BODY[:2] + bytes(8), envelope=command_envelope(id_of(1), Options(step=step)))
    for known in (False, True):
        _, parked, _ = neighbours(memory_log(), bad, known=known)
        assert kinds([parked]) == ["parked undecodable"]
        assert parked.details.step == step


def test_a_command_in_another_partition_than_its_own_is_parked_with_where_it_belongs() -> None:
    log = memory_log(partitions=3)
    home = partition_of(b"alice", 3)
    away = (home + 1) % 3
    parked, after = decide_all(
        log,
        command("alice", Deposit(5), 1),
        command(_living_in(away), Deposit(5), 2),
        partition=away,
    )
    assert kinds([parked, after]) == ["parked wrong_partition", "accepted"]
    assert f"this instance lives in partition {home}" in (parked.details.message or "")


def _living_in(partition: int) -> str:
    return next(f"a{n}" for n in range(100) if partition_of(f"a{n}".encode(), 3) == partition)


def test_other_headers_are_nobodys_affair() -> None:
    assert kinds(decide_all(memory_log(), record(headers=True))) == ["accepted"]


def test_what_only_a_lane_can_know_is_ignored_in_a_commands_envelope() -> None:
    claimed = write_envelope(Envelope(id_of(1), 7, 1, 2, 9, 99, 0, 12, Options()))
    log = memory_log()
    decide_all(log, command("alice", Deposit(1), "first"), record(envelope=claimed))
    written = happened(log)[1].envelope
    assert (written.version, written.index, written.count, written.term, written.sequence, written.cause) == (
        *(2, 0, 1, 1, 2, 1),
    )


# --- a flood ----------------------------------------------------------------------------------------------------------

FLOOD, SEED = 10_000, 20_240_501
TIMES_MEMORY = 40  # of the bytes that came in: an outcome, its place in the log, and what the lane remembers of it


def mutated(chance: random.Random, number: int) -> Record:
    """A command with bytes changed, cut, added or replaced somewhere, or a hostile record as it stands above."""
    if chance.random() < 0.2:
        hostile = chance.choice(
            [bad for bad, _, _ in HOSTILE.values() if len(bad.key) < 500 and len(bad.value or b"") < 500]
        )
        return Record(hostile.key, hostile.value, _with_own_id(hostile.envelope, number), 1_000)
    options = chance.choice([Options(), Options(expected_version=3), Options(step=SagaStep("s", "1", "x", "undo"))])
    good = command(chance.choice(["alice", "eve"]), Withdraw(10**9), f"bad {number}", options=options)
    key, value, envelope = good.key, good.value or b"", good.envelope or b""
    match chance.randrange(3):
        case 0:
            key = _mutation(chance, key)
        case 1:
            value = _mutation(chance, value)
        case _:
            envelope = _mutation(chance, envelope)
    return Record(key, value, envelope, 1_000)


def _with_own_id(envelope: bytes | None, number: int) -> bytes | None:
    if envelope is None or not envelope.startswith(HEAD) or len(envelope) < 26:
        return envelope
    return envelope[:10] + id_of(f"bad {number}") + envelope[26:]


def _mutation(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data + chance.randbytes(chance.randrange(1, 60))
        case 2:
            return chance.randbytes(chance.randrange(100))
        case _:
            return data[:at] + chance.randbytes(1) + data[at + 1 :]


def test_ten_thousand_hostile_records_stop_nothing_and_cost_what_they_weigh() -> None:
    chance = random.Random(SEED)
    log = memory_log()
    good = 0
    records: list[Record] = []
    for number in range(FLOOD):
        records.append(mutated(chance, number))
        if number % 10 == 0:
            good += 1
            records.append(command("alice" if number % 20 else "bob", Deposit(2), f"good {number}"))
    log.append(TOPICS.commands, 0, records)
    lane = lane_on(log)
    lane.start()
    tracemalloc.start()
    run(lane, log)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    decided = outcomes(log)
    assert len(decided) == len(records)
    good_ids = {id_of(f"good {number}") for number in range(0, FLOOD, 10)}
    assert kinds(o for o in decided if o.command_id in good_ids) == ["accepted"] * good
    assert lane.memory.instances[b"alice"] == (Account(good), good // 2)
    assert lane.memory.instances[b"bob"] == (Account(good), good // 2)
    assert not lane.memory.quarantined
    weight = sum(len(r.key) + len(r.value or b"") + len(r.envelope or b"") for r in records)
    assert used < TIMES_MEMORY * weight, f"{used:,} bytes for {weight:,} that came in"
    assert [o.sequence for o in decided] == list(range(1, len(records) + 1))


def test_the_largest_command_that_is_taken_leaves_room_for_everything_an_outcome_says() -> None:
    """COMMAND_BYTES_MAX is no estimate: the fullest outcome of the largest command fits into the log."""
    envelope = command_envelope(id_of(1), Options(trace="é" * ((ENVELOPE_BYTES_MAX - 90) // 2)))
    large = record(key=b"k" * 255, value=BODY + bytes(COMMAND_BYTES_MAX - len(BODY)), envelope=envelope)
    log = memory_log()
    (parked,) = decide_all(log, large)
    assert kinds([parked]) == ["parked undecodable"]
    (written,) = everything(log, TOPICS.outcomes)
    assert len(written.value or b"") < RECORD_BYTES_MAX - 255
    assert COMMAND_BYTES_MAX < BODY_BYTES_MAX


class Checked(Value):
    """A command that asserts something of itself: bytes can say otherwise."""

    n: int = 1

    def __post_init__(self) -> None:
        assert self.n != 13, "no thirteen"


def decide_checked(_: Account, given: Checked) -> list[Deposited]:
    """Take it."""
    return [Deposited(given.n)]


def evolve_checked(account: Account, event: Deposited) -> Account:
    """Add it."""
    return Account(account.balance + event.amount)


def test_bytes_that_a_command_class_refuses_with_an_assertion_are_parked() -> None:
    aggregate = Aggregate("account", Account, decide_checked, evolve_checked)
    commands = Catalogue(tuple(aggregate.command_checks), "bank.account")
    events = Catalogue(tuple(aggregate.event_checks), "bank.account")
    log = memory_log()
    lane = LaneRunner(log, aggregate, TOPICS, 0, commands=commands, events=events)
    lane.start()
    thirteen = commands.encode(Checked(2))[:-1] + bytes([26])
    bodies = [commands.encode(Checked(2)), thirteen, commands.encode(Checked(3))]
    send(log, *(Record(b"alice", body, command_envelope(id_of(n))) for n, body in enumerate(bodies)))
    run(lane, log)
    assert kinds(outcomes(log)) == ["accepted", "parked undecodable", "accepted"]
    assert "Checked refuses its fields: no thirteen" in (outcomes(log)[1].details.message or "")
