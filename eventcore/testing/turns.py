"""Scenarios of an aggregate: a past, a command, and the events, the refusal or the violation that follow.

The turn is the one that lanes take, `take_turn`. Commands, events and states go through their Avro codecs on the way, as
they do in production, so that a value that would not be read back as it was written fails here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, cast

from eventcore.aggregate import Aggregate, Command, Event, State
from eventcore.avro.catalogue import Catalogue
from eventcore.context import Context
from eventcore.testing.story import NAMESPACE, Line, fail, stored, tell
from eventcore.turn import Accepted, Refused, Violated, fold, take_turn

INSTANCE = "it"


@dataclass(frozen=True)
class GivenPast(Generic[State, Command, Event]):
    """An instance with a past; `state` is what that adds up to."""

    aggregate: Aggregate[State, Command, Event]
    past: tuple[Event, ...]
    state: State
    context: Context

    def when(self, command: Command) -> Taken[State, Command, Event]:
        """Take the turn of a command. Raises what `Aggregate.to` raises for one that no client could send.

        What `decide`, `evolve` or an invariant raise comes out unchanged.
        """
        __tracebackhide__ = True
        aggregate = self.aggregate
        aggregate.to(INSTANCE, command)
        catalogue = _catalogue(aggregate)
        command = cast("Command", stored(catalogue, command, aggregate.name))
        outcome = take_turn(aggregate, self.state, command, self.context)
        if isinstance(outcome, Accepted):
            events = [cast("Event", stored(catalogue, event, aggregate.name)) for event in outcome.events]
            refolded = fold(aggregate, self.state, events)
            if refolded != outcome.state:
                fail(
                    f"{aggregate.name}: its events fold to another state the second time",
                    [("when", command)],
                    outcome.state,
                    refolded,
                )
            stored(catalogue, outcome.state, aggregate.name)
        return Taken(self, command, outcome)


@dataclass(frozen=True)
class Taken(Generic[State, Command, Event]):
    """A turn that was taken. Each `then…` returns it, so that several can be asked; `outcome` is there for your own."""

    given: GivenPast[State, Command, Event]
    command: Command
    outcome: Accepted[State, Event] | Refused | Violated

    @property
    def state(self) -> State:
        """The state after the turn: what it was before, where the command was not accepted."""
        return self.outcome.state if isinstance(self.outcome, Accepted) else self.given.state

    def then(self, *events: Event) -> Taken[State, Command, Event]:
        """The command was accepted with exactly these events, in this order; with none, it changed nothing."""
        __tracebackhide__ = True
        if not isinstance(self.outcome, Accepted):
            self._fail(list(events), _shown(self.outcome))
        if self.outcome.events != list(events):
            self._fail(list(events), self.outcome.events)
        return self

    def then_state(self, state: State) -> Taken[State, Command, Event]:
        """The state is now this one."""
        __tracebackhide__ = True
        if self.state != state:
            self._fail(state, self.state)
        return self

    def then_refused(self, reason: str) -> Taken[State, Command, Event]:
        """The domain refused the command, for this reason."""
        __tracebackhide__ = True
        if not (isinstance(self.outcome, Refused) and self.outcome.reason == reason):
            self._fail(f"refused: {reason}", _shown(self.outcome))
        return self

    def then_violated(self, invariant: str) -> Taken[State, Command, Event]:
        """The turn would have broken the invariant of this name, and was not made."""
        __tracebackhide__ = True
        if not (isinstance(self.outcome, Violated) and self.outcome.invariant == invariant):
            self._fail(f"violated: {invariant}", _shown(self.outcome))
        return self

    def when(self, command: Command) -> Taken[State, Command, Event]:
        """Go on: take the turn of a further command on the state after this one."""
        __tracebackhide__ = True
        events = self.outcome.events if isinstance(self.outcome, Accepted) else []
        before = self.given
        return GivenPast(before.aggregate, (*before.past, *events), self.state, before.context).when(command)

    def _fail(self, expected: object, got: object) -> NoReturn:
        __tracebackhide__ = True
        lines: list[Line] = [("given", self.given.past), ("state", self.given.state), ("when", self.command)]
        fail(f"scenario of {self.given.aggregate.name}", lines, expected, got)


def given_past(
    aggregate: Aggregate[State, Command, Event], past: Sequence[Event], state: State, context: Context
) -> GivenPast[State, Command, Event]:
    """An instance whose events these are, from `state` on. Raises AssertionError where no instance can have this past."""
    __tracebackhide__ = True
    catalogue = _catalogue(aggregate)
    events = [cast("Event", stored(catalogue, event, aggregate.name)) for event in past]
    state = fold(aggregate, cast("State", stored(catalogue, state, aggregate.name)), events)
    stored(catalogue, state, aggregate.name)
    for guard in aggregate.guards:
        if not guard.holds(state):
            lines: list[Line] = [("given", tuple(past)), ("state", state), ("breaks", guard.name)]
            raise AssertionError(tell(f"scenario of {aggregate.name}: no instance has this past", lines))
    return GivenPast(aggregate, tuple(events), state, context)


def _catalogue(aggregate: Aggregate[Any, Any, Any]) -> Catalogue:
    """The codecs of everything that an aggregate stores; each class has one, made once."""
    return Catalogue((*aggregate.command_checks, *aggregate.event_checks, aggregate.state_type), NAMESPACE)


def _shown(outcome: Accepted[Any, Any] | Refused | Violated) -> object:
    match outcome:
        case Accepted(events):
            return cast("list[object]", events)
        case Refused(reason, message):
            return f"refused: {reason}" + (f" ({message})" if message else "")
        case Violated(invariant, message):
            return f"violated: {invariant}" + (f" ({message})" if message else "")
