"""Several processes find what one finds: the same states, transitions, depth, verdict, and traces as short."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from eventcore import Aggregate, Value
from eventcore.check import Bounds, Checked, Scope, Step, always, always_step, check, never_stuck, retrace, sometimes
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.parallel import search_together
from eventcore.check.report import Report
from eventcore.check.search import Plan, search
from eventcore.errors import NotSupported, SystemFault
from examples.models import increment, two_phase
from tests.unit.check.machines import At, Box, Go, Map, Went, anything, box_of, walk_of

PLACES = st.integers(0, 7)
MAPS = st.dictionaries(st.tuples(PLACES, st.integers(0, 2)), PLACES)
STARTS = st.lists(PLACES, min_size=1, max_size=3, unique=True)


def compared(report: Report) -> dict[str, object]:
    """All that must be the same, however many search."""
    return {
        "counts": (report.verdict, report.distinct, report.transitions, report.depth, report.refused),
        "findings": {(each.kind, each.name): each.trace and each.trace.states for each in report.findings},
        "witnesses": {name: trace.states for name, trace in report.witnesses.items()},
        "reasons": [reason.remedy for reason in report.reasons],
        "by": (report.fired, report.emitted, report.refusals, report.code_hash, list(report.warnings)),
    }


@settings(max_examples=40, deadline=None)
@given(MAPS, STARTS, PLACES, st.integers(1, 4))
def test_any_machine_comes_out_as_with_one_process(roads: Map, starts: list[int], place: int, workers: int) -> None:
    def not_there(at: At) -> bool:
        return at.place != place

    def onwards(step: Step) -> bool:
        return bool(step.after.place != place + 1)

    claims = [always(not_there), always_step(onwards), sometimes(lambda at: at.place == place + 1, name="next")]
    claims.append(never_stuck(lambda at: at.place < 4, name="back"))
    checked = Checked(
        walk_of(roads),
        properties=claims,
        initial=lambda: [At(place) for place in starts],
        finished=lambda at: at.place > 5,
    )
    together = check(checked, keep_going=True, workers=workers)
    assert compared(together) == compared(check(checked, keep_going=True))
    alone, first = check(checked), check(checked, workers=workers)  # now who keeps a state judges it
    assert first.verdict == alone.verdict
    if not alone.cut:
        assert compared(first) == compared(alone)
    for one, other in zip(alone.findings, first.findings, strict=True):
        if one.trace is not None and other.trace is not None:
            assert abs(one.trace.states - other.trace.states) <= 1  # of one level, another may come first
    for finding in (*together.findings, *first.findings):
        if finding.trace is not None and finding.trace.back is None and finding.kind != "never_stuck":
            commands = [step.command for step in finding.trace.steps]
            assert retrace(checked, finding.trace.initial, commands) is not None


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_models_come_out_as_with_one_process(workers: int) -> None:
    models: list[Checked[Any, Any, Any]] = [two_phase.three, two_phase.five, increment.three, increment.locked_two]
    for checked in models:
        alone, together = check(checked, keep_going=True), check(checked, keep_going=True, workers=workers)
        assert compared(together) == compared(alone)


def test_every_state_is_found_once_by_a_way_as_short_as_can_be() -> None:
    machine = AggregateMachine(two_phase.three)
    together, alone = search_together(machine, Plan(), 3), search(machine, Plan())
    assert len(together.states) == len(set(together.states))
    assert set(together.states) == set(alone.states)
    assert together.levels == alone.levels
    ways = {state: len(alone.path(number)) for number, state in enumerate(alone.states)}
    for number, state in enumerate(together.states):
        path = together.path(number)
        assert len(path) == ways[state]
        for one, other in pairwise(path):
            outcome: Any = machine.take(together.states[one], together.labels[other])
            assert outcome.state == together.states[other]


def test_the_first_finding_ends_it_with_a_shortest_trace() -> None:
    alone, together = check(increment.three), check(increment.three, workers=2)
    assert [(each.kind, each.name) for each in together.findings] == [("always", "counts_the_writers")]
    assert together.findings[0].trace is not None
    assert alone.findings[0].trace is not None
    assert together.findings[0].trace.states == alone.findings[0].trace.states == 5


def test_a_bound_on_states_ends_it_and_says_so() -> None:
    report = check(two_phase.five, workers=2, bounds=Bounds(states=500))
    assert (report.verdict, list(report.cut)) == ("inconclusive", ["states"])
    assert 500 <= report.distinct < 8_832


def test_states_that_a_scope_turns_away_are_counted_as_by_one() -> None:
    scope = Scope(domains={"manager": range(3)}, within=lambda state: not state.abort)
    checked = Checked(two_phase.three.aggregate, scope)
    assert compared(check(checked, workers=2)) == compared(check(checked))


def test_ctrl_c_ends_all_of_them_with_what_was_found_so_far() -> None:
    pressed = threading.Event()

    def press(_: object) -> None:
        if not pressed.is_set():
            pressed.set()
            os.kill(os.getpid(), signal.SIGINT)

    report = check(two_phase.seven, workers=2, progress=press)
    assert (report.verdict, list(report.cut)) == ("inconclusive", ["interrupted"])
    assert report.distinct < 296_448


def test_what_ends_one_ends_all_and_is_told() -> None:
    def dies(at: At) -> bool:
        if at.place == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    roads: Map = {(0, 0): 1, (1, 0): 2}
    with pytest.raises(SystemFault, match=r"worker \d of the search ended with -9 and without a word"):
        check(Checked(walk_of(roads), properties=[always(dies)]), workers=2)


class Hidden(Value):
    """A state that refuses to be sent anywhere."""

    place: int = 0

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("cannot pickle this")


def hide(hidden: Hidden, go: Go) -> list[Went]:
    return [Went((hidden.place + go.by) % 8)]


def follow(_: Hidden, went: Went) -> Hidden:
    return Hidden(went.to)


def test_values_that_cannot_be_sent_are_told() -> None:
    hidden: Aggregate[Hidden, Go, Went] = Aggregate("hidden", Hidden, hide, follow)
    with pytest.raises(NotSupported, match=r"worker \d of the search failed: TypeError: cannot pickle this"):
        check(hidden, workers=2)


def test_orbits_are_searched_by_one_process() -> None:
    with pytest.raises(NotSupported, match="orbits are searched by one process"):
        check(two_phase.three, symmetric=True, workers=2)
    with pytest.raises(NotSupported, match="1 to 64 workers, not 65"):
        check(two_phase.three, workers=65)


def test_invariants_and_dead_ends_are_judged_wherever_they_are_met() -> None:
    def two_at_most(box: Box) -> bool:
        return len(box.on) < 3

    checked = Checked(box_of(invariants=[two_at_most]), finished=anything)
    enforced = replace(checked, enforced=["two_at_most"])
    for workers in (2, 3):
        assert compared(check(checked, keep_going=True, workers=workers)) == compared(check(checked, keep_going=True))
        assert compared(check(enforced, workers=workers)) == compared(check(enforced))
        (finding,) = check(checked, workers=workers).findings
        assert (finding.kind, finding.name) == ("invariant", "two_at_most")
        assert finding.trace is not None
        assert finding.trace.states == 4
        commands = [step.command for step in finding.trace.steps]
        assert retrace(checked, finding.trace.initial, commands) == f"two_at_most: {finding.message}"
