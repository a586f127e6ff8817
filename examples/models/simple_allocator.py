"""A resource allocator that gives what is asked for and free, in any order.

It keeps the one rule that matters, that no resource belongs to two clients, and nothing else: a client may wait for
ever. `examples.models.scheduling_allocator` is a version that says who is next.
Source: Merz, *The Specification Language TLA+* (2008), section "A resource allocator".
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, combinations
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope
from examples.models.tuples import put

ClientNumber = Annotated[int, Meta(ge=0)]
Resources = frozenset[int]

# --- events ----------------------------------------------------------------------------------------------------------


class Requested(Value):
    """A client asked for resources."""

    client: ClientNumber
    resources: Resources


class Allocated(Value):
    """A client was given resources that it had asked for."""

    client: ClientNumber
    resources: Resources


class Returned(Value):
    """A client gave resources back."""

    client: ClientNumber
    resources: Resources


Event = Requested | Allocated | Returned

# --- fold ------------------------------------------------------------------------------------------------------------


class Client(Value):
    """What one client still waits for, and what it has."""

    unsatisfied: Resources = frozenset()
    allocated: Resources = frozenset()


class Allocator(Value):
    """The clients, by number."""

    clients: tuple[Client, ...]


def evolve(allocator: Allocator, event: Event) -> Allocator:
    """The allocator after `event`."""
    return Allocator(evolve_clients(allocator.clients, event))


def evolve_clients(clients: tuple[Client, ...], event: Event) -> tuple[Client, ...]:
    """The clients after `event`."""
    client = clients[event.client]
    match event:
        case Requested(number, resources):
            return put(clients, number, replace(client, unsatisfied=resources))
        case Allocated(number, resources):
            return put(clients, number, Client(client.unsatisfied - resources, client.allocated | resources))
        case Returned(number, resources):
            return put(clients, number, replace(client, allocated=client.allocated - resources))


# --- decisions -------------------------------------------------------------------------------------------------------


class Request(Value):
    """Ask for resources; a client asks once, for all that it needs."""

    client: ClientNumber
    resources: Resources


class Allocate(Value):
    """Give a client some of what it asked for."""

    client: ClientNumber
    resources: Resources


class Return(Value):
    """Give resources back."""

    client: ClientNumber
    resources: Resources


Command = Request | Allocate | Return


def decide(allocator: Allocator, command: Command) -> list[Event]:
    """What follows from `command`: refused where the client, or what it asks for, is not as the command supposes."""
    return decide_clients(allocator.clients, command)


def decide_clients(clients: tuple[Client, ...], command: Command) -> list[Event]:
    """What follows from `command` where nobody says who is next."""
    require(command.client < len(clients), "no_such_client")
    require(bool(command.resources), "no_resources")
    client = clients[command.client]
    match command:
        case Request(number, resources):
            require(not client.unsatisfied and not client.allocated, "busy")
            return [Requested(number, resources)]
        case Allocate(number, resources):
            require(resources <= client.unsatisfied, "not_asked_for")
            require(all(resources.isdisjoint(other.allocated) for other in clients), "not_free")
            return [Allocated(number, resources)]
        case Return(number, resources):
            require(resources <= client.allocated, "not_held")
            return [Returned(number, resources)]


# --- the definition --------------------------------------------------------------------------------------------------


def exclusive(allocator: Allocator) -> bool:
    """No resource belongs to two clients."""
    return belong_to_one(allocator.clients)


def belong_to_one(clients: tuple[Client, ...]) -> bool:
    """Whether no resource belongs to two of these clients."""
    everything = frozenset[int]().union(*(client.allocated for client in clients))
    return len(everything) == sum(len(client.allocated) for client in clients)


def allocator_of(clients: int) -> Aggregate[Allocator, Command, Event]:
    """The allocator of so many clients; which resources there are, those who ask know."""

    def initial() -> Allocator:
        return Allocator((Client(),) * clients)

    return Aggregate("simple_allocator", initial, decide, evolve, invariants=[exclusive])


def subsets(items: Iterable[int]) -> list[Resources]:
    """Every set of these numbers but the empty one."""
    each = tuple(items)
    return [frozenset(some) for some in chain.from_iterable(combinations(each, n + 1) for n in range(len(each)))]


def checked(clients: int, resources: int) -> Checked[Allocator, Command, Event]:
    """What is claimed of so many clients that want so many resources, in every way."""
    scope = Scope(domains={"client": range(clients), "resources": subsets(range(resources))})
    return Checked(allocator_of(clients), scope)


three_by_two, three_by_three = checked(3, 2), checked(3, 3)
