"""The turn, promise by promise (T1 to T5 of `eventcore.turn`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from eventcore import Accepted, Aggregate, Context, Invariant, Refused, Value, Violated, require, take_turn
from eventcore.errors import InvalidValue, Refusal, WrongUse
from eventcore.turn import VALID_EVENT, VALID_STATE, fold

NOW = Context(stamp=7 << 16, command=UUID(int=1).bytes)


class Why(StrEnum):
    """Reasons as an enum."""

    TOO_MUCH = "too_much"


class Total(Value):
    """A state with a bound of its type."""

    value: Annotated[int, Meta(ge=-50, le=200)] = 0


class Move(Value):
    """A command: add each of the amounts, as an event each."""

    by: tuple[int, ...]


class Misbehave(Value):
    """A command that does something that no decide should."""

    how: str


class Moved(Value):
    """An event with a bound of its type."""

    by: Annotated[int, Meta(ge=-100, le=100)]


def decide(total: Total, command: Move | Misbehave) -> list[Moved]:
    match command:
        case Move(by):
            require(sum(by) != 13, Why.TOO_MUCH, "thirteen is not moved")
            return [Moved(step) for step in by]
        case Misbehave(how):
            return cast("list[Moved]", misbehaviours[how]())


def raises(error: Exception) -> Any:
    def now() -> Any:
        raise error

    return now


misbehaviours: dict[str, Any] = {
    "raises": raises(ZeroDivisionError("on purpose")),
    "raises InvalidValue": raises(InvalidValue("Moved.by", "made inside decide")),
    "returns None": lambda: None,
    "returns a tuple": lambda: (Moved(1),),
    "returns a generator": lambda: (Moved(n) for n in (1, 2)),
    "returns another class": lambda: [Total(1)],
    "returns None among events": lambda: [Moved(1), None],
    "evolve raises": lambda: [Moved(77)],
    "evolve raises InvalidValue": lambda: [Moved(78)],
    "evolve refuses": lambda: [Moved(79)],
    "evolve returns another class": lambda: [Moved(80)],
    "invariant raises": lambda: [Moved(81)],
}


def evolve(total: Total, event: Moved) -> Total:
    match event.by:
        case 77:
            raise KeyError("on purpose")
        case 78:
            raise InvalidValue("Total.value", "made inside evolve")
        case 79:
            raise Refusal("not_here")
        case 80:
            return cast("Total", event)
        case by:
            return Total(total.value + by)


def never_above_ceiling(total: Total) -> bool:
    if total.value == 81:
        raise RuntimeError("on purpose")
    return total.value <= 100


totals = Aggregate(
    "total",
    Total,
    decide,
    evolve,
    invariants=[never_above_ceiling, Invariant("never_forty_two", lambda total: total.value != 42, "quarantine")],
)


def taken(command: Move | Misbehave, state: Total = Total()) -> Accepted[Total, Moved] | Refused | Violated:  # noqa: B008 - a value
    return take_turn(totals, state, command, NOW)


steps = st.lists(st.integers(-120, 120).filter(lambda by: not 77 <= by <= 80), max_size=5).map(tuple)
states = st.integers(-50, 100).filter(lambda value: value not in (42, 81)).map(Total)


def taken_or_raised(state: Total, by: tuple[int, ...]) -> object:
    """The turn; a state at which the invariant raises is passed on as what it raises."""
    try:
        return taken(Move(by), state)
    except RuntimeError as raised:
        return str(raised)


@given(states, steps)
def test_a_turn_is_a_function_of_its_arguments(state: Total, by: tuple[int, ...]) -> None:
    """T1."""
    assert taken_or_raised(state, by) == taken_or_raised(state, by)


@given(states, steps)
def test_an_accepted_turn_is_the_fold_of_its_events(state: Total, by: tuple[int, ...]) -> None:
    """T1, T3 and T4: judged against a sum and comparisons that know nothing of the turn."""
    sums = [state.value + sum(by[: n + 1]) for n in range(len(by))]
    end = sums[-1] if sums else state.value
    turn = taken_or_raised(state, by)
    if sum(by) == 13:
        assert turn == Refused("too_much", "thirteen is not moved")
    elif not all(-100 <= step <= 100 for step in by):
        assert isinstance(turn, Violated)
        assert turn.invariant == VALID_EVENT
    elif not -50 <= end <= 200:
        assert isinstance(turn, Violated)
        assert turn.invariant == VALID_STATE
    elif end == 81:
        assert turn == "on purpose"
    elif end > 100:
        assert turn == Violated("never_above_ceiling")
    elif end == 42:
        assert turn == Violated("never_forty_two", "", "quarantine")
    else:
        events = [Moved(step) for step in by]
        assert turn == Accepted(events, Total(end))
        assert fold(totals, state, events) == Total(end)


def test_only_the_state_after_the_last_event_is_judged() -> None:
    """T3: 150 on the way breaks the ceiling, and nobody sees it."""
    assert isinstance(taken(Move((90, 60, -60))), Accepted)


def test_no_events_are_an_accepted_turn_that_changes_nothing() -> None:
    assert taken(Move(()), Total(5)) == Accepted([], Total(5))


def test_an_event_out_of_bounds_is_a_violation_that_says_where() -> None:
    """T4."""
    assert taken(Move((101,))) == Violated(VALID_EVENT, "Moved.by: 101 is more than 100")


def test_a_state_out_of_bounds_is_a_violation_and_not_a_fault() -> None:
    """T4."""
    assert taken(Move((-60,))) == Violated(VALID_STATE, "Total.value: -60 is less than -50")


def test_a_reason_given_as_an_enum_member_is_its_value() -> None:
    turn = taken(Move((13,)))
    assert isinstance(turn, Refused)
    assert type(turn.reason) is str


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ("raises", ZeroDivisionError, "on purpose"),
        ("raises InvalidValue", InvalidValue, "made inside decide"),
        ("evolve raises", KeyError, "on purpose"),
        ("evolve raises InvalidValue", InvalidValue, "made inside evolve"),
        ("evolve refuses", Refusal, "not_here"),
        ("invariant raises", RuntimeError, "on purpose"),
        ("returns None", WrongUse, "total: decide returned None; it must return a list of events"),
        ("returns a tuple", WrongUse, "it must return a list of events"),
        ("returns a generator", WrongUse, "it must return a list of events"),
        ("returns another class", WrongUse, r"decide returned Total\(value=1\), which is none of its declared events"),
        ("returns None among events", WrongUse, "decide returned None, which is none of its declared events"),
        ("evolve returns another class", WrongUse, r"evolve returned Moved\(by=80\), not a Total"),
    ],
)
def test_a_fault_of_the_code_comes_out_unchanged(how: str, error: type[Exception], said: str) -> None:
    """T5: only a Refusal that `decide` raises is a refusal; wherever else it comes from, it is a fault."""
    with pytest.raises(error, match=said):
        taken(Misbehave(how))


class Stamped(Value):
    """What a decide learned of the world."""

    stamp: int
    id: UUID


class Ask(Value):
    """Ask for the time."""


class Asked(Value):
    """So late."""

    stamp: int
    id: UUID


def decide_with_context(_: Stamped, command: Ask, context: Context) -> list[Asked]:
    return [Asked(context.stamp, context.uuid("first"))]


def evolve_stamped(_: Stamped, event: Asked) -> Stamped:
    return Stamped(event.stamp, event.id)


def test_a_decide_that_takes_a_context_gets_the_one_of_the_turn() -> None:
    """T1: the context is an argument like the others."""
    clocks = Aggregate("clock", lambda: Stamped(0, UUID(int=0)), decide_with_context, evolve_stamped)
    turn = take_turn(clocks, clocks.initial(), Ask(), NOW)
    assert turn == take_turn(clocks, clocks.initial(), Ask(), NOW)
    assert isinstance(turn, Accepted)
    assert turn.state == Stamped(7 << 16, NOW.uuid("first"))
