"""F1 to F4, and a fold that fails: what a batch of records becomes, and where it halts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import pytest

from eventcore.avro.envelope import Options
from eventcore.cut import Position
from eventcore.errors import BrokenLog, UnknownSchema
from eventcore.lane.lineage import Mark
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, Recorded
from projections import FoldFailed, Projection
from projections.folding import Folder, Reader, Taken
from tests.contracts.views.bank import (
    TOPIC,
    Balance,
    Closed,
    Daily,
    Deposited,
    Event,
    Lane,
    accounts,
    balances,
    catalogue,
    dailies,
)

START = Mark()
FOREIGN = Record(b"alice", b"anything", None)


def recorded(records: Sequence[Record]) -> list[Recorded]:
    """The records as they stand in a log, with a gap after each."""
    return [Recorded(2 * n, r.key, r.value, r.envelope, 1) for n, r in enumerate(records)]


def take(records: Sequence[Record], before: Mark = START, projection: Projection[Any, Any] = balances) -> Taken:
    return Reader(projection, catalogue, TOPIC).take(3, recorded(records), before)


def lane() -> Lane:
    return Lane(MemoryLog())


def test_events_come_with_their_keys_in_order() -> None:
    writer = lane()
    one, two = date(2024, 1, 1), date(2024, 1, 2)
    records = [writer.record("alice", Deposited(1, one)), writer.record("bob", Closed(two))]
    taken = take(records, projection=dailies)
    assert taken.keys == [("alice", one), ("bob", two)]
    assert taken.events == [Deposited(1, one), Closed(two)]
    assert (taken.offsets, taken.last.sequence, taken.last.term, taken.parked) == ([0, 2], 2, 1, [])


def test_only_an_instance_s_first_event_makes_it_fresh() -> None:
    writer = lane()
    assert take([writer.record("alice", Deposited(1))]).fresh == {"alice"}
    assert take([writer.record("alice", Deposited(1))], Mark(1, 1)).fresh == set()


def test_an_envelope_with_options_is_an_event_s_as_well() -> None:
    record = lane().record("alice", Deposited(1), Options(trace="t", expected_version=0))
    assert take([record]).events == [Deposited(1)]


@pytest.mark.parametrize("envelope", [None, b"", b"\xc3\x01" + bytes(70), bytes(71)])
def test_a_record_without_a_valid_envelope_is_parked_and_nothing_else_is_lost(envelope: bytes | None) -> None:
    writer = lane()
    foreign = Record(b"alice", b"anything", envelope)
    records = [writer.record("alice", Deposited(1)), foreign, writer.record("alice", Deposited(2))]
    taken = take(records)
    assert taken.events == [Deposited(1), Deposited(2)]
    assert [(p.partition, p.offset, p.category, p.value) for p in taken.parked] == [(3, 2, "foreign", b"anything")]
    assert "eventcore.Envelope" in taken.parked[0].reason


def test_an_envelope_cut_short_is_parked() -> None:
    record = lane().record("alice", Deposited(1))
    assert record.envelope is not None
    for length in range(len(record.envelope)):
        taken = take([msgspec.structs.replace(record, envelope=record.envelope[:length])])
        assert (len(taken.parked), taken.events) == (1, [])


def test_a_sequence_that_was_already_there_is_foreign() -> None:
    writer = lane()
    record = writer.record("alice", Deposited(1))
    taken = take([record, record, writer.record("alice", Deposited(2))])
    assert taken.events == [Deposited(1), Deposited(2)]
    assert taken.parked[0].reason == "sequence 1 of term 1 after sequence 1 of term 1"


def test_an_older_term_is_foreign() -> None:
    assert take([lane().record("alice", Deposited(1))], Mark(0, 2)).events == []


def test_a_gap_in_the_sequence_halts() -> None:
    writer = lane()
    records = [writer.record("alice", Deposited(1)) for _ in range(4)]
    with pytest.raises(BrokenLog, match=r"bank.account.events\[3\]@2: sequence 3 follows 1: events are missing"):
        take([records[0], records[2], records[3]])
    with pytest.raises(BrokenLog, match=r"@2: sequence 3 follows 1: events are missing"):
        take([records[0], records[2], FOREIGN, records[0], records[3]])


def test_a_gap_is_held_until_the_next_record_tells_in_whatever_batch() -> None:
    writer = lane()
    records = recorded([writer.record("alice", Deposited(n)) for n in range(1, 8)])
    reader = Reader(balances, catalogue, TOPIC)
    first = reader.take(3, [records[0]], START)
    seems = reader.take(3, [records[5]], first.last, first.gap)
    assert (seems.events, [p.reason for p in seems.parked]) == ([], ["sequence 6 after 1 leaves others out"])
    goes_on = reader.take(3, [records[1]], seems.last, seems.gap)  # so nothing was missing
    assert (goes_on.events, goes_on.gap) == ([Deposited(2)], None)
    with pytest.raises(BrokenLog, match=r"bank.account.events\[3\]@10: sequence 6 follows 1: events are missing"):
        reader.take(3, [records[6]], seems.last, seems.gap)  # so it was the lane's


def test_an_event_of_a_lane_that_cannot_be_read_halts() -> None:
    record = lane().record("alice", Deposited(1))
    for value in (None, b"", b"\xc3\x01" + bytes(8), b"junk", (record.value or b"")[:-1]):
        with pytest.raises(BrokenLog, match=r"bank.account.events\[3\]@0: the event of sequence 1 cannot be read"):
            take([msgspec.structs.replace(record, value=value)])
    with pytest.raises(BrokenLog, match="is no instance's id"):
        take([msgspec.structs.replace(record, key=b"\xff")])


def test_an_unknown_schema_is_named() -> None:
    record = lane().record("alice", Deposited(1))
    fingerprint = b"\xc3\x01" + bytes(range(8))
    with pytest.raises(BrokenLog, match=str(UnknownSchema(fingerprint[2:]))[:40]):
        take([msgspec.structs.replace(record, value=fingerprint)])


def test_rows_are_folded_by_key() -> None:
    writer = lane()
    taken = take([writer.record(name, Deposited(n)) for n, name in enumerate(["a", "b", "a", "a"])])
    rows = Folder(balances, TOPIC).fold(3, taken, {"a": Balance("a", 10, 5), "b": None, "other": None})
    assert rows == {"a": Balance("a", 15, 8), "b": Balance("b", 1, 1)}


def raises(row: Balance | None, account: str, event: Event) -> Balance | None:
    """Cannot bear the amount 2."""
    if event == Deposited(2):
        raise ZeroDivisionError(account)
    return Balance(account, 0, row.turns + 1 if row is not None else 1)


def other_key(row: Balance | None, account: str, event: Event) -> Balance | None:
    """Writes into another account's row, in passing."""
    del row
    return Balance("somebody" if event == Deposited(2) else account, 0, 0)


def out_of_range(row: Balance | None, account: str, event: Event) -> Balance | None:
    """Grows beyond what a long holds."""
    del row
    return Balance(account, 2**63 if event == Deposited(2) else 0, 0)


def another_class(row: Balance | None, account: str, event: Event) -> Balance | None:
    """Returns what its annotation does not say."""
    wrong: Any = Daily(account, date(2024, 1, 1), 0)
    return wrong if event == Deposited(2) else row


@pytest.mark.parametrize(
    ("fold", "problem"),
    [
        (raises, "raised ZeroDivisionError: alice"),
        (other_key, r"key \(account\) is 'somebody'; expected the key that was folded, 'alice'"),
        (out_of_range, "breaks its own type: Balance.balance: 9223372036854775808 is more than"),
        (another_class, "which is not a Balance"),
    ],
)
def test_a_fold_that_fails_names_the_event_and_its_position(fold: Any, problem: str) -> None:
    writer = lane()
    taken = take([writer.record("bob", Deposited(1)), *(writer.record("alice", Deposited(n)) for n in (1, 2))])
    projection = Projection("failing", accounts, Balance, fold)
    expected = rf"failing halts at bank.account.events\[3\]@4: its fold of Deposited\(amount=2, .*{problem}"
    with pytest.raises(FoldFailed, match=expected) as failed:
        Folder(projection, TOPIC).fold(3, taken, {"alice": None, "bob": None})
    assert failed.value.position == str(Position(TOPIC, 3, 4))
    assert (type(failed.value.__cause__) is ZeroDivisionError) == (fold is raises)
