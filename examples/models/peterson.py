"""Peterson's algorithm: two processes, one critical section, and nothing but a flag each and whose turn it is.

A process raises its flag, gives the other the right of way, and waits until the other's flag is down or it has the
right of way itself.
Source: Peterson, *Myths About the Mutual Exclusion Problem* (IPL 12:3, 1981).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked
from examples.models.tuples import put

Process = Annotated[int, Meta(ge=0, le=1)]


class Line(StrEnum):
    """The line of its program that a process stands at."""

    REST = "rest"
    RAISE_FLAG = "raise_flag"
    GIVE_WAY = "give_way"
    WAIT = "wait"
    CRITICAL = "critical"
    LOWER_FLAG = "lower_flag"


INSIDE = frozenset({Line.CRITICAL, Line.LOWER_FLAG})

# --- events ----------------------------------------------------------------------------------------------------------


class Wanted(Value):
    """A process wants to enter its critical section."""

    process: Process


class FlagRaised(Value):
    """A process has said that it wants to."""

    process: Process


class WayGiven(Value):
    """A process has let the other go first."""

    process: Process


class Entered(Value):
    """A process is in its critical section."""

    process: Process


class Left(Value):
    """A process has done what it wanted to do there."""

    process: Process


class FlagLowered(Value):
    """A process has said that it is out."""

    process: Process


Event = Wanted | FlagRaised | WayGiven | Entered | Left | FlagLowered

# --- fold ------------------------------------------------------------------------------------------------------------


class Peterson(Value):
    """Where each process stands, whether its flag is up, and who has the right of way."""

    lines: tuple[Line, ...] = (Line.REST, Line.REST)
    flags: tuple[bool, ...] = (False, False)
    turn: Process = 0


def evolve(state: Peterson, event: Event) -> Peterson:
    """The state after `event`."""
    process = event.process
    match event:
        case Wanted():
            return _at(state, process, Line.RAISE_FLAG)
        case FlagRaised():
            raised = put(state.flags, process, True)  # noqa: FBT003 - a tuple of bools
            return replace(_at(state, process, Line.GIVE_WAY), flags=raised)
        case WayGiven():
            return replace(_at(state, process, Line.WAIT), turn=1 - process)
        case Entered():
            return _at(state, process, Line.CRITICAL)
        case Left():
            return _at(state, process, Line.LOWER_FLAG)
        case FlagLowered():
            lowered = put(state.flags, process, False)  # noqa: FBT003 - a tuple of bools
            return replace(_at(state, process, Line.REST), flags=lowered)


def _at(state: Peterson, process: int, line: Line) -> Peterson:
    return replace(state, lines=put(state.lines, process, line))


# --- decisions -------------------------------------------------------------------------------------------------------


class Step(Value):
    """Let a process take the next step of its program."""

    process: Process


def decide(state: Peterson, command: Step) -> list[Event]:
    """What the step is; refused as `must_wait` while the other process has the right of way."""
    process = command.process
    match state.lines[process]:
        case Line.REST:
            return [Wanted(process)]
        case Line.RAISE_FLAG:
            return [FlagRaised(process)]
        case Line.GIVE_WAY:
            return [WayGiven(process)]
        case Line.WAIT:
            require(not state.flags[1 - process] or state.turn == process, "must_wait")
            return [Entered(process)]
        case Line.CRITICAL:
            return [Left(process)]
        case Line.LOWER_FLAG:
            return [FlagLowered(process)]


# --- the definition --------------------------------------------------------------------------------------------------


def one_at_most(state: Peterson) -> bool:
    """The processes are never both in their critical sections."""
    return not all(line in INSIDE for line in state.lines)


peterson = Aggregate("peterson", Peterson, decide, evolve, invariants=[one_at_most])
checked = Checked(peterson, finished=lambda _: False)
