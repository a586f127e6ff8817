"""Dijkstra's termination detection: nodes in a ring find out with a token whether all of them have come to rest.

Active nodes wake others at any moment. The token goes round backwards; a node that woke one of a higher number, where
the token may have been already, is black and blackens the token. The first node concludes that all rest when a white
token comes back to it, and it is white and rests itself; otherwise it sends the token round again.
Source: Dijkstra, Feijen and van Gasteren, *Derivation of a termination detection algorithm for distributed
computations* (EWD 840, 1983).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope, sometimes
from examples.models.tuples import put

Number = Annotated[int, Meta(ge=0)]

# --- events ----------------------------------------------------------------------------------------------------------


class ProbeStarted(Value):
    """The first node became white and sent a white token to the last one."""


class TokenPassed(Value):
    """A node became white and passed the token to the one before it, black where it had been black itself."""

    node: Number


class Woken(Value):
    """An active node made another one active."""

    source: Number
    target: Number


class Rested(Value):
    """A node came to rest."""

    node: Number


Event = ProbeStarted | TokenPassed | Woken | Rested

# --- fold ------------------------------------------------------------------------------------------------------------


class Node(Value):
    """Whether a node is active, and whether it is black."""

    active: bool
    black: bool


class Ring(Value):
    """The nodes, where the token is, and whether it is black."""

    nodes: tuple[Node, ...]
    token_at: Number = 0
    token_black: bool = True


def evolve(ring: Ring, event: Event) -> Ring:
    """The ring after `event`."""
    nodes = ring.nodes
    match event:
        case ProbeStarted():
            return Ring(put(nodes, 0, _white(nodes[0])), len(nodes) - 1, token_black=False)
        case TokenPassed(node):
            black = ring.token_black or nodes[node].black
            return Ring(put(nodes, node, _white(nodes[node])), node - 1, black)
        case Woken(source, target):
            waker = replace(nodes[source], black=nodes[source].black or target > source)
            woken = replace(nodes[target], active=True)
            return replace(ring, nodes=put(put(nodes, source, waker), target, woken))
        case Rested(node):
            return replace(ring, nodes=put(nodes, node, replace(nodes[node], active=False)))


def _white(node: Node) -> Node:
    return replace(node, black=False)


# --- decisions -------------------------------------------------------------------------------------------------------


class StartProbe(Value):
    """Have the first node send the token round, which it does as long as it cannot conclude anything."""


class PassToken(Value):
    """Have a node pass the token on, which it does when it rests, or when the round is lost anyway."""

    node: Annotated[int, Meta(ge=1)]


class Wake(Value):
    """Have an active node make another one active."""

    source: Number
    target: Number


class Rest(Value):
    """Have a node come to rest."""

    node: Number


Command = StartProbe | PassToken | Wake | Rest


def decide(ring: Ring, command: Command) -> list[Event]:
    """What follows from `command`; refused with `not_there`, `conclusive`, `active`, `resting` or `itself`."""
    nodes = ring.nodes
    match command:
        case StartProbe():
            require(ring.token_at == 0, "not_there")
            require(ring.token_black or nodes[0].black, "conclusive")
            return [ProbeStarted()]
        case PassToken(node):
            require(ring.token_at == node, "not_there")
            require(not nodes[node].active or nodes[node].black or ring.token_black, "active")
            return [TokenPassed(node)]
        case Wake(source, target):
            require(nodes[source].active, "resting")
            require(source != target, "itself")
            return [Woken(source, target)]
        case Rest(node):
            require(nodes[node].active, "resting")
            return [Rested(node)]


# --- the definition --------------------------------------------------------------------------------------------------


def concludes(ring: Ring) -> bool:
    """Whether the first node says that all rest."""
    first = ring.nodes[0]
    return ring.token_at == 0 and not (ring.token_black or first.black or first.active)


def concluded_only_at_rest(ring: Ring) -> bool:
    """What the first node concludes is true."""
    return not concludes(ring) or not any(node.active for node in ring.nodes)


def rings_of(nodes: int) -> Iterable[Ring]:
    """Every ring of so many nodes: any of them active, any of them black, a black token anywhere."""
    kinds = [Node(active, black) for active, black in product((False, True), repeat=2)]
    return (Ring(each, at) for each in product(kinds, repeat=nodes) for at in range(nodes))


def detection_of(nodes: int) -> Aggregate[Ring, Command, Event]:
    """The detection on a ring of so many nodes, all of them active."""

    def initial() -> Ring:
        return Ring((Node(active=True, black=False),) * nodes)

    return Aggregate("termination", initial, decide, evolve, invariants=[concluded_only_at_rest])


def checked(nodes: int) -> Checked[Ring, Command, Event]:
    """What is claimed of so many nodes, however they begin."""
    numbers = range(nodes)
    scope = Scope(domains={"PassToken.node": numbers[1:], "Rest.node": numbers, "source": numbers, "target": numbers})
    claims = [sometimes(concludes)]
    return Checked(detection_of(nodes), scope, claims, initial=lambda: rings_of(nodes), finished=concludes)


three, four = checked(3), checked(4)
