"""The scope of a search: which values arguments take, where the state may go, and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from eventcore.check.source import Source
from eventcore.context import Context
from eventcore.errors import NotSupported
from eventcore.value import Value

Key = str | type[Value]
STATES = 1_000_000  # some ten seconds and half a gigabyte: what is larger is asked for


def _nothing() -> Mapping[Key, Iterable[object]]:
    return {}


@dataclass(frozen=True)
class Scope:
    """What a search tries. What it does not say is taken from the types.

    `domains` declares which values a field takes: by `"Deposit.amount"`, by `"amount"` for the field of that name in
    every class, or by a class of commands (or of nested values) for all its instances. A verdict of *pass* is about
    these values. `samples` does the same and claims less: what was sampled can fail, never pass.

    `items` bounds containers whose type does not. `within` turns away states that are not to be searched: they are cut,
    so the verdict is at best inconclusive. `contexts` are the times and command ids that a `decide` with a Context is
    given. `unread` names fields of the state that no decision and no property reads (sums, last-seen times): they are
    proved to be unread, and states that differ in them alone are one.
    """

    domains: Mapping[Key, Iterable[object]] = field(default_factory=_nothing)
    samples: Mapping[Key, Iterable[object]] = field(default_factory=_nothing)
    items: int | None = None
    within: Callable[[Any], bool] | None = None
    contexts: Sequence[Context] = ()
    unread: Sequence[str] = ()

    def __post_init__(self) -> None:
        twice = sorted(_named(key) for key in self.domains if key in self.samples)
        if twice:
            raise NotSupported(f"the scope both declares and samples {', '.join(twice)}; say one of the two.")
        if self.items is not None and self.items < 0:
            raise NotSupported(f"the scope says items={self.items}; it is how many a container holds at most.")
        settle = object.__setattr__  # given as generators, they would be empty the second time
        settle(self, "domains", {key: _in_order(values) for key, values in self.domains.items()})
        settle(self, "samples", {key: _in_order(values) for key, values in self.samples.items()})


def _in_order(values: Iterable[object]) -> tuple[object, ...]:
    """The values as they were given; those of a set in an order that is the same in every process."""
    return tuple(sorted(values, key=Source().of) if isinstance(values, AbstractSet) else values)


def _named(key: Key) -> str:
    return key if isinstance(key, str) else key.__name__


@dataclass(frozen=True)
class Bounds:
    """When a search stops before it is done: a number of states, a size of the process. What is left is said.

    `memory` is in bytes; without it, the search takes at most three quarters of what the machine has free at its start.
    """

    states: int = STATES
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.states < 1 or (self.memory is not None and self.memory < 1):
            raise NotSupported(f"the bounds {self.states:,} states and {self.memory} bytes leave nothing to search.")
