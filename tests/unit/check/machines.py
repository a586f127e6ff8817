"""A small aggregate whose functions tests replace one at a time by bad ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require

LIGHTS = 3


class Switched(Value):
    """A light was switched."""

    light: Annotated[int, Meta(ge=0, lt=LIGHTS)]
    on: bool


class Broke(Value):
    """The box broke."""


Event = Switched | Broke


class Box(Value):
    """Which lights are on, and whether the box is broken."""

    on: frozenset[int] = frozenset()
    broken: bool = False
    switches: int = 0


def evolve(box: Box, event: Event) -> Box:
    match event:
        case Switched(light, True):
            return replace(box, on=box.on | {light})
        case Switched(light, _):
            return replace(box, on=box.on - {light})
        case Broke():
            return replace(box, broken=True)


class Switch(Value):
    """Switch a light on or off."""

    light: Annotated[int, Meta(ge=0, lt=LIGHTS)]
    on: bool


class Break(Value):
    """Break the box."""


Command = Switch | Break


def decide(box: Box, command: Command) -> list[Event]:
    require(not box.broken, "broken")
    match command:
        case Switch(light, on):
            require((light in box.on) != on, "is_so")
            return [Switched(light, on)]
        case Break():
            require(len(box.on) == LIGHTS, "too_weak")
            return [Broke()]


def box_of(
    decide: Callable[[Box, Command], list[Event]] = decide,
    evolve: Callable[[Box, Event], Box] = evolve,
    invariants: Sequence[Callable[[Box], bool]] = (),
) -> Aggregate[Box, Command, Event]:
    """The box, as it is or with a bad part."""
    return Aggregate("box", Box, decide, evolve, invariants=invariants)


class At(Value):
    """A place on a map of at most eight."""

    place: Annotated[int, Meta(ge=0, lt=8)] = 0


class Went(Value):
    """One went there."""

    to: Annotated[int, Meta(ge=0, lt=8)]


class Go(Value):
    """Leave by one of three roads."""

    by: Annotated[int, Meta(ge=0, lt=3)]


Map = dict[tuple[int, int], int]


def walk_of(roads: Map) -> Aggregate[At, Go, Went]:
    """A walk on a map: from a place, a road leads to another, or is closed."""

    def decide(at: At, go: Go) -> list[Went]:
        require((at.place, go.by) in roads, "closed")
        return [Went(roads[at.place, go.by])]

    def evolve(_: At, went: Went) -> At:
        return At(went.to)

    return Aggregate("walk", At, decide, evolve)


def anything(_: Any) -> bool:
    """True of everything."""
    return True
