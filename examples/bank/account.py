"""An account: the money on it, the money held for transfers under way, and what transfers have moved in all.

Money that leaves by a transfer is first held, not withdrawn: if the transfer fails, releasing it cannot break anything,
because balance and held money together stay as they were. Amounts are whole cents.

That an account is never overdrawn is a rule of the domain, so `decide` refuses with a reason that a client understands;
the invariant of the same meaning stands behind it, for the day when a new command forgets to ask. That an account never
holds more than the ceiling is said once, as an invariant, whatever the command: `decide` does not mention it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope

Amount = Annotated[int, Meta(gt=0)]

CEILING = 1_000_000  # cents: what one account may hold, so that a lost card is not a lost fortune

# --- events: their names are the storage format ----------------------------------------------------------------------


class Deposited(Value):
    """Money was paid in."""

    amount: Amount


class Withdrawn(Value):
    """Money was paid out."""

    amount: Amount


class Held(Value):
    """Money was set aside for a transfer out of this account."""

    amount: Amount


class Released(Value):
    """Held money was given back: the transfer that it was meant for failed."""

    amount: Amount


class Credited(Value):
    """Money arrived by a transfer."""

    amount: Amount


class Settled(Value):
    """Held money left for good: the transfer that it was meant for has arrived."""

    amount: Amount


Event = Deposited | Withdrawn | Held | Released | Credited | Settled

# --- fold ------------------------------------------------------------------------------------------------------------


class Account(Value):
    """`balance` can be spent; `held` waits for transfers; `credited` and `settled` sum up what transfers ever moved."""

    balance: int = 0
    held: int = 0
    credited: int = 0
    settled: int = 0


def evolve(account: Account, event: Event) -> Account:
    """The account after `event`."""
    match event:
        case Deposited(amount):
            return replace(account, balance=account.balance + amount)
        case Withdrawn(amount):
            return replace(account, balance=account.balance - amount)
        case Held(amount):
            return replace(account, balance=account.balance - amount, held=account.held + amount)
        case Released(amount):
            return replace(account, balance=account.balance + amount, held=account.held - amount)
        case Credited(amount):
            return replace(account, balance=account.balance + amount, credited=account.credited + amount)
        case Settled(amount):
            return replace(account, held=account.held - amount, settled=account.settled + amount)


# --- decisions -------------------------------------------------------------------------------------------------------


class Deposit(Value):
    """Pay money in."""

    amount: Amount


class Withdraw(Value):
    """Pay money out."""

    amount: Amount


class Hold(Value):
    """Set money aside for a transfer."""

    amount: Amount


class Release(Value):
    """Give held money back."""

    amount: Amount


class Credit(Value):
    """Take in money that a transfer brings."""

    amount: Amount


class Settle(Value):
    """Let held money go."""

    amount: Amount


Command = Deposit | Withdraw | Hold | Release | Credit | Settle


def decide(account: Account, command: Command) -> list[Event]:
    """What follows from `command`, or a refusal: `insufficient_funds` or `not_held`."""
    match command:
        case Deposit(amount):
            return [Deposited(amount)]
        case Withdraw(amount):
            _available(account, amount)
            return [Withdrawn(amount)]
        case Hold(amount):
            _available(account, amount)
            return [Held(amount)]
        case Release(amount):
            _held(account, amount)
            return [Released(amount)]
        case Credit(amount):
            return [Credited(amount)]
        case Settle(amount):
            _held(account, amount)
            return [Settled(amount)]


def _available(account: Account, amount: int) -> None:
    require(amount <= account.balance, "insufficient_funds", f"{account.balance} is available, {amount} is wanted")


def _held(account: Account, amount: int) -> None:
    require(amount <= account.held, "not_held", f"{account.held} is held, {amount} is to leave")


# --- the definition --------------------------------------------------------------------------------------------------


def never_overdrawn(account: Account) -> bool:
    """An account never owes money, nor has it promised more than it holds."""
    return account.balance >= 0 and account.held >= 0


def never_above_ceiling(account: Account) -> bool:
    """Held money counts: it may come back."""
    return account.balance + account.held <= CEILING


accounts = Aggregate("account", Account, decide, evolve, invariants=[never_overdrawn, never_above_ceiling])

# --- what is checked -------------------------------------------------------------------------------------------------
# Amounts are tenths of the ceiling, up to more than it, so that every rule is met; the two sums are read by nothing here.
# That the ceiling stops a turn is on purpose, and no forgotten question.

checked = Checked(
    accounts,
    Scope(
        domains={"amount": range(CEILING // 10, CEILING + CEILING // 10 + 1, CEILING // 10)},
        unread=("credited", "settled"),
    ),
    enforced=("never_above_ceiling",),
)
