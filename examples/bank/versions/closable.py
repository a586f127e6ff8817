"""The account's second version: an empty account can be closed, and what leaves at once has a limit.

It refines the first: closing changes nothing that the first version knows, and everything else is done as before, or
refused. `eventcore refine examples.bank.account:checked examples.bank.versions.closable:checked --map
examples.bank.versions.closable:as_before` says so, and lists what is refused now.
"""

from __future__ import annotations

from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked
from examples.bank import account as before
from examples.bank.account import CEILING, Hold, Withdraw

AT_ONCE = CEILING // 2  # cents that may leave an account by one command

# --- events ----------------------------------------------------------------------------------------------------------


class Closed(Value):
    """The account was closed."""


Event = before.Event | Closed

# --- fold ------------------------------------------------------------------------------------------------------------


class Account(Value):
    """As the first version's, and whether it is closed."""

    balance: int = 0
    held: int = 0
    credited: int = 0
    settled: int = 0
    closed: bool = False


def as_before(account: Account) -> before.Account:
    """The account as the first version knows it."""
    return before.Account(account.balance, account.held, account.credited, account.settled)


def evolve(account: Account, event: Event) -> Account:
    """The account after `event`."""
    if isinstance(event, Closed):
        return replace(account, closed=True)
    known = before.evolve(as_before(account), event)
    return Account(known.balance, known.held, known.credited, known.settled, account.closed)


# --- decisions -------------------------------------------------------------------------------------------------------


class Close(Value):
    """Close the account."""


Command = before.Command | Close


def decide(account: Account, command: Command) -> list[Event]:
    """What follows from `command`, or a refusal: `closed`, `not_empty`, `too_much_at_once`, and those of the first version."""
    require(not account.closed, "closed")
    match command:
        case Close():
            require(not account.balance and not account.held, "not_empty")
            return [Closed()]
        case Withdraw(amount) | Hold(amount):
            require(amount <= AT_ONCE, "too_much_at_once", f"{AT_ONCE} may leave at once, {amount} is to")
        case _:
            pass
    return [*before.decide(as_before(account), command)]


# --- the definition --------------------------------------------------------------------------------------------------


def never_overdrawn(account: Account) -> bool:
    """An account never owes money, nor has it promised more than it holds."""
    return before.never_overdrawn(as_before(account))


def never_above_ceiling(account: Account) -> bool:
    """Held money counts: it may come back."""
    return before.never_above_ceiling(as_before(account))


accounts = Aggregate("account", Account, decide, evolve, invariants=[never_overdrawn, never_above_ceiling])
checked = Checked(accounts, before.checked.scope, enforced=before.checked.enforced)
