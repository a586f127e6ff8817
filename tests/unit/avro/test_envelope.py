"""The envelope: one Avro record at constant offsets, the same to fastavro as to us, and nothing but DecodeError for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastavro.schema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore import Position
from eventcore.avro.envelope import (
    ENVELOPE_SCHEMA,
    EVENT_FIXED,
    FIXED_FIELDS,
    HEAD,
    NO_OPTIONS,
    NOTHING,
    OPTIONS_AT,
    Envelope,
    Options,
    Source,
    command_envelope,
    options_of,
    read_envelope,
    write_envelope,
    write_options,
)
from eventcore.avro.frozen import differences
from eventcore.avro.outcome import HEAD as OUTCOME_HEAD
from eventcore.avro.own import own_schemas
from eventcore.errors import DecodeError
from eventcore.testing.strategies import values_of
from tests.unit.avro.fixed_records import read_by_fastavro, written_by_fastavro

ROOT = Path(__file__).parents[3]
U64, U32, U16 = (st.integers(0, 2**bits - 1) for bits in (64, 32, 16))

options: st.SearchStrategy[Options] = values_of(Options)
envelopes = st.builds(
    Envelope,
    command_id=st.binary(min_size=16, max_size=16),
    version=U64,
    index=U16,
    count=U16,
    term=U32,
    sequence=U64,
    stamp=U64,
    cause=U64,
    options=options | st.just(NOTHING),
)


@given(envelopes)
def test_an_envelope_is_what_fastavro_writes_by_the_same_schema(envelope: Envelope) -> None:
    body = written_by_fastavro(ENVELOPE_SCHEMA, FIXED_FIELDS, envelope, envelope.options)
    assert write_envelope(envelope) == HEAD + body


@given(envelopes)
def test_fastavro_reads_every_field_of_an_envelope(envelope: Envelope) -> None:
    read = read_by_fastavro(ENVELOPE_SCHEMA, FIXED_FIELDS, write_envelope(envelope)[10:])
    for name in ("command_id", "version", "index", "count", "term", "sequence", "stamp", "cause"):
        assert read[name] == getattr(envelope, name)
    assert {name: read[name] for name in Options.__struct_fields__} == msgspec.to_builtins(
        _without_tags(envelope.options), builtin_types=(bytes,)
    )


def _without_tags(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _without_tags(getattr(value, name)) for name in value.__struct_fields__}
    return value


@given(envelopes)
def test_an_envelope_is_read_back(envelope: Envelope) -> None:
    data = write_envelope(envelope)
    assert read_envelope(data) == envelope
    assert options_of(data) == envelope.options
    assert data[OPTIONS_AT:] == write_options(envelope.options)


@given(envelopes)
def test_the_lanes_own_packing_is_the_same(envelope: Envelope) -> None:
    e = envelope
    packed = EVENT_FIXED.pack(HEAD, e.command_id, e.version, e.index, e.count, e.term, e.sequence, e.stamp, e.cause)
    assert packed + write_options(e.options) == write_envelope(e)


@given(st.binary(min_size=16, max_size=16), options, U64)
def test_a_commands_envelope_has_zeros_where_only_a_lane_knows(command_id: bytes, given_: Options, stamp: int) -> None:
    read = read_envelope(command_envelope(command_id, given_, stamp=stamp))
    assert read == Envelope(command_id, 0, 0, 0, 0, 0, stamp, 0, given_)


def test_an_envelope_without_options_has_73_bytes() -> None:
    """The size that the cost of every record is reckoned with: 10 of head, 56 fixed, one null for each option."""
    assert len(NO_OPTIONS) == len(Options.__struct_fields__) == 7
    assert len(command_envelope(bytes(16))) == 73


def refused(data: bytes | None) -> str:
    """What is said of data that is no envelope."""
    with pytest.raises(DecodeError) as told:
        read_envelope(data)
    return str(told.value)


def test_a_record_without_an_envelope_is_refused_with_what_is_missing() -> None:
    assert refused(None) == "eventcore.Envelope: the record has no header named eventcore"


def test_something_else_in_the_header_is_refused_with_how_it_begins() -> None:
    assert "the header begins with 68 65 6c 6c 6f, 5 bytes long" in refused(b"hello")


@given(envelopes, st.data())
def test_a_truncated_envelope_is_refused(envelope: Envelope, data: st.DataObject) -> None:
    whole = write_envelope(envelope)
    refused(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(envelopes, st.binary(min_size=1, max_size=8))
def test_an_envelope_with_more_behind_it_is_refused(envelope: Envelope, more: bytes) -> None:
    refused(write_envelope(envelope) + more)


@given(st.binary(max_size=120))
def test_whatever_the_bytes_nothing_but_a_decode_error_comes_of_them(data: bytes) -> None:
    refused(data)
    for hostile in (HEAD + data, HEAD + bytes(56) + data):
        try:
            envelope = read_envelope(hostile)
        except DecodeError:
            continue
        assert read_envelope(write_envelope(envelope)) == envelope


@given(envelopes, st.data())
def test_an_envelope_with_one_byte_changed_is_read_or_refused(envelope: Envelope, data: st.DataObject) -> None:
    whole = write_envelope(envelope)
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255))
    try:
        read = read_envelope(whole[:at] + bytes((byte,)) + whole[at + 1 :])
    except DecodeError:
        return
    assert read_envelope(write_envelope(read)) == read


def test_a_source_is_a_position() -> None:
    assert Source("bank.account.events", 3, 871).position() == Position("bank.account.events", 3, 871)


def test_the_frozen_files_say_what_the_code_writes() -> None:
    assert differences(ROOT / "schemas", own_schemas()) == []


def test_the_frozen_files_are_the_text_form_to_the_byte() -> None:
    for stem, text in own_schemas().items():
        assert (ROOT / "schemas" / f"{stem}.v1.avsc").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("stem", "head"), [("Envelope", HEAD), ("Outcome", OUTCOME_HEAD)], ids=["envelope", "outcome"])
def test_fastavro_gives_the_frozen_file_the_fingerprint_that_the_head_names(stem: str, head: bytes) -> None:
    parsed = fastavro.schema.load_schema(str(ROOT / "schemas" / "eventcore" / f"{stem}.v1.avsc"))
    form = fastavro.schema.to_parsing_canonical_form(parsed)
    assert head == b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(form, "CRC-64-AVRO"))
