r"""What one would believe of these accounts: that they are never overdrawn. `eventcore check --overlay` finds it is not so.

The model is the ledger's own account with one rule more, searched with a few small amounts: whether a balance is below
zero, zero or above is all that is told apart. Laid over what the bank booked, 26 accounts leave it.

    eventcore --app examples.ledger.app:app --log sqlite:.eventcore/ledger/ledger.db \
        check examples.ledger.naive:naive --overlay
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from eventcore import Aggregate, require
from eventcore.check import Checked, Scope
from examples.ledger.account import Account, Command, Credit, Debit, Details, Event, evolve
from examples.ledger.account import decide as book

FULL = Decimal("3.00")  # beyond this the search goes no further: more money is not another case


def decide(account: Account, command: Command) -> list[Event]:
    """Book it, unless it would leave less than nothing: `overdrawn`. In the model, an account is `full` at some point."""
    match command:
        case Credit(_, amount):
            require(account.balance + amount <= FULL, "full")
        case Debit(_, amount):
            require(account.balance >= amount, "overdrawn")
    return book(account, command)


def never_overdrawn(account: Account) -> bool:
    """What the bank would have to have seen to."""
    return account.balance >= 0


accounts = Aggregate("account", Account, decide, evolve, invariants=[never_overdrawn])

naive = Checked(
    accounts,
    Scope(
        {
            "amount": (Decimal("1.00"), Decimal("2.00")),
            "day": (date(1993, 1, 1),),
            Details: (Details(1, None, None, None),),
        }
    ),
)
