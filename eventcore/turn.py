"""The turn: one command decided on one state.

This is the only place where decide, evolve and invariants are called in order; lane, checker, simulator, replayer and
test scenarios all call it, and none has a copy of it.

T1  A turn is a function of its arguments: no clock, no randomness, no I/O.
T2  A refused or violated turn has no events and leaves the state as it was.
T3  Invariants are judged on the state after the last event: a turn is atomic, its middle is nobody's business.
T4  Events and the next state are validated; one out of bounds makes the turn violated, of the wrong class raises.
T5  What `decide`, `evolve` or an invariant raises, other than Refusal, comes out unchanged: it is a fault of the code.
"""

from __future__ import annotations

from typing import Any, Generic

from eventcore.aggregate import Aggregate, Command, Event, State
from eventcore.context import Context
from eventcore.errors import InvalidValue, Refusal, WrongUse
from eventcore.value import Value

VALID_EVENT, VALID_STATE = "valid_event", "valid_state"  # the invariants that the types themselves are


class Accepted(Value, Generic[State, Event]):
    """The command took effect: its events, in order, and the state after them. No events, no change."""

    events: list[Event]
    state: State


class Refused(Value):
    """The domain said no; `reason` is a stable name, `message` is for people."""

    reason: str
    message: str = ""


class Violated(Value):
    """The turn would have broken an invariant: its name, what was wrong, and what the invariant asks for."""

    invariant: str
    message: str = ""
    on_violation: str = "reject"


def take_turn(
    aggregate: Aggregate[State, Command, Event], state: State, command: Command, context: Context
) -> Accepted[State, Event] | Refused | Violated:
    """Decide `command` on `state` and say what follows, changing nothing.

    Raises WrongUse where `decide` or `evolve` returns something other than it declared, and whatever they raise.
    """
    decide: Any = aggregate.decide  # a union of two callables: which one, `takes_context` says
    try:
        events: list[Event] = decide(state, command, context) if aggregate.takes_context else decide(state, command)
    except Refusal as refusal:
        return _refused(refusal)
    if type(events) is not list:
        raise WrongUse(f"{aggregate.name}: decide returned {events!r}; it must return a list of events")
    evolve = aggregate.evolve
    checks = aggregate.event_checks
    following = state
    for event in events:
        check = checks.get(type(event))
        if check is None:
            raise WrongUse(f"{aggregate.name}: decide returned {event!r}, which is none of its declared events")
        try:
            check(event)
        except InvalidValue as invalid:
            return Violated(VALID_EVENT, str(invalid))
        following = evolve(following, event)
    if type(following) is not aggregate.state_type:
        raise WrongUse(f"{aggregate.name}: evolve returned {following!r}, not a {aggregate.state_type.__name__}")
    try:
        aggregate.state_check(following)
    except InvalidValue as invalid:
        return Violated(VALID_STATE, str(invalid))
    for guard in aggregate.guards:
        if not guard.holds(following):
            return Violated(guard.name, "", guard.on_violation)
    return Accepted(events, following)


def _refused(refusal: Refusal) -> Refused:
    """What a refusal says, as text: one of a class of the user's own may say it with anything, or be unable to."""
    reason, message = refusal.reason, refusal.message
    if type(reason) is not str:
        reason = str(reason)
    if type(message) is not str:
        message = "" if message is None else str(message)
    return Refused(reason, message)


def fold(aggregate: Aggregate[State, Command, Event], state: State, events: list[Event]) -> State:
    """The state after `events`, as stored: evolve only, nothing decided and nothing judged."""
    for event in events:
        state = aggregate.evolve(state, event)
    return state
