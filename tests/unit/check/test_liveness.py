"""What must happen in the end: judged as by trying every set of states that a way can stay in, and shown by real lassos."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from eventcore.check.fairness import Fairness, strong, weak
from eventcore.check.graph import Graph
from eventcore.check.liveness import Unmet, judge
from eventcore.check.properties import eventually, leads_to, never_stuck

PLACES = 6
Step = tuple[int, str, int]
LABELS = "abc"
STEPS = st.sets(
    st.tuples(st.integers(0, PLACES - 1), st.sampled_from(LABELS), st.integers(0, PLACES - 1)), max_size=14
).map(sorted)
SETS = st.frozensets(st.integers(0, PLACES - 1))
GROUPS: dict[str, Callable[[str], str | None]] = {
    "each": lambda label: label,
    "all": lambda _: "",
    "a": lambda label: "a" if label == "a" else "bc",
}


def assumed(made: Callable[..., Fairness], group: str) -> Fairness:
    return made(by=GROUPS[group])


FAIR = st.lists(
    st.builds(assumed, st.sampled_from([weak, strong]), st.sampled_from(sorted(GROUPS))),
    max_size=3,
)


def drawn(steps: Sequence[Step], initial: int = 1, places: int = PLACES, labels: Sequence[str] = LABELS) -> Graph:
    """A graph with these steps. Those that lead nowhere else are left out, as in every graph of a machine."""
    real = sorted(step for step in steps if step[0] != step[2])
    starts = array("I", [sum(step[0] < number for step in real) for number in range(places + 1)])
    targets, by = array("I", [step[2] for step in real]), array("I", [labels.index(step[1]) for step in real])
    return Graph(range(places), initial, labels, starts, targets, by)


def closed(steps: Sequence[Step], starts: frozenset[int], among: frozenset[int]) -> frozenset[int]:
    """What is reached from `starts` by steps within `among`."""
    found = starts & among
    while more := frozenset(c for a, _, c in steps if a in found and c in among) - found:
        found |= more
    return found


def is_fair(steps: Sequence[Step], fair: Sequence[Fairness], states: frozenset[int], taken: Sequence[Step]) -> bool:
    """Whether a way is fair that visits `states` again and again, and no others, and takes the steps `taken`."""
    for each in fair:
        for group in {each.group(label) for label in LABELS}:
            possible = [any(a == state and each.group(b) == group and a != c for a, b, c in steps) for state in states]
            if any(each.group(b) == group for _, b, _ in taken):
                continue
            if all(possible) if each.strength == "weak" else any(possible):
                return False
    return True


def need_not(steps: Sequence[Step], goal: frozenset[int], premise: frozenset[int], fair: Sequence[Fairness]) -> bool:
    """Whether a fair way from `premise` avoids the goal: every set of states that it could stay in is tried."""
    everywhere = frozenset(range(PLACES))
    within = closed(steps, premise - goal, everywhere - goal)
    for size in range(1, len(within) + 1):
        for chosen in map(frozenset, combinations(sorted(within), size)):
            inside = [(a, b, c) for a, b, c in steps if a in chosen and c in chosen and a != c]
            one = all(closed(inside, frozenset({number}), chosen) == chosen for number in chosen)
            if one and is_fair(steps, fair, chosen, inside):
                return True
    return False


def assert_is_lasso(
    steps: Sequence[Step], unmet: Unmet, goal: frozenset[int], premise: frozenset[int], fair: Sequence[Fairness]
) -> None:
    """The way begins at the beginning, is real, comes through the premise, avoids the goal from there, and is fair."""
    way = unmet.way
    assert way.back is not None
    taken = [(a, b, c) for a, b, c in zip(way.states, way.labels, way.states[1:], strict=False)]
    assert way.states[0] == 0
    assert set(taken) <= set(steps)
    assert len(taken) == len(way.states) - 1
    assert way.states[-1] == way.states[way.back]
    cycle = taken[way.back :]
    assert way.rests == (not cycle)
    begun = [number for number, state in enumerate(way.states[: way.back + 1]) if state in premise]
    assert any(not goal & set(way.states[number:]) for number in begun)
    assert is_fair(steps, fair, frozenset(way.states[way.back :]), cycle)


@settings(max_examples=400)
@given(STEPS, SETS, FAIR)
def test_eventually_fails_exactly_where_some_fair_way_avoids_the_goal(
    steps: list[Step], goal: frozenset[int], fair: list[Fairness]
) -> None:
    unmet = judge(drawn(steps), [eventually(goal.__contains__, fair=fair, name="there")]).unmet
    start = frozenset({0})
    assert bool(unmet) == need_not(steps, goal, start, fair)
    for each in unmet:
        assert_is_lasso(steps, each, goal, start, fair)


@settings(max_examples=400)
@given(STEPS, SETS, SETS, FAIR)
def test_leads_to_fails_exactly_where_some_fair_way_from_the_premise_avoids_the_goal(
    steps: list[Step], goal: frozenset[int], premise: frozenset[int], fair: list[Fairness]
) -> None:
    reached = closed(steps, frozenset({0}), frozenset(range(PLACES)))
    numbers = {state: number for number, state in enumerate(sorted(reached))}  # a graph holds what is reached, no more
    steps = [(numbers[a], b, numbers[c]) for a, b, c in steps if a in reached]
    goal, premise = (frozenset(numbers[each] for each in some & reached) for some in (goal, premise))
    answers = judge(
        drawn(steps, places=len(reached)),
        [leads_to(premise.__contains__, goal.__contains__, fair=fair, name="follows")],
    )
    assert bool(answers.unmet) == need_not(steps, goal, premise, fair)
    assert answers.idle == ([] if premise else ["follows"])
    for each in answers.unmet:
        assert_is_lasso(steps, each, goal, premise, fair)


class Whole(str):
    """A label of a class of which all commands were tried."""

    __slots__ = ()


class Sample(str):
    """A label of a class of which others may be possible."""

    __slots__ = ()


CLASSED = (Whole("a"), Sample("b"), Sample("c"))
BY_CLASS = [made(*of, by=type) for made in (weak, strong) for of in ((), (Sample,), (Whole,))]


@settings(max_examples=400)
@given(STEPS, SETS, st.lists(st.sampled_from(BY_CLASS), max_size=3))
def test_a_lasso_is_certain_exactly_where_it_is_fair_though_another_command_leads_to_the_goal_from_everywhere(
    steps: list[Step], goal: frozenset[int], fair: list[Fairness]
) -> None:
    graph, home = drawn(steps, labels=CLASSED), PLACES
    unmet = judge(graph, [eventually(goal.__contains__, fair=fair, name="there")], {Sample}).unmet
    assert bool(unmet) == bool(judge(graph, [eventually(goal.__contains__, fair=fair, name="there")]).unmet)
    steps = [*steps, *((number, "d", home) for number in range(PLACES))]
    graph = drawn(steps, places=PLACES + 1, labels=(*CLASSED, Sample("d")))
    others = judge(graph, [eventually((goal | {home}).__contains__, fair=fair, name="there")]).unmet
    assert any(not each.open for each in unmet) == bool(others)


def told(steps: Sequence[Step], goal: set[int], *fair: Fairness) -> tuple[list[int], str, int | None] | None:
    """The way that shows that the goal need not come, where there is one."""
    found = judge(drawn(steps), [eventually(goal.__contains__, fair=fair, name="there")]).unmet
    return (list(found[0].way.states), "".join(found[0].way.labels), found[0].way.back) if found else None


def test_a_machine_may_rest_where_it_stands_unless_fairness_forbids_it() -> None:
    steps = [(0, "a", 1)]
    assert told(steps, {1}) == ([0], "", 0)
    assert told(steps, {1}, weak()) is None


def test_an_end_that_does_not_change_is_judged_as_a_cycle() -> None:
    assert told([(0, "a", 1), (1, "a", 2)], {3}, weak(), strong()) == ([0, 1, 2], "aa", 2)


def test_a_step_that_leads_back_to_its_own_state_is_no_progress() -> None:
    steps = [(0, "a", 0), (0, "b", 1)]
    assert told(steps, {1}, weak(by=lambda _: 0)) is None
    assert told([(0, "a", 0)], {1}, weak(), strong()) == ([0], "", 0)


def test_a_goal_is_missed_on_a_cycle() -> None:
    assert told([(0, "a", 1), (1, "b", 0), (1, "c", 2)], {2}, weak()) == ([0, 1, 0], "ab", 0)


def test_strong_fairness_breaks_a_cycle_that_weak_fairness_allows() -> None:
    steps = [(0, "a", 1), (1, "b", 0), (1, "c", 2)]
    assert told(steps, {2}, weak(), strong(by=lambda label: label)) is None


def test_a_fair_cycle_is_found_where_its_component_is_not_fair() -> None:
    steps = [
        (0, "a", 1),
        (1, "a", 0),
        (1, "b", 2),
        (2, "b", 0),
        (2, "c", 3),
    ]  # at 2, c is possible: stay away from there
    c_and_others = strong(by=lambda label: label == "c")
    assert told(steps, {3}, weak(by=lambda _: 0), c_and_others) == ([0, 1, 0], "aa", 0)
    assert told(steps, {3}, weak(by=lambda _: 0), strong()) is None


def test_a_goal_is_missed_behind_a_join_that_another_way_has_passed_before() -> None:
    steps = [(0, "a", 1), (0, "b", 2), (1, "a", 3), (2, "b", 3), (3, "c", 4)]
    assert told(steps, {1}, weak()) == ([0, 2, 3, 4], "bbc", 3)


def test_what_is_shown_is_one_cycle_and_not_its_component() -> None:
    steps = [(0, "a", 1), (1, "a", 2), (2, "a", 0), (1, "b", 0)]
    assert told(steps, {5}, weak(by=lambda _: 0)) == ([0, 1, 0], "ab", 0)


def test_two_assumptions_together_prove_no_more_than_they_say() -> None:
    steps = [(0, "a", 1), (1, "b", 0), (0, "c", 2)]
    only_a_and_b = [weak(by=lambda label: label == "a"), weak(by=lambda label: label == "b")]
    assert told(steps, {2}, *only_a_and_b) == ([0, 1, 0], "ab", 0)
    assert told([(0, "a", 1), (1, "a", 0), (0, "b", 2), (1, "c", 3)], {2, 3}, weak(), strong()) is None


@given(STEPS, SETS)
def test_a_state_is_stuck_where_no_way_leads_to_the_goal(steps: list[Step], goal: frozenset[int]) -> None:
    reached = closed(steps, frozenset({0}), frozenset(range(PLACES)))
    numbers = {state: number for number, state in enumerate(sorted(reached))}
    steps = [(numbers[a], b, numbers[c]) for a, b, c in steps if a in reached]
    goal = frozenset(numbers[each] for each in goal & reached)
    everywhere = frozenset(range(PLACES))
    stuck = [number for number in range(len(reached)) if not closed(steps, frozenset({number}), everywhere) & goal]
    unmet = judge(drawn(steps, places=len(reached)), [never_stuck(goal.__contains__, name="home")]).unmet
    assert bool(unmet) == bool(stuck)
    for each in unmet:
        assert each.way.states[-1] in stuck
        assert f"from {len(stuck)} of {len(reached)} states" in each.message


def test_a_claim_that_raises_is_a_finding_with_the_way_to_the_state() -> None:
    def odd(number: int) -> bool:
        return 1 / (number - 2) > 0

    (unmet,) = judge(drawn([(0, "a", 1), (1, "b", 2)], places=3), [never_stuck(odd)]).unmet
    assert (unmet.kind, unmet.message) == ("raises", "odd raises ZeroDivisionError: division by zero")
    assert list(unmet.way.states) == [0, 1, 2]


def by_dividing(label: str) -> float:
    return 1 / (label != "b")


def by_no_group(label: str) -> Any:
    return [label]


@pytest.mark.parametrize("by", [by_dividing, by_no_group])
def test_a_grouping_that_raises_or_gives_no_group_is_a_finding(by: Callable[[str], Any]) -> None:
    claim = eventually({3}.__contains__, fair=[weak(by=by)], name="there")
    (unmet,) = judge(drawn([(0, "a", 1), (1, "b", 2)], places=3), [claim]).unmet
    assert (unmet.kind, unmet.name, unmet.open) == ("raises", "there", False)


@pytest.mark.parametrize(
    ("fair", "text"),
    [(weak(int), "weak fairness of int"), (strong(by=type), "strong fairness of all commands in groups")],
)
def test_an_assumption_reads_as_a_sentence(fair: Fairness, text: str) -> None:
    assert str(fair) == text
