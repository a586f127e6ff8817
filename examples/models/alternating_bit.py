"""The alternating bit protocol: data carried over channels that lose, one message at a time, and what it achieves.

`links` are what a reader of the protocol should think: data sent is delivered, then acknowledged. `wires` do it with
a queue of messages and a queue of acknowledgements, both of which may lose anything at any moment; a bit tells a
new message from one that is sent again. Drop the queues, and the protocol refines the link.
Source: Lamport, *Specifying Systems* (2002), chapter 14; Bartlett, Scantlebury and Wilkinson (CACM 12:5, 1969).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import product
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope

QUEUE_MAX = 2  # a search looks no further than queues of this length: resending fills them without end
Slot = Annotated[int, Meta(ge=0, lt=QUEUE_MAX)]


class Data(StrEnum):
    """What is carried: two kinds are enough to tell a right delivery from a wrong one."""

    RED = "red"
    BLUE = "blue"


class Send(Value):
    """Send new data, which is allowed once the last has been acknowledged."""

    data: Data


class Sent(Value):
    """New data was sent, under the other bit."""

    data: Data


# --- the link: what is to be achieved --------------------------------------------------------------------------------


class Delivered(Value):
    """The data sent last has arrived."""


class Acknowledged(Value):
    """The sender has learned that its data has arrived."""


LinkEvent = Sent | Delivered | Acknowledged


class Link(Value):
    """Both ends: the sender's bit and the last one acknowledged to it, the receiver's bit, and the data at each end."""

    sender_bit: bool
    acked_bit: bool
    receiver_bit: bool
    sent: Data
    received: Data


def evolve_link(link: Link, event: LinkEvent) -> Link:
    """The link after `event`."""
    match event:
        case Sent(data):
            return replace(link, sender_bit=not link.sender_bit, sent=data)
        case Delivered():
            return replace(link, receiver_bit=link.sender_bit, received=link.sent)
        case Acknowledged():
            return replace(link, acked_bit=link.receiver_bit)


class Deliver(Value):
    """Have the data arrive."""


class Acknowledge(Value):
    """Have the sender learn that its data has arrived."""


LinkCommand = Send | Deliver | Acknowledge


def decide_link(link: Link, command: LinkCommand) -> list[LinkEvent]:
    """What follows from `command`; refused with `unacknowledged`, `nothing_new` or `nothing_to_say`."""
    match command:
        case Send(data):
            require(link.acked_bit == link.sender_bit, "unacknowledged")
            return [Sent(data)]
        case Deliver():
            require(link.receiver_bit != link.sender_bit, "nothing_new")
            return [Delivered()]
        case Acknowledge():
            require(link.receiver_bit != link.acked_bit, "nothing_to_say")
            return [Acknowledged()]


def quiet_links() -> list[Link]:
    """The eight links on which nothing is under way: all bits equal, any data at either end."""
    return [Link(bit, bit, bit, sent, received) for bit, sent, received in product((False, True), Data, Data)]


def received_what_was_sent(state: Link) -> bool:
    """While the bits of both ends are equal and the receiver's differs from what is acknowledged, the data are equal."""
    return state.receiver_bit == state.acked_bit or state.received == state.sent


links = Aggregate("link", lambda: quiet_links()[0], decide_link, evolve_link, invariants=[received_what_was_sent])

# --- the protocol: how it is achieved --------------------------------------------------------------------------------


class Resent(Value):
    """The message under way was sent once more."""


class MessageReceived(Value):
    """The first message of the queue arrived, new or not."""


class AckSent(Value):
    """The receiver said which bit it saw last."""


class AckReceived(Value):
    """The first acknowledgement of the queue arrived."""


class MessageLost(Value):
    """A message of the queue was lost."""

    slot: Slot


class AckLost(Value):
    """An acknowledgement of the queue was lost."""

    slot: Slot


Event = Sent | Resent | MessageReceived | AckSent | AckReceived | MessageLost | AckLost


class Message(Value):
    """Data on its way, under the bit that it was sent with."""

    bit: bool
    data: Data


class Wire(Value):
    """Both ends, the messages on their way to the receiver, and the acknowledgements on their way back; oldest first."""

    ends: Link
    messages: tuple[Message, ...] = ()
    acks: tuple[bool, ...] = ()


def evolve(wire: Wire, event: Event) -> Wire:
    """The wire after `event`."""
    ends = wire.ends
    match event:
        case Sent(data):
            message = Message(not ends.sender_bit, data)
            return replace(wire, ends=evolve_link(ends, event), messages=(*wire.messages, message))
        case Resent():
            return replace(wire, messages=(*wire.messages, Message(ends.sender_bit, ends.sent)))
        case MessageReceived():
            message, *rest = wire.messages
            ends = replace(ends, receiver_bit=message.bit, received=message.data)
            return replace(wire, ends=ends, messages=tuple(rest))
        case AckSent():
            return replace(wire, acks=(*wire.acks, ends.receiver_bit))
        case AckReceived():
            bit, *others = wire.acks
            return replace(wire, ends=replace(ends, acked_bit=bit), acks=tuple(others))
        case MessageLost(slot):
            return replace(wire, messages=wire.messages[:slot] + wire.messages[slot + 1 :])
        case AckLost(slot):
            return replace(wire, acks=wire.acks[:slot] + wire.acks[slot + 1 :])


class Resend(Value):
    """Send the message under way once more."""


class ReceiveMessage(Value):
    """Take the first message of the queue."""


class SendAck(Value):
    """Say which bit was seen last."""


class ReceiveAck(Value):
    """Take the first acknowledgement of the queue."""


class LoseMessage(Value):
    """Lose a message."""

    slot: Slot


class LoseAck(Value):
    """Lose an acknowledgement."""

    slot: Slot


Command = Send | Resend | ReceiveMessage | SendAck | ReceiveAck | LoseMessage | LoseAck


def decide(wire: Wire, command: Command) -> list[Event]:
    """What follows from `command`; refused with `unacknowledged`, `acknowledged` or `nothing_there`."""
    waiting = wire.ends.acked_bit != wire.ends.sender_bit
    match command:
        case Send(data):
            require(not waiting, "unacknowledged")
            return [Sent(data)]
        case Resend():
            require(waiting, "acknowledged")
            return [Resent()]
        case ReceiveMessage():
            require(bool(wire.messages), "nothing_there")
            return [MessageReceived()]
        case SendAck():
            return [AckSent()]
        case ReceiveAck():
            require(bool(wire.acks), "nothing_there")
            return [AckReceived()]
        case LoseMessage(slot):
            require(slot < len(wire.messages), "nothing_there")
            return [MessageLost(slot)]
        case LoseAck(slot):
            require(slot < len(wire.acks), "nothing_there")
            return [AckLost(slot)]


def quiet_wires() -> Iterable[Wire]:
    """The eight wires on which nothing is under way."""
    return [Wire(ends) for ends in quiet_links()]


def short_queues(wire: Wire) -> bool:
    """Whether a search goes on from here: neither queue is longer than `QUEUE_MAX`."""
    return len(wire.messages) <= QUEUE_MAX and len(wire.acks) <= QUEUE_MAX


def carries_what_was_sent(wire: Wire) -> bool:
    """What holds of the link holds of the wire's ends."""
    return received_what_was_sent(wire.ends)


def without_queues(wire: Wire) -> Link:
    """The link that this protocol refines."""
    return wire.ends


wires = Aggregate("alternating_bit", lambda: Wire(quiet_links()[0]), decide, evolve, invariants=[carries_what_was_sent])


abstract = Checked(links, initial=quiet_links)
protocol = Checked(wires, Scope(within=short_queues), initial=quiet_wires)
