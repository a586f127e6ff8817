"""German's cache coherence protocol: clients that read or write one line of memory, and a home that says who may.

A client asks for a shared or an exclusive copy. The home takes one request at a time, has the copies that stand in its
way invalidated, and grants. Beside the clients there is `Other`, who stands for all clients that are not modelled: it
may ask, be granted and acknowledge wherever that contradicts no client that is.
Source: German, *Tutorial on the German Cache Coherence Protocol* (FMCAD 2004); with `Other` as in Sethi, Talupur and
Malik (ATVA 2014).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Refusal, Value, require
from eventcore.check import Checked, Scope, sometimes
from examples.models.tuples import put

Number = Annotated[int, Meta(ge=0)]


class Copy(StrEnum):
    """What a client may do with its copy."""

    INVALID = "invalid"
    SHARED = "shared"
    EXCLUSIVE = "exclusive"


class Want(StrEnum):
    """What is asked for and granted; nothing, where nothing is."""

    NOTHING = "nothing"
    SHARED = "shared"
    EXCLUSIVE = "exclusive"


class Order(StrEnum):
    """What the home says to a client."""

    NOTHING = "nothing"
    INVALIDATE = "invalidate"
    SHARED = "shared"
    EXCLUSIVE = "exclusive"


class Nobody(Value):
    """No request is being served."""


class Other(Value):
    """A client that is not modelled is being served."""


class Served(Value):
    """This client is being served."""

    client: Number


# --- events ----------------------------------------------------------------------------------------------------------


class Requested(Value):
    """A client asked for a copy."""

    client: Number
    want: Want


class Taken(Value):
    """The home took a request, and noted whose copies stand in its way."""

    who: Served | Other
    want: Want


class Invalidated(Value):
    """The home told a client to give up its copy."""

    client: Number


class Acknowledged(Value):
    """A client gave up its copy and said so."""

    client: Number


class Released(Value):
    """The home learned that a client has given up its copy."""

    client: Number


class ReleasedElsewhere(Value):
    """The home learned that a client that is not modelled has given up its exclusive copy."""


class Granted(Value):
    """The home granted the request that it served."""

    who: Served | Other
    want: Want


class Received(Value):
    """A client received what it was granted."""

    client: Number
    copy: Copy


Event = Requested | Taken | Invalidated | Acknowledged | Released | ReleasedElsewhere | Granted | Received

# --- fold ------------------------------------------------------------------------------------------------------------


class Client(Value):
    """A client's copy, its request, the order and the acknowledgement on their way, and what the home notes of it."""

    copy: Copy = Copy.INVALID
    request: Want = Want.NOTHING
    order: Order = Order.NOTHING
    acknowledged: bool = False
    to_invalidate: bool = False
    sharing: bool = False


class Memory(Value):
    """The clients, whom the home serves with what, and whether it has granted an exclusive copy."""

    clients: tuple[Client, ...]
    serving: Nobody | Other | Served = Nobody()
    want: Want = Want.NOTHING
    exclusive: bool = False


def evolve(memory: Memory, event: Event) -> Memory:
    """The memory after `event`."""
    match event:
        case Requested(number, want):
            return _client(memory, number, request=want)
        case Taken(who, want):
            taken = _client(memory, who.client, request=Want.NOTHING) if isinstance(who, Served) else memory
            noted = tuple(replace(each, to_invalidate=each.sharing) for each in taken.clients)
            return replace(taken, clients=noted, serving=who, want=want)
        case Invalidated(number):
            return _client(memory, number, order=Order.INVALIDATE, to_invalidate=False)
        case Acknowledged(number):
            return _client(memory, number, order=Order.NOTHING, acknowledged=True, copy=Copy.INVALID)
        case Released(number):
            return replace(_client(memory, number, acknowledged=False, sharing=False), exclusive=False)
        case ReleasedElsewhere():
            return replace(memory, exclusive=False)
        case Granted(who, want):
            done = replace(memory, serving=Nobody(), want=Want.NOTHING, exclusive=want is Want.EXCLUSIVE)
            return _client(done, who.client, order=Order(want.value), sharing=True) if isinstance(who, Served) else done
        case Received(number, copy):
            return _client(memory, number, order=Order.NOTHING, copy=copy)


def _client(memory: Memory, number: int, **changes: object) -> Memory:
    return replace(memory, clients=put(memory.clients, number, replace(memory.clients[number], **changes)))


# --- decisions -------------------------------------------------------------------------------------------------------


class Request(Value):
    """Have a client ask for a copy."""

    client: Number
    want: Want


class Take(Value):
    """Have the home take a client's request."""

    client: Number


class TakeOther(Value):
    """Have the home take a request of a client that is not modelled."""

    want: Want


class Invalidate(Value):
    """Have the home tell a client to give up its copy."""

    client: Number


class Acknowledge(Value):
    """Have a client give up its copy."""

    client: Number


class Release(Value):
    """Have the home receive a client's acknowledgement."""

    client: Number


class ReleaseOther(Value):
    """Have the home receive the acknowledgement of a client that is not modelled."""


class Grant(Value):
    """Have the home grant what it serves."""


class Receive(Value):
    """Have a client receive what it was granted."""

    client: Number


Command = Request | Take | TakeOther | Invalidate | Acknowledge | Release | ReleaseOther | Grant | Receive


def decide(memory: Memory, command: Command) -> list[Event]:
    """What follows from `command`; refused where the protocol does not provide for it."""
    match command:
        case Request(number, want):
            client = memory.clients[number]
            useful = (Copy.INVALID,) if want is Want.SHARED else (Copy.INVALID, Copy.SHARED)
            require(want is not Want.NOTHING and client.copy in useful, "nothing_to_ask_for")
            require(client.request is Want.NOTHING, "asked_already")
            return [Requested(number, want)]
        case Take(number):
            require(memory.want is Want.NOTHING, "busy")
            require(memory.clients[number].request is not Want.NOTHING, "not_asked")
            return [Taken(Served(number), memory.clients[number].request)]
        case TakeOther(want):
            require(memory.want is Want.NOTHING, "busy")
            require(want is not Want.NOTHING, "not_asked")
            return [Taken(Other(), want)]
        case Invalidate(number):
            client = memory.clients[number]
            in_the_way = memory.want is Want.EXCLUSIVE or (memory.want is Want.SHARED and memory.exclusive)
            require(in_the_way and client.to_invalidate and client.order is Order.NOTHING, "not_in_the_way")
            return [Invalidated(number)]
        case Acknowledge(number):
            client = memory.clients[number]
            require(client.order is Order.INVALIDATE and not client.acknowledged, "not_told")
            return [Acknowledged(number)]
        case Release(number):
            require(memory.want is not Want.NOTHING and memory.clients[number].acknowledged, "not_acknowledged")
            return [Released(number)]
        case ReleaseOther():
            require(memory.want is not Want.NOTHING and memory.exclusive, "not_acknowledged")
            require(not any(map(_may_be_exclusive, memory.clients)), "not_acknowledged")
            return [ReleasedElsewhere()]
        case Grant():
            return [_granted(memory)]
        case Receive(number):
            order = memory.clients[number].order
            require(order in {Order.SHARED, Order.EXCLUSIVE}, "not_granted")
            return [Received(number, Copy(order.value))]


def _may_be_exclusive(client: Client) -> bool:
    return client.copy is Copy.EXCLUSIVE or client.order is Order.EXCLUSIVE or client.acknowledged


def _granted(memory: Memory) -> Granted:
    require(not memory.exclusive, "exclusive_elsewhere")
    require(memory.want is not Want.EXCLUSIVE or not any(each.sharing for each in memory.clients), "shared_elsewhere")
    match memory.serving:
        case Nobody():
            raise Refusal("nobody_served")
        case Other() as who:
            return Granted(who, memory.want)
        case Served(client) as who:
            require(memory.clients[client].order is Order.NOTHING, "order_under_way")
            return Granted(who, memory.want)


# --- the definition --------------------------------------------------------------------------------------------------


def coherent(memory: Memory) -> bool:
    """Where one client has an exclusive copy, no other has any."""
    valid = [client.copy for client in memory.clients if client.copy is not Copy.INVALID]
    return Copy.EXCLUSIVE not in valid or len(valid) == 1


def memory_of(clients: int) -> Aggregate[Memory, Command, Event]:
    """The memory of so many clients, none of which has a copy."""

    def initial() -> Memory:
        return Memory((Client(),) * clients)

    return Aggregate("coherence", initial, decide, evolve, invariants=[coherent])


def checked(clients: int) -> Checked[Memory, Command, Event]:
    """What is claimed of so many clients."""
    claims = [sometimes(lambda memory: Copy.EXCLUSIVE in {c.copy for c in memory.clients}, name="exclusive")]
    scope = Scope(domains={"client": range(clients)})
    return Checked(memory_of(clients), scope, claims, finished=lambda _: False)


one, two = checked(1), checked(2)
