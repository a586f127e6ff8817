"""A scenario of a projection folds events of one instance into the rows that a runner would keep."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

import pytest
from msgspec.structs import replace

from eventcore import Aggregate, Digits, Value
from eventcore.testing import given
from examples.bank.account import Deposited, Event, Held, Withdrawn
from examples.bank.balances import Balance, balances
from projections import FoldFailed, Projection

Euro = Annotated[Decimal, Digits(9, 2)]


class Sold(Value):
    """Something was sold on a day; nothing was bought for it where the price is zero."""

    day: date
    price: Euro


class Shop(Value):
    """A shop."""


class Sell(Value):
    """Sell something."""

    day: date
    price: Euro


def decide(_: Shop, command: Sell) -> list[Sold]:
    return [Sold(command.day, command.price)]


def evolve(shop: Shop, _: Sold) -> Shop:
    return shop


class Sales(Value):
    """What a shop has sold on one day."""

    shop: str
    day: date
    total: Euro = Decimal(0)


def fold(row: Sales | None, shop: str, event: Sold) -> Sales | None:
    if not event.price:
        return None
    row = row if row is not None else Sales(shop, event.day)
    return replace(row, total=row.total + event.price)


shops = Aggregate("shop", Shop, decide, evolve)
sales = Projection("sales", shops, Sales, fold, key=("shop", "day"))

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)


def test_rows_follow_events_one_by_one() -> None:
    folded = given(balances, Deposited(5), id="alice").when(Withdrawn(3)).then(Balance("alice", 2))
    folded.when(Held(1)).then(Balance("alice", 1, 1))


def test_every_key_of_the_instance_has_its_row_and_a_row_deleted_is_gone() -> None:
    monday, tuesday = Sold(MONDAY, Decimal("1.50")), Sold(TUESDAY, Decimal("2.00"))
    expected = [Sales("kiosk", TUESDAY, Decimal("2.00")), Sales("kiosk", MONDAY, Decimal("3.00"))]
    folded = given(sales, monday, tuesday, id="kiosk").when(monday).then(*expected)
    folded.when(Sold(TUESDAY, Decimal("0.00"))).then(*expected[1:])


def test_the_row_that_differs_is_named_by_field() -> None:
    with pytest.raises(
        AssertionError, match=r"scenario of balances, instance 'alice'(?s:.)*balance: expected 3, got 2"
    ):
        given(balances, Deposited(5), id="alice").when(Withdrawn(3)).then(Balance("alice", 3))


def elsewhere(_: Balance | None, __: str, ___: Event) -> Balance:
    return Balance("bob")


def test_a_row_of_another_key_fails_as_it_would_in_a_worker() -> None:
    with pytest.raises(FoldFailed, match="whose key"):
        given(Projection("elsewhere", balances.source, Balance, elsewhere), id="alice").when(Deposited(1))
