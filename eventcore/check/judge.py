"""What comes of each step from a state, claims included: what a search does on the way, for any state at any time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from eventcore.check.abstraction import Abstraction, Row
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.machine import Fault, Outcome
from eventcore.check.matrix_cells import Judged, Taken
from eventcore.turn import Accepted, Refused, Violated


class Judge:
    """Judges steps of a machine. `known` are states that satisfy every claim, as was judged before."""

    def __init__(self, machine: AggregateMachine, known: Collection[Any] = ()) -> None:
        self._machine = machine
        self._always = [each for each in machine.judged.properties if each.kind == "always"]
        self._known = set(known)
        self._rows: dict[Any, Row] = {}

    def steps(self, state: Any, cells: Abstraction | None = None) -> list[Judged]:
        """Each label, the name of its command, what comes of it, and the row that it leads to."""
        take = self._machine.take  # not `steps`, which may sum refusals up
        return [self._judged(state, label, take(state, label), cells) for label in self._machine.commands]

    def step(self, state: Any, label: Any) -> Taken:
        """What comes of one label."""
        return self._judged(state, label, self._machine.take(state, label), None)[2]

    def holds(self, state: Any) -> bool:
        """Whether a state satisfies the invariants, and every property that is claimed of all states."""
        guards, hidden = self._machine.aggregate.guards, self._machine.hide(state)
        return all(guard.holds(hidden) for guard in guards) and self._broken(state) is None

    def _judged(self, state: Any, label: Any, outcome: Outcome, cells: Abstraction | None) -> Judged:
        column = type(self._machine.asked(label)[0]).__name__
        assert isinstance(outcome, Accepted | Refused | Violated | Fault), "one label is refused once, not in sum"
        if not isinstance(outcome, Accepted):
            return label, column, outcome, None
        following = outcome.state
        if following not in self._known:
            wrong = self._machine.confirm(state, label, outcome)
            if wrong is not None:
                return label, column, wrong, None
            if (name := self._broken(following)) is not None:
                return label, column, Violated(name), None
            self._known.add(following)
        return label, column, outcome, None if cells is None else self._row(following, cells)

    def _row(self, state: Any, cells: Abstraction) -> Row:
        row = self._rows.get(state)
        if row is None:
            row = self._rows[state] = cells.row(state)
        return row

    def _broken(self, state: Any) -> str | None:
        return next((each.name for each in self._always if not each.holds(state)), None)
