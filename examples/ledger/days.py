"""Balances by day, as a read model: one row for each day on which something was booked to an account."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from eventcore import Value
from examples.ledger.account import NOTHING, Credited, Debited, Event, Money, accounts
from projections import Projection


class AccountDay(Value):
    """An account's day: what it moved, the balance that its last turn left, and how many turns of which kind it had.

    `below_zero` counts the turns that left a negative balance, `backdated` those that came after a later day.
    """

    account: str
    day: date
    movement: Money = NOTHING
    balance: Money = NOTHING
    turns: int = 0
    below_zero: int = 0
    backdated: int = 0


def movement_of(event: Event) -> Decimal:
    """What an event adds to the balance; less than nothing for a debit."""
    match event:
        case Credited(amount=amount):
            return amount
        case Debited(amount=amount):
            return -amount


def fold(row: AccountDay | None, account: str, event: Event) -> AccountDay:
    """The day's row after `event`."""
    row = row if row is not None else AccountDay(account, event.day)
    return AccountDay(
        account,
        event.day,
        row.movement + movement_of(event),
        event.balance,
        row.turns + 1,
        row.below_zero + (event.balance < 0),
        row.backdated + event.backdated,
    )


balances_by_day = Projection("balances_by_day", accounts, AccountDay, fold, key=("account", "day"))
