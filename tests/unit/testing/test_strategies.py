"""Strategies draw what validators accept, of every class of a union."""

from __future__ import annotations

import pytest
from hypothesis import find, given

from eventcore import Value
from eventcore.errors import NotSupported
from eventcore.testing.strategies import commands_of, values_of
from eventcore.validate import validate
from examples.bank.account import Command, Credit, Deposit, Event, Settled, accounts
from tests.strategies import value_classes


@given(value_classes().flatmap(values_of))
def test_values_of_any_class_are_valid(value: Value) -> None:
    validate(value)


@given(values_of(Event))
def test_values_of_a_union_are_of_its_classes(event: Event) -> None:
    accounts.event_checks[type(event)](event)


@given(commands_of(accounts))
def test_commands_of_an_aggregate_can_be_sent(command: Command) -> None:
    accounts.to("it", command)


def test_every_class_of_a_union_is_drawn() -> None:
    find(commands_of(accounts), lambda command: type(command) is Credit)
    find(values_of(Event), lambda event: type(event) is Settled)


def test_a_class_is_drawn_as_itself() -> None:
    smallest: Deposit = find(values_of(Deposit), lambda _: True)
    assert smallest == Deposit(1)


def test_what_is_no_value_class_is_refused() -> None:
    with pytest.raises(NotSupported, match="neither a class"):
        values_of(int)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # that it is refused
