"""Searching the state space of an aggregate: every state in a scope, and the shortest way into trouble.

`check(aggregate)` gives a report whose `verdict` is pass, fail or inconclusive.
"""

from eventcore.check.abstraction import Abstraction, Facet, derived, labelled, multiset, predicate
from eventcore.check.aggregate import Asked
from eventcore.check.checked import Checked
from eventcore.check.fairness import Fairness, strong, weak
from eventcore.check.link import follow
from eventcore.check.matrix import Matrix, matrix_of
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
from eventcore.check.symmetry import Symmetry
from eventcore.check.trace import Trace, TraceStep

__all__ = [
    "Abstraction",
    "Asked",
    "Bounds",
    "Checked",
    "Facet",
    "Fairness",
    "Finding",
    "Matrix",
    "Property",
    "Reason",
    "Report",
    "Scope",
    "Step",
    "Symmetry",
    "Trace",
    "TraceStep",
    "always",
    "always_step",
    "check",
    "derived",
    "eventually",
    "follow",
    "labelled",
    "leads_to",
    "matrix_of",
    "multiset",
    "never_stuck",
    "predicate",
    "retrace",
    "sometimes",
    "strong",
    "weak",
]
