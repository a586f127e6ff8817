"""The ledger: the events that every saga's stream consists of, after the saga's own data, and what is said to it.

A saga's stream begins with its data (a value of the user's class) and goes on with these. `StepRequested` and
`UndoRequested` are the orders to the outside: they carry the whole command, and a relay sends it once they are
committed, so nothing is ever asked for that the ledger does not hold. Everything else records what came of it.

L1  A step is in the ledger when it was asked for, not when it was confirmed: an unanswered request may have happened.
L2  What is to be undone is what was asked for and not refused, last first, in the order of the log, never of a clock.
L3  One undo is under way at a time; the next is asked for when the one before was acknowledged.
L4  `Finished("compensated")` stands only after every undo was acknowledged; there is at most one `Finished`.
L5  The ledger explains itself: folding it needs no table of steps, so that a changed table never changes the past.
"""

from __future__ import annotations

from typing import Literal

from eventcore.avro.outcome import Kind
from eventcore.value import Value

Action = Literal["do", "undo"]


class StepRequested(Value):
    """A step is asked for: the command `type`, framed in `command`, goes to the instance `id` of the aggregate `to`."""

    step: str
    to: str
    id: str
    type: str
    command: bytes


class StepDone(Value):
    """A step took effect."""

    step: str


class StepRefused(Value):
    """A step did not take effect, and the saga turns back: `verdict` and `reason` are those of the target."""

    step: str
    verdict: Kind
    reason: str | None


class StepFailed(Value):
    """A step that cannot be gone back from did not take effect: the saga is stuck until it is answered otherwise."""

    step: str
    verdict: Kind
    reason: str | None


class StepParked(Value):
    """A step or its undo waits at its target, which is quarantined: the saga is stuck until it is answered."""

    step: str
    action: Action
    reason: str | None


class CompensationStarted(Value):
    """The saga turns back: because of the refused `step`, or, where that is None, because it was told to."""

    step: str | None
    reason: str | None


class UndoRequested(Value):
    """The undo of a step is asked for, with the fields of `StepRequested`."""

    step: str
    to: str
    id: str
    type: str
    command: bytes


class UndoDone(Value):
    """A step is no longer in effect: its undo was acknowledged."""

    step: str


class UndoFailed(Value):
    """An undo was not accepted: the step may still be in effect. The saga is stuck until it is answered otherwise."""

    step: str
    verdict: Kind
    reason: str | None


class LateAnswer(Value):
    """An answer that settles nothing any more: repeated, overtaken or after the end. It changes no state."""

    step: str
    action: Action
    verdict: Kind
    reason: str | None


class Finished(Value):
    """The saga has ended: all steps done, or every asked step refused or undone; `reason` says why it turned back."""

    status: Literal["completed", "compensated"]
    reason: str | None


LedgerEvent = (
    StepRequested
    | StepDone
    | StepRefused
    | StepFailed
    | StepParked
    | CompensationStarted
    | UndoRequested
    | UndoDone
    | UndoFailed
    | LateAnswer
    | Finished
)


class Answered(Value):
    """The outcome of a step's command, or of its undo's, at its target; `reason` names a refusal or an invariant."""

    step: str
    action: Action
    kind: Kind
    reason: str | None = None


class Compensate(Value):
    """Turn back, whatever is still unanswered: accepted until a step was asked for that cannot be undone."""

    reason: str


# The names that every saga's stream and inbox use: a user's command or data class must bear another.
RESERVED = frozenset(
    {cls.__name__ for cls in (*LedgerEvent.__args__, Answered, Compensate)} | {"Progress", "StepState"}
)
