"""Every interleaving of small sagas: messages delayed, reordered and doubled, told to turn back at any moment.

Searched with all answers that participants may give, on a network where a delivered message is gone (bag) and on one
where it may come again for ever (dup). The counts are exact, and a model written from the rules alone, without any code of
this project, gave the same: another count is another meaning.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from eventcore import Value
from sagas import Finished, Step, compile_saga
from tests.properties.sagas.world import (
    EITHER,
    Network,
    Order,
    Rules,
    Verdict,
    World,
    any_verdict,
    begin,
    command_bytes,
    moves,
)
from tests.unit.sagas.trip import Trip, compensatable, pivot, retriable, trips_of

TABLES: dict[str, list[Step[Trip]]] = {
    "cc": [compensatable("A"), compensatable("B")],
    "cp": [compensatable("A"), pivot("B")],
    "ccp": [compensatable("A"), compensatable("B"), pivot("C")],
    "cpr": [compensatable("A"), pivot("B"), retriable("C")],
}
STATES_MAX = 20_000  # several times the largest count below: a search that grows beyond it has lost its meaning


def either_unless_it_must_succeed(table: str) -> Rules:
    """A do may be refused unless its step is retriable; an undo is accepted."""
    steps = {step.name: step.kind for step in TABLES[table]}

    def verdicts(order: Order) -> tuple[Verdict, ...]:
        refusable = order.action == "do" and steps[order.step] != "retriable"
        return EITHER if refusable else ("accepted",)

    return Rules(compile_saga(trips_of(*TABLES[table]), command_bytes), verdicts)


class Explored(NamedTuple):
    """A whole search: each world with the worlds that follow it, and those that broke the promise."""

    following: dict[World, set[World]]
    transitions: int
    broken: list[World]
    written: list[tuple[World, tuple[Value, ...]]]


def explore(rules: Rules, first: World | None = None) -> Explored:
    """Walk every reachable world, breadth first. A move that changes nothing is not a transition."""
    first = first or begin(rules).world
    following: dict[World, set[World]] = {first: set()}
    queue, transitions, written = [first], 0, list[tuple[World, tuple[Value, ...]]]()
    for world in queue:
        for move in moves(rules, world):
            if move.world == world:
                continue
            transitions += 1
            written.append((world, move.events))
            following[world].add(move.world)
            if move.world not in following:
                following[move.world] = set()
                queue.append(move.world)
        assert len(queue) <= STATES_MAX
    return Explored(following, transitions, [w for w in queue if not all_or_none(rules, w)], written)


def all_or_none(rules: Rules, world: World) -> bool:
    """What a finished saga promises, at every moment after its end: everything is in effect, or nothing is."""
    asked = {step.name for step in world.progress.steps}
    if world.progress.status == "completed":
        return world.in_effect() == asked
    return world.progress.status != "compensated" or not world.in_effect()


def can_reach(explored: Explored, goal: set[World]) -> set[World]:
    """The worlds from which some world of `goal` can be reached."""
    before: dict[World, set[World]] = {world: set() for world in explored.following}
    for world, nexts in explored.following.items():
        for following in nexts:
            before[following].add(world)
    found, queue = set(goal), list(goal)
    for world in queue:
        for earlier in before[world] - found:
            found.add(earlier)
            queue.append(earlier)
    return found


@pytest.mark.parametrize(
    ("table", "network", "worlds", "transitions"),
    [
        ("cc", "bag", 54, 76),
        ("cc", "dup", 38, 48),
        ("cp", "bag", 33, 44),
        ("cp", "dup", 27, 34),
        ("ccp", "bag", 71, 99),
        ("ccp", "dup", 55, 71),
        ("cpr", "bag", 37, 50),
        ("cpr", "dup", 31, 40),
    ],
)
def test_in_every_order_a_saga_ends_with_all_of_its_steps_or_with_none(
    table: str, network: Network, worlds: int, transitions: int
) -> None:
    rules = either_unless_it_must_succeed(table)._replace(network=network)
    explored = explore(rules)
    assert not explored.broken, explored.broken[0]
    for world, nexts in explored.following.items():
        assert nexts or world.progress.status in ("completed", "compensated"), f"nothing follows {world}"
    ends = {w for w in explored.following if w.progress.status in ("completed", "compensated")}
    assert can_reach(explored, ends) == set(explored.following)
    assert {world.progress.status for world in ends} == {"completed", "compensated"}
    for world, events in explored.written:
        assert world.progress.open or not [e for e in events if isinstance(e, Finished)], "a second end"
    assert (len(explored.following), explored.transitions) == (worlds, transitions)


@pytest.mark.parametrize(("network", "worlds", "transitions", "orphaned"), [("bag", 66, 96, 4), ("dup", 44, 58, 2)])
def test_without_tombstones_the_same_search_finds_orphans(
    network: Network, worlds: int, transitions: int, orphaned: int
) -> None:
    explored = explore(either_unless_it_must_succeed("cc")._replace(network=network, tombstones=False))
    assert {world.progress.status for world in explored.broken} == {"compensated"}
    assert (len(explored.following), explored.transitions, len(explored.broken)) == (worlds, transitions, orphaned)


@pytest.mark.parametrize(("table", "worlds"), [("cc", 3009), ("cpr", 1486)])
def test_where_anything_may_be_refused_parked_and_doubled_a_saga_ends_or_is_visibly_stuck(
    table: str, worlds: int
) -> None:
    rules = either_unless_it_must_succeed(table)._replace(verdicts=any_verdict)
    explored = explore(rules, begin(rules, doubles=1, parks=1).world)
    assert not explored.broken, explored.broken[0]
    at_rest = [world for world in explored.following if not world.network]
    assert {world.progress.status for world in at_rest} == {"completed", "compensated", "stuck"}
    for world in at_rest:
        failed = [step.name for step in world.progress.steps if step.status in ("failed", "undo_failed")]
        assert (world.progress.status == "stuck") is bool(failed), world
    assert len(explored.following) == worlds
