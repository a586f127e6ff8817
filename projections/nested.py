"""Nested values, tuples, sets, maps and unions as JSON text: exact both ways, and readable to SQL's JSON functions.

A value is an object of its fields; in a union it carries its class in `$type`. Decimals are strings, instants and dates
ISO text, durations whole microseconds, bytes base64, a set an array in the order of its items' JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

import msgspec

from eventcore.annotations import shape_of
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
from eventcore.value import Map, Value

Convert = Callable[[Any], Any]
MICROSECOND = timedelta(microseconds=1)


class Pair(NamedTuple):
    """How one shape becomes what is stored, and how it comes back."""

    store: Convert
    load: Convert


def json_text(shape: Shape) -> Pair:
    """To and from JSON text, for any shape."""

    def store(x: Any) -> str:
        return msgspec.json.encode(_plain(shape, x)).decode()

    def load(text: str) -> Any:
        return _value(shape, msgspec.json.decode(text))

    return Pair(store, load)


def instant_text(x: datetime) -> str:
    """`2024-02-29 12:00:00.000000`, in UTC: sorts as text, and is what SQLAlchemy keeps in SQLite."""
    return x.replace(tzinfo=None).isoformat(" ", "microseconds")


def instant_of(text: str) -> datetime:
    """The aware instant of such a text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def micros_of(x: timedelta) -> int:
    """The whole microseconds of a duration."""
    return x // MICROSECOND


def duration_of(micros: int) -> timedelta:
    """The duration of so many microseconds."""
    return timedelta(microseconds=micros)


def choice_pair(symbols: tuple[str, ...], members: tuple[object, ...]) -> Pair:
    """To and from the symbol of a member."""
    return Pair(
        dict(zip(members, symbols, strict=True)).__getitem__, dict(zip(symbols, members, strict=True)).__getitem__
    )


def _plain(shape: Shape, x: Any) -> Any:
    """What JSON holds of a value of this shape."""
    match shape:
        case Bool() | Int() | Float() | Str():
            return x
        case Number() | Ident():
            return str(x)
        case Bytes():
            return base64.b64encode(x).decode()
        case Instant():
            return instant_text(x)
        case Day():
            return x.isoformat()
        case Duration():
            return micros_of(x)
        case Choice(_, symbols, members):
            return symbols[members.index(x)]
        case Maybe(of):
            return None if x is None else _plain(of, x)
        case Many(of):
            return [_plain(of, item) for item in x]
        case SetOf(of):
            return sorted((_plain(of, item) for item in x), key=msgspec.json.encode)
        case MapOf(of):
            return {key: _plain(of, item) for key, item in x.items()}
        case Record(cls):
            return {field.name: _plain(field.shape, getattr(x, field.name)) for field in shape_of(cls)}
        case Anything():
            raise AssertionError("a projection refuses a row of which nothing is known")
        case OneOf():
            return {"$type": type(x).__name__, **_plain(Record(cast("type[Value]", type(x))), x)}


def _value(shape: Shape, x: Any) -> Any:
    """The value of this shape that JSON holds as `x`."""
    match shape:
        case Bool() | Int() | Str():
            return x
        case Float():
            return float(x)
        case Number():
            return Decimal(x)
        case Ident():
            return UUID(x)
        case Bytes():
            return base64.b64decode(x)
        case Instant():
            return instant_of(x)
        case Day():
            return date.fromisoformat(x)
        case Duration():
            return duration_of(x)
        case Choice(_, symbols, members):
            return members[symbols.index(x)]
        case Maybe(of):
            return None if x is None else _value(of, x)
        case Many(of):
            return tuple(_value(of, item) for item in x)
        case SetOf(of):
            return frozenset(_value(of, item) for item in x)
        case MapOf(of):
            return Map({key: _value(of, item) for key, item in x.items()})
        case Record(cls):
            return cls(**{field.name: _value(field.shape, x[field.name]) for field in shape_of(cls)})
        case Anything():
            raise AssertionError("a projection refuses a row of which nothing is known")
        case OneOf(classes):
            return _value(Record(next(cls for cls in classes if cls.__name__ == x["$type"])), x)
