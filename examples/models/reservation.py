"""A saga that reserves at two places, its participants and the network between them, as one aggregate.

The aggregate is the whole world: its state holds what the coordinator and the participants know and the packets under
way, and its commands are what the world may do next: deliver a packet, or let the coordinator's patience end. What a
search of it shows is the classic mistake of sagas: when a cancellation overtakes the reservation that it cancels, the
late reservation takes hold for ever, unless the participant keeps a *tombstone*: a note that it has been cancelled.

Three networks: `fifo` keeps the order of each channel, `bag` delivers in any order, `dup` delivers in any order, and
whatever was once sent may arrive again at any time (where nothing would follow from that, it is not counted as a step).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Refusal, Value, require
from eventcore.check import Checked, always, sometimes
from examples.models.tuples import put

PARTICIPANTS = 2
Participant = Annotated[int, Meta(ge=0, lt=PARTICIPANTS)]
Network = Literal["fifo", "bag", "dup"]


class Word(StrEnum):
    """What a packet says: the coordinator's two requests, the participants' three replies."""

    RESERVE = "reserve"
    CANCEL = "cancel"
    OK = "ok"
    NO = "no"
    CANCELLED = "cancelled"


REQUESTS = (Word.RESERVE, Word.CANCEL)


class Packet(Value, order=True):
    """A word to a participant, or from one."""

    participant: Participant
    word: Word

    @property
    def is_request(self) -> bool:
        """Whether the coordinator sent it."""
        return self.word in REQUESTS


class Place(StrEnum):
    """What a participant knows; `released` after a cancellation, whether or not anything was held."""

    NONE = "none"
    HELD = "held"
    REFUSED = "refused"
    RELEASED = "released"


class Running(Value):
    """The coordinator waits for the answer of one participant."""

    step: Participant


class Compensating(Value):
    """The coordinator waits for these participants to say that they have cancelled."""

    awaited: frozenset[Participant]


class Done(Value):
    """Both have said that they hold a place."""


class Aborted(Value):
    """All that were asked have said that they hold none."""


Phase = Running | Compensating | Done | Aborted

# --- events ----------------------------------------------------------------------------------------------------------


class Arrived(Value):
    """A packet was delivered."""

    packet: Packet


class Became(Value):
    """A participant changed."""

    participant: Participant
    place: Place


class Moved(Value):
    """The coordinator changed."""

    phase: Phase


class Sent(Value):
    """A packet was sent."""

    packet: Packet


Event = Arrived | Became | Moved | Sent

# --- the state, and the part of it that is the same on every network -------------------------------------------------


class World(Value):
    """The coordinator, the participants by number, and the packets under way, in an order that makes equal ones equal."""

    coordinator: Phase = Running(0)
    places: tuple[Place, ...] = (Place.NONE,) * PARTICIPANTS
    packets: tuple[Packet, ...] = (Packet(0, Word.RESERVE),)


class Deliver(Value):
    """Deliver a packet; a participant who is free to choose holds a place unless `refuse` is set."""

    packet: Packet
    refuse: bool = False


class Timeout(Value):
    """End the patience of a coordinator that waits for an answer."""


Command = Deliver | Timeout


def follows(world: World, command: Command, *, tombstone: bool) -> list[Event]:
    """What follows from a packet's arrival, or from the coordinator's impatience."""
    match command:
        case Deliver(packet, refuse) if packet.is_request:
            return [Arrived(packet), *_participant(world, packet, tombstone=tombstone, refuse=refuse)]
        case Deliver(packet):
            return [Arrived(packet), *_coordinator(world.coordinator, packet)]
        case Timeout():
            return _out_of_patience(world.coordinator)


def _participant(world: World, packet: Packet, *, tombstone: bool, refuse: bool) -> list[Event]:
    number, place = packet.participant, world.places[packet.participant]
    if packet.word is Word.CANCEL:
        leaves = place is Place.HELD or (place is Place.NONE and tombstone)
        return [*([Became(number, Place.RELEASED)] if leaves else []), Sent(Packet(number, Word.CANCELLED))]
    match place:
        case Place.NONE if refuse:
            return [Became(number, Place.REFUSED), Sent(Packet(number, Word.NO))]
        case Place.NONE:
            return [Became(number, Place.HELD), Sent(Packet(number, Word.OK))]
        case Place.HELD:
            return [Sent(Packet(number, Word.OK))]
        case Place.REFUSED | Place.RELEASED:
            return [Sent(Packet(number, Word.NO))]


def _coordinator(phase: Phase, packet: Packet) -> list[Event]:
    sender = packet.participant
    match phase:
        case Running(step) if sender == step and packet.word is Word.OK:
            following = step + 1
            if following == PARTICIPANTS:
                return [Moved(Done())]
            return [Moved(Running(following)), Sent(Packet(following, Word.RESERVE))]
        case Running(step) if sender == step and packet.word is Word.NO:
            return _compensate(range(step))
        case Compensating(awaited) if sender in awaited and packet.word is Word.CANCELLED:
            left = awaited - {sender}
            return [Moved(Compensating(left) if left else Aborted())]
        case Running() | Compensating() | Done() | Aborted():
            return []  # a late or repeated answer


def _out_of_patience(phase: Phase) -> list[Event]:
    match phase:
        case Running(step):
            return _compensate(range(step + 1))
        case Compensating() | Done() | Aborted():
            raise Refusal("not_waiting")


def _compensate(asked: range) -> list[Event]:
    if not asked:
        return [Moved(Aborted())]
    return [Moved(Compensating(frozenset(asked))), *(Sent(Packet(number, Word.CANCEL)) for number in asked)]


# --- networks --------------------------------------------------------------------------------------------------------


def _channel(packet: Packet) -> tuple[int, bool]:
    return packet.participant, packet.is_request


def add(network: Network, packets: tuple[Packet, ...], packet: Packet) -> tuple[Packet, ...]:
    """The packets under way after `packet` was sent."""
    match network:
        case "fifo":
            return tuple(sorted((*packets, packet), key=_channel))  # stable: the order within a channel is kept
        case "bag":
            return tuple(sorted((*packets, packet)))
        case "dup":
            return tuple(sorted({*packets, packet}))


def take(network: Network, packets: tuple[Packet, ...], packet: Packet) -> tuple[Packet, ...]:
    """The packets under way after `packet`, one of them, was delivered."""
    if network == "dup":
        return packets
    at = packets.index(packet)
    return packets[:at] + packets[at + 1 :]


def can_arrive(network: Network, packets: tuple[Packet, ...], packet: Packet) -> bool:
    """Whether `packet` may be the next to arrive: under way, and on `fifo` the first of its channel."""
    if network != "fifo":
        return packet in packets
    return next((one for one in packets if _channel(one) == _channel(packet)), None) == packet


# --- the definition --------------------------------------------------------------------------------------------------


def finished_means_settled(world: World) -> bool:
    """Done, all hold a place; aborted, none does."""
    match world.coordinator:
        case Done():
            return all(place is Place.HELD for place in world.places)
        case Aborted():
            return Place.HELD not in world.places
        case Running() | Compensating():
            return True


def is_finished(world: World) -> bool:
    """The coordinator has come to an end, the one or the other."""
    return isinstance(world.coordinator, Done | Aborted)


def reservation_on(network: Network, *, tombstone: bool = True) -> Aggregate[World, Command, Event]:
    """The saga on a network, its participants with or without tombstones."""

    def evolve(world: World, event: Event) -> World:
        match event:
            case Arrived(packet):
                return replace(world, packets=take(network, world.packets, packet))
            case Sent(packet):
                return replace(world, packets=add(network, world.packets, packet))
            case Became(participant, place):
                return replace(world, places=put(world.places, participant, place))
            case Moved(phase):
                return replace(world, coordinator=phase)

    def decide(world: World, command: Command) -> list[Event]:
        if isinstance(command, Deliver):
            packet = command.packet
            free_to_choose = packet.word is Word.RESERVE and world.places[packet.participant] is Place.NONE
            require(can_arrive(network, world.packets, packet), "not_under_way")
            require(free_to_choose or not command.refuse, "no_choice")
        events = follows(world, command, tombstone=tombstone)
        after = world
        for event in events:
            after = evolve(after, event)
        require(after != world, "nothing_follows")
        return events

    return Aggregate("reservation", World, decide, evolve)


def checked(network: Network, *, tombstone: bool = True) -> Checked[World, Command, Event]:
    """What is claimed of the saga on a network."""
    claims = [
        always(finished_means_settled),
        sometimes(lambda world: isinstance(world.coordinator, Done), name="done"),
        sometimes(lambda world: isinstance(world.coordinator, Aborted), name="aborted"),
    ]
    return Checked(reservation_on(network, tombstone=tombstone), properties=claims, finished=is_finished)


fifo, bag, dup = checked("fifo"), checked("bag"), checked("dup")
fifo_without_tombstone = checked("fifo", tombstone=False)
bag_without_tombstone = checked("bag", tombstone=False)
dup_without_tombstone = checked("dup", tombstone=False)
