"""Deciding once what depends on few fields: what a command meets is remembered by the fields of the state that decide read.

In a search most turns ask what was asked before: whether a manager may prepare depends on the managers' phases, and
not on what has been heard. So decide is watched: it is given a state that notes which of its fields are looked at, and
its answer is kept under the values of these fields. Where they come again, so does the answer; only evolve is called.

R1  What decide answers depends on nothing but the command and the fields that it read: it is a pure function, and two
    states that agree on all that any watched run of this command read give the same answer.
R2  A watched state holds no values of its own. Whatever looks at it past Python's attributes (`==`, `hash`, `replace`,
    an encoder) finds nothing it can use and raises Opaque; such a command is decided in every state.
R3  A watched answer must equal the one that the turn gives, or the command is decided in every state.
R4  What is rarely asked again is not remembered: it costs more than it saves.

That decide does not tell a watched state from a real one by `type(state)` is not seen here; a search compares a share of
all steps with fresh turns (`again` of the machine).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NoReturn, cast

import msgspec

from eventcore.aggregate import Aggregate
from eventcore.check.machine import Outcome, Refusals
from eventcore.context import Context
from eventcore.errors import Refusal
from eventcore.turn import Accepted, Refused, fold, take_turn
from eventcore.value import Value

LOOK_EVERY = 8_192  # expansions after which it is looked at what remembering is worth
MISSES_MAX = 0.5  # the share of them that may be new

Asked = tuple[Any, Context]


class Opaque(BaseException):
    """A watched state was looked at in a way that cannot be seen. No `except Exception` of the user's may catch it."""


def _refuse(*_: object, **__: object) -> NoReturn:
    raise Opaque


REFUSED = [
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "hash",
    "bool",
    "str",
    "repr",
    "format",
    "len",
    "iter",
    "contains",
    "getitem",
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "floordiv",
    "truediv",
    "mod",
    "divmod",
    "pow",
    "neg",
    "pos",
    "abs",
    "int",
    "float",
    "index",
    "round",
    "and",
    "or",
    "xor",
    "rand",
    "ror",
    "rxor",
    "copy",
    "deepcopy",
    "reduce",
    "reduce_ex",
    "call",
]
Nothing = type("Nothing", (), {f"__{name}__": _refuse for name in REFUSED})
NOTHING = Nothing()


class Watch:
    """A state of `cls` that notes which of its fields are read: `reads`, since `at` was last called."""

    def __init__(self, cls: type[Value]) -> None:
        self.reads: set[str] = set()
        self.opaque = False
        self._real: Any = None
        names = frozenset(cls.__struct_fields__)
        watch = self

        def read(state: object, name: str) -> object:
            if name not in names:
                return object.__getattribute__(state, name)
            if state is not watch.state:  # a copy, made by what we cannot see
                watch.opaque = True
                raise Opaque
            watch.reads.add(name)
            return getattr(watch._real, name)

        def refuse(*_: object) -> NoReturn:
            watch.opaque = True
            raise Opaque

        body: dict[str, object] = {f"__{name}__": refuse for name in ("eq", "ne", "hash", "repr", "copy", "reduce")}
        body |= {"__getattribute__": read, "__module__": cls.__module__, "__doc__": cls.__doc__}
        made: Any = cast("Any", type(msgspec.Struct))(cls.__name__, (cls,), body)
        self.state: Any = None
        with contextlib.suppress(
            Exception, Opaque
        ):  # a class that looks at its fields when it is made; no state, no watch
            self.state = made(*(NOTHING for _ in cls.__struct_fields__))

    def at(self, real: Any) -> Any:
        """The watched state, standing for a real one from now on."""
        self._real = real
        self.reads.clear()
        self.opaque = False
        return self.state


@dataclass
class _Group:
    """Commands that read the same fields, and what they met with, by the values of these."""

    fields: frozenset[str]
    key: Callable[[Any], object]
    labels: list[Any] = field(default_factory=list[Any])
    known: dict[object, tuple[list[tuple[Any, list[Any]]], list[tuple[Any, Any]]]] = field(default_factory=dict)  # pyright: ignore[reportUnknownVariableType]  # as declared
    misses: int = 0


class Remembered:
    """The steps of an aggregate, most of its decisions taken from memory. `asked` gives a label's command and context."""

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
        self._reads: dict[Any, frozenset[str]] = dict.fromkeys(labels, frozenset[str]())
        self._groups: list[_Group] = []
        self._plain: list[tuple[Any, Any, Context]] = []
        self._expanded = 0
        self._regroup()

    def steps(self, state: Any) -> Sequence[tuple[Any, Outcome]]:
        """What every label leads to; refusals are summed up. Raises what decide and evolve raise."""
        found: list[tuple[Any, Outcome]] = []
        aggregate, evolve = self._aggregate, self._aggregate.evolve
        for group in self._groups:
            entry = group.known.get(group.key(state))
            if entry is None:
                entry = self._decided(group, state)
                if entry is None:
                    return self.steps(state)  # a command read more than was known: the groups are others now
            accepted, rest = entry
            for label, events in accepted:
                following = evolve(state, events[0]) if len(events) == 1 else fold(aggregate, state, events)
                found.append((label, Accepted(events, following)))
            found += rest
        for label, command, context in self._plain:
            found.append((label, take_turn(aggregate, state, command, context)))
        self._expanded += 1
        if self._expanded % LOOK_EVERY == 0:
            self._forget()
        return found

    def _decided(self, group: _Group, state: Any) -> tuple[list[tuple[Any, list[Any]]], list[tuple[Any, Any]]] | None:
        """Decide the commands of a group and keep what they meet with; None where the groups had to change."""
        group.misses += 1
        accepted: list[tuple[Any, list[Any]]] = []
        rest: list[tuple[Any, Any]] = []
        refusals: dict[str, int] = {}
        grown = False
        for label in group.labels:
            command, context = self._asked(label)
            outcome: Outcome = take_turn(self._aggregate, state, command, context)
            if isinstance(outcome, Accepted):
                outcome = Accepted(list(outcome.events), outcome.state)  # decide may keep its list and change it later
            reads = self._watched(state, command, context, outcome)
            if reads is None or reads & self._never or len(reads) == self._fields:  # all: it never comes again
                del self._reads[label]
                self._plain.append((label, command, context))
                grown = True
            elif not reads <= group.fields:
                self._reads[label] = group.fields | reads
                grown = True
            elif isinstance(outcome, Refused):
                refusals[outcome.reason] = refusals.get(outcome.reason, 0) + 1
            elif isinstance(outcome, Accepted):
                accepted.append((label, outcome.events))
            else:
                rest.append((label, outcome))
        if grown:
            self._regroup()
            return None
        if refusals:
            rest.append((None, Refusals(tuple(refusals.items()))))
        entry = group.known[group.key(state)] = (accepted, rest)
        return entry

    def _watched(self, state: Any, command: Any, context: Context, outcome: Outcome) -> frozenset[str] | None:
        """Which fields decide reads of this state; None where that cannot be told."""
        watch, decide = self._watch, cast("Any", self._aggregate.decide)
        if watch.state is None:
            return None
        given = watch.at(state)
        try:
            events: object = (
                decide(given, command, context) if self._aggregate.takes_context else decide(given, command)
            )
            same = isinstance(outcome, Accepted) and events == outcome.events
        except Refusal as refusal:
            same = isinstance(outcome, Refused) and refusal.reason == outcome.reason
        except Opaque:
            return None
        return frozenset(watch.reads) if same and not watch.opaque else None

    def _regroup(self) -> None:
        """Put commands that read the same fields together; what was known is asked anew."""
        groups: dict[frozenset[str], _Group] = {}
        for label, fields in self._reads.items():
            group = groups.setdefault(fields, _Group(fields, _key_of(sorted(fields))))
            group.labels.append(label)
        self._groups = list(groups.values())

    def _forget(self) -> None:
        """Give up what is rarely asked again (R4)."""
        for group in list(self._groups):
            if group.misses > MISSES_MAX * LOOK_EVERY:
                self._groups.remove(group)
                for label in group.labels:
                    del self._reads[label]
                    self._plain.append((label, *self._asked(label)))
            group.misses = 0


def _key_of(names: Sequence[str]) -> Callable[[Any], object]:
    return attrgetter(*names) if names else lambda _: ()
