"""A small aggregate for what is known and unknown: an order that is opened, paid in parts, and shipped when it is paid."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Context, Value, require

PRICE = 3
Part = Annotated[int, Meta(ge=1, le=2)]


class Status(StrEnum):
    """How far an order is."""

    OPEN = "open"
    SHIPPED = "shipped"


class Paid(Value):
    """A part of the price was paid."""

    part: Part


class Shipped(Value):
    """The goods are on their way."""


class Order(Value):
    """What was paid, and how far it is."""

    status: Status = Status.OPEN
    paid: Annotated[int, Meta(ge=0, le=PRICE)] = 0


class Pay(Value):
    """Pay a part."""

    part: Part


class Ship(Value):
    """Send the goods."""


def evolve(order: Order, event: Paid | Shipped) -> Order:
    """The order after `event`."""
    match event:
        case Paid(part):
            return replace(order, paid=order.paid + part)
        case Shipped():
            return replace(order, status=Status.SHIPPED)


def decide(order: Order, command: Pay | Ship) -> list[Paid | Shipped]:
    """What follows; refused with `too_much`, `not_paid` or `gone`."""
    match command:
        case Pay(part):
            require(order.paid + part <= PRICE, "too_much")
            return [Paid(part)]
        case Ship():
            require(order.status is Status.OPEN, "gone")
            require(order.paid == PRICE, "not_paid")
            return [Shipped()]


def decide_without_asking(order: Order, command: Pay | Ship) -> list[Paid | Shipped]:
    """As `decide`, and nobody asks whether it was paid."""
    return [Shipped()] if isinstance(command, Ship) else decide(order, command)


def shipped_is_paid(order: Order) -> bool:
    """What is shipped was paid."""
    return order.status is not Status.SHIPPED or order.paid == PRICE


def weak(order: Order) -> bool:
    """Less than two was not shipped, which is true and does not keep itself: 'paid 2 and shipped' lies between."""
    return order.status is not Status.SHIPPED or order.paid != 1


orders = Aggregate("order", Order, decide, evolve, invariants=[shipped_is_paid])
careless = Aggregate("order", Order, decide_without_asking, evolve, invariants=[shipped_is_paid])


# --- a command that holds a value of its own, and one that depends on the time -----------------------------------------


class Label(Value):
    """What is written on a parcel: there is no end of it."""

    text: str


class Send(Value):
    """Send a parcel."""

    label: Label


class Open(Value):
    """Open it."""


class Moved(Value):
    """It is under way, or no longer."""

    sent: bool


class Parcel(Value):
    """Whether it is under way."""

    sent: bool = False


def move(parcel: Parcel, event: Moved) -> Parcel:
    """The parcel after `event`."""
    return replace(parcel, sent=event.sent)


def decide_parcel(parcel: Parcel, command: Send | Open) -> list[Moved]:
    """What follows; refused with `sent` or `not_sent`."""
    require(isinstance(command, Send) is not parcel.sent, "sent" if isinstance(command, Send) else "not_sent")
    return [Moved(isinstance(command, Send))]


def decide_in_time(parcel: Parcel, command: Open, context: Context) -> list[Moved]:
    """Whether it is the first of a month when it is opened."""
    return [Moved(context.time.day == 1 and not parcel.sent and command == Open())]


parcels = Aggregate("parcel", Parcel, decide_parcel, move)
timed = Aggregate("timed", Parcel, decide_in_time, move)
