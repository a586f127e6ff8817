"""What every picture of a matrix says in words: its signs, its sums, its four sets, the way to a cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from eventcore.check.judge import Judge
from eventcore.check.machine import Fault, broken
from eventcore.check.matrix import Count, Matrix, Production
from eventcore.check.matrix_cells import Cell
from eventcore.check.trace import Trace, TraceStep
from eventcore.turn import Accepted, Refused, Violated

SIGNS: Mapping[str, str] = {
    "accepts": "+",
    "refuses": "-",
    "mixed": "±",
    "violates": "!",
    "raises": "x",
    "unreachable": ".",
    "unknown": "?",
}
MEANINGS: Mapping[str, str] = {
    "accepts": "every state accepts some command of the kind",
    "refuses": "none accepts any",
    "mixed": "some do",
    "violates": "a step breaks an invariant or a property",
    "raises": "the code raises",
    "unreachable": "no such state in this scope",
    "unknown": "nobody looked",
}


def sign(cell: Cell) -> str:
    """A cell in a few letters: its verdict, `~` where that is only a sample, `=` where it is inductive, how often seen."""
    mark = {"sampled": "~", "inductive": "="}.get(cell.level, "")
    seen = "" if cell.observed is None else f" {cell.observed.count:,}"
    return f"{SIGNS[cell.verdict]}{mark}{seen}{' ESCAPED' if cell.escaped else ''}"


def share(part: float) -> str:
    """A part of one, in percent; neither nothing nor everything is rounded to it."""
    if 0 < part < 0.001:
        return "less than 0.1 %"
    return "more than 99.9 %" if 0.999 < part < 1 else f"{part * 100:.1f} %".replace(".0 %", " %")


def heading(matrix: Matrix) -> str:
    """The whole in one line."""
    return (
        f"{matrix.name}: {matrix.size:,} cells, {matrix.unknown:,} of them unknown ({share(matrix.unknown_share)}); "
        f"{matrix.conceivable:,} conceivable rows of states, {len(matrix.columns)} "
        f"{'kind' if len(matrix.columns) == 1 else 'kinds'} of commands"
    )


def sums(matrix: Matrix) -> str:
    """How many cells have which verdict."""
    counted = [(verdict, matrix.count(verdict)) for verdict in SIGNS]
    return ", ".join(f"{count:,} {verdict}" for verdict, count in counted if count)


def sets(matrix: Matrix) -> list[tuple[str, str, str]]:
    """The four sets: what each is, how many states it has, how many rows."""
    named = [
        ("allowed by the types", matrix.sets.typed),
        ("and by the invariants", matrix.sets.satisfying),
        ("reachable in the scope", matrix.sets.reachable),
    ]
    if matrix.sets.seen is not None:
        named.append(("seen in production", matrix.sets.seen))
    return [(what, _count(count.states, count), _count(count.rows, count)) for what, count in named]


def _count(number: int | None, count: Count) -> str:
    return "not counted" if number is None else f"at least {number:,}" if count.least else f"{number:,}"


def remarks(matrix: Matrix) -> Iterator[str]:
    """What a reader must know to read the table rightly."""
    for gap in matrix.gaps:
        yield f"Not known in full: {gap}."
    for note in matrix.notes:
        yield f"Note: {note}."
    if matrix.untold:
        yield f"Not told apart: {', '.join(matrix.untold)}."
    for finding in matrix.findings:
        yield f"Wrong: {finding}."
    if matrix.production is not None:
        yield from _production(matrix, matrix.production)
    rest = matrix.conceivable - len(matrix.depths)
    if rest:
        rows = "1 row was" if rest == 1 else f"{rest:,} rows were"
        known = matrix.exhausted and matrix.conceivable == matrix.closed
        yield f"{rows} not reached: {'unreachable in this scope' if known else 'unknown'}."


def _production(matrix: Matrix, production: Production) -> Iterator[str]:
    """How well the model fits what happened, and how much of the model ever happened."""
    stayed = production.instances - len(matrix.escapes)
    fits = share(stayed / production.instances) if production.instances else "none"
    yield (
        f"Production: {production.turns:,} turns of {production.instances:,} instances, of which {stayed:,} ({fits}) "
        "stayed within what the model knows."
    )
    may = [cell for row, _, cell in matrix.cells() if row in matrix.depths and cell.tally.accepting]
    yield f"Of {len(may):,} reached cells that accept something, production has used {sum(c.observed is not None for c in may):,}."


def legend(matrix: Matrix) -> str:
    """What the signs of this table mean."""
    used = {cell.verdict for row, _, cell in matrix.cells() if row in matrix.depths}
    levels = {cell.level for row, _, cell in matrix.cells() if row in matrix.depths}
    signs = [f"{SIGNS[verdict]} {verdict}: {MEANINGS[verdict]}" for verdict in SIGNS if verdict in used]
    if "sampled" in levels:
        signs.append("~ only sampled, so nothing is proved")
    if "inductive" in levels:
        signs.append("= of every typed state that satisfies the invariants, reachable or not")
    if matrix.sets.seen is not None:
        signs.append("a number: how often production did it")
    return "; ".join(signs)


def trace_to(matrix: Matrix, cell: Cell) -> Trace | None:
    """The shortest way to a state of a cell, and the step from there, with what is wrong with it.

    None for a cell that nothing was taken of, and where the code does not go the same way twice.
    """
    if cell.tally.example is None or cell.verdict == "unreachable":
        return None
    number, label = cell.tally.example
    found, machine = matrix.found, matrix.machine
    path = found.path(number)
    labels = [*(found.labels[each] for each in path[1:]), label]
    befores: Sequence[object] = [found.states[each] for each in path]
    steps: list[TraceStep] = []
    judge = Judge(machine, of_steps=True)
    for before, asked in zip(befores, labels, strict=True):
        outcome = judge.step(before, asked)
        command, context = machine.asked(asked)
        accepted = machine.unjudged(before, asked) if isinstance(outcome, Accepted | Violated) else None
        steps.append(
            TraceStep(
                command,
                context if machine.aggregate.takes_context else None,
                [] if accepted is None else accepted.events,
                before,
                None if accepted is None else accepted.state,
                "" if isinstance(outcome, Accepted) else _met_with(matrix, outcome),
            )
        )
    follows = all(one.after == other.before for one, other in pairwise(steps))
    return Trace(befores[0], steps) if follows else None


def _met_with(matrix: Matrix, outcome: Refused | Violated | Fault) -> str:
    """What a step met with."""
    match outcome:
        case Refused():
            return f"{outcome}"
        case Fault(message=message):
            return message
        case Violated(name):
            claimed = {each.name: each.kind for each in matrix.machine.checked.properties}
            if name not in claimed:
                return broken(outcome)
            return f"{name} is false {'of this step' if claimed[name] == 'always_step' else 'after it'}"
