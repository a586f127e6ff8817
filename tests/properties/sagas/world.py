"""A world for a saga: participants that remember each step, and a network that delays, reorders and doubles.

The world is a value, and `moves` lists every way in which it can go on, so it can be walked at random or exhaustively.
A participant is what a lane promises a saga: a step is decided once and answered the same ever after; an undo takes
effect only on an accepted do; an undo that comes first leaves a *tombstone*, which makes the do a refusal. Without
the tombstone the world is wrong on purpose, to show that the search finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from eventcore import Accepted, Context, Message, Value, take_turn
from sagas import Answered, Compensate, Progress, StepRequested, UndoRequested
from tests.unit.sagas.trip import START, Trip, Trips

NOW = Context(stamp=0, command=bytes(16))
Network = Literal["bag", "dup"]  # a delivered message is gone, or may come again at any time
Verdict = Literal["accepted", "refused"]


class Order(NamedTuple):
    """A step's command on its way to its participant."""

    step: str
    action: Literal["do", "undo"]


class Participant(NamedTuple):
    """What one participant remembers of its step."""

    done: Verdict | None = None
    undone: Verdict | None = None
    in_effect: bool = False


class World(NamedTuple):
    """Everything there is: the saga, its participants, the messages under way, and how much may still go wrong.

    So many times the saga may be told to turn back, a delivered message comes again, and an order is parked first.
    """

    progress: Progress[Trip]
    participants: tuple[tuple[str, Participant], ...] = ()
    network: tuple[Order | Answered, ...] = ()
    turns_back: int = 1
    doubles: int = 0
    parks: int = 0

    def in_effect(self) -> set[str]:
        """The steps that are in effect now."""
        return {step for step, participant in self.participants if participant.in_effect}


EITHER: tuple[Verdict, ...] = ("accepted", "refused")


def any_verdict(order: Order) -> tuple[Verdict, ...]:
    """Whatever is asked for may be refused."""
    return EITHER


class Rules(NamedTuple):
    """What can happen in a world. `verdicts` gives the answers that a participant may choose from."""

    aggregate: Trips
    verdicts: Callable[[Order], tuple[Verdict, ...]]
    network: Network = "bag"
    tombstones: bool = True


class Move(NamedTuple):
    """One way on: its name, the events that the saga wrote, and the world after it."""

    name: str
    events: tuple[Value, ...]
    world: World


def begin(rules: Rules, *, turns_back: int = 1, doubles: int = 0, parks: int = 0) -> Move:
    """The world after the saga's start."""
    world = World(rules.aggregate.initial(), turns_back=turns_back, doubles=doubles, parks=parks)
    return _said(rules, world, START)


def moves(rules: Rules, world: World) -> Iterator[Move]:
    """Every way in which the world can go on."""
    if world.turns_back and world.progress.open:
        yield _said(rules, world._replace(turns_back=world.turns_back - 1), Compensate("enough"))
    for number, message in enumerate(world.network):
        others = world.network[:number] + world.network[number + 1 :]
        yield from _delivered(
            rules, world._replace(network=world.network if rules.network == "dup" else others), message
        )
        if world.doubles:
            yield from _delivered(rules, world._replace(doubles=world.doubles - 1), message)
        if world.parks and isinstance(message, Order):
            parked = Answered(message.step, message.action, "parked", "quarantined")
            yield Move(f"{message} is parked", (), _sent(rules, world._replace(parks=world.parks - 1), parked))


def _delivered(rules: Rules, world: World, message: Order | Answered) -> Iterator[Move]:
    if isinstance(message, Answered):
        yield _said(rules, world, message)
    else:
        yield from _received(rules, world, message)


def _said(rules: Rules, world: World, command: Value) -> Move:
    """Let the saga take a turn, and put what it asks for into the network. A refused command changes nothing."""
    turn = take_turn(rules.aggregate, world.progress, command, NOW)
    if not isinstance(turn, Accepted):
        return Move(f"{command} was refused", (), world)
    orders = [
        Order(event.step, "do" if isinstance(event, StepRequested) else "undo")
        for event in turn.events
        if isinstance(event, (StepRequested, UndoRequested))
    ]
    return Move(str(command), tuple(turn.events), _sent(rules, world._replace(progress=turn.state), *orders))


def _received(rules: Rules, world: World, order: Order) -> Iterator[Move]:
    """Let a participant receive an order: one move for each answer that it may choose."""
    known = dict(world.participants)
    before = known.get(order.step, Participant())
    for after, answer in _answers(rules, before, order):
        participants = tuple(sorted((known | {order.step: after}).items()))
        answered = Answered(order.step, order.action, answer)
        yield Move(f"{order} -> {answer}", (), _sent(rules, world._replace(participants=participants), answered))


def _answers(rules: Rules, before: Participant, order: Order) -> Iterator[tuple[Participant, Verdict]]:
    if order.action == "do":
        if before.done is not None:
            yield before, before.done
        elif before.undone is not None and rules.tombstones:
            yield before._replace(done="refused"), "refused"
        else:
            for verdict in rules.verdicts(order):
                yield before._replace(done=verdict, in_effect=verdict == "accepted"), verdict
    elif before.undone is not None:
        yield before, before.undone
    elif before.done != "accepted":
        yield before._replace(undone="accepted"), "accepted"
    else:
        for verdict in rules.verdicts(order):
            yield before._replace(undone=verdict, in_effect=verdict != "accepted"), verdict


def _sent(rules: Rules, world: World, *messages: Order | Answered) -> World:
    together: list[Any] = [*world.network, *messages]
    if rules.network == "dup":
        together = list(dict.fromkeys(together))
    return world._replace(network=tuple(sorted(together, key=str)))


def command_bytes(message: Message[Any]) -> bytes:
    """The network here knows orders by their step, so their bytes do not matter."""
    return type(message.command).__name__.encode()
