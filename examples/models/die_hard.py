"""The jugs of *Die Hard 3*: measure four gallons with a jug of five, a jug of three, and no marks on either.

A search that looks for a broken rule solves puzzles as well: declare that four gallons are never measured, and the
counterexample says how to do it.
Source: Lamport's TLA+ video course, lecture 4.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from eventcore import Aggregate, Value
from eventcore.check import Checked, always

BIG, SMALL = 5, 3


class Jug(StrEnum):
    """One of the two jugs."""

    BIG = "big"
    SMALL = "small"


# --- events ----------------------------------------------------------------------------------------------------------


class Filled(Value):
    """A jug was filled to the brim."""

    jug: Jug


class Emptied(Value):
    """A jug was emptied on the ground."""

    jug: Jug


class Poured(Value):
    """A jug was poured into the other, until it was empty or the other was full."""

    source: Jug


Event = Filled | Emptied | Poured

# --- fold ------------------------------------------------------------------------------------------------------------


class Jugs(Value):
    """Gallons in each jug."""

    big: Annotated[int, Meta(ge=0, le=BIG)] = 0
    small: Annotated[int, Meta(ge=0, le=SMALL)] = 0


def evolve(jugs: Jugs, event: Event) -> Jugs:
    """The jugs after `event`."""
    match event:
        case Filled(Jug.BIG):
            return Jugs(BIG, jugs.small)
        case Filled():
            return Jugs(jugs.big, SMALL)
        case Emptied(Jug.BIG):
            return Jugs(0, jugs.small)
        case Emptied():
            return Jugs(jugs.big, 0)
        case Poured(Jug.BIG):
            moved = min(jugs.big, SMALL - jugs.small)
            return Jugs(jugs.big - moved, jugs.small + moved)
        case Poured():
            moved = min(jugs.small, BIG - jugs.big)
            return Jugs(jugs.big + moved, jugs.small - moved)


# --- decisions -------------------------------------------------------------------------------------------------------


class Fill(Value):
    """Fill a jug."""

    jug: Jug


class Empty(Value):
    """Empty a jug."""

    jug: Jug


class Pour(Value):
    """Pour a jug into the other."""

    source: Jug


Command = Fill | Empty | Pour


def decide(_: Jugs, command: Command) -> list[Event]:
    """What follows from `command`. Nothing is refused: full jugs can be filled, and empty ones poured."""
    match command:
        case Fill(jug):
            return [Filled(jug)]
        case Empty(jug):
            return [Emptied(jug)]
        case Pour(source):
            return [Poured(source)]


# --- the definition --------------------------------------------------------------------------------------------------


def never_four(jugs: Jugs) -> bool:
    """The big jug never holds four gallons: false, and the shortest way to break it is the answer to the puzzle."""
    return jugs.big != 4


jugs = Aggregate("die_hard", Jugs, decide, evolve)


puzzle = Checked(jugs, properties=[always(never_four)])
