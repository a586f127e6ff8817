"""What a search takes: anything with initial states, labelled steps and a next state.

An aggregate is one such machine (`eventcore.check.aggregate`); a composition of several can be another. The search
knows nothing of commands and events but what stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from eventcore.turn import Accepted, Refused, Violated

S = TypeVar("S")
L = TypeVar("L")

FaultKind = Literal["raises", "unhandled", "non_deterministic", "mutates", "codec", "not_symmetric"]


@dataclass(frozen=True)
class Fault:
    """The code itself is wrong in one step: which function, what it did, and what usually causes that."""

    kind: FaultKind
    name: str
    message: str
    likely: str = ""


@dataclass(frozen=True)
class Refusals:
    """Several steps that were refused, summed up: how often for which reason. It stands beside no label."""

    counts: tuple[tuple[str, int], ...]


Outcome = Accepted[Any, Any] | Refused | Violated | Fault | Refusals


class Wrong(Protocol):
    """Something that is wrong: a Fault, or what a search noticed."""

    @property
    def kind(self) -> str:
        """What kind of wrong."""
        ...

    @property
    def name(self) -> str:
        """Whose."""
        ...


UNSTEADY: Mapping[str, str] = {
    "non_deterministic": "{name} gave two results for one input, so there may be states that no search met",
    "mutates": "a {name} was changed in place, so what was found is not all that it was found from",
}


def unsteady_in(found: Iterable[Wrong]) -> list[str]:
    """Why nothing can be concluded from turns that were taken once: what was found wrong that makes the next turn another."""
    return list(dict.fromkeys(UNSTEADY[each.kind].format(name=each.name) for each in found if each.kind in UNSTEADY))


def broken(violated: Violated) -> str:
    """What a turn says that would break an invariant."""
    because = f": {violated.message}" if violated.message else ""
    return f"this turn would break the invariant {violated.invariant}{because}"


class Machine(Protocol[S, L]):
    """A machine that can be searched. States are compared by value and must be hashable; labels say what was done."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def initial(self) -> Iterable[S]:
        """The states that it may begin in."""
        ...

    def steps(self, state: S, /) -> Iterable[tuple[L, Outcome]]:
        """What each label leads to from `state`, refusals included; a step that cannot be taken is a Fault.

        Refusals may be summed up in one Refusals, whose label means nothing.
        """
        ...

    def confirm(self, state: S, label: L, found: Accepted[Any, Any]) -> Refused | Violated | Fault | None:
        """Judge a step that leads to a state never seen before: None where it is right. It is taken a second time."""
        ...

    def again(self, state: S, first: Sequence[tuple[L, Outcome]]) -> tuple[L, Fault] | None:
        """Take all steps from `state` afresh, twice, and say where they differ, from each other or from the `first` time."""
        ...

    def compact(self, state: S) -> S:
        """The same state, in as little memory as can be."""
        ...
