"""A door whose guards stand everywhere but in functions that its decide names: in methods, a module, a table, a wrapper."""

from __future__ import annotations

import functools
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from tests.unit.check import guards_elsewhere


class Size(Value):
    """How wide it is."""

    wide: bool = False

    def small(self) -> bool:
        """Whether it is not."""
        return not self.wide


class Door(Value):
    """How many have come in."""

    count: Annotated[int, Meta(ge=0, le=3)] = 0
    size: Size = Size()

    def has_room(self) -> bool:
        """Whether another can come."""
        return less(self.count)

    @property
    def is_open(self) -> bool:
        """Whether anybody can."""
        return self.count < 3

    def unused(self) -> bool:
        """What no code asks."""
        return self.count == 9


class Enter(Value):
    """Come in."""


class Entered(Value):
    """Somebody came in."""


def less(count: int) -> bool:
    """Whether it is less than all."""
    return count < 3


@functools.cache
def not_late(count: int) -> bool:
    """Whether there is time."""
    return count < 3


def not_full(door: Door) -> bool:
    """Whether there is room."""
    return door.count < 3


RULES = {"full": not_full}


def decide(door: Door, _command: Enter) -> list[Entered]:
    """Somebody comes in, where every guard lets them."""
    require(door.has_room() and door.is_open, "no_room")
    require(not guards_elsewhere.busy(door.count), "busy")
    require(door.size.small() and not_late(door.count), "late")
    require(all(rule(door) for rule in RULES.values()), "ruled_out")
    return [Entered()]


def evolve(door: Door, _event: Entered) -> Door:
    """One more."""
    return replace(door, count=door.count + 1)


doors = Aggregate("door", Door, decide, evolve)
