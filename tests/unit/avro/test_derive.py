"""What each type becomes in Avro, and what has no schema."""

from __future__ import annotations

import enum
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, cast
from uuid import UUID

import pytest
from msgspec import Meta

from eventcore.avro.derive import schema_of
from eventcore.errors import NotSupported
from eventcore.value import Digits, Map, Value
from tests.strategies import make_class


class Colour(enum.Enum):
    """Symbols are the values, since all are strings."""

    RED = "red"
    DARK = "dark_blue"


class Level(enum.IntEnum):
    """Symbols are the names, since the values are none."""

    LOW = 1
    HIGH = 2


class Line(Value):
    """A nested value."""

    price: int


class Nothing(Value):
    """A value of no bytes."""


class NothingTwice(Value):
    """Another."""

    a: Nothing
    b: Nothing


class Renamed(Value):
    """A class that keeps its Avro name wherever it moves."""

    avro_name: ClassVar[str] = "old.place.Original"
    a: int


class Child(Renamed):
    """A name is the class's own; it is not inherited."""


LINE = {"name": "shop.Line", "type": "record", "fields": [{"name": "price", "type": "long"}]}
COLOUR = {"name": "shop.Colour", "type": "enum", "symbols": ["red", "dark_blue"]}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (bool, "boolean"),
        (int, "long"),
        (Annotated[int, Meta(ge=0, le=9)], "long"),
        (float, "double"),
        (str, "string"),
        (bytes, "bytes"),
        (Annotated[Decimal, Digits(12, 2)], {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}),
        (datetime, {"type": "long", "logicalType": "timestamp-micros"}),
        (date, {"type": "int", "logicalType": "date"}),
        (timedelta, {"type": "long", "unit": "microseconds"}),
        (UUID, {"type": "string", "logicalType": "uuid"}),
        (Colour, COLOUR),
        (Level, {"name": "shop.Level", "type": "enum", "symbols": ["LOW", "HIGH"]}),
        (Literal["a", "b"], {"name": "shop.Holder_field", "type": "enum", "symbols": ["a", "b"]}),
        (int | None, ["null", "long"]),
        (Line | Renamed, [LINE, schema_of(Renamed, "shop")]),
        (Line | Renamed | None, ["null", LINE, schema_of(Renamed, "shop")]),
        (tuple[int, ...], {"type": "array", "items": "long"}),
        (frozenset[Colour], {"type": "array", "items": COLOUR}),
        (Map[Line], {"type": "map", "values": LINE}),
        (Line, LINE),
    ],
)
def test_each_type_has_one_schema(annotation: object, expected: object) -> None:
    (field,) = schema_of(make_class("Holder", {"field": annotation}), "shop")["fields"]
    assert field == {"name": "field", "type": expected}


def test_a_named_type_is_spelled_out_at_its_first_use_only() -> None:
    cls = make_class("Holder", {"a": Line, "b": Line | None, "c": Map[Colour], "d": Colour})
    types = [field["type"] for field in schema_of(cls, "shop")["fields"]]
    assert types == [LINE, ["null", "shop.Line"], {"type": "map", "values": COLOUR}, "shop.Colour"]


def test_a_class_may_name_itself() -> None:
    assert schema_of(Renamed, "shop")["name"] == "old.place.Original"
    assert schema_of(Child, "shop")["name"] == "shop.Child"


@pytest.mark.parametrize(
    ("annotation", "default", "written"),
    [
        (int | None, None, None),
        (bool, False, False),
        (int, 7, 7),
        (float, 0.1, 0.1),
        (str, "x", "x"),
        (Colour, Colour.DARK, "dark_blue"),
        (Literal["a", "b"], "b", "b"),
        (tuple[int, ...], (), []),
        (frozenset[int], frozenset[int](), []),
        (Map[int], Map[int](), {}),
    ],
)
def test_a_default_is_written_where_it_is_exact(annotation: object, default: object, written: object) -> None:
    (field,) = schema_of(make_class("Holder", {"field": annotation}, field=default), "shop")["fields"]
    assert field["default"] == written
    assert type(field["default"]) is type(written)


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (int | None, 7),
        (Annotated[int, Meta(ge=0)], -1),
        (int, True),
        (float, float("nan")),
        (tuple[int, ...], (1,)),
        (date, date(2024, 1, 1)),
        (Annotated[Decimal, Digits(4, 2)], Decimal(1)),
        (bytes, b""),
        (Line, Line(1)),
        (str, "\ud800"),
    ],
)
def test_a_default_that_libraries_read_differently_is_not_written(annotation: object, default: object) -> None:
    (field,) = schema_of(make_class("Holder", {"field": annotation}, field=default), "shop")["fields"]
    assert "default" not in field


def nested(depth: int) -> type[Value]:
    """A class of `depth` levels."""
    inner: Any = int
    for level in range(depth):
        inner = make_class(f"L{level}", {"inner": inner})
    return cast("type[Value]", inner)


@pytest.mark.parametrize(
    ("annotations", "advice"),
    [
        ({"a": tuple[Nothing, ...]}, "Holder.a: its items take no bytes"),
        ({"a": Map[NothingTwice]}, "Holder.a: its items take no bytes"),
        ({"a": Line, "b": make_class("Line", {"other": str})}, "two different types .* shop.Line"),
        ({"a": Colour, "b": enum.Enum("Colour", {"A": "a"})}, "two different types .* shop.Colour"),
        ({"a": nested(64)}, "nested more than 64 deep"),
    ],
)
def test_what_has_no_safe_schema_is_refused(annotations: dict[str, object], advice: str) -> None:
    with pytest.raises(NotSupported, match=advice):
        schema_of(make_class("Holder", annotations), "shop")


@pytest.mark.parametrize("namespace", ["", "1a", "a..b", "a b", "a."])
def test_a_namespace_is_a_full_name(namespace: str) -> None:
    with pytest.raises(NotSupported, match="is no Avro namespace"):
        schema_of(Line, namespace)


def test_a_name_of_its_own_is_a_full_name() -> None:
    with pytest.raises(NotSupported, match="write a full Avro name"):
        schema_of(make_class("Holder", {"a": int}, avro_name="Flat"), "shop")
