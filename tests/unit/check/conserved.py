"""Two pots between which coins move one by one: a turn of two events, in whose middle a coin is in neither."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.app import App

COINS = 2


class Pots(Value):
    """How many coins are in each."""

    one: Annotated[int, Meta(ge=0, le=COINS)] = COINS
    two: Annotated[int, Meta(ge=0, le=COINS)] = 0


class Move(Value):
    """Move a coin."""


class Taken(Value):
    """A coin was taken from the first."""


class Put(Value):
    """A coin was put into the second."""


def decide(pots: Pots, _: Move) -> list[Taken | Put]:
    """What follows; refused with `empty`."""
    require(pots.one > 0, "empty")
    return [Taken(), Put()]


def evolve(pots: Pots, event: Taken | Put) -> Pots:
    """The pots after `event`."""
    return replace(pots, one=pots.one - 1) if isinstance(event, Taken) else replace(pots, two=pots.two + 1)


def conserved(pots: Pots) -> bool:
    """No coin is lost."""
    return pots.one + pots.two == COINS


pots = Aggregate("pots", Pots, decide, evolve, invariants=[conserved])
app = App("pots", [pots])
