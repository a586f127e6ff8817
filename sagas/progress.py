"""Progress: what a saga's ledger adds up to, as its lane holds it and a reader sees it.

`after` is the fold of the ledger. It depends on events alone (L5), so that yesterday's sagas fold the same under
today's table of steps.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from msgspec.structs import replace

from eventcore.avro.outcome import Kind
from eventcore.value import Value
from sagas.ledger import (
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

Data = TypeVar("Data", bound=Value)
Data_co = TypeVar("Data_co", bound=Value, covariant=True)  # progress is immutable, so it is covariant

Status = Literal["not_started", "running", "compensating", "stuck", "completed", "compensated"]
StepStatus = Literal[
    "asked", "parked", "done", "refused", "failed", "undo_asked", "undo_parked", "undo_failed", "undone"
]
OPEN: frozenset[Status] = frozenset({"running", "compensating", "stuck"})
TO_UNDO: frozenset[StepStatus] = frozenset({"asked", "parked", "done"})  # L2, less those whose undo was asked for


class StepState(Value):
    """Where one step stands; `verdict` and `reason` tell of the last answer that was not an acceptance."""

    name: str
    status: StepStatus
    verdict: Kind | None = None
    reason: str | None = None


class Progress(Value, Generic[Data_co]):
    """Where one saga stands: its data, its status, and the steps asked for so far in the order of the log.

    `reason` says why it turned back, also after the end. Each saga has a subclass of its own, that names its data.
    """

    data: Data_co | None = None
    status: Status = "not_started"
    steps: tuple[StepState, ...] = ()
    reason: str | None = None

    @property
    def open(self) -> bool:
        """True from its start until it is completed or compensated; a stuck saga is open."""
        return self.status in OPEN

    def step(self, name: str) -> StepState | None:
        """Where the step of that name stands, or None where it was never asked for."""
        return next((step for step in self.steps if step.name == name), None)


def open_data(progress: Progress[Data]) -> Data | None:
    """The data of an open saga, None before its start and after its end: what it adds to a global invariant."""
    return progress.data if progress.open else None


def to_undo(progress: Progress[Data]) -> list[str]:
    """The steps whose undo is still to be asked for, in the order in which it is: the last asked for comes first."""
    return [step.name for step in reversed(progress.steps) if step.status in TO_UNDO]


def after(progress: Progress[Data], event: LedgerEvent) -> Progress[Data]:
    """The progress after one more event of the ledger."""
    match event:
        case StepRequested(step):
            return replace(progress, status="running", steps=(*progress.steps, StepState(step, "asked")))
        case StepDone(step):
            return _with(progress, "running", StepState(step, "done"))
        case StepRefused(step, verdict, reason):
            return _with(progress, "running", StepState(step, "refused", verdict, reason))
        case StepFailed(step, verdict, reason):
            return _with(progress, "stuck", StepState(step, "failed", verdict, reason))
        case StepParked(step, action, reason):
            waits: StepStatus = "parked" if action == "do" else "undo_parked"
            return _with(progress, "stuck", StepState(step, waits, "parked", reason))
        case CompensationStarted(_, reason):
            return replace(progress, status="compensating", reason=reason)
        case UndoRequested(step):
            return _with(progress, "compensating", StepState(step, "undo_asked"))
        case UndoDone(step):
            return _with(progress, "compensating", StepState(step, "undone"))
        case UndoFailed(step, verdict, reason):
            return _with(progress, "stuck", StepState(step, "undo_failed", verdict, reason))
        case LateAnswer():
            return progress
        case Finished(status):
            return replace(progress, status=status)


def _with(progress: Progress[Data], status: Status, changed: StepState) -> Progress[Data]:
    steps = tuple(changed if step.name == changed.name else step for step in progress.steps)
    return replace(progress, status=status, steps=steps)


def completed_only_when_all_is_done(progress: Progress[Value]) -> bool:
    """A completed saga has every step that it asked for done."""
    return progress.status != "completed" or all(step.status == "done" for step in progress.steps)


def compensated_only_when_nothing_is_left(progress: Progress[Value]) -> bool:
    """A compensated saga has every step that it asked for refused, or its undo acknowledged (L4)."""
    return progress.status != "compensated" or all(step.status in ("refused", "undone") for step in progress.steps)
