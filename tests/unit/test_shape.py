"""One reading of annotations: what each means, and what is refused with which advice."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType

import pytest
from msgspec import Meta

from eventcore.annotations import shape_of
from eventcore.errors import NotSupported
from eventcore.shape import LONG_MAX, Anything, Bounds, Int, Many, Maybe, Number, OneOf, Shape, Str
from eventcore.value import Digits, Map, Value
from tests.strategies import make_class


class Left(Value):
    """A branch."""

    a: int


class Right(Value):
    """Another."""

    a: int


class Permission(enum.Flag):
    """Flags combine."""

    READ = 1
    WRITE = 2


class Colour(enum.Enum):
    """Names and values differ."""

    RED = "red"


def shape(annotation: object) -> Shape:
    """The shape of one field."""
    return shape_of(make_class("Holder", {"field": annotation}))[0].shape


Count = NewType("Count", int)
MaybeCount: Any = Annotated[Count | None, Meta(ge=0)]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Count, Int()),
        (Annotated[int, Meta(gt=0, lt=10)], Int(1, 9)),
        (Annotated[Annotated[int, Meta(ge=0)], Meta(ge=5, le=9)], Int(5, 9)),
        (Annotated[int, Meta(multiple_of=4, ge=0)], Int(0, LONG_MAX, 4)),
        (Annotated[Annotated[int, Meta(multiple_of=4)], Meta(multiple_of=6)], Int(step=12)),
        (MaybeCount, Maybe(Int(0))),
        (Annotated[MaybeCount | None, Meta(le=9)], Maybe(Int(0, 9))),
        (Annotated[str | None, Meta(min_length=1)], Maybe(Str(1))),
        (Annotated[Decimal | None, Digits(4, 2)], Maybe(Number(4, 2))),
        (Annotated[Decimal, Digits(4, 2), Meta(ge=0)], Number(4, 2, Bounds(ge=0))),
        (tuple[int | None, ...], Many(Maybe(Int()))),
        (Left | Right | None, Maybe(OneOf((Left, Right)))),
        (Any, Anything()),
        (Any | None, Anything()),
        (tuple[Any, ...], Many(Anything())),
    ],
)
def test_an_annotation_means_one_shape(annotation: object, expected: Shape) -> None:
    assert shape(annotation) == expected


@pytest.mark.parametrize(
    ("annotation", "advice"),
    [
        (list[int], "tuple"),
        (dict[str, int], "Map"),
        (set[int], "frozenset"),
        (object, "name its type, or write Any"),
        (Decimal, "Digits"),
        (tuple[int, str], "a Value with a field for each part"),
        (int | str, "one small Value for each case"),
        (Left | int, "one small Value for each case"),
        (Permission, "a bool for each flag"),
        (Literal[1, 2], "use an Enum"),
        (Annotated[bool, Meta(ge=0)], "Meta.ge=.... says nothing about Bool"),
        (Annotated[str, Meta(ge=0)], "Meta.ge=.... says nothing about Str"),
        (Annotated[float, Meta(multiple_of=2)], "Meta.multiple_of=.... says nothing about Float"),
        (Annotated[Colour, Meta(pattern="r")], "Meta.pattern=.... says nothing about Choice"),
        (Annotated[Left | None, Meta(min_length=1)], "Meta.min_length=.... says nothing about Record"),
        (Annotated[int, Digits(4, 2)], "Digits say how a Decimal is stored"),
        (Annotated[int, Meta(ge=0.5)], "not a whole number"),
        (Annotated[int, Meta(ge=5, le=4)], "no int lies between"),
        (Annotated[int, Meta(multiple_of=0.5)], "not of 0.5"),
        (Annotated[str, Meta(min_length=3, max_length=2)], "no length lies between"),
        (Annotated[Annotated[str, Meta(pattern="a")], Meta(pattern="b")], "two patterns"),
        (Annotated[Decimal, Digits(2, 3)], "scale <= precision"),
        (Annotated[Decimal, Digits(1_001, 3)], "at most 1000 digits"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_advice(annotation: object, advice: str) -> None:
    with pytest.raises(NotSupported, match=advice) as refused:
        shape(annotation)
    assert str(refused.value).startswith("Holder.field: ")


def test_documentation_in_an_annotation_is_no_constraint() -> None:
    assert shape(Annotated[int, Meta(title="amount", description="in cents")]) == Int()


def test_a_default_made_by_a_factory_is_its_value() -> None:
    made = make_class("Holder", {"field": Map[int]}, field=Map({"a": 1}))
    assert shape_of(made)[0].default == Map({"a": 1})


def test_a_datetime_needs_no_annotation() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    assert shape_of(make_class("Holder", {"field": datetime}, field=at))[0].default == at
