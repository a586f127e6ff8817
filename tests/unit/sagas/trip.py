"""A trip of four steps: three that can be undone, and a pivot; with a fifth, retriable one where a test wants it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from eventcore import Accepted, Aggregate, Context, Message, Refused, Value, Violated, take_turn
from sagas import Answered, Compensate, Progress, Saga, Step, StepRequested, UndoRequested, compile_saga, starts_on

NOW = Context(stamp=0, command=UUID(int=1).bytes)


class Bookings(Value):
    """How much is booked; nobody decides on it here."""

    count: int = 0


class Book(Value):
    """Book something for a traveller."""

    what: str


class Cancel(Value):
    """Cancel it."""

    what: str


class Booked(Value):
    """It is booked."""

    what: str


def decide(bookings: Bookings, command: Book | Cancel) -> list[Booked]:
    """Accept."""
    return [Booked(command.what)]


def evolve(bookings: Bookings, event: Booked) -> Bookings:
    """Count."""
    return Bookings(bookings.count + 1)


bookings = Aggregate("booking", Bookings, decide, evolve)


class RequestTrip(Value):
    """What a client sends."""

    traveller: str


class Trip(Value):
    """What the saga records of it."""

    traveller: str


def compensatable(name: str) -> Step[Trip]:
    """A step that books `name`, and cancels it again."""
    return Step(
        name,
        do=lambda trip: bookings.to(trip.traveller, Book(name)),
        undo=lambda trip: bookings.to(trip.traveller, Cancel(name)),
    )


def pivot(name: str) -> Step[Trip]:
    """The step after which there is no way back."""
    return Step(name, do=lambda trip: bookings.to(trip.traveller, Book(name)), kind="pivot")


def retriable(name: str) -> Step[Trip]:
    """A step after the pivot."""
    return Step(name, do=lambda trip: bookings.to(trip.traveller, Book(name)), kind="retriable")


def trips_of(*steps: Step[Trip]) -> Saga[Trip]:
    """A saga of these steps."""
    return Saga("trip", starts_on(RequestTrip, Trip, lambda request: Trip(request.traveller)), steps=steps)


def framed(message: Message[Any]) -> bytes:
    """The bytes of a message's command: any function of it serves here."""
    return msgspec.json.encode(message.command)


Trips = Aggregate[Progress[Trip], Value, Value]

ABCD = trips_of(compensatable("A"), compensatable("B"), compensatable("C"), pivot("D"))
trips: Trips = compile_saga(ABCD, framed)
trips_and_more: Trips = compile_saga(trips_of(*ABCD.steps, retriable("E")), framed)
START = RequestTrip("ann")


def do(*steps: str) -> list[Answered]:
    """Acceptances of these steps."""
    return [Answered(step, "do", "accepted") for step in steps]


def undo(*steps: str) -> list[Answered]:
    """Acknowledgements of the undos of these steps."""
    return [Answered(step, "undo", "accepted") for step in steps]


def refused(step: str, reason: str = "full") -> Answered:
    """A refusal of a step."""
    return Answered(step, "do", "refused", reason)


def turn(
    aggregate: Trips, progress: Progress[Trip], command: Value
) -> Accepted[Progress[Trip], Value] | Refused | Violated:
    """One turn of the saga."""
    return take_turn(aggregate, progress, command, NOW)


def after(aggregate: Trips, *commands: Value) -> tuple[Progress[Trip], list[Value]]:
    """The progress and the whole ledger after these commands, each of which must be accepted."""
    progress, ledger = aggregate.initial(), list[Value]()
    for command in commands:
        taken = turn(aggregate, progress, command)
        assert isinstance(taken, Accepted), f"{command} was not accepted: {taken}"
        progress = taken.state
        ledger += taken.events
    return progress, ledger


def refusal(aggregate: Trips, *commands: Value) -> str:
    """The reason for which the last of these commands is refused, after the others were accepted."""
    progress, _ = after(aggregate, *commands[:-1])
    taken = turn(aggregate, progress, commands[-1])
    assert isinstance(taken, Refused), f"{commands[-1]} was not refused: {taken}"
    return taken.reason


def asked(ledger: list[Value]) -> str:
    """What the ledger asks for, in order: `A B B- A-`."""
    words = [
        event.step if isinstance(event, StepRequested) else f"{event.step}-"
        for event in ledger
        if isinstance(event, (StepRequested, UndoRequested))
    ]
    return " ".join(words)


TURN_BACK = Compensate("operator")
