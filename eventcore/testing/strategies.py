"""Hypothesis strategies for value classes: `values_of(Deposit)` draws deposits that the class's validator accepts.

Bounds, lengths and patterns of `Meta`, `Digits`, enums, unions and nested values are all kept to. Integers are drawn near
the lengths of their encoding as well, where codecs err.
"""

from __future__ import annotations

import types
from datetime import UTC, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar, overload
from uuid import UUID

from hypothesis import strategies as st

from eventcore.aggregate import Aggregate, Command
from eventcore.annotations import classes_in, shape_of
from eventcore.errors import NotSupported
from eventcore.shape import (
    Anything,
    Bool,
    Bounds,
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
from eventcore.validate import DURATION_MAX
from eventcore.value import Map, Value

V = TypeVar("V", bound=Value)
Drawn = TypeVar("Drawn")

ITEMS_MAX = 4  # in a collection, beyond its least length: more makes examples longer and finds nothing more


@overload
def values_of(of: type[V]) -> st.SearchStrategy[V]: ...


@overload
def values_of(of: types.UnionType) -> st.SearchStrategy[Any]: ...


def values_of(of: type[V] | types.UnionType) -> st.SearchStrategy[Any]:
    """Valid instances of a value class, or of a union of value classes. Raises NotSupported for anything else."""
    classes = classes_in(of)
    if not classes:
        raise NotSupported(f"{of!r} is neither a class derived from eventcore.Value nor a union of such.")
    return _ready(st.one_of([_instances_of(cls) for cls in classes]))


def commands_of(aggregate: Aggregate[Any, Command, Any]) -> st.SearchStrategy[Command]:
    """Valid commands of an aggregate, of all its classes."""
    return _ready(st.one_of([_instances_of(cls) for cls in aggregate.command_checks]))  # type: ignore[arg-type]  # its own classes


def _ready(strategy: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    """Have it made now: Hypothesis's table of characters takes a second or more, and the first draw has less."""
    strategy.validate()
    return strategy


def _instances_of(cls: type[V]) -> st.SearchStrategy[V]:
    return st.builds(cls, **{field.name: things_of(field.shape) for field in shape_of(cls)})


def things_of(shape: Shape) -> st.SearchStrategy[Any]:
    """What a field of this shape may hold."""
    match shape:
        case Bool():
            return st.booleans()
        case Int(low, high, step):
            return _integers(low, high, step)
        case Float(bounds):
            return _floats(bounds)
        case Str():
            return _texts(shape)
        case Bytes(low, high):
            return st.binary(min_size=low, max_size=high)
        case Number(precision, scale, bounds):
            return _numbers(precision, scale, bounds)
        case Instant():
            return st.datetimes(timezones=st.just(UTC))
        case Day():
            return st.dates()
        case Duration():
            return st.timedeltas(-DURATION_MAX, DURATION_MAX) | st.timedeltas(timedelta(0), timedelta(1))
        case Ident():
            return st.integers(0, 2**128 - 1).map(lambda n: UUID(int=n))
        case Anything():
            return _anythings()
        case Choice(_, _, members):
            return st.sampled_from(members)
        case Maybe(of):
            return st.none() | things_of(of)
        case Many(of, low, high):
            return st.lists(things_of(of), min_size=low, max_size=_most(low, high)).map(tuple)
        case SetOf(of, low, high):
            return st.frozensets(things_of(of), min_size=low, max_size=_most(low, high))
        case MapOf(of, low, high):
            return st.dictionaries(st.text(), things_of(of), min_size=low, max_size=_most(low, high)).map(Map)
        case Record(cls):
            return _instances_of(cls)
        case OneOf(classes):
            return st.one_of([_instances_of(cls) for cls in classes])


def _anythings() -> st.SearchStrategy[Any]:
    """Plain values, a few of them within each other."""
    leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _floats(Bounds()) | st.text() | st.binary()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner, max_size=3).map(Map),
        max_leaves=6,
    )


def _texts(shape: Str) -> st.SearchStrategy[str]:
    low, high = shape.min_length, shape.max_length
    if shape.pattern is None:
        return st.text(min_size=low, max_size=high)
    return st.from_regex(shape.pattern).filter(lambda s: low <= len(s) <= (high or len(s)) and _is_utf8(s))


def _most(low: int, high: int | None) -> int:
    return min(high if high is not None else ITEMS_MAX, low + ITEMS_MAX)


def _integers(low: int, high: int, step: int | None) -> st.SearchStrategy[int]:
    if step:
        return st.integers(-(-low // step), high // step).map(lambda n: n * step)
    edges = [n + d for n in (0, 64, 8192, 2**20, 2**27, 2**34, 2**41, 2**48, 2**55, 2**62) for d in (-1, 0, 1)]
    near = [n for n in (*edges, *(-n for n in edges), low, high) if low <= n <= high]
    return st.integers(low, high) | st.sampled_from(near)


def _floats(bounds: Bounds) -> st.SearchStrategy[float]:
    low, high = bounds.ge if bounds.ge is not None else bounds.gt, bounds.le if bounds.le is not None else bounds.lt
    return st.floats(low, high, allow_nan=False, allow_infinity=False).filter(
        lambda x: (bounds.gt is None or x > bounds.gt) and (bounds.lt is None or x < bounds.lt)
    )


def _numbers(precision: int, scale: int, bounds: Bounds) -> st.SearchStrategy[Decimal]:
    low, high = -(10**precision) + 1, 10**precision - 1
    for bound, is_low in ((bounds.ge, True), (bounds.gt, True), (bounds.le, False), (bounds.lt, False)):
        if bound is None:
            continue
        units = Fraction(bound) * 10**scale
        if is_low:
            low = max(low, units.__ceil__() + (units.denominator == 1 and bound == bounds.gt))
        else:
            high = min(high, units.__floor__() - (units.denominator == 1 and bound == bounds.lt))

    def scaled(n: int) -> Decimal:
        return Decimal(f"{n}E-{scale}")

    def shortest(x: Decimal) -> Decimal:
        digits = str(x)
        return Decimal(digits.rstrip("0").rstrip(".")) if "." in digits and "E" not in digits else x

    exact = st.integers(low, high).map(scaled)
    return exact | exact.map(shortest)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
