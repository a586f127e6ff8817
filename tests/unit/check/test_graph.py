"""The graph has the steps that there are, and no others; what is asked of it is what a plain search answers."""

from __future__ import annotations

from array import array

import hypothesis.strategies as st
from hypothesis import given

from eventcore.check.aggregate import AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.graph import Graph, graph_of
from eventcore.check.search import Plan, search
from examples.models import two_phase
from tests.unit.check.machines import At, Map, walk_of

PLACES = 7
STEPS = st.sets(
    st.tuples(st.integers(0, PLACES - 1), st.integers(0, PLACES - 1)).filter(lambda pair: pair[0] != pair[1])
)


def drawn(steps: set[tuple[int, int]], initial: int = 1) -> Graph:
    """A graph of PLACES states with these steps, each by a label of its own."""
    ordered = sorted(steps)
    starts = array("I", [sum(source < number for source, _ in ordered) for number in range(PLACES + 1)])
    targets = array("I", [target for _, target in ordered])
    return Graph(range(PLACES), initial, ordered, starts, targets, array("I", range(len(ordered))))


def reachable(steps: set[tuple[int, int]], start: int) -> set[int]:
    """What can be reached from a state, itself included, by steps taken until nothing is new."""
    found = {start}
    while more := {target for source, target in steps if source in found} - found:
        found |= more
    return found


@given(STEPS, st.sets(st.integers(0, PLACES - 1)))
def test_a_state_reaches_the_goal_where_a_plain_search_from_it_does(
    steps: set[tuple[int, int]], goal: set[int]
) -> None:
    reaching = drawn(steps).reaching(goal)
    assert [bool(each) for each in reaching] == [bool(reachable(steps, number) & goal) for number in range(PLACES)]


@given(STEPS, st.sets(st.integers(0, PLACES - 1)))
def test_states_are_in_one_component_where_each_reaches_the_other(steps: set[tuple[int, int]], among: set[int]) -> None:
    inside = {(source, target) for source, target in steps if source in among and target in among}
    expected = {
        frozenset(each for each in reachable(inside, number) if number in reachable(inside, each)) for number in among
    }
    found = [frozenset(component) for component in drawn(steps).components(among)]
    assert len(found) == len(set(found))
    assert set(found) == expected


@given(STEPS, st.integers(0, PLACES - 1), st.integers(0, PLACES - 1))
def test_a_way_is_real_and_as_short_as_can_be(steps: set[tuple[int, int]], start: int, end: int) -> None:
    graph = drawn(steps)
    way = graph.way([start], lambda _, step: graph.targets[step] == end)
    level, length, seen = {start}, 0, set[int]()
    while level and not (length and end in level):
        seen |= level
        level = {target for source, target in steps if source in level} - (seen - {end})
        length += 1
    if way is None:
        assert not level
        return
    ends = [graph.targets[step] for _, step in way]
    assert [number for number, _ in way] == [start, *ends[:-1]]
    assert all((number, graph.targets[step]) in steps for number, step in way)
    assert (ends[-1], len(way)) == (end, length)


def test_a_long_chain_needs_no_deep_stack() -> None:
    count = 50_000
    starts = array("I", [*range(count), count])
    targets = array("I", [*range(1, count), 0])
    ring = Graph(range(count), 1, ["on"], starts, targets, array("I", bytes(4 * count)))
    assert [len(component) for component in ring.components(range(count))] == [count]
    assert [len(component) for component in ring.components(range(1, count))] == [1] * (count - 1)


def test_steps_that_change_nothing_are_left_out_and_the_others_are_all_there() -> None:
    roads: Map = {(0, 0): 1, (0, 1): 0, (1, 0): 0, (1, 1): 2, (1, 2): 2}
    machine = AggregateMachine(Checked(walk_of(roads)))
    found = search(machine, Plan())
    graph = graph_of(machine, found.states, found.initial)
    assert graph.states == [At(0), At(1), At(2)]
    assert [list(graph.after(number)) for number in range(3)] == [[1], [0, 2, 2], []]
    assert [graph.labels[each].by for each in graph.by] == [0, 0, 1, 2]


def test_two_phase_commit_has_as_many_steps_as_are_counted_without_those_that_change_nothing() -> None:
    machine = AggregateMachine(two_phase.three)
    found = search(machine, Plan())
    graph = graph_of(machine, found.states, found.initial)
    assert graph.depths() == [level for level, count in enumerate(found.levels) for _ in range(count)]
    at_rest = [number for number in range(len(graph.states)) if not graph.after(number)]
    assert (len(graph.states), len(at_rest)) == (288, 28)
