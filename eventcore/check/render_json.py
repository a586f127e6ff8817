"""A report for programs: plain dicts and lists, the same names as the report's."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from eventcore.check.report import Report
from eventcore.check.trace import Trace
from eventcore.value import Map


def data_of(report: Report) -> dict[str, Any]:
    """The whole report as JSON has it."""
    return {
        "name": report.name,
        "verdict": report.verdict,
        "distinct": report.distinct,
        "transitions": report.transitions,
        "depth": report.depth,
        "instances": report.instances,
        "refused": report.refused,
        "evidence": report.evidence,
        "findings": [
            {
                "kind": finding.kind,
                "name": finding.name,
                "message": finding.message,
                "likely": finding.likely,
                "trace": None if finding.trace is None else trace_data(finding.trace),
                "link": finding.link,
            }
            for finding in report.findings
        ],
        "reasons": [{"what": reason.what, "remedy": reason.remedy} for reason in report.reasons],
        "warnings": list(report.warnings),
        "doubts": list(report.doubts),
        "cut": list(report.cut),
        "domains": [
            {
                "field": leaf.where,
                "evidence": leaf.evidence,
                "tried": leaf.tried,
                "typed": leaf.typed,
                "values": leaf.shown,
            }
            for leaf in report.domains
        ],
        "typed": report.typed,
        "commands": report.labels,
        "accepted": dict(report.fired),
        "emitted": dict(report.emitted),
        "refusals": dict(report.refusals),
        "witnesses": {name: trace_data(trace) for name, trace in report.witnesses.items()},
        "code_hash": report.code_hash,
        "seconds": round(report.seconds, 3),
        "memory_bytes": report.memory_bytes,
    }


def trace_data(trace: Trace) -> dict[str, Any]:
    """A trace: its initial state, and each step."""
    return {
        "states": trace.states,
        "back": trace.back,
        "initial": _plain(trace.initial),
        "steps": [
            {
                "command": {"type": type(step.command).__name__, "fields": _plain(step.command)},
                "context": None if step.context is None else _plain(step.context),
                "events": [{"type": type(event).__name__, "fields": _plain(event)} for event in step.events],
                "after": _plain(step.after),
                "changes": [
                    {"path": change.path, "before": _plain(change.before), "after": _plain(change.after)}
                    for change in step.changes
                ],
                "outcome": step.outcome,
            }
            for step in trace.steps
        ],
    }


def _plain(value: object) -> Any:
    """A value as JSON has it, without the class of the outermost one."""
    found: object = msgspec.to_builtins(value, enc_hook=_plain_map, str_keys=True)
    if not isinstance(found, dict):
        return found
    fields = cast("dict[str, object]", found)
    return {name: field for name, field in fields.items() if name != "$type"}


def _plain_map(value: object) -> object:
    if isinstance(value, Map):
        return dict(cast("Map[object]", value))
    return repr(value)
