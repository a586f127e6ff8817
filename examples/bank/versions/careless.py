"""A second version of the account that looks right and is not: closing pays out the balance, and forgets what is held.

Its own invariants hold, and `check` passes. What it does to held money the first version could never have done, and
`refine` shows the shortest way there.
"""

from __future__ import annotations

from msgspec.structs import replace

from eventcore import Aggregate, require
from eventcore.check import Checked
from examples.bank import account as before
from examples.bank.versions import closable
from examples.bank.versions.closable import Account, Close, Closed, Command, Event


def evolve(account: Account, event: Event) -> Account:
    """The account after `event`."""
    if isinstance(event, Closed):
        return replace(account, balance=0, held=0, closed=True)
    return closable.evolve(account, event)


def decide(account: Account, command: Command) -> list[Event]:
    """What follows from `command`; closing is refused once, the second time."""
    require(not account.closed, "closed")
    return [Closed()] if isinstance(command, Close) else closable.decide(account, command)


accounts = Aggregate(
    "account", Account, decide, evolve, invariants=[closable.never_overdrawn, closable.never_above_ceiling]
)
checked = Checked(accounts, before.checked.scope, enforced=before.checked.enforced)
