"""Are the invariants any good? Change the code a little, search again, and see whether anything that is claimed notices.

A change is *noticed* by each claim that it breaks. One that changes what happens and breaks nothing is *unnoticed*:
either it does not matter, or a claim is missing. One with which all counts stay as they were is the *same* in this
scope. *Undecided* is one whose search was cut, or that was to be compared with a search which was: what lies beyond a cut
may be otherwise, and may break something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from eventcore.aggregate import Aggregate
from eventcore.check.checked import Checked
from eventcore.check.mutants import Change, Function, changes_of
from eventcore.check.report import Report
from eventcore.check.run import check
from eventcore.check.scope import Bounds
from eventcore.errors import EventcoreError, NotSupported

GROWTH, SPARE = 4, 1_000  # how many times the states of the right code a change may reach before it is cut

BOUNDS = frozenset({"states", "memory", "interrupted"})  # what cuts a search and is no part of its scope

Outcome = Literal["noticed", "unnoticed", "same", "undecided"]


@dataclass(frozen=True)
class Mark:
    """What became of one change: who noticed it, and in a trace of how many states at the shortest."""

    function: str
    where: str
    what: str
    outcome: Outcome
    by: Sequence[str] = ()
    states: int | None = None


@dataclass(frozen=True)
class Grade:
    """What became of every change. `noticed` counts by claim, `alone` those that no other claim noticed.

    `cut` says by which bounds the search of the unchanged code was cut: then only what was noticed is decided.
    """

    name: str
    marks: Sequence[Mark]
    claims: Sequence[str]
    untouched: Sequence[str]
    cut: Sequence[str] = ()

    def count(self, outcome: Outcome) -> int:
        """How many changes came out so."""
        return sum(mark.outcome == outcome for mark in self.marks)

    @property
    def noticed(self) -> Counter[str]:
        """How many changes each claim noticed."""
        return Counter(name for mark in self.marks for name in mark.by)

    @property
    def alone(self) -> Counter[str]:
        """How many changes each claim alone noticed: what nobody would notice without it."""
        return Counter(mark.by[0] for mark in self.marks if len(mark.by) == 1)


def grade(
    what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any],
    *,
    bounds: Bounds = Bounds(),  # noqa: B008 - a value that cannot change
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Grade:
    """Change what decides and evolves, one small thing at a time, and search each time.

    Raises NotSupported where the unchanged code does not pass: then nobody knows what notices what.
    """
    checked = what if isinstance(what, Checked) else Checked(what)
    right = check(checked, bounds=bounds)
    if right.findings:
        raise NotSupported(f"{right.name} fails as it is ({right.findings[0].message}); grade it when it passes.")
    narrow = replace(bounds, states=min(bounds.states, GROWTH * right.distinct + SPARE))
    found = changes_of(checked.aggregate.decide, checked.aggregate.evolve)
    marks: list[Mark] = []
    for number, change in enumerate(found.changes):
        progress(number, len(found.changes))
        marks.append(_mark(checked, right, change, narrow))
    claims = [guard.name for guard in checked.aggregate.guards] + [each.name for each in checked.properties]
    claims += ["finished"] if checked.finished is not None else []
    return Grade(right.name, marks, claims, found.untouched, sorted(BOUNDS.intersection(right.cut)))


def _mark(checked: Checked[Any, Any, Any], right: Report, change: Change, bounds: Bounds) -> Mark:
    aggregate = checked.aggregate
    make = change.make
    try:
        changed = Aggregate(
            aggregate.name,
            aggregate.initial,
            make(cast("Function", aggregate.decide)),
            make(cast("Function", aggregate.evolve)),
            aggregate.invariants,
        )
        report = check(replace(checked, aggregate=changed), bounds=bounds, keep_going=True)
    except EventcoreError as refused:
        return Mark(change.function, change.where, change.what, "noticed", (type(refused).__name__,))
    by = tuple(dict.fromkeys(finding.name for finding in report.findings))
    if by:
        lengths = [finding.trace.states for finding in report.findings if finding.trace is not None]
        return Mark(change.function, change.where, change.what, "noticed", by, min(lengths, default=None))
    if BOUNDS.intersection(right.cut) or set(report.cut) - set(right.cut):
        return Mark(change.function, change.where, change.what, "undecided")
    same = _counts(report) == _counts(right)
    return Mark(change.function, change.where, change.what, "same" if same else "unnoticed")


def _counts(report: Report) -> tuple[Any, ...]:
    """What differs where anything does, as far as counts tell."""
    return (
        report.distinct,
        report.transitions,
        report.depth,
        dict(report.refusals),
        dict(report.fired),
        dict(report.emitted),
    )
