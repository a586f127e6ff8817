"""Facets: every valid value has exactly one label, and it is one of those that are known beforehand."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from eventcore import Digits, Value
from eventcore.check import Checked, Scope
from eventcore.check.abstraction import Abstraction, Facet, derived, labelled, multiset, predicate, untold
from eventcore.check.matrix import matrix_of
from eventcore.errors import NotSupported
from eventcore.testing.strategies import values_of
from eventcore.value import Map
from examples.models.reservation import Place, World
from tests.strategies import value_classes
from tests.unit.check.counter import Order, orders


class Colour(StrEnum):
    """Some colours."""

    RED = "red"
    BLUE = "blue"


class Left(Value):
    """One of two."""


class Right(Value):
    """The other."""


class Inner(Value):
    """Within another."""

    flag: bool


class Everything(Value):
    """A field of each kind that facets are derived from."""

    flag: bool
    colour: Colour
    side: Left | Right
    inner: Inner
    count: Annotated[int, Meta(ge=0, le=9)]
    whole: int
    money: Annotated[Decimal, Digits(6, 2)]
    part: Annotated[float, Meta(gt=0, lt=1)]
    colours: frozenset[Colour]
    list: tuple[int, ...]
    names: Map[int]
    maybe: Colour | None
    text: str
    unknown: Any
    name: Annotated[str, Meta(min_length=1)]


LABELS = {
    "flag": ("False", "True"),
    "colour": ("red", "blue"),
    "side": ("Left", "Right"),
    "inner.flag": ("False", "True"),
    "count": ("0", "1..8", "9"),
    "whole": ("<0", "0", ">0"),
    "money": ("<0", "0", ">0"),
    "colours": ("(none)", "red", "blue", "red blue"),
    "list": ("0 items", ">0 items"),
    "names": ("0 items", ">0 items"),
    "maybe": ("None", "red", "blue"),
    "text": ("empty", "some"),
    "unknown": (),
}


def test_what_the_types_tell_apart() -> None:
    assert {facet.name: facet.labels for facet in derived(Everything)} == LABELS
    assert untold(Everything, Abstraction(derived(Everything))) == ["part", "name"]


@settings(deadline=None)
@given(value_classes().flatmap(lambda cls: st.tuples(st.just(cls), values_of(cls))))
def test_every_valid_value_of_any_class_is_in_a_conceivable_row(drawn: tuple[type[Value], Value]) -> None:
    cls, value = drawn
    abstraction = Abstraction(derived(cls))
    assert abstraction.has(abstraction.row(value))


@given(values_of(Everything))
def test_a_row_says_the_same_of_equal_values(value: Everything) -> None:
    abstraction = Abstraction(derived(Everything))
    assert abstraction.row(value) == abstraction.row(Everything(*(getattr(value, f) for f in value.__struct_fields__)))


def test_a_value_beyond_its_bounds_is_in_no_conceivable_row() -> None:
    abstraction = Abstraction(derived(Order, "paid"))
    assert [abstraction.has(abstraction.row(Order(paid=paid))) for paid in (-1, 0, 3, 4)] == [False, True, True, False]


def test_an_open_facet_has_the_values_that_were_met_and_one_for_anything_else() -> None:
    abstraction = Abstraction([Facet("x", str, (), open=True), predicate(bool, name="any")])
    rows = [("1", "yes"), ("2", "no")]
    assert abstraction.conceivable(rows) == 3 * 2
    assert abstraction.conceivable(rows, anything_else=False) == 2 * 2


def test_a_multiset_counts_kinds_whatever_their_order() -> None:
    facet = multiset("list", (1, 2), 2)
    assert facet.labels == ("1*2", "1 2", "2*2")
    made = [labelled("it", str, ["a"]), facet]
    assert [each.name for each in made] == ["it", "list"]


def test_a_facet_of_a_field_that_the_scope_calls_unread_is_refused() -> None:
    scope = Scope(unread=("paid",))
    with pytest.raises(NotSupported, match="the facet paid looks at a field that the scope calls unread"):
        matrix_of(Checked(orders, scope, abstraction=Abstraction(derived(Order, "paid"))))


def test_a_facet_without_labels_is_refused() -> None:
    with pytest.raises(NotSupported, match="give it some"):
        labelled("x", str, [])


def test_a_collection_that_holds_nothing_is_not_one_that_holds_a_member_called_none() -> None:
    (places,) = (facet for facet in derived(World) if facet.name == "places")
    assert len(set(places.labels)) == len(places.labels) == 2 ** len(Place)
