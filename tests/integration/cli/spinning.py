"""An app whose `decide` does not return as long as a file named `spin` lies in the current folder."""

from __future__ import annotations

from pathlib import Path

from eventcore import Aggregate, Value
from eventcore.app import App

SPIN = Path("spin")


class Top(Value):
    """A top, and how often it was turned."""

    turns: int = 0


class Turn(Value):
    """Turn it."""


class Turned(Value):
    """It was turned."""


def decide(top: Top, command: Turn) -> list[Turned]:
    """Turn, and go on turning."""
    while SPIN.exists():
        pass
    return [Turned()]


def evolve(top: Top, event: Turned) -> Top:
    """Once more."""
    return Top(top.turns + 1)


tops = Aggregate("top", Top, decide, evolve)
app = App("spinning", [tops])
