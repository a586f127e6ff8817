"""Compile a saga to an aggregate: then the lane, the turn, the log and the checker need not know what a saga is.

The compiled aggregate's commands are the saga's inbox (its start, answers of its steps' targets, the order to turn
back), its events are the ledger (sagas.ledger), its state is the progress (sagas.progress). `decide` reads as a table:
what an answer means follows from where its step stands and from nothing else, so that a repeated, late or overtaken
answer is legal in every state.

    the step is                  accepted            refused, violated, …     parked
    asked, parked                done, go forward    turn back, or fail (1)   stuck
    failed                       done, go forward    late                     late
    undo asked, undo parked      undone, go back     undo failed: stuck       stuck
    undo failed                  undone, go back     late                     late
    (2)                          late                late                     late

(1) a compensatable step and the pivot turn the saga back; a refused retriable step leaves it stuck, since what comes
before it is not undone. (2) answers to a `do` once it is settled or its undo is asked for, and to a settled `undo`.
A parked command that an operator discarded will never take effect: that answer is as a refusal.
An answer to what was never asked is refused.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Union, cast

from eventcore.aggregate import Aggregate, Message
from eventcore.avro.outcome import Kind
from eventcore.errors import InvalidValue, Refusal, WrongUse
from eventcore.lane.backlog import DISCARDED
from eventcore.value import Value
from sagas.ledger import (
    Answered,
    Compensate,
    CompensationStarted,
    Finished,
    LateAnswer,
    LedgerEvent,
    StepDone,
    StepFailed,
    StepParked,
    StepRefused,
    StepRequested,
    UndoDone,
    UndoFailed,
    UndoRequested,
)
from sagas.progress import (
    Data,
    Progress,
    StepState,
    StepStatus,
    after,
    compensated_only_when_nothing_is_left,
    completed_only_when_all_is_done,
    to_undo,
)
from sagas.saga import Saga, Step

Encode = Callable[[Message[Any]], bytes]

DECLINED: frozenset[Kind] = frozenset({"refused", "violated", "conflict", "expired"})  # decided, and without effect
UNDO_ASKED: frozenset[StepStatus] = frozenset({"undo_asked", "undo_parked", "undo_failed", "undone"})


def compile_saga(saga: Saga[Data], encode: Encode) -> Aggregate[Progress[Data], Value, Value]:
    """The aggregate of the saga's name whose turns are the saga's; `encode` frames a message's command for its target.

    Its state class is a `Progress` that names the saga's data class, its first event is that data itself.
    """
    state = _progress_of(saga)
    reactions = _Reactions(saga, encode)

    def decide(progress: Progress[Data], command: Value) -> list[Value]:
        if type(command) is saga.start.command:
            return reactions.start(progress, command)
        if progress.data is None:
            raise Refusal("unknown_saga", f"no {saga.name} was started under this id")
        match cast("Answered | Compensate", command):
            case Answered() as answer:
                return [*reactions.answered(progress, progress.data, answer)]
            case Compensate(reason):
                return [*reactions.compensate(progress, progress.data, reason)]

    def evolve(progress: Progress[Data], event: Value) -> Progress[Data]:
        if type(event) is saga.start.data:
            return state(event, "running")
        return after(progress, cast("LedgerEvent", event))

    commands = _union(saga.start.command, Answered, Compensate)
    events = _union(saga.start.data, LedgerEvent)
    decide.__annotations__ = {"progress": state, "command": commands, "return": types.GenericAlias(list, (events,))}
    evolve.__annotations__ = {"progress": state, "event": events, "return": state}
    return Aggregate(
        saga.name,
        state,
        decide,
        evolve,
        invariants=[completed_only_when_all_is_done, compensated_only_when_nothing_is_left],
    )


def _declined(answer: Answered) -> bool:
    return answer.kind in DECLINED or (answer.kind == "parked" and answer.reason == DISCARDED)


def _union(*classes: Any) -> Any:
    """A union made at run time, for `Aggregate` to read: what a type checker sees stays `Value`."""
    return Union[classes]  # noqa: UP007 - `|` does not take a tuple


def _progress_of(saga: Saga[Data]) -> type[Progress[Data]]:
    """The subclass of `Progress` whose data is of the saga's class, so that validators and schemas can be derived."""

    def body(namespace: dict[str, Any]) -> None:
        namespace["__module__"] = __name__
        namespace["__doc__"] = f"Where one {saga.name} stands."
        namespace["__annotations__"] = {"data": saga.start.data | None}
        namespace["data"] = None

    return cast("type[Progress[Data]]", types.new_class(Progress.__name__, (Progress,), {}, body))


@dataclass(frozen=True)
class _Reactions(Generic[Data]):
    """What the saga answers to each of its inputs, as events of the ledger."""

    saga: Saga[Data]
    encode: Encode

    def start(self, progress: Progress[Data], command: Value) -> list[Value]:
        """The saga's data and the first request; refused where the saga exists or its data make an invalid command."""
        if progress.data is not None:
            raise Refusal("already_started", f"this {self.saga.name} is {progress.status}")
        data = self.saga.start.make(command)
        if type(data) is not self.saga.start.data:
            raise WrongUse(
                f"saga {self.saga.name!r} made {data!r} of {command!r}; expected a {self.saga.start.data.__name__}"
            )
        # Steps are pure functions of data that never changes, so all are tried now: a saga that could not ask for its
        # third step, or undo its first, never begins.
        for step in self.saga.steps:
            try:
                do = self._do(step, data)
                undo = self._undo(step, data) if step.undo is not None else None
            except InvalidValue as impossible:
                raise Refusal("impossible_step", f"step {step.name!r}: {impossible}") from impossible
            if undo is not None and (undo.to, undo.id) != (do.to, do.id):
                raise WrongUse(
                    f"saga {self.saga.name!r}: step {step.name!r} is done at {do.to} {do.id!r} and undone at {undo.to} "
                    f"{undo.id!r}. Only the instance that accepted a step knows whether there is anything to undo: "
                    "undo it there, and let what the other one does be a step of its own."
                )
        return [data, self._do(self.saga.steps[0], data)]

    def answered(self, progress: Progress[Data], data: Data, answer: Answered) -> list[LedgerEvent]:
        """What follows from an answer; refused where its step, or its undo, was never asked for."""
        step = progress.step(answer.step)
        if step is None or (answer.action == "undo" and step.status not in UNDO_ASKED):
            raise Refusal("not_asked", f"{answer.action} {answer.step!r} was not asked for by this {self.saga.name}")
        if answer.action == "do":
            return self._after_do(progress, data, step, answer)
        return self._after_undo(progress, data, step, answer)

    def compensate(self, progress: Progress[Data], data: Data, reason: str) -> list[LedgerEvent]:
        """Turn back with nothing refused; no events where that is under way already."""
        if not progress.open:
            raise Refusal("already_finished", f"this {self.saga.name} is {progress.status}")
        if any(step.status in UNDO_ASKED for step in progress.steps):
            return []
        for step in progress.steps:
            if self.saga.step_named(step.name).kind != "compensatable":
                raise Refusal("past_the_pivot", f"step {step.name!r} was asked for, and it cannot be undone")
        return [CompensationStarted(None, reason), *self._back(data, to_undo(progress), reason)]

    def _after_do(self, progress: Progress[Data], data: Data, step: StepState, answer: Answered) -> list[LedgerEvent]:
        if answer.kind == "accepted" and step.status in ("asked", "parked", "failed"):
            return [StepDone(step.name), *self._forward(data, step.name)]
        if answer.kind == "parked" and step.status == "asked" and not _declined(answer):
            return [StepParked(step.name, "do", answer.reason)]
        if _declined(answer) and step.status in ("asked", "parked"):
            if self.saga.step_named(step.name).kind == "retriable":
                return [StepFailed(step.name, answer.kind, answer.reason)]
            earlier = [name for name in to_undo(progress) if name != step.name]
            refused = StepRefused(step.name, answer.kind, answer.reason)
            turned = CompensationStarted(step.name, answer.reason)
            return [refused, turned, *self._back(data, earlier, answer.reason)]
        return [LateAnswer(answer.step, answer.action, answer.kind, answer.reason)]

    def _after_undo(self, progress: Progress[Data], data: Data, step: StepState, answer: Answered) -> list[LedgerEvent]:
        if answer.kind == "accepted" and step.status in ("undo_asked", "undo_parked", "undo_failed"):
            return [UndoDone(step.name), *self._back(data, to_undo(progress), progress.reason)]
        if answer.kind == "parked" and step.status == "undo_asked" and not _declined(answer):
            return [StepParked(step.name, "undo", answer.reason)]
        if _declined(answer) and step.status in ("undo_asked", "undo_parked"):
            return [UndoFailed(step.name, answer.kind, answer.reason)]
        return [LateAnswer(answer.step, answer.action, answer.kind, answer.reason)]

    def _forward(self, data: Data, done: str) -> list[LedgerEvent]:
        """Ask for the step after `done`, or finish where it was the last."""
        following = self.saga.steps.index(self.saga.step_named(done)) + 1
        if following == len(self.saga.steps):
            return [Finished("completed", None)]
        return [self._do(self.saga.steps[following], data)]

    def _back(self, data: Data, remaining: list[str], reason: str | None) -> list[LedgerEvent]:
        """Ask for the undo of the first of `remaining`, or finish where none remains."""
        if not remaining:
            return [Finished("compensated", reason)]
        return [self._undo(self.saga.step_named(remaining[0]), data)]

    def _do(self, step: Step[Data], data: Data) -> StepRequested:
        return StepRequested(step.name, *self._order(step, step.do, data))

    def _undo(self, step: Step[Data], data: Data) -> UndoRequested:
        if step.undo is None:
            raise WrongUse(
                f"saga {self.saga.name!r} must undo step {step.name!r}, which has no undo any more. "
                "An open saga asked for the step when it had one: put it back."
            )
        return UndoRequested(step.name, *self._order(step, step.undo, data))

    def _order(self, step: Step[Data], make: Callable[[Data], Message[Any]], data: Data) -> tuple[str, str, str, bytes]:
        message = make(data)
        if type(message) is not Message:
            raise WrongUse(
                f"saga {self.saga.name!r}: step {step.name!r} made {message!r}; "
                "expected a message: aggregate.to(id, command)"
            )
        return message.to, message.id, type(message.command).__name__, self.encode(message)
