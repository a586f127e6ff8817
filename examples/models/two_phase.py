"""Two-phase commit: a coordinator asks resource managers whether they can commit, and tells all of them what it decided.

Messages are never lost and never removed: once sent, they can be received again and again. The state holds the phase of
each manager, what the coordinator has decided and heard, and what has been sent.
Source: Gray and Lamport, *Consensus on Transaction Commit* (ACM TODS 31:1, 2006), module TwoPhase.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope, Symmetry
from examples.models.t_commit import Phase
from examples.models.tuples import put

Manager = Annotated[int, Meta(ge=0)]


class Decision(StrEnum):
    """What the coordinator has decided."""

    NONE = "none"
    COMMIT = "commit"
    ABORT = "abort"


# --- events ----------------------------------------------------------------------------------------------------------


class Heard(Value):
    """The coordinator received a manager's word that it is prepared."""

    manager: Manager


class DecidedToCommit(Value):
    """The coordinator decided to commit, and told everyone."""


class DecidedToAbort(Value):
    """The coordinator decided to abort, and told everyone."""


class Prepared(Value):
    """A manager made sure that it can commit, and told the coordinator."""

    manager: Manager


class Abandoned(Value):
    """A manager gave up before it was prepared; it tells nobody."""

    manager: Manager


class Committed(Value):
    """A manager was told to commit, and did."""

    manager: Manager


class Aborted(Value):
    """A manager was told to abort, and did."""

    manager: Manager


Event = Heard | DecidedToCommit | DecidedToAbort | Prepared | Abandoned | Committed | Aborted

# --- fold ------------------------------------------------------------------------------------------------------------


class TwoPhase(Value):
    """The managers' phases, the coordinator's decision, whom it has heard, and the messages: `said`, `commit`, `abort`."""

    phases: tuple[Phase, ...]
    decision: Decision
    heard: tuple[bool, ...]
    said: tuple[bool, ...]
    commit: bool = False
    abort: bool = False


def evolve(state: TwoPhase, event: Event) -> TwoPhase:
    """The state after `event`."""
    match event:
        case Heard(manager):
            return replace(state, heard=put(state.heard, manager, True))  # noqa: FBT003 - a tuple of bools
        case DecidedToCommit():
            return replace(state, decision=Decision.COMMIT, commit=True)
        case DecidedToAbort():
            return replace(state, decision=Decision.ABORT, abort=True)
        case Prepared(manager):
            said = put(state.said, manager, True)  # noqa: FBT003 - a tuple of bools
            return replace(state, phases=put(state.phases, manager, Phase.PREPARED), said=said)
        case Committed(manager):
            return replace(state, phases=put(state.phases, manager, Phase.COMMITTED))
        case Abandoned(manager) | Aborted(manager):
            return replace(state, phases=put(state.phases, manager, Phase.ABORTED))


# --- decisions -------------------------------------------------------------------------------------------------------


class Hear(Value):
    """Have the coordinator receive a manager's word that it is prepared."""

    manager: Manager


class DecideToCommit(Value):
    """Have the coordinator commit, which it may once it has heard everyone."""


class DecideToAbort(Value):
    """Have the coordinator abort, which it may as long as it has decided nothing."""


class Prepare(Value):
    """Have a manager prepare."""

    manager: Manager


class Abandon(Value):
    """Have a manager give up, which it may as long as it is not prepared."""

    manager: Manager


class Commit(Value):
    """Have a manager receive the word to commit."""

    manager: Manager


class Abort(Value):
    """Have a manager receive the word to abort."""

    manager: Manager


Command = Hear | DecideToCommit | DecideToAbort | Prepare | Abandon | Commit | Abort


def decide(state: TwoPhase, command: Command) -> list[Event]:
    """What follows from `command`; refused with `decided`, `not_said`, `not_everyone` or `not_working`."""
    match command:
        case Hear(manager):
            require(state.decision is Decision.NONE, "decided")
            require(state.said[manager], "not_said")
            return [Heard(manager)]
        case DecideToCommit():
            require(state.decision is Decision.NONE, "decided")
            require(all(state.heard), "not_everyone")
            return [DecidedToCommit()]
        case DecideToAbort():
            require(state.decision is Decision.NONE, "decided")
            return [DecidedToAbort()]
        case Prepare(manager):
            require(state.phases[manager] is Phase.WORKING, "not_working")
            return [Prepared(manager)]
        case Abandon(manager):
            require(state.phases[manager] is Phase.WORKING, "not_working")
            return [Abandoned(manager)]
        case Commit(manager):
            require(state.commit, "not_said")
            return [Committed(manager)]
        case Abort(manager):
            require(state.abort, "not_said")
            return [Aborted(manager)]


# --- the definition --------------------------------------------------------------------------------------------------


def consistent(state: TwoPhase) -> bool:
    """No manager has committed what another has aborted."""
    return not (Phase.COMMITTED in state.phases and Phase.ABORTED in state.phases)


def all_decided(state: TwoPhase) -> bool:
    """Each manager has committed or aborted: nothing is left to do."""
    return all(phase in {Phase.COMMITTED, Phase.ABORTED} for phase in state.phases)


def two_phase_of(managers: int) -> Aggregate[TwoPhase, Command, Event]:
    """The two-phase commit of so many managers, all of them working at first."""
    nobody = (False,) * managers

    def initial() -> TwoPhase:
        return TwoPhase((Phase.WORKING,) * managers, Decision.NONE, nobody, nobody)

    return Aggregate("two_phase", initial, decide, evolve, invariants=[consistent])


def checked(managers: int) -> Checked[TwoPhase, Command, Event]:
    """The search of so many managers: each command for each of them."""
    scope = Scope({"manager": range(managers)})
    alike = Symmetry(range(managers), named=["manager"], indexed=["phases", "heard", "said"])
    return Checked(two_phase_of(managers), scope, finished=all_decided, symmetry=alike)


three, five, seven, eight = checked(3), checked(5), checked(7), checked(8)
