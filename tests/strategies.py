"""Hypothesis strategies for value classes of every shape; `eventcore.testing.strategies` draws their values.

`value_classes()` draws a class: fields of all kinds, nested values, unions, bounds, defaults.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Annotated, Any, Literal, Optional, cast
from uuid import UUID

from hypothesis import strategies as st
from msgspec import Meta

from eventcore.annotations import shape_of
from eventcore.shape import LONG_MAX, LONG_MIN, Record
from eventcore.value import Digits, Map, Value

FIELDS_MAX = 6
DEPTH_MAX = 3
PATTERNS = (r"^[a-z]*\Z", r"^\d{2,5}\Z", r"é")


@st.composite
def value_classes(draw: st.DrawFn, depth: int = DEPTH_MAX) -> type[Value]:
    """A value class of up to six fields of any shape, nested at most `depth` deep."""
    return _class(draw, map("C{}".format, count()), depth, fields_min=0)


def _class(draw: st.DrawFn, names: Iterator[str], depth: int, *, fields_min: int) -> type[Value]:
    name = next(names)
    annotations = {
        f"f{i}": _annotation(draw, names, depth) for i in range(draw(st.integers(fields_min, FIELDS_MAX), label=name))
    }
    return make_class(name, annotations)


def make_class(name: str, annotations: dict[str, object], **fields: object) -> type[Value]:
    """The value class of this name with these annotations; `fields` are defaults and class attributes."""
    body = {"__annotations__": annotations, "__module__": __name__, **fields}
    return cast("type[Value]", types.new_class(name, (Value,), {}, lambda namespace: namespace.update(body)))


def _annotation(draw: st.DrawFn, names: Iterator[str], depth: int) -> Any:
    kinds = [*LEAVES, *(BRANCHES if depth else ())]
    return draw(st.sampled_from(kinds))(draw, names, depth - 1)


Kind = Callable[[st.DrawFn, Iterator[str], int], Any]


def _plain(annotation: object) -> Kind:
    return lambda _draw, _names, _depth: annotation


def _bounded_int(draw: st.DrawFn, _names: Iterator[str], _depth: int) -> object:
    limits = st.sampled_from([LONG_MIN, -8193, -8192, -65, -64, -1, 0, 1, 63, 64, 100, 8191, 8192, 2**31, LONG_MAX])
    low, high = sorted(draw(st.tuples(limits, limits)))
    return Annotated[int, Meta(ge=low, le=high)]


def _bounded_float(draw: st.DrawFn, _names: Iterator[str], _depth: int) -> object:
    return draw(st.sampled_from([Annotated[float, Meta(ge=-1.5, lt=2.5)], Annotated[float, Meta(gt=0)]]))


def _sized(draw: st.DrawFn, _names: Iterator[str], _depth: int) -> object:
    kind = draw(st.sampled_from([str, bytes]))
    low = draw(st.integers(0, 3))
    return Annotated[kind, Meta(min_length=low, max_length=low + draw(st.integers(0, 5)))]


def _patterned(draw: st.DrawFn, _names: Iterator[str], _depth: int) -> object:
    return Annotated[str, Meta(pattern=draw(st.sampled_from(PATTERNS)))]


def _decimal(draw: st.DrawFn, _names: Iterator[str], _depth: int) -> object:
    precision = draw(st.integers(1, 40))
    plain = Annotated[Decimal, Digits(precision, draw(st.integers(0, precision)))]
    return draw(st.sampled_from([plain, Annotated[Decimal, Digits(6, 2), Meta(ge=0, lt=100)]]))


def _enum(draw: st.DrawFn, names: Iterator[str], _depth: int) -> object:
    symbols = [f"S{i}" for i in range(draw(st.sampled_from([1, 2, 3, 64, 70])))]
    by_value = draw(st.booleans())
    return enum.Enum(next(names), {s: f"v_{s}" if by_value else i for i, s in enumerate(symbols)})


def _literal(draw: st.DrawFn, _names: Iterator[str], _depth: int) -> object:
    return draw(st.sampled_from([Literal["a"], Literal["x", "y", "z"]]))


def _maybe(draw: st.DrawFn, names: Iterator[str], depth: int) -> object:
    inner: Any = _annotation(draw, names, depth)
    return Optional[inner]  # noqa: UP045 - a value, not an annotation


def _collection(draw: st.DrawFn, names: Iterator[str], depth: int) -> object:
    item: Any = _item(draw, names, depth)
    kinds: tuple[Any, ...] = (tuple[item, ...], Map[item], frozenset[item])
    made = draw(st.sampled_from(kinds))
    lengths = draw(st.sampled_from([None, Meta(min_length=1), Meta(max_length=2)]))
    if lengths is None or made is kinds[2]:  # a frozenset of one bool cannot have many items
        return made
    return Annotated[made, lengths]


def _item(draw: st.DrawFn, names: Iterator[str], depth: int) -> object:
    item = _annotation(draw, names, depth)
    while isinstance(item, type) and issubclass(item, Value) and not _takes_bytes(item):
        item = _class(draw, names, 0, fields_min=1)
    return cast("object", item)


def _takes_bytes(cls: type[Value]) -> bool:
    return any(not isinstance(f.shape, Record) or _takes_bytes(f.shape.cls) for f in shape_of(cls))


def _record(draw: st.DrawFn, names: Iterator[str], depth: int) -> object:
    return _class(draw, names, depth, fields_min=0)


def _one_of(draw: st.DrawFn, names: Iterator[str], depth: int) -> object:
    first, second = _class(draw, names, depth, fields_min=0), _class(draw, names, depth, fields_min=0)
    return draw(st.sampled_from([first | second, first | second | None]))


LEAVES: tuple[Kind, ...] = (
    *map(_plain, (bool, int, float, str, bytes, UUID)),
    *map(_plain, (datetime, date, timedelta)),
    *(_bounded_int, _bounded_float, _sized, _patterned, _decimal, _enum, _literal),
)
BRANCHES: tuple[Kind, ...] = (_maybe, _collection, _collection, _record, _one_of)
