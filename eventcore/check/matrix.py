"""The matrix of the known and the unknown: rows of states, a column for each kind of command, and what is known of each.

It is made by a second look at the states that a search kept, so what it shows does not depend on how the search ran.

K1  A cell is known where every reachable state of its row was tried with every command of its kind and nothing was cut
    or sampled anywhere (*exhausted*), or where every typed state of the row that satisfies the invariants was
    (*inductive*, which needs no search). Everything else is *sampled* or *unknown*, never shown as safe. Where only
    some of the values of a field are declared, the typed states are not all there, and nothing is inductive.
    A state's field of Any that rows are told apart by has rows for the values that were met, and one for anything else:
    that one is unknown. Any that no row shows leaves every cell unknown.
K2  *Unreachable* is a claim about the scope, made only where the search was exhaustive; it is not the absence of data.
K3  A cell *accepts* where each of its states accepts at least one command of the kind, *refuses* where none does, and is
    *mixed* otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check.abstraction import Abstraction, Row, settled_for, untold
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.hashing import hash_of
from eventcore.check.induction import Typed, anything_in, sampled_columns, sweep, typed_states
from eventcore.check.judge import Judge
from eventcore.check.machine import Fault, unsteady_in
from eventcore.check.matrix_cells import Cell, Tallies, settled
from eventcore.check.run import Searched, searched, silent
from eventcore.check.sampled import without_contexts
from eventcore.check.scope import Bounds
from eventcore.check.search import Explored, Pulse
from eventcore.check.source import shown
from eventcore.errors import InvalidValue

STATES = Bounds()


@dataclass(frozen=True)
class Count:
    """How many states and rows a set has; None where nobody can say. `least`: there may be more."""

    states: int | None
    rows: int | None
    least: bool = False


@dataclass(frozen=True)
class Sets:
    """Four sets, each within the one before: what the types allow, what the invariants allow, what happens, what happened."""

    typed: Count
    satisfying: Count
    reachable: Count
    seen: Count | None = None


@dataclass(frozen=True)
class Escape:
    """Where production first left the model: which instance, at which position, to which row, by which command."""

    instance: str
    at: str
    row: Row
    command: str
    what: str


@dataclass(frozen=True)
class Production:
    """How much of production was laid over the model: its turns, and the instances that they were of."""

    turns: int
    instances: int


@dataclass(frozen=True)
class Matrix:
    """What is known of a machine. `rows` hold those that were met, nearest first; of the others there are only numbers.

    `conceivable` counts all rows, `closed` those without a value of which only an open field's type knows. `gaps` say why
    what was reached may not be everything; `notes` say what else a reader must know of the numbers.
    """

    name: str
    facets: Sequence[str]
    untold: Sequence[str]
    columns: Sequence[str]
    rows: Mapping[Row, Mapping[str, Cell]]
    depths: Mapping[Row, int]
    conceivable: int
    closed: int
    exhausted: bool
    gaps: Sequence[str]
    findings: Sequence[str]
    sets: Sets
    code_hash: str
    abstraction: Abstraction
    machine: AggregateMachine
    found: Explored
    notes: Sequence[str] = ()
    production: Production | None = None
    escapes: Sequence[Escape] = field(default_factory=tuple[Escape, ...])

    @property
    def size(self) -> int:
        """How many cells there are."""
        return self.conceivable * len(self.columns)

    def cells(self) -> Iterator[tuple[Row, str, Cell]]:
        """The cells of all rows that were met."""
        return ((row, column, cell) for row, cells in self.rows.items() for column, cell in cells.items())

    def count(self, verdict: str) -> int:
        """How many cells have a verdict, those of rows that were never met included."""
        met = sum(cell.verdict == verdict for _, _, cell in self.cells())
        return met + self._elsewhere.get(verdict, 0)

    @property
    def _elsewhere(self) -> Mapping[str, int]:
        """The verdicts of rows that were never met: of a value that only an open field allows, nothing is known."""
        rest = (self.conceivable - len(self.rows)) * len(self.columns)
        beyond = (self.conceivable - self.closed) * len(self.columns)
        return {"unreachable": rest - beyond, "unknown": beyond} if self.exhausted else {"unknown": rest}

    @property
    def open(self) -> bool:
        """Whether a field whose type says nothing is among what is told apart."""
        return any(each.open for each in self.abstraction.parts)

    @property
    def unknown(self) -> int:
        """How many cells nothing is proved of."""
        return sum(not cell.known for _, _, cell in self.cells()) + self._elsewhere["unknown"]

    @property
    def unknown_share(self) -> float:
        """The part of all cells that nothing is proved of, from 0 to 1."""
        return self.unknown / self.size

    def edges(self) -> Mapping[tuple[Row, str, Row], bool]:
        """Which row leads to which by which command; true where it does so from every state of the row that was reached."""
        return {
            (row, column, target): count == cell.tally.states
            for row, column, cell in self.cells()
            if row in self.depths
            for target, count in cell.tally.leads.items()
        }


def matrix_of(
    what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any],
    abstraction: Abstraction | None = None,
    *,
    bounds: Bounds = STATES,
    workers: int | None = None,
    progress: Callable[[Pulse], None] = silent,
) -> Matrix:
    """Search an aggregate in its scope, look at every typed state where they can be counted, and say what is known.

    Raises CallerError where the scope or the abstraction does not fit the aggregate.
    """
    made = searched(what, bounds=bounds, keep_going=True, workers=workers, progress=progress)
    return matrix_from(made, abstraction)


def matrix_from(made: Searched, abstraction: Abstraction | None = None) -> Matrix:
    """The matrix of a search that kept going. Raises CallerError where the abstraction does not fit the aggregate."""
    machine, found = made.machine, made.found
    checked = machine.checked
    cells = settled_for(checked.aggregate.state_type, abstraction or checked.abstraction, checked.scope.unread)
    reached, depths, faults = _look(machine, found, cells)
    unsteady = unsteady_in([*found.noticed, *faults])
    gaps = list(dict.fromkeys([*_gaps(machine, found, cells), *unsteady]))
    typed = typed_states(checked, cells)
    swept, excluded = _swept(machine, typed, cells, steady=not unsteady)
    sampled = sampled_columns(machine)
    columns = [cls.__name__ for cls in machine.aggregate.command_checks]
    rows: dict[Row, dict[str, Cell]] = {}
    for row in [*depths, *(row for row in swept.rows if row not in depths)]:
        ours, all_typed = reached.rows.get(row, {}), swept.rows.get(row, {})
        rows[row] = {
            column: settled(ours.get(column), None if column in sampled else all_typed.get(column), exhausted=not gaps)
            for column in columns
        }
    return Matrix(
        name=machine.name,
        facets=[each.name for each in cells.parts],
        untold=untold(checked.aggregate.state_type, cells),
        columns=columns,
        rows=rows,
        depths=depths,
        conceivable=cells.conceivable(rows),
        closed=cells.conceivable(rows, anything_else=False),
        exhausted=not gaps,
        gaps=gaps,
        findings=[f"{each.name}: {each.message}" for each in found.noticed],
        sets=_sets(typed, cells, found, exhausted=not gaps),
        code_hash=hash_of(checked),
        abstraction=cells,
        machine=machine,
        found=found,
        notes=[*_notes(typed, excluded, cells)],
    )


def _gaps(machine: AggregateMachine, found: Explored, cells: Abstraction) -> Iterator[str]:
    """Why what was reached may not be all that can be. A field of Any that rows are told apart by has a row for the rest."""
    if not found.exhausted:
        cut = ", ".join(sorted(found.cut)) or "states"
        yield f"the search was cut ({cut}), {len(found.states) - found.expanded:,} states not expanded"
    if any((each.kind, each.name) == ("raises", "within") for each in found.noticed):
        yield "Scope(within=...) raises, so nobody knows which states it would let in"
    told = {f"{machine.aggregate.state_type.__name__}.{each.name}" for each in cells.parts if each.open}
    for where in anything_in(machine):
        if where not in told:
            yield f"{where} is Any, so nobody knows what else it may hold"
    for leaf in machine.leaves:
        if leaf.evidence == "sampled":
            yield f"{leaf.where} was sampled"
    if without_contexts(machine):
        yield "decide takes a Context, and one time and one command id were tried"


def _look(
    machine: AggregateMachine, found: Explored, cells: Abstraction
) -> tuple[Tallies, dict[Row, int], list[Fault]]:
    """Take every step from every expanded state once more, and count it in its row; the faults that this met."""
    tallies = Tallies([cls.__name__ for cls in machine.aggregate.command_checks])
    depths: dict[Row, int] = {}
    faults: list[Fault] = []
    known = filter(Judge(machine).keeps, found.states)
    judge = Judge(machine, known, of_steps=True)
    depth = 1
    for number, state in enumerate(found.states):
        while depth < len(found.levels) and number >= sum(found.levels[:depth]):
            depth += 1
        row = cells.row(state)
        if not cells.has(row):
            raise InvalidValue(
                f"the state {state!r}",
                f"has the labels {row}, which the abstraction does not declare: {_undeclared(cells, row)}",
            )
        depths.setdefault(row, depth)
        steps = judge.steps(state, cells) if number < found.expanded else []
        if steps:
            tallies.add(row, number, steps)
            faults += [outcome for _, _, outcome, _ in steps if isinstance(outcome, Fault)]
    return tallies, depths, faults


def _undeclared(cells: Abstraction, row: Row) -> str:
    return "; ".join(
        f"{each.name} is one of {', '.join(each.labels)}, not {label}"
        for each, label in zip(cells.parts, row, strict=True)
        if not each.open and label not in each.labels
    )


def _swept(machine: AggregateMachine, typed: Typed, cells: Abstraction, *, steady: bool) -> tuple[Tallies, list[Any]]:
    """What is counted of the typed states, and those of them with labels that the abstraction excludes: they have no row.

    Of code that is not `steady` nothing is: what one turn of it did is no evidence of the next.
    """
    tallies = Tallies([cls.__name__ for cls in machine.aggregate.command_checks])
    excluded: list[Any] = []
    if typed.whole and steady:
        for number, (state, steps) in enumerate(sweep(machine, typed, cells, of_steps=True)):
            row = cells.row(state)
            if cells.has(row):
                tallies.add(row, number, steps)
            else:
                excluded.append(state)
    for counted in tallies.rows.values():
        for tally in counted.values():
            tally.example = None  # its number is none of the search's
    return tallies, excluded


def _notes(typed: Typed, excluded: Sequence[Any], cells: Abstraction) -> Iterator[str]:
    """What else a reader must know of the numbers."""
    for leaf in typed.narrow:
        yield f"{leaf.where} took {leaf.shown}, as declared, so the states that the types allow were not all tried"
    if excluded:
        example = f"{shown(excluded[0])}: {_undeclared(cells, cells.row(excluded[0]))}"
        yield f"{len(excluded):,} of the states that the invariants allow are in no row that is declared, as {example}"


def _sets(typed: Typed, cells: Abstraction, found: Explored, *, exhausted: bool) -> Sets:
    conceivable = None if any(each.open for each in cells.parts) else cells.conceivable(())
    every = Count(None if typed.narrow else typed.size, conceivable)
    kept = Count(None, None)
    if typed.whole:
        kept = Count(len(typed.satisfying), len({row for row in map(cells.row, typed.satisfying) if cells.has(row)}))
    return Sets(every, kept, Count(len(found.states), len({cells.row(s) for s in found.states}), least=not exhausted))
