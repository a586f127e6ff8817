"""Validators are exact about types and bounds, and say what is wrong."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from msgspec import Meta

from eventcore.errors import InvalidValue
from eventcore.validate import validate
from eventcore.value import Digits, Map, Value
from tests.strategies import make_class


class Colour(enum.Enum):
    """A choice."""

    RED = "red"


class Line(Value):
    """A nested value."""

    price: Annotated[int, Meta(ge=0, le=10)]


class Shout(str):
    """A subclass of a plain type."""

    __slots__ = ()


NAIVE = datetime(2024, 1, 1)  # noqa: DTZ001 - what is refused
Percent = Annotated[int, Meta(ge=0, le=100)]
Money = Annotated[Decimal, Digits(5, 2), Meta(ge=0)]


@pytest.mark.parametrize(
    ("annotation", "valid", "invalid"),
    [
        (bool, [True, False], [0, 1, None]),
        (int, [0, 2**63 - 1, -(2**63)], [True, 1.0, 2**63, -(2**63) - 1, "1"]),
        (Percent, [0, 100], [-1, 101, False, None]),
        (float, [0.0, -1e300], [1, float("nan"), float("inf"), -float("inf"), True]),
        (Annotated[float, Meta(gt=0, le=1)], [0.5, 1.0], [0.0, 1.5]),
        (str, ["", "é\0"], [b"", "\ud800", Shout("a"), None]),
        (Annotated[str, Meta(min_length=1, max_length=2)], ["a", "éé"], ["", "abc"]),
        (Annotated[str, Meta(pattern="^a")], ["ab"], ["ba"]),
        (bytes, [b"", b"\xff"], ["", bytearray(b"")]),
        (
            Money,
            [Decimal("999.99"), Decimal(1), Decimal("1E+2"), Decimal("0E-2")],
            [Decimal(1000), Decimal("1E+3")],
        ),
        (Money, [Decimal("0.10")], [Decimal("0.101"), Decimal("NaN"), Decimal("Infinity"), Decimal(-1), 1, 1.0]),
        (
            datetime,
            [datetime(1, 1, 1, tzinfo=UTC)],
            [NAIVE, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1)))],
        ),
        (date, [date(1, 1, 1)], [datetime(2024, 1, 1, tzinfo=UTC)]),
        (timedelta, [timedelta(-1)], [timedelta.max, 1]),
        (UUID, [UUID(int=0)], ["00000000-0000-0000-0000-000000000000"]),
        (Colour, [Colour.RED], ["red", None]),
        (Literal["a", "b"], ["a"], ["c", None, Shout("a")]),
        (int | None, [None, 1], [1.0]),
        (tuple[Percent, ...], [(), (1, 2)], [[1], (101,), (1, None)]),
        (frozenset[int], [frozenset[int](), frozenset([1])], [{1}, frozenset(["a"])]),
        (Map[Percent], [Map[int](), Map({"a": 1})], [{"a": 1}, Map({"a": 101})]),
        (Line, [Line(3)], [Line(11), None, {"price": 3}]),
    ],
)
def test_exactly_the_declared_values_are_valid(annotation: object, valid: list[object], invalid: list[object]) -> None:
    holder: type[Any] = make_class("Holder", {"field": annotation})
    for x in valid:
        validate(holder(x))
    for x in invalid:
        with pytest.raises(InvalidValue, match=r"^Holder\.field"):
            validate(holder(x))


def test_the_path_leads_into_nested_values() -> None:
    holder: type[Any] = make_class("Order", {"lines": Map[tuple[Line, ...]]})
    with pytest.raises(InvalidValue, match=r"^Order\.lines\['a'\]\[1\]\.price: 11 is more than 10$"):
        validate(holder(Map({"a": (Line(1), Line(11))})))
