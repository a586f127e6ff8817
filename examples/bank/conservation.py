"""Money is conserved: no transfer makes any or loses any, at any consistent cut, finished or not.

A transfer credits its target before it settles its source. So money that has arrived and has not yet left is on two
accounts at once; it is still held at its source, and whatever is held belongs to a transfer that is open:

    0 <= credited - settled <= held <= what open transfers are about

Without an open transfer the last is zero, so nothing is held and everything that was credited was settled. No account
and no transfer can say this alone, and two reads at different moments cannot either: hence a cut.
"""

from __future__ import annotations

from eventcore import Value
from eventcore.app import GlobalInvariant, Part
from examples.bank.account import Account, accounts
from examples.bank.transfer import Transfer, transfers


class Money(Value):
    """Sums over all accounts, and over all open transfers."""

    credited: int = 0
    settled: int = 0
    held: int = 0
    in_transfers: int = 0

    @property
    def in_flight(self) -> int:
        """What has arrived and has not yet left."""
        return self.credited - self.settled


def on_account(account: Account) -> Money:
    """What one account adds."""
    return Money(account.credited, account.settled, account.held)


def in_transfer(transfer: Transfer) -> Money:
    """What one open transfer adds."""
    return Money(in_transfers=transfer.amount)


def together(one: Money, other: Money) -> Money:
    """The sum of two sums."""
    return Money(
        one.credited + other.credited,
        one.settled + other.settled,
        one.held + other.held,
        one.in_transfers + other.in_transfers,
    )


def is_conserved(money: Money) -> bool:
    """Whether nothing was made and nothing was lost."""
    return 0 <= money.in_flight <= money.held <= money.in_transfers


money_is_conserved = GlobalInvariant(
    "money_is_conserved",
    parts=[Part(accounts, on_account), Part(transfers, in_transfer)],
    combine=together,
    holds=is_conserved,
)
