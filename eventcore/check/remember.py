"""Turns taken once for all states that look alike to them: what a command meets with, and what its events change.

In a search most turns ask what was asked before: whether a manager may prepare depends on the managers' phases, and not
on what has been heard; and the event changes these phases and no more. So decide and evolve are watched
(`eventcore.check.watch`): which fields of the state they read, and which they replace by what. It is kept under the values
of the fields that were read. Where these come again, so does the outcome, and neither function is called.

R1  What decide and evolve give depends on nothing but their arguments: they are pure, so two states that agree on every
    field that any watched run for this command read give the same.
R2  What cannot be watched is not remembered, nor what reads every field, nor fields that may hold anything (False equals 0
    and is another value). Where decide can be watched and evolve cannot, decisions alone are remembered.
R3  What a watched run gives must equal what the turn itself gives and be valid, or it is not remembered. So what is put
    into a valid state makes a valid one; where evolve is called, the state that it gives is validated.
R4  What is rarely asked again is not remembered: it costs more than it saves.

That a function tells a watched state from a real one by `type(state)` is not seen here; a search compares a share of all
steps with fresh turns (`again` of the machine), and takes every turn that leads to a new state in full.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple, cast

from msgspec.structs import replace

from eventcore.aggregate import Aggregate
from eventcore.check.equality import classes_within
from eventcore.check.handing import hands_out
from eventcore.check.machine import Outcome, Refusals
from eventcore.check.sameness import key_of
from eventcore.check.watch import Opaque, Watch
from eventcore.context import Context
from eventcore.errors import InvalidValue, Refusal
from eventcore.turn import VALID_STATE, Accepted, Refused, Violated, fold, take_turn

LOOK_EVERY = 8_192  # expansions after which it is looked at what remembering is worth
MISSES_MAX = 0.5  # the share of them that may be new

Asked = tuple[Any, Context]
Put = Callable[[Any, Any], Any]  # a state and new values: the state with these in some of its fields


class _Known(NamedTuple):
    """What the commands of a group meet with: those accepted, and the other outcomes.

    Of an accepted one, its events, and what these put where; where `put` is None, evolve is called.
    """

    accepted: list[tuple[Any, list[Any], Put | None, tuple[Any, ...]]]
    rest: list[tuple[Any, Outcome]]


@dataclass
class _Label:
    """What is known of one command: what its decide and its evolve read, and whether its evolve is remembered."""

    decides_by: frozenset[str] = frozenset()
    evolves_by: frozenset[str] = frozenset()
    evolves: bool = True

    @property
    def fields(self) -> frozenset[str]:
        """The fields that its outcome depends on."""
        return self.decides_by | self.evolves_by if self.evolves else self.decides_by


def _nothing_known() -> dict[object, _Known]:
    return {}


@dataclass
class _Group:
    """Commands whose outcomes depend on the same fields, and what they met with, by the values of these."""

    fields: frozenset[str]
    key: Callable[[Any], object]
    labels: list[Any] = field(default_factory=list[Any])
    known: dict[object, _Known] = field(default_factory=_nothing_known)
    misses: int = 0


class Remembered:
    """The steps of an aggregate, most of them from memory. `asked` gives a label's command and context."""

    def __init__(
        self,
        aggregate: Aggregate[Any, Any, Any],
        labels: Iterable[Any],
        asked: Callable[[Any], Asked],
        never: Iterable[str] = (),
    ) -> None:
        self._aggregate = aggregate
        self._asked = asked
        self._never = frozenset(never)
        self._fields = len(aggregate.state_type.__struct_fields__)
        self._watch = Watch(aggregate.state_type)
        self._labels = {label: _Label() for label in labels}
        self._groups: list[_Group] = []
        self._plain: list[tuple[Any, Any, Context]] = []
        self._expanded = 0
        self._events: dict[Hashable, list[Any]] = {}
        self._values: dict[str, dict[Any, Any]] = {name: {} for name in aggregate.state_type.__struct_fields__}
        if self._watch.state is None or hands_out(*_code_of(aggregate)):
            for label in list(self._labels):
                self._give_up(label)
        self._regroup()

    def steps(self, state: Any) -> Sequence[tuple[Any, Outcome]]:
        """What every label leads to; refusals are summed up. Raises what decide and evolve raise."""
        found: list[tuple[Any, Outcome]] = []
        aggregate, evolve, check = self._aggregate, self._aggregate.evolve, self._aggregate.state_check
        for group in self._groups:
            known = group.known.get(group.key(state))
            if known is None:
                known = self._taken(group, state)
                if known is None:
                    return self.steps(state)  # a command read more than was known: the groups are others now
            for label, events, put, values in known.accepted:
                if put is not None:
                    found.append((label, Accepted(events, put(state, values))))
                    continue
                following = evolve(state, events[0]) if len(events) == 1 else fold(aggregate, state, events)
                try:
                    check(following)
                except InvalidValue as invalid:
                    found.append((label, Violated(VALID_STATE, str(invalid))))
                else:
                    found.append((label, Accepted(events, following)))
            found += known.rest
        for label, command, context in self._plain:
            found.append((label, take_turn(aggregate, state, command, context)))
        self._expanded += 1
        if self._expanded % LOOK_EVERY == 0:
            self._forget()
        return found

    def _taken(self, group: _Group, state: Any) -> _Known | None:
        """Take the turns of a group and keep what they meet with; None where the groups had to change."""
        group.misses += 1
        known = _Known([], [])
        refusals: dict[str, int] = {}
        grown = False
        for label in group.labels:
            outcome, changes = self._watched(label, state)
            if label not in self._labels or not self._labels[label].fields <= group.fields:
                grown = True
            elif isinstance(outcome, Refused):
                refusals[outcome.reason] = refusals.get(outcome.reason, 0) + 1
            elif isinstance(outcome, Accepted):
                known.accepted.append(self._kept(label, outcome.events, changes))
            else:
                known.rest.append((label, outcome))
        if grown:
            self._regroup()
            return None
        if refusals:
            known.rest.append((None, Refusals(tuple(refusals.items()))))
        group.known[group.key(state)] = known
        return known

    def _kept(
        self, label: Any, events: list[Any], changes: dict[str, Any] | None
    ) -> tuple[Any, list[Any], Put | None, tuple[Any, ...]]:
        """What is kept of an accepted command, in little memory: the same events and equal values are kept once."""
        events = self._events.setdefault(key_of(events), events)
        if changes is None:
            return label, events, None, ()
        values = tuple(
            value if name in self._never else self._values[name].setdefault(value, value)
            for name, value in changes.items()
        )
        return label, events, _putting(tuple(changes)), values

    def _watched(self, label: Any, state: Any) -> tuple[Outcome, dict[str, Any] | None]:
        """Take one turn, and note what it depends on; what cannot be told is given up."""
        command, context = self._asked(label)
        outcome: Outcome = take_turn(self._aggregate, state, command, context)
        if isinstance(outcome, Accepted):
            outcome = Accepted(list(outcome.events), outcome.state)  # decide may keep its list and change it later
        about = self._labels[label]
        reads = self._decided(state, command, context, outcome)
        if reads is None or not self._is_worth(about.decides_by | reads):
            self._give_up(label)
            return outcome, None
        about.decides_by |= reads
        if not about.evolves or not isinstance(outcome, Accepted):
            return outcome, None
        evolved = self._watch.changes(self._aggregate.evolve, state, outcome.events)
        if (
            evolved is None
            or not self._is_worth(about.fields | evolved[0])
            or not self._leads_to(state, evolved[1], outcome)
        ):
            about.evolves = False
            return outcome, None
        about.evolves_by |= evolved[0]
        return outcome, evolved[1]

    def _is_worth(self, fields: frozenset[str]) -> bool:
        """Whether these fields may be remembered by: all of them together never come again."""
        return len(fields) < self._fields and fields.isdisjoint(self._never)

    def _leads_to(self, state: Any, changes: dict[str, Any], outcome: Accepted[Any, Any]) -> bool:
        """Whether these changes make of a state what the turn made of it, and a valid one."""
        try:
            following = replace(state, **changes)
            self._aggregate.state_check(following)
            return bool(following == outcome.state)
        except (Opaque, InvalidValue):
            return False

    def _decided(self, state: Any, command: Any, context: Context, outcome: Outcome) -> frozenset[str] | None:
        """Which fields decide reads of this state; None where that cannot be told."""
        watch, decide = self._watch, cast("Any", self._aggregate.decide)
        given = watch.at(state)
        try:
            events: object = (
                decide(given, command, context) if self._aggregate.takes_context else decide(given, command)
            )
            same = isinstance(outcome, Accepted) and events == outcome.events
        except Refusal as refusal:
            same = isinstance(outcome, Refused) and refusal.reason == outcome.reason
        except (Exception, Opaque):  # noqa: BLE001 - the turn itself did not raise: what cannot be watched is not remembered
            return None
        return frozenset(watch.reads) if same and not watch.opaque else None

    def _give_up(self, label: Any) -> None:
        del self._labels[label]
        self._plain.append((label, *self._asked(label)))

    def _regroup(self) -> None:
        """Put commands that depend on the same fields together; what was known is asked anew."""
        groups: dict[frozenset[str], _Group] = {}
        for label, about in self._labels.items():
            group = groups.setdefault(about.fields, _Group(about.fields, _key_of(sorted(about.fields))))
            group.labels.append(label)
        self._groups = list(groups.values())

    def _forget(self) -> None:
        """Give up what is rarely asked again (R4): first what evolve gives, then what decide does."""
        poor = [group for group in self._groups if group.misses > MISSES_MAX * LOOK_EVERY]
        for group in self._groups:
            group.misses = 0
        for label in [label for group in poor for label in group.labels]:
            about = self._labels[label]
            if about.evolves and about.fields != about.decides_by:
                about.evolves = False
            else:
                self._give_up(label)
        if poor:
            self._regroup()


def _code_of(aggregate: Aggregate[Any, Any, Any]) -> Iterator[object]:
    """All code that a turn may run: its functions, and the methods of whatever they are given."""
    yield aggregate.decide
    yield aggregate.evolve
    for cls in (aggregate.state_type, *aggregate.command_checks, *aggregate.event_checks):
        yield from classes_within(cls)


@functools.cache
def _putting(names: tuple[str, ...]) -> Put:
    """A function that puts values into these fields of a state: with names known to the compiler, thrice as fast."""
    if not names:
        return lambda state, _: state
    values = ", ".join(f"{name}=v[{number}]" for number, name in enumerate(names))
    made: Put = eval(f"lambda s, v: replace(s, {values})", {"replace": replace})  # noqa: S307 - made here of field names
    return made


def _key_of(names: Sequence[str]) -> Callable[[Any], object]:
    return attrgetter(*names) if names else lambda _: ()
