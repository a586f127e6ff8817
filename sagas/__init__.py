"""Sagas: steps over several aggregates that all take effect, or none of them, or that are visibly stuck."""

from sagas.compile import compile_saga
from sagas.identity import command_id
from sagas.ledger import (
    Answered,
    Compensate,
    CompensationStarted,
    Finished,
    LateAnswer,
    StepDone,
    StepFailed,
    StepParked,
    StepRefused,
    StepRequested,
    UndoDone,
    UndoFailed,
    UndoRequested,
)
from sagas.progress import Progress, StepState, open_data
from sagas.saga import Saga, Start, Step, starts_on

__all__ = [
    "Answered",
    "Compensate",
    "CompensationStarted",
    "Finished",
    "LateAnswer",
    "Progress",
    "Saga",
    "Start",
    "Step",
    "StepDone",
    "StepFailed",
    "StepParked",
    "StepRefused",
    "StepRequested",
    "StepState",
    "UndoDone",
    "UndoFailed",
    "UndoRequested",
    "command_id",
    "compile_saga",
    "open_data",
    "starts_on",
]
