"""What must be true of a machine: of every state, of every step, of some state, of states where nothing goes on.

The invariants of an aggregate are always judged. These are more: they are watched by the search and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eventcore.aggregate import REASON
from eventcore.check.fairness import Fairness
from eventcore.errors import NotSupported

Kind = Literal["always", "always_step", "sometimes", "never_stuck", "eventually", "leads_to"]
OF_WAYS = frozenset({"never_stuck", "eventually", "leads_to"})  # judged on the graph, when all of it is known


@dataclass(frozen=True)
class Step:
    """One accepted step: the state before, what was asked, its events, the state after."""

    before: Any
    command: Any
    events: Sequence[Any]
    after: Any


@dataclass(frozen=True)
class Property:
    """A named claim about a machine; made by `always` and the functions below it.

    `premise` and `fair` are for claims about what happens in the end.
    """

    kind: Kind
    name: str
    holds: Callable[[Any], bool]
    premise: Callable[[Any], bool] | None = None
    fair: Sequence[Fairness] = ()

    def __post_init__(self) -> None:
        if not REASON.fullmatch(self.name):
            raise NotSupported(
                f"{self.name!r} cannot name a property: a letter or _, then letters, digits and _. Write a function, "
                f"or {self.kind}(holds, name=...)."
            )


def always(holds: Callable[[Any], bool], *, name: str = "") -> Property:
    """The claim that `holds(state)` is true in every reachable state."""
    return Property("always", name or _name_of(holds), holds)


def always_step(holds: Callable[[Step], bool], *, name: str = "") -> Property:
    """The claim that `holds(step)` is true of every accepted step: of the states at its ends, its command and events."""
    return Property("always_step", name or _name_of(holds), holds)


def sometimes(holds: Callable[[Any], bool], *, name: str = "") -> Property:
    """The claim that `holds(state)` is true in at least one reachable state: that a scope is not too narrow to matter."""
    return Property("sometimes", name or _name_of(holds), holds)


def never_stuck(holds: Callable[[Any], bool], *, name: str = "") -> Property:
    """The claim that from every reachable state some way leads to one where `holds(state)` is true.

    It needs no fairness. Where every possible step has some chance, it says that `holds` becomes true with probability 1.
    """
    return Property("never_stuck", name or _name_of(holds), holds)


def eventually(holds: Callable[[Any], bool], *, fair: Sequence[Fairness] = (), name: str = "") -> Property:
    """The claim that `holds(state)` becomes true on every way from an initial state that is fair as `fair` assumes.

    Made with `weak(...)` and `strong(...)`. Without any, a machine may rest for ever, where it stands.
    """
    return Property("eventually", name or _name_of(holds), holds, None, tuple(fair))


def leads_to(
    premise: Callable[[Any], bool], holds: Callable[[Any], bool], *, fair: Sequence[Fairness] = (), name: str = ""
) -> Property:
    """The claim that wherever `premise(state)` is true, `holds(state)` is true there or becomes so on every fair way."""
    named = name or f"{_name_of(premise)}_leads_to_{_name_of(holds)}"
    return Property("leads_to", named, holds, premise, tuple(fair))


def _name_of(function: Callable[[Any], bool]) -> str:
    return str(getattr(function, "__name__", ""))
