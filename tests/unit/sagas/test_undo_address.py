"""A step is undone where it was done: only that instance knows whether there is anything to undo."""

from __future__ import annotations

import pytest

from eventcore.errors import WrongUse
from sagas import Step, compile_saga
from tests.unit.sagas.trip import START, Book, Cancel, Trip, bookings, framed, pivot, trips_of, turn


def test_a_saga_whose_undo_goes_elsewhere_never_begins() -> None:
    astray: Step[Trip] = Step(
        "A",
        do=lambda trip: bookings.to(trip.traveller, Book("A")),
        undo=lambda trip: bookings.to("the office", Cancel("A")),
    )
    saga = compile_saga(trips_of(astray, pivot("B")), framed)
    with pytest.raises(WrongUse, match="step 'A' is done at booking 'ann' and undone at booking 'the office'"):
        turn(saga, saga.initial(), START)
