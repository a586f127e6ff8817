"""A resource allocator that says who is next: clients that wait are put in line, and nobody overtakes for what he wants.

Each of its steps is a step of the simple allocator, or leaves the simple allocator's state as it is: drop the line, and
it refines `examples.models.simple_allocator`.
Source: Merz, *The Specification Language TLA+* (2008), section "A resource allocator".
"""

from __future__ import annotations

from itertools import permutations

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope
from examples.models.simple_allocator import (
    Allocate,
    Allocated,
    Allocator,
    Client,
    ClientNumber,
    Request,
    Requested,
    Resources,
    Return,
    Returned,
    belong_to_one,
    decide_clients,
    evolve_clients,
    subsets,
)

# --- events ----------------------------------------------------------------------------------------------------------


class Scheduled(Value):
    """The clients that were waiting and in no line were put at its end, in this order."""

    order: tuple[ClientNumber, ...]


Event = Requested | Allocated | Returned | Scheduled

# --- fold ------------------------------------------------------------------------------------------------------------


class Scheduler(Value):
    """The clients, by number, and those of them that stand in line."""

    clients: tuple[Client, ...]
    line: tuple[ClientNumber, ...] = ()


def evolve(scheduler: Scheduler, event: Event) -> Scheduler:
    """The scheduler after `event`. A client leaves the line when it has all that it asked for."""
    match event:
        case Scheduled(order):
            return Scheduler(scheduler.clients, scheduler.line + order)
        case Allocated(number, _):
            clients = evolve_clients(scheduler.clients, event)
            satisfied = not clients[number].unsatisfied
            return Scheduler(clients, tuple(one for one in scheduler.line if one != number or not satisfied))
        case Requested() | Returned():
            return Scheduler(evolve_clients(scheduler.clients, event), scheduler.line)


# --- decisions -------------------------------------------------------------------------------------------------------


class Schedule(Value):
    """Put the clients that wait and stand in no line at its end, in any order."""

    order: tuple[ClientNumber, ...]


Command = Request | Allocate | Return | Schedule


def decide(scheduler: Scheduler, command: Command) -> list[Event]:
    """What follows from `command`: refused as the simple allocator does, or with `not_next` or `not_who_waits`."""
    match command:
        case Schedule(order):
            waiting = [n for n, one in enumerate(scheduler.clients) if one.unsatisfied and n not in scheduler.line]
            require(bool(waiting) and sorted(order) == waiting, "not_who_waits")
            return [Scheduled(order)]
        case Allocate(number, resources):
            require(_is_next(scheduler, number, resources), "not_next")
            return [*decide_clients(scheduler.clients, command)]
        case Request() | Return():
            return [*decide_clients(scheduler.clients, command)]


def _is_next(scheduler: Scheduler, number: int, resources: Resources) -> bool:
    """Whether a client stands in line, and none before it wants any of `resources`."""
    if number not in scheduler.line:
        return False
    before = scheduler.line[: scheduler.line.index(number)]
    return all(resources.isdisjoint(scheduler.clients[other].unsatisfied) for other in before)


# --- the definition --------------------------------------------------------------------------------------------------


def exclusive(scheduler: Scheduler) -> bool:
    """No resource belongs to two clients."""
    return belong_to_one(scheduler.clients)


def without_line(scheduler: Scheduler) -> Allocator:
    """The simple allocator that this one refines."""
    return Allocator(scheduler.clients)


def scheduler_of(clients: int) -> Aggregate[Scheduler, Command, Event]:
    """The scheduling allocator of so many clients."""

    def initial() -> Scheduler:
        return Scheduler((Client(),) * clients)

    return Aggregate("scheduling_allocator", initial, decide, evolve, invariants=[exclusive])


def lines(clients: int) -> list[tuple[ClientNumber, ...]]:
    """Every order of some of so many clients."""
    return [line for length in range(1, clients + 1) for line in permutations(range(clients), length)]


def checked(clients: int, resources: int) -> Checked[Scheduler, Command, Event]:
    """What is claimed of so many clients that want so many resources, in every way and in every line."""
    scope = Scope(domains={"client": range(clients), "resources": subsets(range(resources)), "order": lines(clients)})
    return Checked(scheduler_of(clients), scope)


three_by_two = checked(3, 2)
