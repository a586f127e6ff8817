"""The outcome record: the same to fastavro as to us, its short form equal to its long one, and hostile bytes refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventcore.avro.frozen import differences
from eventcore.avro.outcome import (
    FIXED_FIELDS,
    HEAD,
    KINDS,
    OUTCOME_FIXED,
    OUTCOME_SCHEMA,
    Details,
    OutcomeRecord,
    command_id_in,
    event_count_in,
    plain_acceptance,
    plain_refusal,
    read_outcome,
    write_details,
    write_outcome,
)
from eventcore.avro.own import own_schemas
from eventcore.errors import DecodeError
from eventcore.testing.strategies import values_of
from tests.unit.avro.fixed_records import read_by_fastavro, written_by_fastavro
from tests.unit.avro.test_envelope import ROOT, U16, U32, U64

details: st.SearchStrategy[Details] = values_of(Details)
outcomes = st.builds(
    OutcomeRecord,
    command_id=st.binary(min_size=16, max_size=16),
    version=U64,
    count=U16,
    term=U32,
    sequence=U64,
    stamp=U64,
    cause=U64,
    events=U64,
    details=details,
)


@given(outcomes)
def test_an_outcome_is_what_fastavro_writes_by_the_same_schema(outcome: OutcomeRecord) -> None:
    body = written_by_fastavro(OUTCOME_SCHEMA, FIXED_FIELDS, outcome, outcome.details)
    assert write_outcome(outcome) == HEAD + body


@given(outcomes)
def test_fastavro_reads_every_field_of_an_outcome(outcome: OutcomeRecord) -> None:
    read = read_by_fastavro(OUTCOME_SCHEMA, FIXED_FIELDS, write_outcome(outcome)[10:])
    for name in ("command_id", "version", "count", "term", "sequence", "stamp", "cause", "events"):
        assert read[name] == getattr(outcome, name)
    for name in ("kind", "repeated", "command", "reason", "message", "detail", "expected_version", "code", "trace"):
        assert read[name] == getattr(outcome.details, name)
    for name in ("source", "step"):
        nested = getattr(outcome.details, name)
        assert read[name] == (None if nested is None else {f: getattr(nested, f) for f in nested.__struct_fields__})


@given(outcomes)
def test_an_outcome_is_read_back(outcome: OutcomeRecord) -> None:
    assert read_outcome(write_outcome(outcome)) == outcome


@given(outcomes)
def test_the_lanes_own_packing_is_the_same(outcome: OutcomeRecord) -> None:
    packed = OUTCOME_FIXED.pack(HEAD, *msgspec.structs.astuple(outcome)[:8])
    assert packed + write_details(outcome.details) == write_outcome(outcome)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 128, 8_191, 8_192, 8_193, 1_048_575, 1_048_576])
def test_the_short_form_of_an_acceptance_is_the_long_one_at_every_length_of_the_length(size: int) -> None:
    assert plain_acceptance(b"x" * size) == write_details(Details("accepted", repeated=False, command=b"x" * size))


@given(st.binary(max_size=300))
def test_the_short_form_of_an_acceptance_is_the_long_one(command: bytes) -> None:
    assert plain_acceptance(command) == write_details(Details("accepted", repeated=False, command=command))


SAID = st.text(st.characters(max_codepoint=127), max_size=1_000)


@given(st.binary(max_size=300), SAID, SAID)
@example(b"x" * 8_192, "", "")
@example(b"x" * 8_191, "r" * 64, "m" * 8_191)
def test_the_short_form_of_a_refusal_is_the_long_one(command: bytes, reason: str, message: str) -> None:
    long = Details("refused", repeated=False, command=command, reason=reason, message=message or None)
    assert plain_refusal(command, reason, message) == write_details(long)


def test_a_kind_is_one_of_six() -> None:
    assert KINDS == ("accepted", "refused", "violated", "conflict", "parked", "expired")


def refused(data: bytes | None) -> str:
    """What is said of data that is no outcome."""
    with pytest.raises(DecodeError) as told:
        read_outcome(data)
    return str(told.value)


def test_a_record_that_is_no_outcome_is_refused_with_how_it_begins() -> None:
    assert "the record is nothing; expected an outcome" in refused(None)
    assert "the record is 68 65 6c 6c 6f, 5 bytes; expected an outcome" in refused(b"hello")


@given(outcomes, st.data())
def test_a_truncated_outcome_is_refused(outcome: OutcomeRecord, data: st.DataObject) -> None:
    whole = write_outcome(outcome)
    refused(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(outcomes, st.binary(min_size=1, max_size=8))
def test_an_outcome_with_more_behind_it_is_refused(outcome: OutcomeRecord, more: bytes) -> None:
    refused(write_outcome(outcome) + more)


@given(st.binary(max_size=120))
@example(b"\x00\x00" + b"\xff" * 9 + b"\x01")  # a command of 2^62 bytes
@example(b"\x0c\x00\x00")  # a kind that there is not
@example(b"\x01\x00\x00")  # a kind below the first
@example(b"\x00\x02\x00")  # a truth that is neither
def test_whatever_the_bytes_nothing_but_a_decode_error_comes_of_them(data: bytes) -> None:
    refused(data)
    for hostile in (HEAD + data, HEAD + bytes(62) + data):
        try:
            outcome = read_outcome(hostile)
        except DecodeError:
            continue
        assert read_outcome(write_outcome(outcome)) == outcome


@given(outcomes, st.data())
def test_an_outcome_with_one_byte_changed_is_read_or_refused(outcome: OutcomeRecord, data: st.DataObject) -> None:
    whole = write_outcome(outcome)
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255))
    try:
        read = read_outcome(whole[:at] + bytes((byte,)) + whole[at + 1 :])
    except DecodeError:
        return
    assert read_outcome(write_outcome(read)) == read


def test_the_frozen_file_says_what_the_code_writes() -> None:
    stem = "eventcore/Outcome"
    assert differences(ROOT / "schemas", {stem: own_schemas()[stem]}) == []


def test_what_is_read_at_constant_offsets_is_what_reading_the_whole_gives() -> None:
    record = OutcomeRecord(bytes(range(16)), 7, 300, 1, 2, 3, 4, 5, Details("accepted", repeated=False, command=b"c"))
    written = write_outcome(record)
    assert (command_id_in(written), event_count_in(written)) == (record.command_id, record.count)
