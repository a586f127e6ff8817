"""From numbers to a trace: the states and labels of a way, with the events of each step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from eventcore.check.aggregate import AggregateMachine
from eventcore.check.trace import Trace, TraceStep
from eventcore.turn import Accepted


def trace_along(
    machine: AggregateMachine, states: Sequence[Any], labels: Sequence[Any], back: int | None = None
) -> Trace:
    """The trace through these states, by these labels between them; each step is taken again, for its events."""
    steps: list[TraceStep] = []
    for (before, after), label in zip(pairwise(states), labels, strict=True):
        command, context = machine.asked(label)
        outcome = machine.take(before, label)
        events = outcome.events if isinstance(outcome, Accepted) else []
        shown_context = context if machine.aggregate.takes_context else None
        steps.append(TraceStep(command, shown_context, events, before, after))
    return Trace(states[0], steps, back)
