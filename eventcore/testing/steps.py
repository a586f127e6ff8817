"""Scenarios of a saga: what it was told, what it is told now, and the commands that it then asks for.

The saga is compiled as an app compiles it, and its turns are taken by `take_turn`. Its commands are read back from the
ledger, where they stand as Avro.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn

from eventcore.aggregate import Aggregate, Message
from eventcore.avro.catalogue import Catalogue
from eventcore.context import Context
from eventcore.testing.story import NAMESPACE, Line, fail
from eventcore.testing.turns import GivenPast, Taken, given_past
from eventcore.turn import Accepted, Refused, Violated
from eventcore.value import Value
from sagas.compile import compile_saga
from sagas.ledger import Answered, StepRequested, UndoRequested
from sagas.progress import Data, Progress, Status
from sagas.saga import Saga


def accepted(step: str) -> Answered:
    """The answer to a step that took effect."""
    return Answered(step, "do", "accepted")


def refused(step: str, reason: str) -> Answered:
    """The answer to a step that its target refused."""
    return Answered(step, "do", "refused", reason)


def undone(step: str) -> Answered:
    """The answer to the undo of a step, which took effect."""
    return Answered(step, "undo", "accepted")


def undo_refused(step: str, reason: str) -> Answered:
    """The answer to the undo of a step that its target refused: the saga is stuck."""
    return Answered(step, "undo", "refused", reason)


@dataclass(frozen=True)
class GivenSaga(Generic[Data]):
    """A saga that has been told `past`; `progress` is where that leaves it."""

    saga: Saga[Data]
    past: tuple[Value, ...]
    machine: GivenPast[Progress[Data], Value, Value]
    orders: _Orders

    @property
    def progress(self) -> Progress[Data]:
        """Where the saga stands."""
        return self.machine.state

    def when(self, told: Value) -> Reacted[Data]:
        """Tell the saga something: the command that starts it, an answer, or `Compensate(reason)`."""
        __tracebackhide__ = True
        return Reacted(self, told, self.machine.when(told))


@dataclass(frozen=True)
class Reacted(Generic[Data]):
    """What a saga did; each `then…` returns it, and `progress` is there for assertions of your own."""

    given: GivenSaga[Data]
    told: Value
    turn: Taken[Progress[Data], Value, Value]

    @property
    def progress(self) -> Progress[Data]:
        """Where the saga stands now."""
        return self.turn.state

    @property
    def asked(self) -> list[Message[Any]]:
        """The commands that it asks for, in order; none where it refused what it was told."""
        match self.turn.outcome:
            case Accepted(events):
                return [
                    self.given.orders.message_of(e) for e in events if isinstance(e, (StepRequested, UndoRequested))
                ]
            case Refused() | Violated():
                return []

    def then(self, *messages: Message[Any]) -> Reacted[Data]:
        """The saga took what it was told, and asks for exactly these commands; with none, for nothing."""
        __tracebackhide__ = True
        if not isinstance(self.turn.outcome, Accepted):
            self._fail(list(messages), self.turn.outcome)
        if self.asked != list(messages):
            self._fail(list(messages), self.asked)
        return self

    def then_status(self, status: Status) -> Reacted[Data]:
        """The saga stands so: `running`, `compensating`, `stuck`, `completed` or `compensated`."""
        __tracebackhide__ = True
        if self.progress.status != status:
            self._fail(status, f"{self.progress.status}: {self.progress.steps}")
        return self

    def then_refused(self, reason: str) -> Reacted[Data]:
        """The saga refused what it was told, for this reason."""
        __tracebackhide__ = True
        self.turn.then_refused(reason)
        return self

    def when(self, told: Value) -> Reacted[Data]:
        """Go on: tell the saga something further."""
        __tracebackhide__ = True
        before = self.given
        return GivenSaga(before.saga, (*before.past, self.told), _after(self.turn), before.orders).when(told)

    def _fail(self, expected: object, got: object) -> NoReturn:
        __tracebackhide__ = True
        lines: list[Line] = [("given", self.given.past), ("status", self.given.progress.status), ("when", self.told)]
        fail(f"scenario of saga {self.given.saga.name}", lines, expected, got)


@dataclass(frozen=True)
class _Orders:
    """Frames the commands of a saga's steps for its ledger, and reads them back from there."""

    classes: dict[tuple[str, str], type[Value]] = field(default_factory=dict[tuple[str, str], type[Value]])

    def frame(self, message: Message[Any]) -> bytes:
        command: Value = message.command
        cls = type(command)
        self.classes[message.to, cls.__name__] = cls
        return Catalogue((cls,), NAMESPACE).encode(message.command)

    def message_of(self, order: StepRequested | UndoRequested) -> Message[Any]:
        catalogue = Catalogue((self.classes[order.to, order.type],), NAMESPACE)
        return Message(order.to, order.id, catalogue.decode(order.command))


def given_saga(saga: Saga[Data], past: Sequence[Value], context: Context) -> GivenSaga[Data]:
    """A saga that has been told `past`, all of which it took. Raises AssertionError where it did not."""
    __tracebackhide__ = True
    orders = _Orders()
    compiled: Aggregate[Progress[Data], Value, Value] = compile_saga(saga, orders.frame)
    machine = given_past(compiled, (), compiled.initial(), context)
    for number, told in enumerate(past):
        taken = machine.when(told)
        if not isinstance(taken.outcome, Accepted):
            lines: list[Line] = [("given", tuple(past[: number + 1]))]
            fail(f"scenario of saga {saga.name}: it does not take this past", lines, "accepted", taken.outcome)
        machine = _after(taken)
    return GivenSaga(saga, tuple(past), machine, orders)


def _after(taken: Taken[Progress[Data], Value, Value]) -> GivenPast[Progress[Data], Value, Value]:
    before = taken.given
    events = taken.outcome.events if isinstance(taken.outcome, Accepted) else []
    return GivenPast(before.aggregate, (*before.past, *events), taken.state, before.context)
