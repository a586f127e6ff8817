"""The exact reader: walks the shapes of a class, takes every form that Avro allows, and says what is wrong and where.

Generated readers take what our encoders write and hand everything else to this one: several blocks, negative counts
with sizes, integers longer than need be, sets in another order, and all that is broken. It is slow and is meant to be
read. The bytes are hostile:

1. A length or a count is held against the bytes that remain before anything is taken or made.
2. Every integer has at most ten bytes and 64 bits; every index lies within its list; the whole body is consumed.
3. What comes out satisfies the validator of its class: each leaf is judged by `problem_of`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import date
from decimal import Context, Decimal
from uuid import UUID

from eventcore.avro.derive import bytes_min
from eventcore.avro.limits import ITEMS_MAX
from eventcore.avro.scalars import EPOCH, EPOCH_ORDINAL, MICROSECOND, UUID_CHARS
from eventcore.avro.varint import Unusual, read_long
from eventcore.errors import DecodeError
from eventcore.shape import (
    Bool,
    Bytes,
    Choice,
    Day,
    Duration,
    Float,
    Ident,
    Instant,
    Int,
    Many,
    MapOf,
    Maybe,
    Number,
    OneOf,
    Record,
    SetOf,
    Shape,
    Str,
    shape_of,
)
from eventcore.validate import problem_of
from eventcore.value import Map, Value

UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def read_exactly(cls: type[Value], schema: str, data: bytes, start: int) -> Value:
    """The value of `cls` that stands in `data` from `start` to its end.

    Raises DecodeError, naming schema, field and reason, for anything else; no other exception, whatever the bytes.
    """
    cursor = Cursor(data, start, schema)
    value = _record(cls, cursor, "")
    if cursor.place != len(data):
        raise cursor.broken("", f"{len(data) - cursor.place} bytes are left over after the last field")
    return value


class Cursor:
    """A place in a body; takes bytes and integers from it and refuses to run past its end."""

    __slots__ = ("data", "place", "schema")

    def __init__(self, data: bytes, place: int, schema: str) -> None:
        self.data = data
        self.place = place
        self.schema = schema

    def broken(self, path: str, reason: str) -> DecodeError:
        """The error that says what is wrong at `path`."""
        return DecodeError(self.schema, path, reason)

    def remaining(self) -> int:
        """The bytes from here to the end."""
        return len(self.data) - self.place

    def take(self, size: int, path: str) -> bytes:
        """The next `size` bytes."""
        if not 0 <= size <= self.remaining():
            raise self.broken(path, f"{size} bytes are claimed and {self.remaining()} remain")
        begin, self.place = self.place, self.place + size
        return self.data[begin : self.place]

    def long(self, path: str) -> int:
        """The next integer."""
        try:
            n, self.place = read_long(self.data, self.place)
        except IndexError:
            raise self.broken(path, "the body ends within an integer") from None
        except Unusual:
            raise self.broken(path, "an integer has more than 64 bits") from None
        return n

    def index(self, count: int, what: str, path: str) -> int:
        """The next integer, which must be the index of one of `count` things."""
        if not 0 <= (index := self.long(path)) < count:
            raise self.broken(path, f"{index} is not the index of one of {count} {what}")
        return index


def _record(cls: type[Value], cursor: Cursor, path: str) -> Value:
    stem = f"{path}." if path else ""
    fields = {field.name: _read(field.shape, cursor, f"{stem}{field.name}") for field in shape_of(cls)}
    try:
        return cls(**fields)
    except (ValueError, TypeError) as refused:  # what a class's own __post_init__ raises, as msgspec documents
        raise cursor.broken(path, f"{cls.__name__} refuses its fields: {refused}") from refused


def _read(shape: Shape, cursor: Cursor, path: str) -> object:
    match shape:
        case Maybe(OneOf(classes)):
            index = cursor.index(len(classes) + 1, "branches", path)
            return _record(classes[index - 1], cursor, path) if index else None
        case Maybe(of):
            return _read(of, cursor, path) if cursor.index(2, "branches", path) else None
        case OneOf(classes):
            return _record(classes[cursor.index(len(classes), "branches", path)], cursor, path)
        case Record(cls):
            return _record(cls, cursor, path)
        case Many(of):
            x: object = tuple(_read(of, cursor, f"{path}[{i}]") for i in _items(bytes_min(of), cursor, path))
        case SetOf(of):
            items = [_read(of, cursor, f"{path}[{i}]") for i in _items(bytes_min(of), cursor, path)]
            x = frozenset(items)
            if len(x) != len(items):
                raise cursor.broken(path, "a set holds an item twice")
        case MapOf(of):
            x = _map(of, cursor, path)
        case _:
            x = _leaf(shape, cursor, path)
    if (problem := problem_of(shape, x, path)) is not None:
        raise cursor.broken(*problem)
    return x


def _items(size_min: int, cursor: Cursor, path: str) -> Iterator[int]:
    """Yield the index of each item, in one block or several; the caller reads the item before it asks for the next."""
    total = 0
    while count := cursor.long(path):
        size = cursor.long(path) if count < 0 else None
        count = abs(count)
        if count > cursor.remaining() // size_min:
            raise cursor.broken(path, f"{count} items are claimed and {cursor.remaining()} bytes remain")
        if total + count > ITEMS_MAX:
            raise cursor.broken(path, f"{total + count} items are more than {ITEMS_MAX}")
        begin = cursor.place
        yield from range(total, total + count)
        total += count
        if size is not None and cursor.place - begin != size:
            raise cursor.broken(path, f"a block claims {size} bytes and its items take {cursor.place - begin}")


def _map(of: Shape, cursor: Cursor, path: str) -> Map[object]:
    items: dict[str, object] = {}
    for _ in _items(1 + bytes_min(of), cursor, path):
        key = _text(cursor, path)
        if key in items:
            raise cursor.broken(path, f"the key {key!r} stands twice")
        items[key] = _read(of, cursor, f"{path}[{key!r}]")
    return Map(items)


def _text(cursor: Cursor, path: str) -> str:
    data = cursor.take(cursor.long(path), path)
    try:
        return data.decode()
    except UnicodeDecodeError as broken:
        raise cursor.broken(path, f"text that is not UTF-8: {broken}") from broken


def _leaf(shape: Shape, cursor: Cursor, path: str) -> object:
    match shape:
        case Bool():
            if (byte := cursor.take(1, path)[0]) > 1:
                raise cursor.broken(path, f"a boolean is the byte 0 or 1, not {byte}")
            return byte == 1
        case Int():
            return cursor.long(path)
        case Float():
            return struct.unpack("<d", cursor.take(8, path))[0]
        case Str():
            return _text(cursor, path)
        case Bytes():
            return cursor.take(cursor.long(path), path)
        case Number(precision, scale):
            return _number(precision, scale, cursor, path)
        case Instant() | Day() | Duration():
            return _time(shape, cursor.long(path), cursor, path)
        case Ident():
            if not UUID_TEXT.fullmatch(text := _text(cursor, path)):
                raise cursor.broken(path, f"{text[:40]!r} is not a UUID of {UUID_CHARS} characters")
            return UUID(text)
        case Choice(_, symbols, members):
            return members[cursor.index(len(symbols), "symbols", path)]
        case _:
            raise AssertionError(f"{shape} is no leaf")


def _number(precision: int, scale: int, cursor: Cursor, path: str) -> Decimal:
    size, size_max = cursor.long(path), (10**precision).bit_length() // 8 + 1
    if not 0 < size <= size_max:
        raise cursor.broken(path, f"a decimal of {precision} digits has 1 to {size_max} bytes, not {size}")
    units = int.from_bytes(cursor.take(size, path), "big", signed=True)
    return Decimal(units).scaleb(-scale, Context(prec=precision + 10))  # the bytes hold at most 3 digits more


def _time(shape: Instant | Day | Duration, n: int, cursor: Cursor, path: str) -> object:
    try:
        match shape:
            case Instant():
                return EPOCH + MICROSECOND * n
            case Day():
                return date.fromordinal(EPOCH_ORDINAL + n)
            case Duration():
                return MICROSECOND * n
    except (OverflowError, ValueError) as beyond:
        raise cursor.broken(path, f"{n} lies outside the years 1 to 9999") from beyond
