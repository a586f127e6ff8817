"""A grade for people and for programs: what nobody noticed first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eventcore.check.grade import Grade, Mark, Outcome
from eventcore.check.report import CUTS

SAID: Mapping[Outcome, str] = {
    "noticed": "noticed",
    "unnoticed": "noticed by nothing",
    "same": "without effect in this scope",
    "undecided": "undecided, as the search was cut",
}
LISTED: tuple[Outcome, ...] = ("unnoticed", "undecided", "same")


def grade_text(grade: Grade) -> str:
    """The grade in lines."""
    return "\n".join(_lines(grade))


def _lines(grade: Grade) -> Iterator[str]:
    counts = ", ".join(f"{grade.count(each)} {said}" for each, said in SAID.items() if grade.count(each))
    yield f"Grade of {grade.name}: {len(grade.marks)} changes to its code, one at a time: {counts or 'none to make'}"
    if grade.cut:
        how = " and ".join(CUTS[each] for each in grade.cut)
        yield f"  The search of the code as it is was {how}, so a change that nothing noticed is undecided"
    for outcome in LISTED:
        marks = [mark for mark in grade.marks if mark.outcome == outcome]
        if marks:
            yield f"  {SAID[outcome].capitalize()}:"
            yield from (f"    {mark.where} {mark.function}: {mark.what}" for mark in marks)
    noticed, alone = grade.noticed, grade.alone
    for name in [*grade.claims, *(name for name in noticed if name not in grade.claims)]:
        said = f"noticed {noticed[name]}, {alone[name]} of them alone" if noticed[name] else "noticed none of them"
        yield f"  {name} {said}"
    yield from (f"  Not changed: {each}" for each in grade.untouched)


def grade_data(grade: Grade) -> dict[str, Any]:
    """The grade as JSON has it."""
    return {
        "changes": len(grade.marks),
        "cut": list(grade.cut),
        "noticed": grade.count("noticed"),
        "unnoticed": grade.count("unnoticed"),
        "same": grade.count("same"),
        "undecided": grade.count("undecided"),
        "marks": [_mark(mark) for mark in grade.marks],
        "claims": {name: {"noticed": grade.noticed[name], "alone": grade.alone[name]} for name in grade.claims},
        "not_changed": list(grade.untouched),
    }


def _mark(mark: Mark) -> dict[str, Any]:
    return {
        "where": mark.where,
        "function": mark.function,
        "what": mark.what,
        "outcome": mark.outcome,
        "by": list(mark.by),
        "trace": mark.states,
    }
