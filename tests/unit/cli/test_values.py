"""Values as JSON: what is shown of a value can be given back."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from eventcore import Digits, Map, Value
from eventcore.cli.values import data_of, field_of, json_of, shown, time_text, value_of
from eventcore.errors import InvalidValue


class Colour(StrEnum):
    """Two of them."""

    RED = "red"
    BLUE = "blue"


class Inner(Value):
    """Nested."""

    n: Annotated[int, Meta(ge=0)]


class Other(Value):
    """Another branch."""

    text: str


class Everything(Value):
    """One field a shape."""

    flag: bool
    number: int
    real: float
    text: str
    raw: bytes
    money: Annotated[Decimal, Digits(12, 2)]
    moment: datetime
    day: date
    length: timedelta
    ident: UUID
    colour: Colour
    size: Literal["s", "m"]
    maybe: int | None
    either: Inner | Other
    many: tuple[Inner, ...]
    several: frozenset[int]
    named: Map[Inner]


INNER = st.builds(Inner, st.integers(0, 2**63 - 1))
EVERYTHING = st.builds(
    Everything,
    flag=st.booleans(),
    number=st.integers(-(2**63), 2**63 - 1),
    real=st.floats(allow_nan=False, allow_infinity=False),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    raw=st.binary(),
    money=st.integers(-(10**12) + 1, 10**12 - 1).map(lambda cents: Decimal(cents).scaleb(-2)),
    moment=st.datetimes(timezones=st.just(UTC)),
    day=st.dates(),
    length=st.integers(-(2**53), 2**53).map(lambda micros: timedelta(microseconds=micros)),
    ident=st.uuids(),
    colour=st.sampled_from(Colour),
    size=st.sampled_from(["s", "m"]),
    maybe=st.none() | st.integers(0, 9),
    either=INNER | st.builds(Other, st.just("x")),
    many=st.lists(INNER, max_size=3).map(tuple),
    several=st.frozensets(st.integers(0, 99), max_size=3),
    named=st.dictionaries(st.sampled_from(["a", "b"]), INNER).map(Map),
)


@given(EVERYTHING)
def test_what_is_shown_can_be_given_back(value: Everything) -> None:
    assert value_of(Everything, json_of(value)) == value


def test_a_value_is_shown_by_its_class_and_its_fields() -> None:
    assert shown(Inner(5)) == 'Inner {"n":5}'
    assert data_of(Inner(5)) == {"n": 5}
    assert data_of(Map({"a": Inner(5)})) == {"a": {"$type": "Inner", "n": 5}}


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("text", "7", "7"),
        ("number", "7", 7),
        ("flag", "true", True),
        ("money", "7.50", Decimal("7.50")),
        ("day", "2026-02-28", date(2026, 2, 28)),
        ("moment", "2026-02-28T12:00:00Z", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("length", "PT1H", timedelta(hours=1)),
        ("colour", "blue", Colour.BLUE),
        ("size", "m", "m"),
        ("ident", "6a8e2f7e-6f0b-5d5e-9f57-0d9c8f3f1f5e", UUID("6a8e2f7e-6f0b-5d5e-9f57-0d9c8f3f1f5e")),
    ],
)
def test_a_part_of_a_key_is_read_from_plain_text(name: str, text: str, found: object) -> None:
    assert field_of(Everything, name, text) == found


@pytest.mark.parametrize(("name", "text"), [("number", "x"), ("day", "tomorrow"), ("colour", "green"), ("ident", "1")])
def test_a_part_of_a_key_that_cannot_be_meant_is_said(name: str, text: str) -> None:
    with pytest.raises(InvalidValue, match=f"Everything.{name}: .*it says '{text}'"):
        field_of(Everything, name, text)


@given(st.text())
def test_any_text_is_a_value_or_an_invalid_one(text: str) -> None:
    try:
        value_of(Inner, text)
    except InvalidValue:
        return
    assert json_of(value_of(Inner, text)).startswith('{"n":')


def test_a_time_that_no_calendar_has_is_shown_as_its_number() -> None:
    assert time_text(0) == "1970-01-01T00:00:00.000Z"
    assert time_text(2**62) == f"{2**62} ms"
