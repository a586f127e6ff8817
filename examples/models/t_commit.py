"""Transaction commit: what any commit protocol has to achieve, and nothing of how.

Several managers take part in one transaction. Each is working, prepared, committed or aborted; a rule for the whole
looks at all of them at once, as no real protocol can. Two-phase commit (`examples.models.two_phase`) is one way to
keep the rule with messages.
Source: Gray and Lamport, *Consensus on Transaction Commit* (ACM TODS 31:1, 2006), module TCommit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope
from examples.models.tuples import put

Manager = Annotated[int, Meta(ge=0)]


class Phase(StrEnum):
    """How far one manager is; from `committed` and `aborted` there is no way back."""

    WORKING = "working"
    PREPARED = "prepared"
    COMMITTED = "committed"
    ABORTED = "aborted"


# --- events ----------------------------------------------------------------------------------------------------------


class Prepared(Value):
    """A manager has made sure that it can commit."""

    manager: Manager


class Committed(Value):
    """A manager's part of the transaction holds for good."""

    manager: Manager


class Aborted(Value):
    """A manager's part of the transaction was given up for good."""

    manager: Manager


Event = Prepared | Committed | Aborted

# --- fold ------------------------------------------------------------------------------------------------------------


class Transaction(Value):
    """The phase of each manager."""

    phases: tuple[Phase, ...]


def evolve(transaction: Transaction, event: Event) -> Transaction:
    """The transaction after `event`."""
    match event:
        case Prepared(manager):
            return Transaction(put(transaction.phases, manager, Phase.PREPARED))
        case Committed(manager):
            return Transaction(put(transaction.phases, manager, Phase.COMMITTED))
        case Aborted(manager):
            return Transaction(put(transaction.phases, manager, Phase.ABORTED))


# --- decisions -------------------------------------------------------------------------------------------------------


class Prepare(Value):
    """Have a working manager prepare."""

    manager: Manager


class DecideCommit(Value):
    """Have a prepared manager commit, which it may as soon as every manager is prepared."""

    manager: Manager


class DecideAbort(Value):
    """Have a manager abort, which it may as long as none has committed."""

    manager: Manager


Command = Prepare | DecideCommit | DecideAbort


def decide(transaction: Transaction, command: Command) -> list[Event]:
    """What follows from `command`; refused with `no_such_manager`, `wrong_phase` or `others_disagree`."""
    phases = transaction.phases
    require(command.manager < len(phases), "no_such_manager")
    phase = phases[command.manager]
    match command:
        case Prepare(manager):
            require(phase is Phase.WORKING, "wrong_phase")
            return [Prepared(manager)]
        case DecideCommit(manager):
            require(phase is Phase.PREPARED, "wrong_phase")
            require(all(other in {Phase.PREPARED, Phase.COMMITTED} for other in phases), "others_disagree")
            return [Committed(manager)]
        case DecideAbort(manager):
            require(phase in {Phase.WORKING, Phase.PREPARED}, "wrong_phase")
            require(Phase.COMMITTED not in phases, "others_disagree")
            return [Aborted(manager)]


# --- the definition --------------------------------------------------------------------------------------------------


def consistent(transaction: Transaction) -> bool:
    """No manager has committed what another has aborted."""
    return not {Phase.COMMITTED, Phase.ABORTED} <= set(transaction.phases)


def transaction_of(managers: int) -> Aggregate[Transaction, Command, Event]:
    """The transaction commit of so many managers, all of them working at first."""

    def initial() -> Transaction:
        return Transaction((Phase.WORKING,) * managers)

    return Aggregate("t_commit", initial, decide, evolve, invariants=[consistent])


def decided(transaction: Transaction) -> bool:
    """Every manager has come to an end."""
    return {Phase.COMMITTED, Phase.ABORTED} >= set(transaction.phases)


def checked(managers: int) -> Checked[Transaction, Command, Event]:
    """What is claimed of so many managers, with every command to each of them."""
    return Checked(transaction_of(managers), Scope(domains={"manager": range(managers)}), finished=decided)


one, two, three, four, five, six = map(checked, range(1, 7))
