"""The balances of all accounts, as a read model: one row an account."""

from __future__ import annotations

from msgspec.structs import replace

from eventcore import Value
from examples.bank.account import Credited, Deposited, Event, Held, Released, Settled, Withdrawn, accounts
from projections import Projection


class Balance(Value):
    """A row: what an account can spend, and what is held for its transfers."""

    account: str
    balance: int = 0
    held: int = 0


def fold(row: Balance | None, account: str, event: Event) -> Balance:
    """The row after `event`."""
    row = row if row is not None else Balance(account)
    match event:
        case Deposited(amount) | Credited(amount):
            return replace(row, balance=row.balance + amount)
        case Withdrawn(amount):
            return replace(row, balance=row.balance - amount)
        case Held(amount):
            return replace(row, balance=row.balance - amount, held=row.held + amount)
        case Released(amount):
            return replace(row, balance=row.balance + amount, held=row.held - amount)
        case Settled(amount):
            return replace(row, held=row.held - amount)


balances = Projection("balances", accounts, Balance, fold)
