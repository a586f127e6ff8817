"""The search finds what a search in its plainest form finds, on any small machine; and says what it left out."""

from __future__ import annotations

from typing import Annotated

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec import Meta

from eventcore import Aggregate, Context, Value
from eventcore.check import Bounds, Checked, Scope, always, always_step, check, retrace, sometimes
from eventcore.check.machine import Outcome
from eventcore.check.properties import Step
from eventcore.check.search import Plan, Pulse
from eventcore.check.search import search as explore
from eventcore.errors import NotSupported, UnknownName
from eventcore.turn import Accepted
from tests.unit.check.machines import At, Box, Go, Map, Switch, Went, anything, box_of, walk_of
from tests.unit.examples.plain_search import Found, search

PLACES = st.integers(0, 7)
MAPS = st.dictionaries(st.tuples(PLACES, st.integers(0, 2)), PLACES)
STARTS = st.lists(PLACES, min_size=1, max_size=3, unique=True)
ROADS = [Go(by) for by in range(3)]


def plainly(roads: Map, starts: list[int]) -> Found[At]:
    return search(walk_of(roads), ROADS, [At(place) for place in starts])


@given(MAPS, STARTS)
def test_any_machine_has_the_size_that_a_plain_search_finds(roads: Map, starts: list[int]) -> None:
    found = plainly(roads, starts)
    report = check(Checked(walk_of(roads), initial=lambda: [At(place) for place in starts]))
    assert (report.distinct, report.transitions, report.depth) == found.counts
    assert report.transitions + report.refused == len(starts) + 3 * report.distinct
    assert report.fired["Go"] == report.transitions - len(starts)
    assert report.verdict == ("pass" if report.fired["Go"] else "inconclusive")


@given(MAPS, STARTS, PLACES)
def test_the_trace_to_a_broken_property_is_as_short_as_can_be(roads: Map, starts: list[int], target: int) -> None:
    def not_there(at: At) -> bool:
        return at.place != target

    checked = Checked(walk_of(roads), properties=[always(not_there)], initial=lambda: [At(place) for place in starts])
    shortest = plainly(roads, starts).violation(not_there)
    for keep_going in (False, True):
        report = check(checked, keep_going=keep_going)
        traces = [finding.trace for finding in report.findings]
        assert [trace and trace.states for trace in traces] == ([] if shortest is None else [shortest])
        for trace in traces:
            assert trace is not None
            assert trace.last == At(target)
            assert (
                retrace(checked, trace.initial, [step.command for step in trace.steps])
                == "not_there: not_there is false"
            )


@given(MAPS, STARTS, PLACES)
def test_a_witness_is_found_exactly_where_there_is_one(roads: Map, starts: list[int], target: int) -> None:
    there = sometimes(lambda at: at.place == target, name="there")
    report = check(Checked(walk_of(roads), properties=[there], initial=lambda: [At(place) for place in starts]))
    reachable = At(target) in plainly(roads, starts).levels
    assert ("there" in report.witnesses) == reachable
    assert [finding.name for finding in report.findings] == ([] if reachable else ["there"])


@given(MAPS, PLACES)
def test_a_dead_end_is_a_state_that_nothing_leaves_and_that_is_not_finished(roads: Map, end: int) -> None:
    checked = Checked(walk_of(roads), finished=lambda at: at.place == end)
    found = plainly(roads, [0])
    leaving = {source for source, _, target in found.steps if source != target}
    dead = [level for state, level in found.levels.items() if state not in leaving and state.place != end]
    report = check(checked)
    assert [finding.kind for finding in report.findings] == ["dead_end"] * bool(dead)
    for finding in report.findings:
        assert finding.trace is not None
        assert finding.trace.states == min(dead)
        commands = [step.command for step in finding.trace.steps]
        assert retrace(checked, finding.trace.initial, commands) == f"finished: {finding.message}"


@given(MAPS)
def test_a_property_of_steps_is_judged_on_every_step(roads: Map) -> None:
    def forward(step: Step) -> bool:
        return isinstance(step.events[0], Went) and step.after.place > step.before.place

    bad = [(source, target) for source, _, target in plainly(roads, [0]).steps if target.place <= source.place]
    report = check(Checked(walk_of(roads), properties=[always_step(forward)]), keep_going=True)
    assert [finding.name for finding in report.findings] == ["forward"] * bool(bad)
    for finding in report.findings:
        assert finding.trace is not None
        last = finding.trace.steps[-1]
        assert (last.before, last.after) in bad


ALL = Map({(place, by): (place + by + 1) % 8 for place in range(8) for by in range(3)})


def test_a_bound_on_states_is_inconclusive_and_says_how_to_go_on() -> None:
    report = check(walk_of(ALL), bounds=Bounds(states=2))
    assert (report.verdict, report.exit_code, list(report.cut)) == ("inconclusive", 2, ["states"])
    (reason,) = report.reasons
    assert "not expanded" in reason.what
    assert "--states 20" in reason.remedy
    assert "place" in reason.remedy


def test_a_bound_on_memory_stops_the_search() -> None:
    slow = sometimes(lambda _: [sum(range(20_000)) for _ in range(100)] == [], name="never")
    report = check(Checked(box_of(), properties=[slow]), bounds=Bounds(memory=1))
    assert "memory" in report.cut or report.distinct == 9  # memory is looked at from time to time


def test_states_that_a_scope_turns_away_are_transitions_and_no_states() -> None:
    scope = Scope(within=lambda at: at.place < 4)
    found = search(walk_of(ALL), ROADS, goes_on=lambda at: at.place < 4)
    report = check(walk_of(ALL), scope=scope)
    assert (report.distinct, report.transitions, report.depth) == found.counts
    assert (report.verdict, list(report.cut)) == ("inconclusive", ["within"])
    assert "At(place=" in report.reasons[0].what


def test_a_witness_counts_even_where_the_search_is_cut_and_its_absence_does_not() -> None:
    seen = sometimes(lambda at: at.place == 1, name="seen")
    unseen = sometimes(lambda at: at.place == 9, name="unseen")
    report = check(Checked(walk_of(ALL), properties=[seen, unseen]), bounds=Bounds(states=2))
    assert (report.verdict, list(report.witnesses)) == ("inconclusive", ["seen"])
    assert "unseen was not seen so far" in [reason.what for reason in report.reasons]


def test_an_interrupted_search_reports_what_it_found_so_far() -> None:
    def interrupted(at: At) -> bool:
        if at.place == 5:
            raise KeyboardInterrupt
        return True

    report = check(Checked(walk_of(ALL), properties=[always(interrupted)]))
    assert (report.verdict, list(report.cut)) == ("inconclusive", ["interrupted"])
    assert "interrupted with" in report.reasons[0].what


def test_progress_tells_how_far_it_has_come() -> None:
    told: list[Pulse] = []
    slow = always(lambda _: sum(range(2_000_000)) > 0, name="slow")
    check(Checked(box_of(), Scope(samples={Switch: [Switch(0, on=True)]}), properties=[slow]), progress=told.append)
    check(Checked(walk_of(ALL)), progress=told.append)
    assert all(pulse.distinct >= 1 and pulse.depth >= 1 for pulse in told)


def test_contexts_that_decide_never_sees_are_not_tried_one_by_one() -> None:
    contexts = [Context(0, bytes(15) + bytes([each])) for each in (1, 2, 2)]
    report, plain = check(box_of(), scope=Scope(contexts=contexts)), check(box_of())
    assert (report.transitions, report.refused, report.labels) == (plain.transitions, plain.refused, plain.labels)


class Named(Value, kw_only=True):
    """A state whose fields have to be named."""

    lit: frozenset[int] = frozenset()
    turns: Annotated[int, Meta(ge=0, le=1)] = 0


class Light(Value, kw_only=True):
    """Light one of two."""

    which: Annotated[int, Meta(ge=0, le=1)]


class Lit(Value, kw_only=True):
    """One was lit."""

    which: int


def test_fields_that_have_to_be_named_are_searched_as_others_are() -> None:
    def decide(named: Named, light: Light) -> list[Lit]:
        return [] if light.which in named.lit else [Lit(which=light.which)]

    def evolve(named: Named, lit: Lit) -> Named:
        return Named(lit=named.lit | {lit.which}, turns=1 - named.turns)

    report = check(Aggregate("named", Named, decide, evolve))
    assert (report.verdict, report.distinct, report.transitions) == ("pass", 4, 9)


def test_what_is_sampled_never_passes_and_names_the_switch() -> None:
    report = check(box_of(), scope=Scope(samples={"light": [0, 1, 2], "Switch.on": [True, False]}))
    assert (report.verdict, report.distinct) == ("inconclusive", 9)
    assert [reason.remedy.partition(",")[0] for reason in report.reasons] == [
        'Scope(domains={"Switch.light": (...)})',
        'Scope(domains={"Switch.on": (...)})',
    ]


def test_a_declared_domain_passes_and_says_what_it_leaves_out() -> None:
    report = check(box_of(), scope=Scope(domains={"light": [0]}))
    assert (report.verdict, report.distinct) == ("pass", 2)
    assert "light of Switch took 0, as declared, of 3 values; of others nothing is known" in report.doubts


def test_a_scope_that_speaks_of_nothing_is_refused() -> None:
    with pytest.raises(UnknownName, match="no class or field in the scope is named 'lihgt'"):
        check(box_of(), scope=Scope(domains={"lihgt": [0]}))
    with pytest.raises(NotSupported, match="gives Switch.light no value"):
        check(box_of(), scope=Scope(domains={"light": []}))
    with pytest.raises(NotSupported, match="both declares and samples light"):
        Scope(domains={"light": [0]}, samples={"light": [0]})


def test_a_claim_that_is_no_claim_of_the_aggregate_is_refused() -> None:
    with pytest.raises(UnknownName, match="no invariant of box is named 'never'"):
        Checked(box_of(), enforced=["never"])
    with pytest.raises(NotSupported, match="two claims bear the name anything"):
        Checked(box_of(), properties=[always(anything), sometimes(anything)])
    with pytest.raises(NotSupported, match="cannot name a property"):
        always(lambda _: True)


def test_an_initial_state_that_the_aggregate_could_never_be_in_is_refused() -> None:
    def dark(box: Box) -> bool:
        return not box.on

    with pytest.raises(NotSupported, match="breaks the invariant dark"):
        check(Checked(box_of(invariants=[dark]), initial=lambda: [Box(frozenset({1}))]))
    with pytest.raises(NotSupported, match="no initial state"):
        check(Checked(box_of(), initial=list))


def test_the_hash_of_a_verdict_changes_with_the_scope_the_claims_and_the_code() -> None:
    plain = check(box_of()).code_hash
    assert plain == check(box_of()).code_hash
    assert plain != check(box_of(), scope=Scope(domains={"light": [0]})).code_hash
    assert plain != check(Checked(box_of(), properties=[always(anything)])).code_hash
    assert plain != check(box_of(invariants=[anything])).code_hash


class Jugs:
    """A machine that is no aggregate: states are pairs of gallons, labels are words."""

    name = "jugs"

    def initial(self) -> list[tuple[int, int]]:
        """Both empty."""
        return [(0, 0)]

    def steps(self, state: tuple[int, int], /) -> list[tuple[str, Outcome]]:
        """Fill, empty, pour."""
        big, small = state
        poured, back = min(big, 3 - small), min(small, 5 - big)
        following = {
            "fill big": (5, small),
            "fill small": (big, 3),
            "empty big": (0, small),
            "empty small": (big, 0),
            "pour big": (big - poured, small + poured),
            "pour small": (big + back, small - back),
        }
        return [(label, Accepted([], after)) for label, after in following.items()]

    def confirm(self, state: object, label: object, found: object) -> None:
        """Nothing is wrong with any step."""

    def again(self, state: object, first: object) -> None:
        """Nothing differs."""

    def compact(self, state: tuple[int, int]) -> tuple[int, int]:
        """As small as it is."""
        return state


def test_any_machine_can_be_searched() -> None:
    never_four = always(lambda jugs: jugs[0] != 4, name="never_four")
    found = explore(Jugs(), Plan([never_four], keep_going=True))
    assert (len(found.states), found.transitions, len(found.levels)) == (16, 97, 8)
    (noticed,) = found.noticed
    assert [found.labels[number] for number in found.path(noticed.at)[1:]] == [
        "fill big",
        "pour big",
        "empty small",
        "pour big",
        "fill big",
        "pour big",
    ]
