"""The shapes that fields may have, shared by everything that needs to know a type.

`eventcore.annotations` reads them from the type hints of a value class. Validators, Avro schemas, SQL columns and the
checker's domains are all derived from the shapes, so that a type means the same everywhere. Bounds of integers are inclusive and never leave the range of an Avro long.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from eventcore.value import Value

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
DIGITS_MAX = 1_000  # what PostgreSQL's NUMERIC may declare; reading a number takes time in the square of its digits
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Bool:
    """True or False."""


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number from `low` to `high`, both included; where `step` is given, a multiple of it."""

    low: int = LONG_MIN
    high: int = LONG_MAX
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of an ordered type that is not an integer; None is unbounded."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


@dataclass(frozen=True, slots=True)
class Float:
    """A finite double."""

    bounds: Bounds = Bounds()


@dataclass(frozen=True, slots=True)
class Str:
    """Text, its length counted in code points."""

    min_length: int = 0
    max_length: int | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Bytes:
    """Raw bytes."""

    min_length: int = 0
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A finite Decimal of at most `precision` digits, at most `scale` of them after the point."""

    precision: int
    scale: int
    bounds: Bounds = Bounds()


@dataclass(frozen=True, slots=True)
class Instant:
    """A datetime in UTC, exact to the microsecond."""


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar date."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A timedelta, exact to the microsecond."""


@dataclass(frozen=True, slots=True)
class Ident:
    """A UUID."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a closed set of names: an Enum (`cls` set), or a Literal of strings (`cls` None).

    `symbols` are what is written: the values of an Enum whose values are all strings, otherwise its members' names.
    `members` are the Python objects, in the same order.
    """

    name: str
    symbols: tuple[str, ...]
    members: tuple[object, ...]
    cls: type[enum.Enum] | None


@dataclass(frozen=True, slots=True)
class Maybe:
    """None, or what `of` says."""

    of: Shape


@dataclass(frozen=True, slots=True)
class Many:
    """A tuple of any length of one shape."""

    of: Shape
    min_length: int = 0
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class SetOf:
    """A frozenset of one shape."""

    of: Shape
    min_length: int = 0
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class MapOf:
    """A `Map` from strings to one shape."""

    of: Shape
    min_length: int = 0
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A nested value."""

    cls: type[Value]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several value classes, in the order of their union."""

    classes: tuple[type[Value], ...]


@dataclass(frozen=True, slots=True)
class Anything:
    """Any plain value: nothing is known of it, so nothing can be shown of what depends on it."""


Shape = (
    Bool
    | Int
    | Float
    | Str
    | Bytes
    | Number
    | Instant
    | Day
    | Duration
    | Ident
    | Choice
    | Maybe
    | Many
    | SetOf
    | MapOf
    | Record
    | OneOf
    | Anything
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a value class. `default` is `msgspec.NODEFAULT` where there is none."""

    name: str
    shape: Shape
    default: object
