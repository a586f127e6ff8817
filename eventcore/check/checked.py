"""What is checked, as a value that a module can declare: `eventcore check bank.account:checked`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic

from eventcore.aggregate import Aggregate, Command, Event, State
from eventcore.check.abstraction import Abstraction
from eventcore.check.properties import Property
from eventcore.check.scope import Scope
from eventcore.check.symmetry import Symmetry
from eventcore.errors import NotSupported, UnknownName


@dataclass(frozen=True, eq=False)
class Checked(Generic[State, Command, Event]):
    """An aggregate with the scope that it is searched in and what is claimed of it beyond its invariants.

    `initial` gives the states to begin in, where there are others than the aggregate's own. `finished` says in which
    states an instance may rest for ever: then any other state that no command leaves is a finding. `enforced` names
    invariants that `decide` leaves to the turn on purpose: a turn that would break one counts as refused; without it,
    it is a finding, since somebody forgot to ask. `abstraction` says how states are told apart in the matrix, where the
    types do not say it well. `symmetry` says which instances are alike, so that a search can take states
    that differ in them alone for one, where it is asked to. Raises NotSupported and UnknownName where it contradicts
    itself.
    """

    aggregate: Aggregate[State, Command, Event]
    scope: Scope = field(default_factory=Scope)
    properties: Sequence[Property] = ()
    initial: Callable[[], Iterable[State]] | None = None
    finished: Callable[[State], bool] | None = None
    enforced: Sequence[str] = ()
    abstraction: Abstraction | None = None
    symmetry: Symmetry | None = None

    def __post_init__(self) -> None:
        guards = [guard.name for guard in self.aggregate.guards]
        for name in self.enforced:
            if name not in guards:
                raise UnknownName(f"invariant of {self.aggregate.name}", name, guards)
        names = [*guards, *(each.name for each in self.properties)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise NotSupported(f"{self.aggregate.name}: two claims bear the name {twice[0]}; give each its own.")
