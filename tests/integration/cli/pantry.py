"""A small app for the command line's tests: jars that hold tea or rice, and moves from one jar to another.

It can go wrong in every way that the program shows: a command can be refused, violate an invariant, raise, or quarantine its jar;
a fold can raise; the global invariant can break.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Invariant, Value, require
from eventcore.app import App, GlobalInvariant, Part
from projections import Projection
from sagas import Saga, Step, starts_on

Count = Annotated[int, Meta(gt=0, le=1_000)]
Kind = Literal["tea", "rice"]
POISON = 666


class Added(Value):
    """Some came in."""

    kind: Kind
    count: int


class Taken(Value):
    """Some went out."""

    kind: Kind
    count: int


class Jar(Value):
    """One jar: how much it holds; it remembers what."""

    count: int = 0
    kind: Kind = "tea"


class Add(Value):
    """Fill the jar."""

    count: Count
    kind: Kind = "tea"


class Take(Value):
    """Empty the jar."""

    count: Count


class Drop(Value):
    """Let the jar fall: this raises."""


def decide(jar: Jar, command: Add | Take | Drop) -> list[Added | Taken]:
    """What follows from a command."""
    match command:
        case Add(count, kind):
            return [Added(kind, count)]
        case Take(count):
            require(count <= jar.count, "not_enough", f"{jar.count} are there")
            return [Taken(jar.kind, count)]
        case Drop():
            raise ZeroDivisionError("the jar is in pieces")


def evolve(jar: Jar, event: Added | Taken) -> Jar:
    """The jar after an event."""
    match event:
        case Added(kind, count):
            return Jar(jar.count + count, kind)
        case Taken(_, count):
            return replace(jar, count=jar.count - count)


def never_over_full(jar: Jar) -> bool:
    """A jar holds a thousand."""
    return jar.count <= 1_000


never_thirteen: Invariant[Jar] = Invariant("never_thirteen", lambda jar: jar.count != 13, on_violation="quarantine")
jars = Aggregate("jar", Jar, decide, evolve, invariants=[never_over_full, never_thirteen])


class Move(Value):
    """Ask for a move."""

    source: str
    target: str
    count: Count


class Moving(Value):
    """What a move is about."""

    source: str
    target: str
    count: int


moves = Saga(
    "move",
    starts_on(Move, Moving, lambda c: Moving(c.source, c.target, c.count)),
    steps=[
        Step("take", do=lambda m: jars.to(m.source, Take(m.count)), undo=lambda m: jars.to(m.source, Add(m.count))),
        Step("add", do=lambda m: jars.to(m.target, Add(m.count)), kind="pivot"),
    ],
)


class Holding(Value):
    """A row of `holdings`."""

    jar: str
    count: int = 0


def fold(row: Holding | None, jar: str, event: Added | Taken) -> Holding:
    """The row after an event."""
    held = row.count if row is not None else 0
    return Holding(jar, held + event.count if isinstance(event, Added) else held - event.count)


class Intake(Value):
    """A row of `intakes`: how often a jar was filled with a kind."""

    jar: str
    kind: Kind
    times: int = 0


def fold_intake(row: Intake | None, jar: str, event: Added | Taken) -> Intake | None:
    """The row after an event. A poisoned one raises."""
    if event.count == POISON:
        raise ValueError("this fold cannot take it")
    times = row.times if row is not None else 0
    return Intake(jar, event.kind, times + 1) if isinstance(event, Added) else row


holdings = Projection("holdings", jars, Holding, fold)
intakes = Projection("intakes", jars, Intake, fold_intake, key=("jar", "kind"))


class Total(Value):
    """Over all jars."""

    count: int


few_enough = GlobalInvariant(
    "few_enough",
    parts=[Part(jars, lambda jar: Total(jar.count))],
    combine=lambda one, other: Total(one.count + other.count),
    holds=lambda total: total.count <= 1_500,
)

app = App("pantry", [jars], projections=[holdings, intakes], sagas=[moves], invariants=[few_enough])
not_an_app = jars
