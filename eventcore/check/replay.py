"""What one version recorded, folded by another: streams of a log, and every stream that the old version could record.

An event of the old version is carried over (`Upcast`: to one event of the new, to several, or to none) and folded by the
new version's evolve. After each turn of the old, three things must be so: the fold did not raise, the state breaks no
invariant and no type of the new version, and, where there is a map of states, it maps to the state that the old
version is in. The last is the upcasting square: carrying over and folding, in either order, come to the same. A turn is
atomic (T3 of `eventcore.turn`), so between its events none of this is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check.carry import carried
from eventcore.check.refinement import Square
from eventcore.check.report import Finding
from eventcore.check.source import listed, shown
from eventcore.check.trace import Trace, TraceStep
from eventcore.check.version import Version
from eventcore.context import Context
from eventcore.errors import InvalidValue, NotSupported

Upcast = Callable[[Any], Sequence[Any]]
StateMap = Callable[[Any], Any]
Fold = Callable[[Any, Any], tuple[Any, str]]


@dataclass(frozen=True)
class Happened:
    """One event as the old version recorded it: where, whose, and what, and whether it is the last of its turn."""

    at: str
    instance: str
    event: Any
    last: bool = True


@dataclass(frozen=True)
class Broken:
    """The first event after which an instance is not right any more, and why. What follows in its stream is not folded.

    `before` is the state in which its turn began.
    """

    at: str
    instance: str
    event: Any
    before: Any
    what: str


@dataclass
class _Turn:
    """A turn in whose middle an instance is: the state after its events so far."""

    state: Any
    events: list[Any] = field(default_factory=list[Any])


@dataclass
class Streams:
    """The instances of a log under the new version, as far as they have been told.

    Without `old` and `state_map`, states are not compared.
    """

    new: Aggregate[Any, Any, Any]
    upcast: Upcast
    old: Aggregate[Any, Any, Any] | None = None
    state_map: StateMap | None = None
    events: int = 0
    broken: dict[str, Broken] = field(default_factory=dict[str, Broken])
    _states: dict[str, Any] = field(default_factory=dict[str, Any])
    _olds: dict[str, Any] = field(default_factory=dict[str, Any])
    _amid: dict[str, _Turn] = field(default_factory=dict[str, _Turn])

    @property
    def instances(self) -> int:
        """How many instances have been told of."""
        return len(self._states)

    def state(self, instance: str) -> Any:
        """The state of an instance under the new version; the initial one where nothing has been told of it."""
        known = self._states.get(instance)
        return self.new.initial() if known is None else known

    def take(self, happened: Happened) -> None:
        """Fold one event, and after the last of its turn keep what is wrong with the turn."""
        self.events += 1
        instance = happened.instance
        before = self.state(instance)
        self._states.setdefault(instance, before)
        if instance in self.broken:
            return
        turn = self._amid.setdefault(instance, _Turn(before))
        turn.events.append(happened.event)
        turn.state, wrong = onward(self.new, self.upcast, turn.state, happened.event)
        if not wrong and happened.last:
            wrong = judged(self.new, turn.state, turn.events)
        if not wrong and self.old is not None and self.state_map is not None:
            wrong = self._compared(self.old, self.state_map, happened, turn.state)
        if wrong:
            self.broken[instance] = Broken(happened.at, instance, happened.event, before, wrong)
        elif happened.last:
            self._states[instance] = turn.state
        if wrong or happened.last:
            del self._amid[instance]

    def _compared(self, old: Aggregate[Any, Any, Any], state_map: StateMap, happened: Happened, after: Any) -> str:
        known = self._olds.get(happened.instance)
        following = old.evolve(old.initial() if known is None else known, happened.event)
        self._olds[happened.instance] = following
        return unlike(state_map, after, following) if happened.last else ""


def replay(streams: Streams, happened: Iterable[Happened]) -> Streams:
    """Fold all of it; the same streams, told."""
    for each in happened:
        streams.take(each)
    return streams


def folded(new: Aggregate[Any, Any, Any], upcast: Upcast, state: Any, events: Sequence[Any]) -> tuple[Any, str]:
    """The new version's state after a turn of the old, and what is wrong with it; empty where nothing is."""
    for event in events:
        state, wrong = onward(new, upcast, state, event)
        if wrong:
            return state, wrong
    return state, judged(new, state, events)


def onward(new: Aggregate[Any, Any, Any], upcast: Upcast, state: Any, event: Any) -> tuple[Any, str]:
    """The new version's state after one event of the old, which nobody judges yet, and what was raised on the way."""
    try:
        for each in upcast(event):
            state = new.evolve(state, each)
    except Exception as fault:  # noqa: BLE001 - whatever the user's functions raise is the finding
        return state, f"{shown(event)} cannot be folded: {type(fault).__name__}: {fault}"
    return state, ""


def judged(new: Aggregate[Any, Any, Any], state: Any, events: Sequence[Any]) -> str:
    """What is wrong with a state that the events of one turn led to; empty where nothing is, and where there are none."""
    if not events:
        return ""
    if type(state) is not new.state_type:
        return f"{listed(events)} is folded to {shown(state)}, which is no {new.state_type.__name__}"
    try:
        new.state_check(state)
        broken = next((guard.name for guard in new.guards if not guard.holds(state)), None)
    except InvalidValue as invalid:
        return f"the state after {listed(events)} is out of bounds: {invalid}"
    except Exception as fault:  # noqa: BLE001 - an invariant that cannot be judged does not hold
        return f"an invariant raises {type(fault).__name__} after {listed(events)}: {fault}"
    return "" if broken is None else f"the state after {listed(events)} breaks the invariant {broken}"


def unlike(state_map: StateMap, after: Any, following: Any, clean: StateMap = lambda state: state) -> str:
    """How the new version's state fails to map to the old version's; empty where it does not."""
    try:
        image = clean(state_map(after))
    except Exception as fault:  # noqa: BLE001 - whatever the user's map raises is the finding
        return f"the map raises {type(fault).__name__} on {shown(after)}: {fault}"
    if image == following:
        return ""
    return f"the old version comes to {shown(following)}, and the new one to what maps to {shown(image)}"


def upcast_of(old: Aggregate[Any, Any, Any], new: Aggregate[Any, Any, Any], given: Upcast | None) -> Upcast:
    """The given way of carrying events over, or that by name and schema.

    Raises NotSupported where an event of the old version has no equal in the new one and nobody says what it becomes.
    """
    if given is not None:
        return given
    carry, lost = carried(old.event_checks, new.event_checks)
    if lost:
        names = ", ".join(cls.__name__ for cls in lost)
        raise NotSupported(
            f"the new version of {old.name} has no event of the same name and schema for {names}. Give a function that "
            "says which events an event of the old version becomes."
        )
    return lambda event: (carry(event),)


# --- every stream that the old version could record --------------------------------------------------------------------


def square(old: Version, new: Version, state_map: StateMap, upcast: Upcast, most: int) -> tuple[Square, Finding | None]:
    """Run the old version, and tell the new one of every event; the first way on which they come apart.

    It walks pairs of states, breadth first, and stops at `most` of them.
    """
    walk = _Walk(old, new, state_map, upcast)
    finding = walk.begin()
    number = 0
    while finding is None and number < len(walk.pairs) <= most:
        finding = walk.expand(number)
        number += 1
    whole = finding is None and number == len(walk.pairs) and old.found.exhausted
    return Square(len(walk.pairs), walk.steps, whole), finding


class _Walk:
    """Pairs of states that one stream of events leads to, and how each was reached."""

    def __init__(self, old: Version, new: Version, state_map: StateMap, upcast: Upcast) -> None:
        self._old, self._new, self._map, self._upcast = old, new, state_map, upcast
        self.pairs: list[tuple[Any, Any]] = []
        self.steps = 0
        self._seen: set[tuple[Any, Any]] = set()
        self._came: list[tuple[int, Any]] = []

    def begin(self) -> Finding | None:
        starts = [self._new.clean(state) for state in self._new.found.states[: self._new.found.initial]]
        for state in self._old.found.states[: self._old.found.initial]:
            twins = [start for start in starts if not unlike(self._map, start, state, self._old.clean)]
            if not twins:
                what = f"no initial state of the new version maps to {shown(state)}, in which the old one may begin"
                return Finding("square", "initial", what, "", Trace(state, []))
            for start in twins:
                self._keep((state, start), -1, None)
        return None

    def _keep(self, pair: tuple[Any, Any], parent: int, label: Any) -> None:
        if pair not in self._seen:
            self._seen.add(pair)
            self.pairs.append(pair)
            self._came.append((parent, label))

    def expand(self, number: int) -> Finding | None:
        before, twin = self.pairs[number]
        for label in self._old.machine.commands:
            answer = self._old.answer(before, label)
            if not answer.accepted:
                continue
            self.steps += 1
            after, wrong = folded(self._new.aggregate, self._upcast, twin, answer.events)
            after = self._new.clean(after) if not wrong else after
            wrong = wrong or unlike(self._map, after, answer.state, self._old.clean)
            if wrong:
                trace = self._trace(number, label)
                return Finding(
                    "square", "replay", f"a stream of the old version comes out otherwise: {wrong}", "", trace
                )
            if answer.state in self._old.reached:
                self._keep((answer.state, after), number, label)
        return None

    def _trace(self, number: int, label: Any) -> Trace:
        labels = [label]
        while (came := self._came[number])[0] >= 0:
            labels.append(came[1])
            number = came[0]
        state = start = self.pairs[number][0]
        steps: list[TraceStep] = []
        for each in reversed(labels):
            command, context = self._old.machine.asked(each)
            answer = self._old.answer(state, each)
            shown_context: Context | None = context if self._old.aggregate.takes_context else None
            steps.append(TraceStep(command, shown_context, answer.events, state, answer.state))
            state = answer.state
        return Trace(start, steps)
