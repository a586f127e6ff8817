"""Searching the state space of an aggregate: every state in a scope, and the shortest way into trouble.

`check(aggregate)` gives a report whose `verdict` is pass, fail or inconclusive.
"""

from eventcore.check.aggregate import Asked
from eventcore.check.checked import Checked
from eventcore.check.fairness import Fairness, strong, weak
from eventcore.check.properties import (
    Property,
    Step,
    always,
    always_step,
    eventually,
    leads_to,
    never_stuck,
    sometimes,
)
from eventcore.check.report import Finding, Reason, Report
from eventcore.check.retrace import retrace
from eventcore.check.run import check
from eventcore.check.scope import Bounds, Scope
from eventcore.check.trace import Trace, TraceStep

__all__ = [
    "Asked",
    "Bounds",
    "Checked",
    "Fairness",
    "Finding",
    "Property",
    "Reason",
    "Report",
    "Scope",
    "Step",
    "Trace",
    "TraceStep",
    "always",
    "always_step",
    "check",
    "eventually",
    "leads_to",
    "never_stuck",
    "retrace",
    "sometimes",
    "strong",
    "weak",
]
