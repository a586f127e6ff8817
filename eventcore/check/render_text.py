"""A report for people: the verdict first, then what is wrong and how one gets there, then what nobody has looked at."""

from __future__ import annotations

from collections.abc import Iterator

from eventcore.check.report import Finding, Report
from eventcore.check.source import listed, shown
from eventcore.check.trace import Trace, TraceStep

TITLES = {
    "invariant": "an invariant is broken",
    "always": "a property is broken",
    "always_step": "a property of steps is broken",
    "sometimes": "something never happens",
    "dead_end": "a dead end",
    "never_stuck": "no way on",
    "eventually": "something need not happen",
    "leads_to": "something need not follow",
    "raises": "the code raises",
    "unhandled": "a forgotten case",
    "non_deterministic": "two results for one input",
    "mutates": "the state is changed in place",
    "not_symmetric": "instances that are not alike",
    "codec": "a value does not survive being written",
}


def text_of(report: Report) -> str:
    """The whole report."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.name}: {report.verdict}"
    yield report.evidence
    for finding in report.findings:
        yield ""
        yield from finding_lines(finding)
    if report.reasons:
        yield ""
        yield "Not looked at:"
        for reason in report.reasons:
            yield f"  {reason.what}"
            yield f"    to look at it: {reason.remedy}"
    if report.warnings:
        yield ""
        yield from (f"Warning: {warning}" for warning in report.warnings)
    yield ""
    if report.fired:
        yield f"Accepted: {', '.join(f'{name} {count:,}' for name, count in report.fired.items())}"
    if report.refusals:
        yield f"Refused: {', '.join(f'{name} {count:,}' for name, count in report.refusals.items())}"
    for name, trace in report.witnesses.items():
        yield f"Seen: {name}, in a trace of {trace.states} states, at {shown(trace.last)}"
    yield "How this could be wrong:"
    yield from (f"  {doubt}" for doubt in report.doubts)
    yield f"Code {report.code_hash}, {report.seconds:.1f} s, {report.memory_bytes / 2**20:,.0f} MiB"


def finding_lines(finding: Finding) -> Iterator[str]:
    """One finding with its trace."""
    yield f"{finding.name}: {TITLES.get(finding.kind, finding.kind)}"
    yield f"  {finding.message}"
    if finding.likely:
        yield f"  Usual causes: {finding.likely}."
    if finding.trace is not None:
        yield from trace_lines(finding.trace)
    if finding.link:
        yield f"  again: --follow {finding.link}"


def trace_lines(trace: Trace) -> Iterator[str]:
    """A trace, a step at a time: what was asked, its events, what differs after it."""
    yield f"  in {trace.states} state{'s' * (trace.states != 1)}:"
    yield f"  1  {shown(trace.initial)}"
    for number, step in enumerate(trace.steps, 2):
        yield from _step_lines(number, step)
    if trace.back is not None:
        rests = trace.back == trace.states - 1
        yield "     and nothing more, for ever" if rests else f"     as it was at {trace.back + 1}, and so on for ever"


def _step_lines(number: int, step: TraceStep) -> Iterator[str]:
    at = "" if step.context is None else f" at {step.context.time.isoformat()}"
    yield f"  {number}  {shown(step.command)}{at}"
    if step.after is None:
        yield f"       {step.outcome}"
        return
    yield f"       -> {listed(step.events) or 'no events'}"
    for change in step.changes:
        yield f"       {change.path}: {shown(change.before)} -> {shown(change.after)}"
    if step.outcome:
        yield f"       {step.outcome}"
