"""Cells: what a row of states makes of a kind of command, counted over the states of the row that were looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from eventcore.check.abstraction import Row
from eventcore.check.machine import Fault
from eventcore.turn import Accepted, Refused, Violated

CellVerdict = Literal["accepts", "refuses", "mixed", "violates", "raises", "unreachable", "unknown"]
Level = Literal["none", "sampled", "exhausted", "inductive"]
KNOWN: frozenset[Level] = frozenset({"exhausted", "inductive"})
STRENGTH: Mapping[Level, int] = {"none": 0, "sampled": 1, "exhausted": 2, "inductive": 3}


@dataclass(frozen=True)
class Observed:
    """What was seen of a cell in production: how often, and the first and last position."""

    count: int
    first: str
    last: str


@dataclass
class Tally:
    """What was counted of one cell. `accepting` are the states in which at least one command of the kind was accepted.

    `leads` says from how many of the states a row can be reached by one turn. `example` is a step that is as the verdict
    says: one that raises before one that breaks something, that before one that is accepted, that before one that is refused.
    """

    states: int = 0
    accepting: int = 0
    accepted: int = 0
    refused: int = 0
    reasons: set[str] = field(default_factory=set[str])
    broken: set[str] = field(default_factory=set[str])
    faults: set[str] = field(default_factory=set[str])
    leads: dict[Row, int] = field(default_factory=dict[Row, int])
    example: tuple[int, Any] | None = None  # the number of a state, and the label of a step from there

    @property
    def wrong(self) -> bool:
        """Whether a step of it raises or breaks something."""
        return bool(self.faults or self.broken)

    @property
    def verdict(self) -> CellVerdict:
        """What all of it says."""
        if self.faults:
            return "raises"
        if self.broken:
            return "violates"
        if not self.accepting:
            return "refuses"
        return "accepts" if self.accepting == self.states else "mixed"


Taken = Accepted[Any, Any] | Refused | Violated | Fault
Judged = tuple[Any, str, Taken, Row | None]  # a label, the name of its command, what came of it, the row it leads to


class Tallies:
    """The tallies of a set of states, by row and by the name of a command."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self.rows: dict[Row, dict[str, Tally]] = {}

    def add(self, row: Row, number: int, steps: Sequence[Judged]) -> None:
        """Count one state, and all its steps."""
        cells = self.rows.get(row)
        if cells is None:
            cells = self.rows[row] = {column: Tally() for column in self._columns}
        leads: dict[str, set[Row]] = {}
        for label, column, outcome, target in steps:
            tally = cells[column]
            match outcome:
                case Accepted():
                    if tally.accepted == 0 and not tally.wrong:
                        tally.example = (number, label)
                    tally.accepted += 1
                    if target is not None:
                        leads.setdefault(column, set()).add(target)
                case Refused(reason):
                    tally.refused += 1
                    tally.reasons.add(reason)
                case Violated(name):
                    tally.example = (number, label) if not tally.wrong else tally.example
                    tally.broken.add(name)
                case Fault(name=name):
                    tally.example = (number, label) if not tally.faults else tally.example
                    tally.faults.add(name)
            if tally.example is None:
                tally.example = (number, label)
        for column, tally in cells.items():
            tally.states += 1
            tally.accepting += column in leads
            for target in leads.get(column, ()):
                tally.leads[target] = tally.leads.get(target, 0) + 1


@dataclass(frozen=True)
class Cell:
    """A row and a kind of command: the verdict, what it rests on, what was counted, and what production has seen.

    The verdict is about all states that its evidence speaks of: *exhausted*, every reachable one of the row;
    *inductive*, every typed one that satisfies the invariants, reachable or not; *sampled*, those that were met.
    """

    verdict: CellVerdict
    level: Level
    tally: Tally
    observed: Observed | None = None

    @property
    def known(self) -> bool:
        """Whether anything is proved of it."""
        return self.level in KNOWN

    @property
    def escaped(self) -> bool:
        """Whether production has been where the model says that nothing can be."""
        return self.observed is not None and self.verdict == "unreachable"

    def seen(self, observed: Observed) -> Cell:
        """The same cell with what production has seen of it."""
        return replace(self, observed=observed)


def settled(reached: Tally | None, typed: Tally | None, *, exhausted: bool) -> Cell:
    """The cell of a row: `reached` counts its reachable states, `typed` all that satisfy the invariants, where known.

    What was met and is wrong is never hidden by what was counted otherwise.
    """
    if exhausted and reached is None:
        return Cell("unreachable", "exhausted", typed or Tally())
    met_wrong = reached is not None and reached.wrong
    agree = reached is None or typed is None or typed.verdict == reached.verdict
    if typed is not None and typed.states and (agree or not (exhausted or met_wrong)):
        return Cell(typed.verdict, "inductive", reached or typed)
    if reached is None or not reached.states:
        return Cell("unknown", "none", reached or Tally())
    return Cell(reached.verdict, "exhausted" if exhausted else "sampled", reached)
