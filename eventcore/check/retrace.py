"""Taking the steps of a trace again, judged as a search judges them: what a test that was written from a trace calls.

All that a search notices along its way to a state is asked again on this one: claims, and whether they raise; turns,
invariants and all; whether a turn comes out the same each time, on an equal state made anew, and where turns are
remembered; whether a state is another afterwards. What is about all states or all ways no trace can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.machine import Fault, Outcome, Refusals, broken
from eventcore.check.properties import OF_WAYS, Step
from eventcore.check.sampled import sampled_classes
from eventcore.check.search import MUTATED
from eventcore.turn import Accepted, Refused, Violated

TIMES = 8  # how often a turn is taken again: chance of one half is missed once in 256 times


def retrace(what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any], start: Any, commands: Sequence[Any]) -> str | None:
    """What goes wrong when `commands` are taken one after another from `start`, as a check says it; None: nothing.

    A command that is refused ends it well: the way into trouble is closed. Each is a command, or an `Asked` where the
    aggregate takes a Context.
    """
    return _Again(AggregateMachine(what if isinstance(what, Checked) else Checked(what))).along(start, commands)


class _Again:
    """One way, taken again."""

    def __init__(self, machine: AggregateMachine) -> None:
        self._machine = machine
        self._claims = machine.judged
        self._wanted = [each for each in self._claims.properties if each.kind == "sometimes"]

    def along(self, start: Any, commands: Sequence[Any]) -> str | None:
        """What goes wrong on the way, or at its end."""
        state = start
        problem = self._of_state(state)
        for number, label in enumerate(commands, 1):
            if problem is not None:
                return problem
            found = self._taken(state, label, last=number == len(commands))
            if not isinstance(found, Accepted):
                return found
            problem = self._of_step(state, label, found) or self._of_state(found.state)
            state = found.state
        return problem or self._of_end(state)

    def _taken(self, state: Any, label: Any, *, last: bool) -> Accepted[Any, Any] | str | None:
        """The turn's outcome where it counts, what is wrong with it, or None where it is refused."""
        machine, before = self._machine, hash(state)
        steps = list(machine.steps(state))
        outcome = machine.take(state, label)
        if hash(state) != before:
            return f"state: {MUTATED}"
        judged: Outcome | None = outcome
        if isinstance(outcome, Accepted):
            judged = machine.confirm(state, label, outcome)
        if judged is not None and (wrong := _wrong(judged)) is not None:
            return wrong
        for _ in range(TIMES):
            if (differs := machine.differs_anew(state, label, outcome)) is not None:
                return _wrong(differs)
        if last and (difference := machine.again(state, steps)) is not None:
            return _wrong(difference[1])
        return outcome if judged is None and isinstance(outcome, Accepted) else None

    def _of_state(self, state: Any) -> str | None:
        for each in self._claims.properties:
            problem = None
            if each.kind == "always":
                problem = self._false(each.holds, state, each.name, f"{each.name} is false")
            elif (
                each.kind in OF_WAYS
            ):  # which way it leads, a trace does not tell; but it may raise, as it did in a check
                problem = self._raised(each.holds, state, each.name)
                problem = problem or (each.premise and self._raised(each.premise, state, each.name))
            if problem is not None:
                return problem
        for each in list(self._wanted):
            said = self._asked(each.holds, state, each.name)
            if isinstance(said, str):
                return said
            if said:
                self._wanted.remove(each)  # and is asked no more, as in a check
        return None

    def _of_step(self, state: Any, label: Any, found: Accepted[Any, Any]) -> str | None:
        command, _ = self._machine.asked(label)
        step = Step(state, command, found.events, found.state)
        for each in self._claims.properties:
            if each.kind == "always_step":
                problem = self._false(each.holds, step, each.name, f"{each.name} is false of this step")
                if problem is not None:
                    return problem
        within = self._claims.scope.within
        return None if within is None else self._raised(within, found.state, "within")

    def _of_end(self, state: Any) -> str | None:
        """What is wrong with a state that no step of the trace leaves: it is changed in place, or a dead end."""
        machine, before = self._machine, hash(state)
        taken = [(label, machine.take(state, label)) for label in machine.commands]
        machine.steps(state)
        if hash(state) != before:
            return f"state: {MUTATED}"
        finished = self._claims.finished
        if finished is None or any(self._leaves(state, *each) for each in taken):
            return None
        said = self._asked(finished, state, "finished")
        if isinstance(said, str):
            return said
        if said or sampled_classes(machine):
            return None
        return "finished: no command leads anywhere else from a state that is not finished"

    def _leaves(self, state: Any, label: Any, outcome: Outcome) -> bool:
        if not isinstance(outcome, Accepted) or outcome.state == state:
            return False
        wrong = self._machine.confirm(state, label, outcome)
        return wrong is None or (isinstance(wrong, Fault) and wrong.kind == "codec")

    # --- what claims say ---------------------------------------------------------------------------------------------

    def _false(self, claim: Callable[[Any], bool], about: Any, name: str, message: str) -> str | None:
        said = self._asked(claim, about, name)
        return said if isinstance(said, str) else None if said else f"{name}: {message}"

    def _raised(self, claim: Callable[[Any], bool], about: Any, name: str) -> str | None:
        said = self._asked(claim, about, name)
        return said if isinstance(said, str) else None

    def _asked(self, claim: Callable[[Any], bool], about: Any, name: str) -> bool | str:
        """What a claim says, or what a check says of one that raises."""
        try:
            return bool(claim(about))
        except Exception as error:  # noqa: BLE001 - a claim that raises is what the test is about
            return f"{name}: {name} raises {type(error).__name__}: {error}"


def _wrong(outcome: Outcome) -> str | None:
    match outcome:
        case Violated(name):
            return f"{name}: {broken(outcome)}"
        case Fault(_, name, message, _):
            return f"{name}: {message}"
        case Accepted() | Refused() | Refusals():
            return None
