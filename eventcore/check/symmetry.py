"""Instances that nothing tells apart: states that differ only in which of them is which are searched once.

An *orbit* is all states that become one another when the instances change places. The search knows a state again by its
orbit, and goes on from the state that it met, so every trace is real.

Y1  A state is a value for each instance (its *record*: what `indexed` fields hold at its place, and how `naming` fields
    speak of it) and the rest. No record may speak of other instances. Then two states are of one orbit exactly where the
    rest is equal and each record comes equally often, so records are sorted and no permutation is ever tried.
Y2  Records are numbered as they are met, and the numbers are sorted: equal records have equal numbers, nothing is hashed
    away, and records need no order of their own.
Y3  It is right only where the machine, its claims and its scope treat all instances alike. That the scope does is looked
    at before; of the others a share of the states is tried with the instances changed (`eventcore.check.symmetric`).
Y4  Initial states need not be alike. An orbit's depth is the least of its states' depths, so traces are as short as ever.
Y5  Claims about ways (never stuck, eventually) are not judged under it: an orbit's graph has steps that no state has.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from eventcore.check.source import shown
from eventcore.errors import NotSupported, UnknownName
from eventcore.value import Map

Change = Mapping[Any, Any]  # which instance takes the place of which
NOT_THERE = object()  # equals nothing that a Map holds


@dataclass(frozen=True)
class Symmetry:
    """Which instances are alike, and where they are spoken of.

    `instances` are the values that commands name them by. `named` are the fields of commands and events that name one,
    as `"manager"` or `"Hear.manager"`. `indexed` are fields of the state that are tuples with an item for each instance,
    in the order of `instances`. `naming` are fields of the state that hold an instance or None, a tuple or a frozenset of
    them, or a Map from them. Nothing else may speak of instances. Raises NotSupported where it contradicts itself.
    """

    instances: Sequence[Hashable]
    named: Sequence[str]
    indexed: Sequence[str] = ()
    naming: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "instances", tuple(self.instances))
        if not self.instances or len(set(self.instances)) != len(self.instances):
            raise NotSupported(f"the instances {shown(self.instances)} should be some, each once.")
        if not self.indexed and not self.naming:
            raise NotSupported("a symmetry says which fields of the state its instances are in: indexed, naming.")

    def changes(self) -> list[Change]:
        """Two changes of places of which all others are made: the first two change, and all move on by one."""
        these = self.instances
        swapped = (*these[1::-1], *these[2:])
        moved_on = (*these[1:], *these[:1])
        return [
            dict(zip(these, others, strict=True)) for others in dict.fromkeys((swapped, moved_on)) if others != these
        ]

    def state(self, state: Any, change: Change) -> Any:
        """A state in which the instances have changed places."""
        places = [self.instances.index(change[each]) for each in self.instances]
        changed: dict[str, Any] = {name: _changed(getattr(state, name), change) for name in self.naming}
        for name in self.indexed:
            held: Sequence[Any] = getattr(state, name)
            if len(held) != len(places):
                raise self.misfit(state)
            items = dict(zip(places, held, strict=True))
            changed[name] = tuple([items[place] for place in range(len(places))])
        return replace(state, **changed)

    def message(self, message: Any, change: Change) -> Any:
        """A command or an event that speaks of the instances that have taken the places."""
        cls: type[Struct] = message.__class__
        names = [name for name in cls.__struct_fields__ if name in self.named or f"{cls.__name__}.{name}" in self.named]
        return replace(message, **{name: _changed(getattr(message, name), change) for name in names})

    def misfit(self, state: Any) -> NotSupported:
        """The error for a state whose indexed fields are not of the form that is declared."""
        return NotSupported(
            f"{', '.join(self.indexed)} should have an item for each of {len(self.instances)} instances, and not so in "
            f"{shown(state)}."
        )


class Orbits:
    """The orbits that a search has met, asked for by states. Raises NotSupported for a state of another form."""

    def __init__(self, symmetry: Symmetry, cls: type[Struct]) -> None:
        for name in (*symmetry.indexed, *symmetry.naming):
            if name not in cls.__struct_fields__:
                raise UnknownName(f"field of {cls.__name__}", name, list(cls.__struct_fields__))
        self._symmetry = symmetry
        self._key = _key_of(symmetry, cls)
        self._met: set[Hashable] = set()

    def __contains__(self, state: object) -> bool:
        return self.key(state) in self._met

    def add(self, state: Any, /) -> None:
        """Remember a state's orbit."""
        self._met.add(self.key(state))

    def key(self, state: Any) -> Hashable:
        """Equal for states of one orbit, and for no others."""
        try:
            return self._key(state)
        except ValueError as error:
            raise self._symmetry.misfit(state) from error


def _key_of(symmetry: Symmetry, cls: type[Struct]) -> Callable[[Any], Hashable]:
    """The key of a state of `cls`: the numbers of its records, sorted, and the rest."""
    instances = symmetry.instances
    rest = [name for name in cls.__struct_fields__ if name not in {*symmetry.indexed, *symmetry.naming}]
    numbers: dict[Any, int] = {}

    def spoken(value: object) -> Sequence[object]:
        return [_of(each, value) for each in instances]

    def unspoken(value: object) -> Hashable:
        return _besides(frozenset(instances), value)

    given: dict[str, object] = {
        "places": (None,) * len(instances),  # so that a tuple of another length is noticed
        "number": numbers.setdefault,
        "numbers": numbers,
        "spoken": spoken,
        "unspoken": unspoken,
    }
    records = ", ".join(
        [*(f"s.{name}" for name in symmetry.indexed), *(f"spoken(s.{name})" for name in symmetry.naming)]
    )
    others = "".join([*(f"s.{name}, " for name in rest), *(f"unspoken(s.{name}), " for name in symmetry.naming)])
    sorted_numbers = f"sorted([number(each, len(numbers)) for each in zip(places, {records}, strict=True)])"
    made: Callable[[Any], Hashable] = eval(f"lambda s: (*{sorted_numbers}, {others})", given)  # noqa: S307 - made here from field names, never from data
    return made


def _of(instance: Any, value: Any) -> Hashable:
    """How a value speaks of one instance."""
    match value:
        case frozenset():
            return instance in value
        case Map():
            return cast("Map[Hashable]", value).get(instance, NOT_THERE)
        case tuple():
            return tuple(place for place, item in enumerate(cast("tuple[object, ...]", value)) if item == instance)
        case _:
            return bool(value == instance)


def _besides(instances: frozenset[Hashable], value: Any) -> Hashable:
    """What a value says besides instances."""
    match value:
        case frozenset():
            return cast("frozenset[Hashable]", value) - instances
        case Map():
            pairs = cast("Map[Hashable]", value).items()
            return frozenset((key, item) for key, item in pairs if key not in instances)
        case tuple():
            return tuple((None if item in instances else (item,)) for item in cast("tuple[Hashable, ...]", value))
        case _:
            return None if value in instances else (value,)


def _changed(value: Any, change: Change) -> Any:
    """A value that speaks of the instances that have taken the places."""
    match value:
        case frozenset():
            return frozenset(change.get(item, item) for item in cast("frozenset[object]", value))
        case Map():
            return Map({change.get(key, key): item for key, item in cast("Map[Hashable]", value).items()})
        case tuple():
            return tuple(change.get(item, item) for item in cast("tuple[object, ...]", value))
        case _:
            return change.get(value, value)
