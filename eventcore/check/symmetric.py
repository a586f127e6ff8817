"""A machine whose instances are alike: searched as it is, and tried with its instances changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from eventcore.check.aggregate import AggregateMachine, Asked
from eventcore.check.machine import Fault, Outcome
from eventcore.check.properties import OF_WAYS, Step
from eventcore.check.source import shown
from eventcore.check.symmetry import Change, Orbits, Symmetry
from eventcore.errors import NotSupported
from eventcore.turn import Accepted, Refused, Violated

TRIED_TURNS, TRIED_SHARE = 10_000, 8  # so many turns at first, then those of one in so many states that are taken anew
LIKELY = (
    "the code or a claim compares instances or picks one out, or the state or an event speaks of them in a field that the "
    "symmetry does not name"
)


class SymmetricMachine:
    """The machine of an aggregate; where turns are taken anew, they are also taken with the instances changed.

    Raises CallerError where the scope or the initial states do not treat all instances alike.
    """

    def __init__(self, machine: AggregateMachine, symmetry: Symmetry) -> None:
        self.name = machine.name
        self.steps = machine.steps
        self.confirm = machine.confirm
        self.compact = machine.compact
        self._machine = machine
        self._symmetry = symmetry
        self._labels = [
            (change, {label: self._label(label, change) for label in machine.commands}) for change in symmetry.changes()
        ]
        self._turns = self._asked = 0
        self.tried = 0  # states whose every step was tried with the instances changed
        checked = machine.judged
        claims = [(each.name, each.holds) for each in checked.properties if each.kind in {"always", "sometimes"}]
        claims += [(guard.name, guard.holds) for guard in machine.aggregate.guards]
        claims += [] if checked.finished is None else [("finished", checked.finished)]
        claims += [] if checked.scope.within is None else [("within", checked.scope.within)]
        self._claims: Sequence[tuple[str, Callable[[Any], bool]]] = claims
        self._of_steps = [each for each in checked.properties if each.kind == "always_step"]
        self._refuse_unlike_labels()

    def orbits(self) -> Orbits:
        """A memory of what was met, by orbits."""
        return Orbits(self._symmetry, self._machine.aggregate.state_type)

    def not_judged(self) -> list[str]:
        """The claims that are not judged where orbits are searched."""
        return [each.name for each in self._machine.checked.properties if each.kind in OF_WAYS]

    def _refuse_unlike_labels(self) -> None:
        for _, others in self._labels:
            for label, other in others.items():
                if other not in others:
                    raise NotSupported(
                        f"{self.name}: the scope has {shown(label)} and not {shown(other)}, so it does not treat all "
                        "instances alike. Give each the same commands, or leave the symmetry out."
                    )

    def initial(self) -> Iterable[Any]:
        """The states to begin in."""
        starts = list(self._machine.initial())
        for state in starts:
            for change, _ in self._labels:
                if (name := self._told_apart(state, self._symmetry.state(state, change))) is not None:
                    raise NotSupported(f"{self.name}: {name} is another of {shown(state)} with its instances changed.")
        return starts

    def again(self, state: Any, first: Sequence[tuple[Any, Outcome]]) -> tuple[Any, Fault] | None:
        """What differs when the steps are taken anew, or with the instances changed."""
        self._asked += 1
        if (difference := self._machine.again(state, first)) is not None:
            return difference
        if self._turns >= TRIED_TURNS and self._asked % TRIED_SHARE:
            return None
        self.tried += 1
        self._turns += len(self._machine.commands)
        return next(self._differences(state), None)

    def _differences(self, state: Any) -> Iterator[tuple[Any, Fault]]:
        take = self._machine.take
        taken = [(label, take(state, label)) for label in self._machine.commands]
        for change, others in self._labels:
            other = self._symmetry.state(state, change)
            for label, one in taken:
                changed = others[label]
                two = take(other, changed)
                if not self._same(one, two, change):
                    message = f"{shown(label)} has another outcome than {shown(changed)} with the instances changed"
                    yield label, Fault("not_symmetric", "symmetry", message, LIKELY)
                elif isinstance(one, Accepted) and isinstance(two, Accepted):
                    steps = (
                        Step(state, self._command(label), one.events, one.state),
                        Step(other, self._command(changed), two.events, two.state),
                    )
                    if (name := self._told_apart(one.state, two.state, steps)) is not None:
                        message = f"{name} tells apart what differs only in which instance is which"
                        yield label, Fault("not_symmetric", name, message, LIKELY)

    def _same(self, one: Outcome, two: Outcome, change: Change) -> bool:
        match one, two:
            case Accepted(), Accepted():
                events = [self._symmetry.message(event, change) for event in one.events]
                return events == two.events and self._symmetry.state(one.state, change) == two.state
            case (Refused(reason), Refused(other)) | (Violated(reason), Violated(other)):
                return reason == other
            case _:
                return type(one) is type(two)

    def _told_apart(self, state: Any, other: Any, steps: tuple[Step, Step] | None = None) -> str | None:
        """The claim that says one of a state and another of the same with its instances changed."""
        for name, holds in self._claims:
            if _said(holds, state) != _said(holds, other):
                return name
        if steps is not None:
            for each in self._of_steps:
                if _said(each.holds, steps[0]) != _said(each.holds, steps[1]):
                    return each.name
        return None

    def _command(self, label: Any) -> Any:
        return self._machine.asked(label)[0]

    def _label(self, label: Any, change: Change) -> Any:
        command = self._symmetry.message(self._command(label), change)
        return label._replace(command=command) if isinstance(label, Asked) else command


def _said(holds: Callable[[Any], bool], about: Any) -> bool | type[Exception]:
    """What a claim says; that it raises is a finding of the search itself."""
    try:
        return bool(holds(about))
    except Exception as error:  # noqa: BLE001 - compared, not swallowed
        return type(error)
