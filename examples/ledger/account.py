"""An account as a ledger sees it: what was booked to it, on which day, and what that left.

The ledger records what happened; it does not judge. The bank let 26 of these accounts go below zero, so there is no
rule here that forbids it: an invariant that reality breaks would only keep the truth out of the log.

An event says what was booked and the balance that it left, as a line of a bank statement does.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from eventcore import Aggregate, Digits, Value

Amount = Annotated[Decimal, Digits(12, 2), Meta(gt=0)]
Money = Annotated[Decimal, Digits(14, 2)]
NOTHING = Decimal("0.00")

# --- events ----------------------------------------------------------------------------------------------------------


class Operation(StrEnum):
    """How money came or went."""

    CASH_IN = "cash_in"
    CASH_OUT = "cash_out"
    CARD = "card"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"


class Purpose(StrEnum):
    """What the money was for, where the bank knew."""

    INTEREST = "interest"
    PENALTY_INTEREST = "penalty_interest"
    FEE = "fee"
    HOUSEHOLD = "household"
    PENSION = "pension"
    INSURANCE = "insurance"
    LOAN = "loan"


class OtherSide(Value):
    """Whom a transfer came from or went to."""

    bank: str
    account: str


class Details(Value):
    """What else the bank noted of a transaction; `transaction` is the bank's own number."""

    transaction: int
    operation: Operation | None
    purpose: Purpose | None
    other_side: OtherSide | None


class Credited(Value):
    """Money came in. `backdated`: a later day had been booked before."""

    day: date
    amount: Amount
    balance: Money
    backdated: bool
    details: Details


class Debited(Value):
    """Money went out. `backdated`: a later day had been booked before."""

    day: date
    amount: Amount
    balance: Money
    backdated: bool
    details: Details


Event = Credited | Debited

# --- fold ------------------------------------------------------------------------------------------------------------


class Account(Value):
    """The balance, and the last day that anything was booked for."""

    balance: Money = NOTHING
    last_day: date = date.min


def evolve(account: Account, event: Event) -> Account:
    """The account after `event`."""
    match event:
        case Credited(day, amount):
            return Account(account.balance + amount, max(account.last_day, day))
        case Debited(day, amount):
            return Account(account.balance - amount, max(account.last_day, day))


# --- decisions -------------------------------------------------------------------------------------------------------


class Credit(Value):
    """Book money that came in."""

    day: date
    amount: Amount
    details: Details


class Debit(Value):
    """Book money that went out."""

    day: date
    amount: Amount
    details: Details


Command = Credit | Debit


def decide(account: Account, command: Command) -> list[Event]:
    """Book it, whatever it leaves."""
    backdated = command.day < account.last_day
    match command:
        case Credit(day, amount, details):
            return [Credited(day, amount, account.balance + amount, backdated, details)]
        case Debit(day, amount, details):
            return [Debited(day, amount, account.balance - amount, backdated, details)]


# --- the definition --------------------------------------------------------------------------------------------------

accounts = Aggregate("account", Account, decide, evolve)
