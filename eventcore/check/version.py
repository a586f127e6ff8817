"""One of two versions that are compared: its machine, searched, with every accepted step at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.machine import Fault, Outcome
from eventcore.check.scope import Bounds
from eventcore.check.search import Explored, Plan, Pulse, search
from eventcore.check.trace import Trace, TraceStep
from eventcore.check.unread import hiding, refuse_hidden
from eventcore.errors import InvalidValue
from eventcore.turn import Accepted, Refused, Violated


@dataclass(frozen=True)
class Answer:
    """What a version says to a command: where it leads, or the reason why it leads nowhere."""

    reason: str
    events: tuple[Any, ...] = ()
    state: Any = None

    @property
    def accepted(self) -> bool:
        """Whether the command was accepted."""
        return not self.reason


class Version:
    """A version with its search. States of it are compared after `clean`, which forgets the fields nobody reads."""

    def __init__(
        self,
        what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any],
        bounds: Bounds,
        progress: Callable[[Pulse], None],
    ) -> None:
        self.checked = what if isinstance(what, Checked) else Checked(what)
        self.aggregate: Aggregate[Any, Any, Any] = self.checked.aggregate
        self.machine = AggregateMachine(self.checked)
        scope = self.checked.scope
        self.clean: Callable[[Any], Any] = _same
        if scope.unread:
            self.clean = hiding(self.aggregate.state_type, scope.unread, self.aggregate.initial())[1]
        plan = Plan(finished=None, within=self.machine.judged.scope.within, bounds=bounds, keep_going=True)
        self.found: Explored = search(self.machine, plan, progress)
        self.reached: frozenset[Any] = frozenset(self.found.states)
        self._answers: dict[tuple[Any, Any], Answer] = {}
        self._following: dict[Any, frozenset[Any]] = {}

    def unseeing(self, state_map: Callable[[Any], Any], clean: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A map of this version's states that does not see what fields hold that nobody reads.

        It raises WrongUse where it looks, or passes such a value on to a field that `clean` does not forget.
        """
        if not self.checked.scope.unread:
            return state_map

        def mapped(state: Any) -> Any:
            image = clean(state_map(self.machine.hide(state)))
            refuse_hidden(image, "the map")
            return image

        return mapped

    def steps(self, number: int) -> Iterator[tuple[Any, Accepted[Any, Any]]]:
        """The accepted steps from a state that was expanded, as the search counted them."""
        state = self.found.states[number]
        for label, outcome in self.machine.steps(state):
            if isinstance(outcome, Accepted) and self._counts(state, label, outcome):
                yield label, outcome

    def _counts(self, state: Any, label: Any, outcome: Accepted[Any, Any]) -> bool:
        return outcome.state in self.reached or _is_fine(self.machine.confirm(state, label, outcome))

    def breaks(self, state: Any) -> str | None:
        """Which invariant, or which bound of a type, a state breaks; None for a state that is right."""
        aggregate = self.aggregate
        if type(state) is not aggregate.state_type:
            return f"it is a {type(state).__name__}, not a {aggregate.state_type.__name__}"
        try:
            aggregate.state_check(state)
        except InvalidValue as invalid:
            return str(invalid)
        for guard in aggregate.guards:
            try:
                holds = guard.holds(self.machine.hide(state))
            except Exception:  # noqa: BLE001 - an invariant that cannot be judged does not hold
                holds = False
            if not holds:
                return guard.name
        return None

    def breaks_all(self, state: Any) -> list[str]:
        """Every claim about states that this one breaks: its first broken invariant or bound, and `always` properties.

        One that raises counts as broken.
        """
        held: set[str] = set()
        for each in self.machine.judged.properties:
            try:
                holds = each.kind != "always" or each.holds(state)
            except Exception:  # noqa: BLE001 - a claim that cannot be judged does not hold
                holds = False
            if holds:
                held.add(each.name)
        broken = self.breaks(state)
        claims = [each.name for each in self.checked.properties if each.name not in held]
        return claims if broken is None else [broken, *claims]

    def following(self, state: Any) -> frozenset[Any]:
        """Where accepted steps lead from a state, be it reachable or not.

        From a state that breaks an invariant, a step is one that `decide` allows: whose fault the state is, was said before.
        """
        known = self._following.get(state)
        if known is None:
            broken = self.breaks(state) is not None
            known = self._following[state] = frozenset(
                self.clean(outcome.state)
                for label, outcome in self.machine.steps(state)
                if isinstance(outcome, Accepted) and (broken or self._counts(state, label, outcome))
            )
        return known

    def answer(self, state: Any, label: Any) -> Answer:
        """What this version says to a command in a state, its invariants judged."""
        known = self._answers.get((state, label))
        if known is None:
            known = self._answers[state, label] = self._answer(state, label)
        return known

    def _answer(self, state: Any, label: Any) -> Answer:
        outcome = self.machine.take(state, label)
        if isinstance(outcome, Accepted) and self._counts(state, label, outcome):
            return Answer("", tuple(outcome.events), self.clean(outcome.state))
        if isinstance(outcome, Accepted):
            wrong = self.machine.confirm(state, label, outcome)
            return Answer("changed its mind" if wrong is None else _reason(wrong))
        return Answer(_reason(outcome))

    def trace(self, number: int, last: tuple[Any, Accepted[Any, Any]] | None = None, said: str = "") -> Trace:
        """The shortest way to a state, and one step more from there."""
        found = self.found
        path = found.path(number)
        steps = [self._traced(found.states[one], found.labels[two], found.states[two]) for one, two in pairwise(path)]
        if last is not None:
            steps.append(self._traced(found.states[number], last[0], last[1].state, said))
        return Trace(found.states[path[0]], steps)

    def _traced(self, before: Any, label: Any, after: Any, said: str = "") -> TraceStep:
        command, context = self.machine.asked(label)
        outcome = self.machine.take(before, label)
        events = outcome.events if isinstance(outcome, Accepted) else []
        return TraceStep(command, context if self.aggregate.takes_context else None, events, before, after, said)


def _same(state: Any) -> Any:
    return state


def _is_fine(wrong: Refused | Violated | Fault | None) -> bool:
    return wrong is None or (isinstance(wrong, Fault) and wrong.kind == "codec")


def _reason(outcome: Outcome) -> str:
    match outcome:
        case Refused(reason, _):
            return reason
        case Violated(invariant, _, _):
            return invariant
        case Fault(kind, name, _, _):
            return f"{name} {kind}"
        case _:
            raise AssertionError(f"{outcome} is the answer to no one command")
