"""`given`: where every scenario begins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar, overload
from uuid import UUID

from eventcore.aggregate import Aggregate, Command, Event, State
from eventcore.context import Context
from eventcore.testing.rows import GivenEvents, given_events
from eventcore.testing.steps import GivenSaga, given_saga
from eventcore.testing.turns import GivenPast, given_past
from eventcore.value import Value
from projections.projection import Projection
from sagas.progress import Data
from sagas.saga import Saga

Row = TypeVar("Row", bound=Value)

CONTEXT = Context.at(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1))


@overload
def given(
    subject: Aggregate[State, Command, Event],
    *past: Event,
    state: State | None = None,
    context: Context = CONTEXT,
) -> GivenPast[State, Command, Event]: ...


@overload
def given(subject: Projection[Row, Event], *past: Event, id: str = "it") -> GivenEvents[Row, Event]: ...


@overload
def given(subject: Saga[Data], *past: Value, context: Context = CONTEXT) -> GivenSaga[Data]: ...


def given(
    subject: Aggregate[Any, Any, Any] | Projection[Any, Any] | Saga[Any],
    *past: Any,
    state: Any = None,
    context: Context = CONTEXT,
    id: str = "it",  # noqa: A002 - the field's word
) -> GivenPast[Any, Any, Any] | GivenEvents[Any, Any] | GivenSaga[Any]:
    """Begin a scenario with what has happened before: events of an aggregate, or what a saga was told.

    An aggregate's `past` is folded from its initial state, or from `state`; `context` is the time and the command id of
    its turns. A projection's events are those of the instance `id`. A saga's `past` begins with the command that starts
    it. Raises AssertionError where the past is none that can be: a value that its codec changes, a state that breaks an
    invariant, an answer that a saga refuses; InvalidValue for a value out of bounds.
    """
    match subject:
        case Aggregate():
            return given_past(subject, past, subject.initial() if state is None else state, context)
        case Projection():
            return given_events(subject, past, id)
        case Saga():
            return given_saga(subject, past, context)
