"""The answer of an induction, for people and for programs. A counterexample is asked, not accused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eventcore.check.induction import Induction, Question
from eventcore.check.source import listed, shown

ASKED = {
    "reachable": "This state is reachable: it is a bug, and the search has a trace to it.",
    "unreachable": "Nothing in the scope reaches this state. Which invariant is missing that says so?",
    "unknown": "Is this state reachable? The search was not exhaustive, so nobody knows.",
}


def induction_text(answer: Induction) -> str:
    """The answer in lines."""
    return "\n".join(_lines(answer))


def _lines(answer: Induction) -> Iterator[str]:
    typed = "endlessly many" if answer.typed is None else f"{answer.typed:,}"
    claims = ", ".join(answer.claims) or "the bounds of the types"
    yield f"Induction of {claims}: {'holds' if answer.verdict == 'pass' else answer.verdict}"
    states = f"states with {', '.join(answer.declared)} as declared" if answer.declared else "typed states"
    if answer.listed:
        yield f"  {typed} {states}, {answer.satisfying:,} of them satisfy all of it; {answer.steps:,} steps were taken from those"
    else:
        yield f"  {typed} {states}: they were not listed, and no step was taken"
    for question in answer.questions:
        yield f"  From {shown(question.before)}"
        yield f"  {shown(question.command)} gives [{listed(question.events)}]; {question.message}."
        yield f"    {ASKED[question.reach]}"
        yield from (f"    {hint}" for hint in question.hints)
    yield from (f"  {'Note' if answer.verdict == 'pass' else 'Not proved'}: {reason}" for reason in answer.reasons)


def induction_data(answer: Induction) -> dict[str, Any]:
    """The answer as JSON has it."""
    return {
        "verdict": answer.verdict,
        "claims": list(answer.claims),
        "typed": answer.typed,
        "declared": list(answer.declared),
        "satisfying": answer.satisfying,
        "steps": answer.steps,
        "leaving": answer.leaving,
        "questions": [_question(each) for each in answer.questions],
        "reasons": list(answer.reasons),
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "claim": question.name,
        "message": question.message,
        "state_is": question.reach,
        "before": shown(question.before),
        "command": shown(question.command),
        "events": [shown(each) for each in question.events],
        "hints": list(question.hints),
    }
