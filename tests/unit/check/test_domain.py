"""A domain knows its size before it makes a value, and every value that it makes is valid."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from msgspec import Meta

from eventcore import Map, Value
from eventcore.check import Scope
from eventcore.check.domain import Domains, instances, typed_size
from eventcore.errors import InvalidValue, NotSupported
from eventcore.validate import validate
from tests.strategies import value_classes


@given(value_classes())
def test_any_class_has_a_domain_of_valid_values_of_the_size_it_says(cls: type[Value]) -> None:
    try:
        domain = Domains(Scope()).of_class(cls)
    except NotSupported as narrow:
        assert "nothing is known to try" in str(narrow)  # noqa: PT017 - most classes have a domain
        return
    if domain.size > 20_000:
        return
    made = list(domain.make())
    assert len(made) == domain.size == len(set(made))
    for value in made:
        validate(value)
    size = typed_size(cls)
    assert size is None or domain.size <= size
    if domain.evidence == "enumerated":
        assert domain.size == size


class Suit(StrEnum):
    """A suit of cards."""

    RED = "red"
    BLACK = "black"


class Card(Value):
    """A card."""

    suit: Suit
    rank: Annotated[int, Meta(ge=1, le=3)]


class Deck(Value):
    """Everything that has an end."""

    face_up: bool
    size: Literal["small", "large"]
    top: Card | None
    hand: Annotated[tuple[Suit, ...], Meta(max_length=2)]
    trumps: frozenset[Suit]
    step: Annotated[int, Meta(ge=0, le=9, multiple_of=3)]


def test_what_types_bound_is_enumerated_whole() -> None:
    domain = Domains(Scope()).of_class(Deck)
    assert (domain.size, domain.evidence) == (2 * 2 * 7 * 7 * 4 * 4, "enumerated")
    assert len(set(domain.make())) == domain.size == typed_size(Deck)


class Open(Value):
    """Things without an end."""

    number: int
    text: str
    many: tuple[Suit, ...]
    named: Map[bool]


def test_what_has_no_end_is_sampled_and_said_so() -> None:
    made, leaves = instances([Open], Scope())
    assert len(made) == 4 * 3 * 3 * 3
    assert {leaf.where: leaf.evidence for leaf in leaves} == dict.fromkeys(
        ("Open.number", "Open.text", "Open.many", "Open.named"), "sampled"
    )


def test_declared_items_bound_containers() -> None:
    _, leaves = instances([Open], Scope({"number": [1], "text": ["a"], "named": [Map[bool]({})]}, items=2))
    assert [(leaf.where, leaf.evidence, leaf.tried) for leaf in leaves][2:3] == [("Open.many", "declared", 7)]
    with pytest.raises(NotSupported, match="items=-1"):
        Scope(items=-1)


def test_a_class_may_be_declared_as_a_whole() -> None:
    cards = (Card(Suit.RED, 1), Card(Suit.BLACK, 3))
    made, leaves = instances([Card], Scope({Card: cards}))
    assert (tuple(made), leaves[0].evidence, leaves[0].typed) == (cards, "declared", 6)


@pytest.mark.parametrize("wrong", [7, 0, True, "1"])
def test_a_declared_value_must_be_of_its_type(wrong: Any) -> None:
    with pytest.raises(InvalidValue, match=r"Card\.rank"):
        instances([Card], Scope({"rank": [wrong]}))


class Loose(Value):
    """Of which nothing is known."""

    what: Any


@pytest.mark.parametrize(
    ("scope", "both"),
    [
        (Scope({"what": (0, 1, False)}), "both 0 and False"),
        (Scope(samples={"what": ((1,), (True,))}), r"both \(1,\) and \(True,\)"),
        (Scope({Loose: (Loose(0.0), Loose(-0.0))}), r"both Loose\(what=0.0\) and Loose\(what=-0.0\)"),
    ],
    ids=["declared", "sampled", "whole"],
)
def test_declared_values_that_are_equal_and_not_the_same_are_refused(scope: Scope, both: str) -> None:
    with pytest.raises(NotSupported, match=f"{both}.*equal and not the same"):
        instances([Loose], scope)


def test_a_value_that_is_declared_twice_is_tried_once() -> None:
    made, leaves = instances([Loose], Scope({"what": (0, 1, 0)}))
    assert (made, leaves[0].tried) == ([Loose(0), Loose(1)], 2)


def test_a_scope_that_explodes_names_the_widest_field() -> None:
    with pytest.raises(NotSupported, match=r"Open 45,000, Card 6 instances.*\"Open\.number\""):
        instances([Card, Open], Scope({"number": range(5_000)}))


class Wide(Value):
    """More fields without an end than anybody can try together."""

    a: int
    b: int
    c: int
    d: int
    e: int
    f: str


def test_fields_have_fewer_samples_where_there_would_be_too_many_commands() -> None:
    made, leaves = instances([Wide], Scope())
    assert len(made) == 2**6
    assert {leaf.tried for leaf in leaves} == {2}
