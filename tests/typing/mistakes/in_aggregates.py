"""Mistakes in an aggregate: its functions speak of one state, and decide returns a list of what evolve takes."""

from collections.abc import Iterator

from eventcore import Aggregate, Context, Invariant
from tests.typing.accepted import (
    Account,
    Balance,
    Deposit,
    Deposited,
    Event,
    Withdraw,
    Withdrawn,
    decide,
    evolve,
    never_overdrawn,
)


def decide_with_a_wrong_event(account: Account, command: Deposit) -> list[Event]:
    return [Account(1)]  # WRONG: a state is no event


def decide_another_event(account: Account, command: Deposit) -> list[Balance]:
    return []


def decide_lazily(account: Account, command: Deposit) -> Iterator[Event]:
    yield Deposited(1)


def decide_with_a_limit(account: Account, command: Deposit, limit: int) -> list[Event]:
    return []


def decide_in_context(account: Account, command: Withdraw, context: Context) -> list[Event]:
    return [Withdrawn(context.now)]  # WRONG: there is no such clock


def evolve_into_another(account: Account, event: Event) -> Balance:
    return Balance("", 0, 0)


def about_a_row(row: Balance) -> bool:
    return row.turns > 0


Aggregate("account", Account, decide_another_event, evolve)  # WRONG: evolve takes other events
Aggregate("account", Account, decide_lazily, evolve)  # WRONG: a generator is no list
Aggregate("account", Account, decide_with_a_limit, evolve)  # WRONG: the third parameter is a context
Aggregate("account", Account, decide, evolve_into_another)  # WRONG: evolve returns another state
Aggregate("account", Balance, decide, evolve)  # WRONG: the initial state is another one
Aggregate("account", Account, decide, evolve, invariants=[about_a_row])  # WRONG: an invariant of another state
Aggregate("account", Account, decide, evolve, invariants=never_overdrawn)  # WRONG: several, or none
Invariant("never_overdrawn", never_overdrawn, "explode")  # WRONG: an invariant cannot do that
