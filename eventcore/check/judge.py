"""What comes of each step from a state, claims included: what a search does on the way, for any state at any time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from eventcore.check.abstraction import Abstraction, Row
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.machine import Fault, Outcome
from eventcore.check.matrix_cells import Judged, Taken
from eventcore.check.properties import Property, Step
from eventcore.turn import Accepted, Refused, Violated


class Judge:
    """Judges steps of a machine. `known` are states that satisfy every claim, as was judged before.

    A claim that raises is a fault of the step. What is claimed of steps is judged where `of_steps` says so.
    """

    def __init__(self, machine: AggregateMachine, known: Iterable[Any] = (), *, of_steps: bool = False) -> None:
        self._machine = machine
        self._always = [each for each in machine.judged.properties if each.kind == "always"]
        self._always_step = [each for each in machine.judged.properties if of_steps and each.kind == "always_step"]
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
        """Whether a state satisfies the invariants, and every property that is claimed of all states.

        One that raises is not satisfied: it may never have been asked of such a state.
        """
        guards, hidden = self._machine.aggregate.guards, self._machine.hide(state)
        try:
            satisfied = all(guard.holds(hidden) for guard in guards)
        except Exception:  # noqa: BLE001 - where a step leads to such a state, the step is a finding
            return False
        return satisfied and self.keeps(state)

    def keeps(self, state: Any) -> bool:
        """Whether a state satisfies every property that is claimed of all states."""
        return _wrong(self._always, state) is None

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
            if (wrong := _wrong(self._always, following)) is not None:
                return label, column, wrong, None
            self._known.add(following)
        if self._always_step:
            step = Step(state, self._machine.asked(label)[0], outcome.events, following)
            if (wrong := _wrong(self._always_step, step)) is not None:
                return label, column, wrong, None
        return label, column, outcome, None if cells is None else self._row(following, cells)

    def _row(self, state: Any, cells: Abstraction) -> Row:
        row = self._rows.get(state)
        if row is None:
            row = self._rows[state] = cells.row(state)
        return row


def _wrong(claims: Sequence[Property], about: Any) -> Violated | Fault | None:
    """The first claim that is false of something or raises; None where all are true."""
    for each in claims:
        try:
            if not each.holds(about):
                return Violated(each.name)
        except Exception as error:  # noqa: BLE001 - a claim that raises is a finding, not a crash
            return Fault("raises", each.name, f"{each.name} raises {type(error).__name__}: {error}")
    return None
