"""A refinement for people and for programs: the verdict, what is wrong and how one gets there, then where answers differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eventcore.check.refinement import Difference, Refinement, Steps
from eventcore.check.render_json import trace_data
from eventcore.check.render_text import trace_lines
from eventcore.check.source import shown

SHOWN = 12  # differences of one kind that are listed: those nearest to the beginning
TITLES = {
    "refused now": "Refused now, and accepted before",
    "accepted now": "Accepted now, and refused before",
    "answered otherwise": "Accepted by both, and leading elsewhere",
}
KINDS = {
    "refinement": "it does what the old version could not",
    "carried": "an invariant of the old version is not kept",
    "square": "what was recorded comes out otherwise",
}


def refinement_text(refinement: Refinement) -> str:
    """The whole answer."""
    return "\n".join(_lines(refinement))


def _lines(found: Refinement) -> Iterator[str]:
    yield f"{found.new} refines {found.old}: {found.verdict}"
    yield found.evidence
    for finding in found.findings:
        yield ""
        yield f"{finding.name}: {KINDS.get(finding.kind, finding.kind)}"
        yield f"  {finding.message}"
        if finding.trace is not None:
            yield from trace_lines(finding.trace)
    if found.reasons:
        yield ""
        yield "Not looked at:"
        for reason in found.reasons:
            yield f"  {reason.what}"
            yield f"    to look at it: {reason.remedy}"
    for parting, title in TITLES.items():
        yield from _differences(title, [each for each in found.differences if each.parting == parting])
    yield ""
    if found.gone:
        yield f"Commands that are gone: {', '.join(found.gone)}"
    if found.added:
        yield f"Commands that are new: {', '.join(found.added)}"
    if found.square is not None:
        told = "every stream of the old version" if found.square.whole else "streams of the old version"
        yield f"Replayed: {told}, {found.square.steps:,} turns over {found.square.pairs:,} pairs of states"
    if found.kept != found.steps:
        yield f"Within the scope: {found.kept.stutters:,} stutters, {found.kept.mapped:,} mapped, {found.kept.bad:,} bad"
    if found.divergence is not None:
        yield "It may go on for ever without a step of the old version:"
        yield from trace_lines(found.divergence)
    yield "How this could be wrong:"
    yield from (f"  {doubt}" for doubt in found.doubts)
    yield f"Code {found.code_hashes[0]} and {found.code_hashes[1]}, {found.seconds:.1f} s"


def _differences(title: str, differences: list[Difference]) -> Iterator[str]:
    if not differences:
        return
    yield ""
    yield f"{title}:"
    for each in differences[:SHOWN]:
        row = ", ".join(f"{name} {label}" for name, label in each.row.items()) or "every state"
        yield f"  {each.command} where {row}: {each.was} -> {each.now}, {times(each.count)}"
        yield f"    as {shown(each.example)} on {shown(each.state)}"
    if len(differences) > SHOWN:
        yield f"  and {len(differences) - SHOWN:,} more; --json lists all"


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count:,} times"


def refinement_data(found: Refinement) -> dict[str, Any]:
    """The same as JSON has it."""
    return {
        "old": found.old,
        "new": found.new,
        "verdict": found.verdict,
        "distinct": found.distinct,
        "transitions": found.transitions,
        "depth": found.depth,
        "initial": found.initial,
        "old_distinct": found.old_distinct,
        "image": found.image,
        "steps": _steps(found.steps),
        "kept": _steps(found.kept),
        "evidence": found.evidence,
        "findings": [
            {
                "kind": each.kind,
                "name": each.name,
                "message": each.message,
                "trace": None if each.trace is None else trace_data(each.trace),
            }
            for each in found.findings
        ],
        "reasons": [{"what": reason.what, "remedy": reason.remedy} for reason in found.reasons],
        "differences": [
            {
                "row": dict(each.row),
                "command": each.command,
                "parting": each.parting,
                "was": each.was,
                "now": each.now,
                "count": each.count,
                "example": {"state": shown(each.state), "command": shown(each.example)},
            }
            for each in found.differences
        ],
        "added": list(found.added),
        "gone": list(found.gone),
        "divergence": None if found.divergence is None else trace_data(found.divergence),
        "square": None
        if found.square is None
        else {"pairs": found.square.pairs, "steps": found.square.steps, "whole": found.square.whole},
        "doubts": list(found.doubts),
        "code_hashes": list(found.code_hashes),
        "seconds": round(found.seconds, 3),
    }


def _steps(steps: Steps) -> dict[str, int]:
    return {"stutters": steps.stutters, "mapped": steps.mapped, "bad": steps.bad}
