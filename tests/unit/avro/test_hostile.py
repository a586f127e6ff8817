"""Bodies and schemas that are known to crash, hang or mislead other readers: each is a DecodeError here, and cheap."""

from __future__ import annotations

import enum
import json
import random
import struct
import tracemalloc
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from msgspec import Meta

from eventcore.avro.canonical import Json
from eventcore.avro.codec import codec_for
from eventcore.avro.generic import GenericReader
from eventcore.avro.varint import write_long
from eventcore.errors import DecodeError
from eventcore.value import Digits, Map, Value
from tests.strategies import make_class

MEMORY_MAX = 5_000_000  # bytes that reading a hostile body of a few bytes may take; some take a gigabyte elsewhere


class Colour(enum.Enum):
    """Two symbols."""

    RED = "red"
    BLUE = "blue"


class Left(Value):
    """A branch."""

    a: int


class Right(Value):
    """Another."""

    b: int


def reader(annotation: object) -> Callable[[bytes], Any]:
    """The reader of a class with one field."""
    decode = codec_for(make_class("Holder", {"field": annotation}), "hostile").decode
    return lambda body: decode(body).field


LONG = write_long
HUGE = LONG(2**40)
DAY_10000 = LONG((date.max - date(1970, 1, 1)).days + 1)

BODIES: list[tuple[object, bytes, str]] = [
    # lengths and counts
    (str, HUGE + b"a", "1099511627776 bytes are claimed and 1 remain"),
    (str, LONG(-1) + b"a", "-1 bytes are claimed"),
    (bytes, LONG(2) + b"a", "2 bytes are claimed and 1 remain"),
    (str, b"", "the body ends within an integer"),
    (str, b"\x80", "the body ends within an integer"),
    (tuple[bool, ...], LONG(2**26), "67108864 items are claimed and 0 bytes remain"),
    (tuple[str, ...], LONG(2**63 - 1) + b"\0" * 50, "items are claimed"),
    (tuple[int, ...], LONG(-(2**63)) + LONG(1) + b"\0" * 50, "9223372036854775808 items are claimed"),
    (Map[bool], LONG(10) + b"\0" * 19, "10 items are claimed and 19 bytes remain"),
    (tuple[int, ...], LONG(-2) + LONG(7) + b"\x02\x04\0", "a block claims 7 bytes and its items take 2"),
    (tuple[int, ...], LONG(-2) + LONG(-7) + b"\x02\x04\0", "a block claims -7 bytes and its items take 2"),
    (tuple[int, ...], LONG(2) + b"\x02\x04", "the body ends within an integer"),
    (frozenset[int], LONG(2) + b"\x02\x02\0", "a set holds an item twice"),
    (Map[int], LONG(2) + b"\x02a\x02\x02a\x02\0", "the key 'a' stands twice"),
    # indices
    (Colour, LONG(-1), "-1 is not the index of one of 2 symbols"),
    (Colour, LONG(2), "2 is not the index of one of 2 symbols"),
    (int | None, LONG(-1) + b"\0", "-1 is not the index of one of 2 branches"),
    (int | None, LONG(2) + b"\0", "2 is not the index of one of 2 branches"),
    (Left | Right, LONG(-1) + b"\0", "-1 is not the index of one of 2 branches"),
    (Left | Right | None, LONG(3) + b"\0", "3 is not the index of one of 3 branches"),
    # scalars
    (int, b"\xff" * 30, "an integer has more than 64 bits"),
    (int, b"\x80" * 9 + b"\x02", "an integer has more than 64 bits"),
    (int, b"\x80" * 10 + b"\x00", "an integer has more than 64 bits"),
    (Annotated[int, Meta(ge=0, le=9)], LONG(10), "10 is more than 9"),
    (Annotated[int, Meta(multiple_of=3)], LONG(10), "10 is not a multiple of 3"),
    (bool, b"\x07", "a boolean is the byte 0 or 1, not 7"),
    (float, struct.pack("<d", float("nan")), "nan is not finite"),
    (float, struct.pack("<d", float("-inf")), "-inf is not finite"),
    (float, b"\0" * 7, "8 bytes are claimed and 7 remain"),
    (str, LONG(2) + b"\xc3\x28", "text that is not UTF-8"),
    (str, LONG(3) + "\ud800".encode("utf-8", "surrogatepass"), "text that is not UTF-8"),
    (Annotated[str, Meta(pattern="^a")], LONG(1) + b"b", "'b' does not match '.a'"),
    (Annotated[Decimal, Digits(4, 2)], LONG(100_000) + b"\x7f" * 100_000, "1 to 2 bytes, not 100000"),
    (Annotated[Decimal, Digits(4, 2)], LONG(2) + b"\x27\x10", "100.00 has more than 2 digits before the point"),
    (Annotated[Decimal, Digits(4, 2)], LONG(0), "1 to 2 bytes, not 0"),
    (UUID, LONG(4) + b"nope", "'nope' is not a UUID"),
    (UUID, LONG(36) + b"{0000000-0000-0000-0000-000000000000}"[:36], "is not a UUID"),
    (UUID, LONG(36) + b"0" * 36, "is not a UUID"),
    (datetime, LONG(2**62), "outside the years 1 to 9999"),
    (datetime, LONG(-(2**63)), "outside the years 1 to 9999"),
    (date, DAY_10000, "outside the years 1 to 9999"),
    (date, LONG(2**62), "outside the years 1 to 9999"),
    (timedelta, LONG(-(2**63)), "longer than 64 bits of microseconds"),
    # what follows
    (int, b"\x02\x00", "1 bytes are left over after the last field"),
    (bool, b"\x01" + b"a" * 1_000_000, "1000000 bytes are left over"),
]


@pytest.mark.parametrize(
    ("annotation", "body", "reason"), BODIES, ids=lambda x: x[:12].hex() if type(x) is bytes else None
)
def test_a_hostile_body_is_a_cheap_decode_error(annotation: object, body: bytes, reason: str) -> None:
    read = reader(annotation)
    tracemalloc.start()
    with pytest.raises(DecodeError, match=reason) as refused:
        read(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.schema == "hostile.Holder"
    assert peak < MEMORY_MAX


FOREIGN: list[tuple[object, bytes, object]] = [
    (int, b"\x82\x00", 1),
    (int, b"\x82" + b"\x80" * 8 + b"\x00", 1),
    (Colour, b"\x82\x00", Colour.BLUE),
    (int | None, b"\x80\x00", None),
    (str, b"\x82\x00a", "a"),
    (tuple[int, ...], LONG(1) + b"\x02" + LONG(2) + b"\x04\x06\0", (1, 2, 3)),
    (tuple[int, ...], LONG(-2) + LONG(2) + b"\x02\x04\0", (1, 2)),
    (tuple[int, ...], b"\x80\x00", ()),
    (frozenset[int], LONG(3) + b"\x06\x02\x04\0", frozenset([1, 2, 3])),
    (Map[int], LONG(1) + b"\x02b\x02" + LONG(-1) + LONG(3) + b"\x02a\x04\0", Map({"a": 2, "b": 1})),
    (Annotated[Decimal, Digits(4, 2)], LONG(2) + b"\x00\x05", Decimal("0.05")),
    (UUID, LONG(36) + b"ABCDEF00-0000-0000-0000-000000000000", UUID("abcdef00-0000-0000-0000-000000000000")),
]


@pytest.mark.parametrize(("annotation", "body", "value"), FOREIGN)
def test_what_others_may_write_is_read(annotation: object, body: bytes, value: object) -> None:
    assert reader(annotation)(body) == value


def test_a_collection_has_a_limit_of_its_own() -> None:
    read = reader(tuple[bool, ...])
    assert len(read(LONG(1_000_000) + b"\1" * 1_000_000 + b"\0")) == 1_000_000
    with pytest.raises(DecodeError, match="1000001 items are more than 1000000"):
        read(LONG(1_000_001) + b"\1" * 1_000_001 + b"\0")


# --- schemas and bodies for the generic reader ------------------------------------------------------------------------

TREE: Json = {"type": "record", "name": "T", "fields": [{"name": "next", "type": ["null", "T"]}]}
ITSELF: Json = {"type": "record", "name": "T", "fields": [{"name": "next", "type": "T"}]}
EMPTY: Json = {"type": "record", "name": "E", "fields": []}


def doubling(levels: int) -> Json:
    """Records that each hold the one before twice, from one without bytes: 2 ** levels values of no bytes."""
    made: dict[str, Json] = {"type": "record", "name": "R0", "fields": []}
    for level in range(1, levels + 1):
        fields: list[Json] = [{"name": "a", "type": made}, {"name": "b", "type": f"R{level - 1}"}]
        made = {"type": "record", "name": f"R{level}", "fields": fields}
    return made


@pytest.mark.parametrize(
    ("schema", "body", "reason"),
    [
        (TREE, b"\x02" * 4_700 + b"\0", "nested more than 64 deep"),
        (ITSELF, b"\x02" * 10, "nested more than 64 deep"),
        (doubling(20), b"", "too many values that take no bytes"),
        ({"type": "array", "items": "boolean"}, LONG(2**26), "67108864 items are claimed"),
        (["null", "long"], LONG(-1), "-1 is not the index"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, LONG(-1), "-1 is not the index"),
        ("int", LONG(2**31), "more than the 32 bits of an int"),
        ("boolean", b"\x07", "not 7"),
        ("long", b"\xff" * 30, "more than 64 bits"),
        ("long", b"\x02\x02", "1 bytes are left over"),
        ("string", HUGE, "are claimed"),
        ("string", b"\x02\xff", "not UTF-8"),
        ({"type": "fixed", "name": "F", "size": 2**40}, b"a", "1099511627776 bytes are claimed"),
        ({"type": "string", "logicalType": "uuid"}, b"\x08nope", "does not fit its logical type"),
        ({"type": "int", "logicalType": "date"}, LONG(2**31 - 1), "does not fit its logical type"),
        ({"type": "int", "logicalType": "time-millis"}, LONG(-1), "does not fit its logical type"),
        ({"type": "long", "logicalType": "timestamp-millis"}, LONG(2**62), "does not fit its logical type"),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 4},
            LONG(9) + b"a" * 9,
            "does not fit its logical type",
        ),
    ],
    ids=lambda x: str(x)[:40],
)
def test_a_hostile_body_is_a_cheap_decode_error_without_a_class_too(schema: Json, body: bytes, reason: str) -> None:
    read = GenericReader(json.dumps(schema)).read
    tracemalloc.start()
    with pytest.raises(DecodeError, match=reason):
        read(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY_MAX


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"type":"array","items":' * 100_000 + '"int"' + "}" * 100_000, "characters are more than"),
        ('{"type":"array","items":' * 20_000 + '"int"' + "}" * 20_000, "brackets are nested more than 256 deep"),
        ("[" * 900_000, "brackets are nested"),
        ('{"type":"array","items":' * 100 + '"int"' + "}" * 100, "types are nested more than 64 deep"),
        ('"' + '\\"' * 400_000, "no JSON"),
        ('"' + '\\"' * 400_000 + "\\", "no JSON"),
        ("", "no JSON"),
        ('{"type": "fixed", "name": "F", "size": 1' + "0" * 5_000 + "}", "no JSON"),
        ("nope", "no JSON"),
        ("7", "is no schema"),
        ('"nope"', "no type is named 'nope'"),
        ('{"type": "record", "name": "R"}', "a record without a list of fields"),
        (
            '{"type": "record", "name": "R", "fields": [{"type": "int"}]}',
            "schema text.fields/0: a field without a name",
        ),
        ('{"type": "record", "name": "R", "fields": [{"name": "a"}]}', "schema text.fields/0/type: None is no schema"),
        ('{"type": "record", "name": "1", "fields": []}', "'1' is no name"),
        ('{"type": "record", "fields": []}', "'None' is no name"),
        ('{"type": "enum", "name": "E", "symbols": []}', "an enum without a list of symbols"),
        ('{"type": "fixed", "name": "F", "size": -1}', "a fixed without a size"),
        ('{"type": "fixed", "name": "F", "size": true}', "a fixed without a size"),
        (
            '[{"type": "fixed", "name": "F", "size": 1}, {"type": "fixed", "name": "F", "size": 2}]',
            "F is defined twice",
        ),
        ('["int", ["null"]]', "none of them is a union"),
        ("[]", "a union has branches"),
        ('{"type": "array", "items": "null"}', "its items take no bytes"),
        ('{"type": "map", "values": ' + json.dumps(EMPTY) + "}", "its items take no bytes"),
        ('{"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}', "its items take no bytes"),
        ('{"type": "array"}', "None is no schema"),
    ],
    ids=lambda x: x[:40],
)
def test_a_hostile_schema_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        GenericReader(text)


def test_a_recursive_schema_reads_what_is_not_too_deep() -> None:
    read = GenericReader(json.dumps(TREE)).read
    assert read(b"\x02\x02\0") == {"next": {"next": {"next": None}}}


def test_random_bytes_are_decode_errors_or_values() -> None:
    dice = random.Random(20_240_601)
    cls = make_class("Holder", {"a": int | None, "b": tuple[str, ...], "c": Left | Right, "d": Map[float], "e": Colour})
    codec = codec_for(cls, "hostile")
    generic = GenericReader(codec.text)
    for _ in range(3_000):
        body = dice.randbytes(dice.randint(0, 24))
        for read in (codec.decode, generic.read):
            try:
                read(body)
            except DecodeError:
                continue
