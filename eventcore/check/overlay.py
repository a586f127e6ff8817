"""Production over the model: which cells have been seen, how often and where, and where production left the model.

It is a pure function of what a log holds; who reads the log is elsewhere. An *escape* is the first position at which an
instance is in a row that the model cannot reach, or took a turn that the model accepts in no state of the row, or that
leads from none of them to the row that it led to, or by a command that the model has not. Only a model that was searched
whole has escapes of the first three kinds: of what nobody searched, nobody can say that it cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from eventcore.check.abstraction import Row
from eventcore.check.matrix import Count, Escape, Matrix, Production
from eventcore.check.matrix_cells import Cell, Observed, Tally

UNNAMED = ""  # the command of a turn whose command is not known any more


@dataclass(frozen=True)
class Seen:
    """One accepted turn of the log: where its last event lies, whose it was, the states around it, its command's name."""

    at: str
    instance: str
    before: Any
    command: str
    after: Any


def overlay(matrix: Matrix, turns: Iterable[Seen]) -> Matrix:
    """The same matrix with what was seen, and the first escape of every instance that left the model.

    `turns` are in the order of the log. Turns that were refused, or accepted without events, leave no event and are not
    among them.
    """
    counts: dict[tuple[Row, str], Observed] = {}
    escapes: dict[str, Escape] = {}
    states: set[Any] = set()
    rows: set[Row] = set()
    instances: set[str] = set()
    count = 0
    for turn in turns:
        count += 1
        instances.add(turn.instance)
        before, after = matrix.abstraction.row(turn.before), matrix.abstraction.row(turn.after)
        states |= {turn.before, turn.after}
        rows |= {before, after}
        key = (before, turn.command)
        known = counts.get(key)
        counts[key] = (
            Observed(1, turn.at, turn.at) if known is None else replace(known, count=known.count + 1, last=turn.at)
        )
        if turn.instance not in escapes and (what := _leaves(matrix, before, turn.command, after)):
            escapes[turn.instance] = Escape(turn.instance, turn.at, after, turn.command, what)
    held = {row: dict(cells) for row, cells in matrix.rows.items()}
    for row in rows:
        if row not in held:
            elsewhere = (
                Cell("unreachable", "exhausted", Tally()) if matrix.exhausted else Cell("unknown", "none", Tally())
            )
            held[row] = dict.fromkeys(matrix.columns, elsewhere)
    for (row, column), observed in counts.items():
        if column in held[row]:
            held[row][column] = held[row][column].seen(observed)
    return replace(
        matrix,
        rows=held,
        conceivable=max(matrix.conceivable, matrix.abstraction.conceivable(held)),
        closed=max(matrix.closed, matrix.abstraction.conceivable(held, anything_else=False)),
        sets=replace(matrix.sets, seen=Count(len(states), len(rows))),
        production=Production(count, len(instances)),
        escapes=list(escapes.values()),
    )


def _leaves(matrix: Matrix, before: Row, command: str, after: Row) -> str:
    """In which way a turn leaves the model; empty where it does not."""
    if command != UNNAMED and command not in matrix.columns:
        return f"{command} was accepted in {_named(matrix, before)}, and the model has no such command"
    if not matrix.exhausted:
        return ""
    for row, when in ((before, "before"), (after, "after")):
        if row not in matrix.depths:
            why = "no state of the model is" if matrix.abstraction.has(row) else "not even the types of the model allow"
            return f"{_named(matrix, row)} {when} {command or 'a turn'}, as {why}"
    cell = matrix.rows[before].get(command)
    if cell is not None and not cell.tally.accepting:
        return f"{command} was accepted in {_named(matrix, before)}, {_never(cell.tally)}"
    cells = matrix.rows[before].values() if cell is None else [cell]
    if not any(after in each.tally.leads for each in cells):
        return f"{command or 'a turn'} led from {_named(matrix, before)} to {_named(matrix, after)}, as in no state of the model"
    return ""


def _never(tally: Tally) -> str:
    """What a model does with a command that it accepts in no state of a row."""
    told = [
        ("which the model refuses", tally.reasons),
        ("where it breaks", tally.broken),
        ("where it raises in", tally.faults),
    ]
    return (
        " and ".join(f"{what}: {', '.join(sorted(names))}" for what, names in told if names)
        or "where none of it was tried"
    )


def _named(matrix: Matrix, row: Row) -> str:
    return ", ".join(f"{name} {label}" for name, label in zip(matrix.facets, row, strict=True)) or "the one row"
