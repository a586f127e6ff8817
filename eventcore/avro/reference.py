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
from datetime import date
from decimal import Context, Decimal
from uuid import UUID

from eventcore.annotations import shape_of
from eventcore.avro.anything import unpack
from eventcore.avro.cursor import Cursor
from eventcore.avro.derive import bytes_min
from eventcore.avro.scalars import UUID_CHARS, decimal_bytes_max
from eventcore.avro.times import EPOCH, EPOCH_ORDINAL, MICROSECOND
from eventcore.shape import (
    Anything,
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


def _record(cls: type[Value], cursor: Cursor, path: str) -> Value:
    stem = f"{path}." if path else ""
    fields = {field.name: _read(field.shape, cursor, f"{stem}{field.name}") for field in shape_of(cls)}
    try:
        return cls(**fields)
    except KeyboardInterrupt:
        raise
    except BaseException as refused:  # whatever a class's own __post_init__ raises: bytes from outside have led to it
        raise cursor.broken(path, f"{cls.__name__} refuses its fields: {_said(refused)}") from refused


def _said(refused: BaseException) -> str:
    try:
        return str(refused) or type(refused).__name__
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - what cannot say why it refuses does not make of bytes a fault of ours
        return f"{type(refused).__name__}, which cannot be shown"


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
            x: object = tuple(_read(of, cursor, f"{path}[{i}]") for i in cursor.items(bytes_min(of), path))
        case SetOf(of):
            items = [_read(of, cursor, f"{path}[{i}]") for i in cursor.items(bytes_min(of), path)]
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


def _map(of: Shape, cursor: Cursor, path: str) -> Map[object]:
    items: dict[str, object] = {}
    for _ in cursor.items(1 + bytes_min(of), path):
        key = cursor.text(path)
        if key in items:
            raise cursor.broken(path, f"the key {key!r} stands twice")
        items[key] = _read(of, cursor, f"{path}[{key!r}]")
    return Map(items)


def _leaf(shape: Shape, cursor: Cursor, path: str) -> object:
    match shape:
        case Bool():
            return cursor.boolean(path)
        case Int():
            return cursor.long(path)
        case Float():
            return cursor.double(path)
        case Str():
            return cursor.text(path)
        case Bytes():
            return cursor.take(cursor.long(path), path)
        case Anything():
            data = cursor.take(cursor.long(path), path)
            try:
                return unpack(data)
            except ValueError as broken:
                raise cursor.broken(path, str(broken)) from broken
        case Number(precision, scale):
            return _number(precision, scale, cursor, path)
        case Instant() | Day() | Duration():
            return _time(shape, cursor.long(path), cursor, path)
        case Ident():
            if not UUID_TEXT.fullmatch(text := cursor.text(path)):
                raise cursor.broken(path, f"{text[:40]!r} is not a UUID of {UUID_CHARS} characters")
            return UUID(text)
        case Choice(_, symbols, members):
            return members[cursor.index(len(symbols), "symbols", path)]
        case _:
            raise AssertionError(f"{shape} is no leaf")


def _number(precision: int, scale: int, cursor: Cursor, path: str) -> Decimal:
    size, size_max = cursor.long(path), decimal_bytes_max(precision)
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
