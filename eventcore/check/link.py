"""A trace as a link: what was checked, the hash of all that it rests on, and the numbers of the steps.

`/check/NAME/HASH/START/3.0.7`: from the initial state number START by the machine's labels number 3, 0 and 7. With the
same code, claims and scope anybody is led the same way; with others the numbers mean something else, and are refused.
"""

from __future__ import annotations

import re
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.hashing import hash_of
from eventcore.check.machine import Fault, Outcome, Refusals, broken
from eventcore.check.source import Source
from eventcore.check.trace import Trace, TraceStep
from eventcore.errors import InvalidValue
from eventcore.turn import Accepted, Refused, Violated

LINK = re.compile(r"/check/(?P<name>[^/]+)/(?P<hash>[0-9a-f]+)/(?P<start>\d{1,9})/(?P<steps>\d{1,9}(\.\d{1,9})*)?")


def link_of(machine: AggregateMachine, trace: Trace) -> str:
    """The link of a trace that a search of this machine found."""
    start = _starts(machine).index(trace.initial)
    source = Source()  # tells False from 0, and an equal set that iterates otherwise from none
    asked = [machine.asked(label) for label in machine.commands]
    numbers = {(source.of(command), context): number for number, (command, context) in enumerate(asked)}
    one = machine.contexts[0]  # a trace names none where decide takes none
    steps = ".".join(str(numbers[source.of(step.command), step.context or one]) for step in trace.steps)
    return f"/check/{machine.name}/{hash_of(machine.checked)}/{start}/{steps}"


def follow(what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any], link: str) -> Trace:
    """The trace that a link leads along; its last step may be one that does not come about, and says why.

    Raises InvalidValue where it is no link, or one of other code, claims or scope than these.
    """
    checked = what if isinstance(what, Checked) else Checked(what)
    machine = AggregateMachine(checked)
    parts = LINK.fullmatch(link)
    if parts is None:
        raise InvalidValue("the link", f"{link!r} is none; it looks like /check/{machine.name}/HASH/0/3.0.7")
    if (parts["name"], parts["hash"]) != (machine.name, hash_of(checked)):
        raise InvalidValue(
            "the link",
            f"it is about {parts['name']} with the hash {parts['hash']}, and this is {machine.name} with "
            f"{hash_of(checked)}: the code, its claims or its scope have changed since. Check again for a new one",
        )
    starts = _starts(machine)
    numbers = [int(each) for each in parts["steps"].split(".")] if parts["steps"] else []
    if int(parts["start"]) >= len(starts) or max(numbers, default=0) >= len(machine.commands):
        raise InvalidValue("the link", f"{link!r} names states or commands that there are none of")
    trace = Trace(state := starts[int(parts["start"])], steps := [])
    for number in numbers:
        step = _step(machine, state, machine.commands[number])
        steps.append(step)
        if step.after is None:
            break
        state = step.after
    return trace


def _starts(machine: AggregateMachine) -> list[Any]:
    """The initial states in an order that does not depend on the process: they may be given as a set."""
    return sorted(dict.fromkeys(machine.initial()), key=Source().of)


def _step(machine: AggregateMachine, state: Any, label: Any) -> TraceStep:
    command, given = machine.asked(label)
    context = given if machine.aggregate.takes_context else None
    outcome = machine.take(state, label)
    if not isinstance(outcome, Accepted):
        return TraceStep(command, context, [], state, None, _said(outcome))
    wrong = machine.confirm(state, label, outcome)
    return TraceStep(command, context, outcome.events, state, outcome.state, "" if wrong is None else _said(wrong))


def _said(outcome: Outcome) -> str:
    match outcome:
        case Refused(reason):
            return f"refused: {reason}"
        case Violated():
            return broken(outcome)
        case Fault(message=message):
            return message
        case Accepted() | Refusals():
            raise AssertionError(f"{outcome} is nothing wrong")
