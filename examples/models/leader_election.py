"""The election of Chang and Roberts: nodes in a ring, of which some stand as candidates, and the smallest number wins.

A candidate sends its number to its successor. Numbers go round the ring until they meet a candidate with a smaller one;
a number that comes back to its own node has won.
Source: Chang and Roberts, *An Improved Algorithm for Decentralized Extrema-Finding in Circular Configurations of
Processes* (CACM 22:5, 1979).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import product
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope, sometimes
from examples.models.tuples import put

Number = Annotated[int, Meta(ge=0)]


class Standing(StrEnum):
    """What a node knows of its own chances."""

    CANDIDATE = "candidate"
    LOST = "lost"
    WON = "won"


# --- events ----------------------------------------------------------------------------------------------------------


class Started(Value):
    """A node began to take part; a candidate sent its number on."""

    node: Number


class Forwarded(Value):
    """A node received a number that beats its own, if it has any chance left, and sent it on."""

    node: Number
    number: Number


class Dropped(Value):
    """A candidate received a number that its own beats."""

    node: Number
    number: Number


class Won(Value):
    """A candidate received its own number: it has gone all the way round."""

    node: Number


Event = Started | Forwarded | Dropped | Won

# --- fold ------------------------------------------------------------------------------------------------------------


class Node(Value):
    """One node: whether it stood as a candidate, its standing now, whether it has started, the numbers on their way to it."""

    initiator: bool
    standing: Standing
    started: bool = False
    inbox: frozenset[Number] = frozenset()


class Ring(Value):
    """The nodes in their order, which is that of their numbers; the last one's successor is the first."""

    nodes: tuple[Node, ...]


def evolve(ring: Ring, event: Event) -> Ring:
    """The ring after `event`."""
    node = ring.nodes[event.node]
    match event:
        case Started(number):
            started = Ring(put(ring.nodes, number, replace(node, started=True)))
            return _send(started, number, number) if node.initiator else started
        case Forwarded(at, number):
            lost = replace(_without(node, number), standing=Standing.LOST)
            return _send(Ring(put(ring.nodes, at, lost)), at, number)
        case Dropped(at, number):
            return Ring(put(ring.nodes, at, _without(node, number)))
        case Won(at):
            return Ring(put(ring.nodes, at, replace(_without(node, at), standing=Standing.WON)))


def _without(node: Node, number: int) -> Node:
    return replace(node, inbox=node.inbox - {number})


def _send(ring: Ring, source: int, number: int) -> Ring:
    successor = (source + 1) % len(ring.nodes)
    node = ring.nodes[successor]
    return Ring(put(ring.nodes, successor, replace(node, inbox=node.inbox | {number})))


# --- decisions -------------------------------------------------------------------------------------------------------


class Start(Value):
    """Let a node take part."""

    node: Number


class Receive(Value):
    """Let a node receive a number that is on its way to it."""

    node: Number
    number: Number


Command = Start | Receive


def decide(ring: Ring, command: Command) -> list[Event]:
    """What follows from `command`; refused with `started`, `not_started` or `not_there`."""
    node = ring.nodes[command.node]
    match command:
        case Start(at):
            require(not node.started, "started")
            return [Started(at)]
        case Receive(at, number):
            require(node.started, "not_started")
            require(number in node.inbox, "not_there")
            if node.standing is Standing.LOST or number < at:
                return [Forwarded(at, number)]
            return [Won(at)] if number == at else [Dropped(at, number)]


# --- the definition --------------------------------------------------------------------------------------------------


def the_smallest_candidate_wins(ring: Ring) -> bool:
    """Where one has won, it is the candidate of the smallest number, and all others know that they have lost."""
    winners = [number for number, node in enumerate(ring.nodes) if node.standing is Standing.WON]
    if not winners:
        return True
    smallest = min(number for number, node in enumerate(ring.nodes) if node.initiator)
    lost = all(node.standing is Standing.LOST for number, node in enumerate(ring.nodes) if number != smallest)
    return winners == [smallest] and lost


def is_over(ring: Ring) -> bool:
    """One has won, or none stood for it."""
    return any(node.standing is Standing.WON for node in ring.nodes) or not any(node.initiator for node in ring.nodes)


def rings_of(nodes: int) -> Iterable[Ring]:
    """A ring of so many nodes for each choice of candidates, nothing on its way."""
    for initiators in product((False, True), repeat=nodes):
        yield Ring(tuple(Node(each, Standing.CANDIDATE if each else Standing.LOST) for each in initiators))


def election_of(nodes: int) -> Aggregate[Ring, Command, Event]:
    """The election on a ring of so many nodes, all of them candidates."""

    def initial() -> Ring:
        return Ring((Node(initiator=True, standing=Standing.CANDIDATE),) * nodes)

    return Aggregate("election", initial, decide, evolve, invariants=[the_smallest_candidate_wins])


def checked(nodes: int) -> Checked[Ring, Command, Event]:
    """What is claimed of so many nodes, whoever stands."""
    scope = Scope(domains={"node": range(nodes), "number": range(nodes)})
    won = sometimes(lambda ring: any(node.standing is Standing.WON for node in ring.nodes), name="won")
    return Checked(election_of(nodes), scope, [won], initial=lambda: rings_of(nodes), finished=is_over)


two, three, four = checked(2), checked(3), checked(4)
