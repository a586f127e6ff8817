"""What a table of steps may be, and what is said to one that may not."""

from __future__ import annotations

from typing import Any, assert_type

import pytest

from eventcore import Message, Value
from eventcore.errors import InvalidValue, NotSupported, UnknownName, WrongUse
from eventcore.turn import take_turn
from sagas import Answered, Saga, Step, compile_saga, starts_on
from tests.unit.sagas.trip import (
    ABCD,
    NOW,
    START,
    TURN_BACK,
    Book,
    RequestTrip,
    Trip,
    after,
    bookings,
    compensatable,
    do,
    framed,
    pivot,
    refusal,
    retriable,
    trips_of,
    turn,
)


class Finished(Value):
    """A name that the ledger uses too."""

    traveller: str


class Loose(Value):
    """A value that cannot be stored."""

    items: list[str]


def test_a_sagas_type_is_that_of_its_data() -> None:
    assert_type(ABCD, Saga[Trip])


def test_a_saga_may_have_any_number_of_each_kind_in_order() -> None:
    a, b, p, r, s = compensatable("a"), compensatable("b"), pivot("p"), retriable("r"), retriable("s")
    for steps in ([a], [a, b], [p], [r], [a, p], [a, r], [p, r], [a, b, p, r, s]):
        assert trips_of(*steps).steps == tuple(steps)


def refused_definition(*steps: Step[Trip]) -> str:
    with pytest.raises(NotSupported) as caught:
        trips_of(*steps)
    return str(caught.value)


def test_a_saga_without_steps_is_refused() -> None:
    assert "at least one" in refused_definition()


def test_two_pivots_are_refused() -> None:
    assert "the pivots P and Q" in refused_definition(pivot("P"), pivot("Q"))


def test_a_compensatable_step_after_the_pivot_is_refused() -> None:
    assert "'A' stands after the pivot step 'P'" in refused_definition(pivot("P"), compensatable("A"))


def test_a_compensatable_step_after_a_retriable_one_is_refused() -> None:
    assert "'A' stands after the retriable step 'R'" in refused_definition(retriable("R"), compensatable("A"))


def test_a_retriable_step_before_the_pivot_is_refused() -> None:
    assert "the pivot step 'P' stands after the retriable step 'R'" in refused_definition(retriable("R"), pivot("P"))


def test_a_compensatable_step_without_an_undo_is_refused_even_as_the_last() -> None:
    lonely = Step[Trip]("B", do=lambda trip: bookings.to(trip.traveller, Book("B")))
    assert "make it the pivot" in refused_definition(compensatable("A"), lonely)


@pytest.mark.parametrize("kind", ["pivot", "retriable"])
def test_an_undo_that_would_never_be_asked_for_is_refused(kind: Any) -> None:
    step = Step[Trip]("A", do=compensatable("A").do, undo=compensatable("A").undo, kind=kind)
    assert "would never be asked for" in refused_definition(step)


def test_an_unknown_kind_is_refused() -> None:
    kind: Any = "optional"
    assert "expected compensatable, pivot, retriable" in refused_definition(Step[Trip]("A", pivot("A").do, kind=kind))


def test_two_steps_of_one_name_are_refused() -> None:
    assert "two steps are named 'A'" in refused_definition(compensatable("A"), compensatable("A"))


@pytest.mark.parametrize("name", ["", "a b", "a-b", "1a", "a/b", "é"])
def test_a_step_whose_name_is_no_identifier_is_refused(name: str) -> None:
    assert "cannot name a step" in refused_definition(compensatable(name))


@pytest.mark.parametrize("name", ["", "1trip", "a.b"])
def test_a_saga_whose_name_is_no_topic_name_is_refused(name: str) -> None:
    with pytest.raises(NotSupported, match="cannot name a saga"):
        Saga(name, ABCD.start, steps=ABCD.steps)


def test_data_named_like_a_record_of_the_ledger_is_refused() -> None:
    with pytest.raises(NotSupported, match="named Finished, as a record of every saga's ledger is"):
        Saga("trip", starts_on(RequestTrip, Finished, lambda r: Finished(r.traveller)), steps=[])


def test_a_start_that_is_not_a_value_is_refused() -> None:
    text: Any = str
    with pytest.raises(NotSupported, match="expected a class derived from eventcore.Value"):
        Saga("trip", starts_on(text, Trip, lambda _: Trip("")), steps=[])
    with pytest.raises(NotSupported, match="expected a class derived from eventcore.Value"):
        Saga("trip", starts_on(RequestTrip, text, lambda _: ""), steps=[])


def test_data_that_cannot_be_stored_are_refused_with_the_remedy() -> None:
    with pytest.raises(NotSupported, match="Loose.items: list.*write tuple"):
        Saga("trip", starts_on(RequestTrip, Loose, lambda _: Loose([])), steps=[])


def test_a_command_may_be_the_data_itself() -> None:
    saga = Saga("trip", starts_on(Trip, Trip, lambda trip: trip), steps=ABCD.steps)
    aggregate = compile_saga(saga, framed)
    progress, ledger = after(aggregate, Trip("ann"), Answered("A", "do", "refused", "full"))
    assert (progress.status, ledger[0]) == ("compensated", Trip("ann"))


def test_a_saga_is_addressed_by_its_start_command_only() -> None:
    assert ABCD.to("t1", START) == Message("trip", "t1", START)
    with pytest.raises(UnknownName, match="RequestTrip"):
        ABCD.to("t1", TURN_BACK)
    with pytest.raises(InvalidValue):
        ABCD.to("", START)


def test_a_saga_with_a_step_that_cannot_be_addressed_never_starts() -> None:
    nowhere = Step[Trip]("N", do=lambda _: bookings.to("", Book("N")), kind="retriable")
    assert refusal(compile_saga(trips_of(compensatable("A"), nowhere), framed), START) == "impossible_step"


def test_a_step_that_makes_no_message_is_a_fault_of_the_code() -> None:
    nothing: Any = None
    aggregate = compile_saga(trips_of(Step("N", do=lambda _: nothing, kind="pivot")), framed)
    with pytest.raises(WrongUse, match="'N' made None; expected a message"):
        take_turn(aggregate, aggregate.initial(), START, NOW)


def test_a_start_that_makes_other_data_is_a_fault_of_the_code() -> None:
    other: Any = Book("x")
    aggregate = compile_saga(Saga("trip", starts_on(RequestTrip, Trip, lambda _: other), steps=ABCD.steps), framed)
    with pytest.raises(WrongUse, match="expected a Trip"):
        take_turn(aggregate, aggregate.initial(), START, NOW)


def test_an_open_saga_whose_step_was_renamed_says_so_instead_of_losing_it() -> None:
    progress, _ = after(compile_saga(ABCD, framed), START)
    renamed = compile_saga(trips_of(compensatable("AA"), pivot("D")), framed)
    with pytest.raises(WrongUse, match="no step 'A'.*Step names are storage"):
        turn(renamed, progress, Answered("A", "do", "accepted"))


def test_an_open_saga_whose_undo_was_dropped_says_so_instead_of_skipping_it() -> None:
    progress, _ = after(compile_saga(ABCD, framed), START, *do("A"))
    changed = compile_saga(trips_of(pivot("B"), retriable("A")), framed)
    with pytest.raises(WrongUse, match="must undo step 'A', which has no undo any more"):
        turn(changed, progress, Answered("B", "do", "refused", "full"))
