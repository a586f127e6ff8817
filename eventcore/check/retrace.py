"""Taking the steps of a trace again, judged as a search judges them: what a test that was written from a trace calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.machine import Fault, Outcome, Refusals, broken
from eventcore.check.properties import OF_WAYS, Step
from eventcore.turn import Accepted, Refused, Violated


def retrace(what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any], start: Any, commands: Sequence[Any]) -> str | None:
    """What goes wrong when `commands` are taken one after another from `start`, as a check says it; None: nothing.

    A command that is refused ends it well: the way into trouble is closed. Each is a command, or an `Asked` where the
    aggregate takes a Context.
    """
    checked = what if isinstance(what, Checked) else Checked(what)
    machine = AggregateMachine(checked)
    checked = machine.judged
    state = start
    problem = _of_state(checked, state)
    for label in commands:
        if problem is not None:
            return problem
        found = _taken(machine, state, label)
        if not isinstance(found, Accepted):
            return found
        problem = _of_step(checked, machine, state, label, found) or _of_state(checked, found.state)
        state = found.state
    return problem or _of_rest(checked, machine, state)


def _taken(machine: AggregateMachine, state: Any, label: Any) -> Accepted[Any, Any] | str | None:
    """The turn's outcome where it counts, what is wrong with it, or None where it is refused."""
    before = hash(state)
    outcome = machine.take(state, label)
    if hash(state) != before:
        return "state: it is another after decide and evolve have seen it"
    if not isinstance(outcome, Accepted):
        return _wrong(outcome)
    wrong = machine.confirm(state, label, outcome)
    if wrong is not None:
        return _wrong(wrong)
    difference = machine.differs_anew(state, label, outcome)
    return outcome if difference is None else _wrong(difference)


def _wrong(outcome: Outcome) -> str | None:
    match outcome:
        case Violated(name):
            return f"{name}: {broken(outcome)}"
        case Fault(_, name, message, _):
            return f"{name}: {message}"
        case Accepted() | Refused() | Refusals():
            return None


def _of_state(checked: Checked[Any, Any, Any], state: Any) -> str | None:
    for each in checked.properties:
        if each.kind == "always" and not each.holds(state):
            return f"{each.name}: {each.name} is false"
        if each.kind in OF_WAYS:
            each.holds(state)  # which way it leads, a trace does not tell; but it may raise, as it did in a check
    return None


def _of_step(
    checked: Checked[Any, Any, Any], machine: AggregateMachine, state: Any, label: Any, found: Accepted[Any, Any]
) -> str | None:
    command, _ = machine.asked(label)
    step = Step(state, command, found.events, found.state)
    for each in checked.properties:
        if each.kind == "always_step" and not each.holds(step):
            return f"{each.name}: {each.name} is false of this step"
    return None


def _of_rest(checked: Checked[Any, Any, Any], machine: AggregateMachine, state: Any) -> str | None:
    if checked.finished is None or checked.finished(state):
        return None
    for _, outcome in machine.steps(state):
        if isinstance(outcome, Accepted) and outcome.state != state:
            return None
    return "finished: no command leads anywhere else from a state that is not finished"
