"""What must be true of a machine: of every state, of every step, of some state, of states where nothing goes on.

The invariants of an aggregate are always judged. These are more: they are watched by the search and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eventcore.aggregate import REASON
from eventcore.errors import NotSupported

Kind = Literal["always", "always_step", "sometimes"]


@dataclass(frozen=True)
class Step:
    """One accepted step: the state before, what was asked, its events, the state after."""

    before: Any
    command: Any
    events: Sequence[Any]
    after: Any


@dataclass(frozen=True)
class Property:
    """A named claim about a machine; made by `always`, `always_step` and `sometimes`."""

    kind: Kind
    name: str
    holds: Callable[[Any], bool]

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


def _name_of(function: Callable[[Any], bool]) -> str:
    return str(getattr(function, "__name__", ""))
