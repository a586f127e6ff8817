"""Under a symmetry, as many orbits are searched as there are, and what is found is what a search of all states finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations
from typing import Annotated, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec import Meta, structs

from eventcore import Aggregate, Context, Map, Value, require
from eventcore.check import Checked, Scope, Step, Symmetry, always, always_step, check, never_stuck, retrace, sometimes
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.render_pytest import pytest_of
from eventcore.check.search import Plan, search
from eventcore.check.symmetry import Orbits
from eventcore.errors import NotSupported, UnknownName
from examples.models import increment, peterson, scheduling_allocator, simple_allocator, two_phase
from examples.models.t_commit import Phase
from tests.unit.check.machines import anything


def of_managers(count: int) -> Symmetry:
    return Symmetry(range(count), ["manager"], indexed=["phases", "heard", "said"])


def of_threads(count: int) -> Symmetry:
    return Symmetry(range(count), ["thread"], indexed=["threads"])


CASES: list[tuple[Checked[Any, Any, Any], Symmetry, tuple[int, int, int]]] = [
    (two_phase.three, of_managers(3), (80, 318, 11)),
    (increment.two, of_threads(2), (8, 10, 5)),
    (increment.three, of_threads(3), (22, 32, 7)),
    (increment.locked_two, of_threads(2), (9, 10, 9)),
]


@pytest.mark.parametrize(("checked", "symmetry", "counts"), CASES)
def test_the_models_have_their_published_number_of_orbits_and_the_same_verdicts(
    checked: Checked[Any, Any, Any], symmetry: Symmetry, counts: tuple[int, int, int]
) -> None:
    full = check(checked, keep_going=True)
    orbits = check(replace(checked, symmetry=symmetry), keep_going=True, symmetric=True)
    assert (orbits.distinct, orbits.transitions, orbits.depth) == counts
    assert (orbits.verdict, orbits.depth) == (full.verdict, full.depth)
    assert [finding.name for finding in orbits.findings] == [finding.name for finding in full.findings]
    for one, other in zip(orbits.findings, full.findings, strict=True):
        assert one.trace is not None
        assert other.trace is not None
        assert one.trace.states == other.trace.states
        assert retrace(checked, one.trace.initial, [step.command for step in one.trace.steps]) is not None


def orbits_of(checked: Checked[Any, Any, Any], symmetry: Symmetry) -> dict[frozenset[Any], int]:
    """The orbits of all reachable states, found by trying every permutation, and the least level of a state of each."""
    these = symmetry.instances
    changes = [dict(zip(these, others, strict=True)) for others in permutations(these)]
    found = search(AggregateMachine(checked), Plan())
    levels = [level for level, count in enumerate(found.levels, 1) for _ in range(count)]
    orbits: dict[frozenset[Any], int] = {}
    for state, level in zip(found.states, levels, strict=True):
        orbits.setdefault(frozenset(symmetry.state(state, change) for change in changes), level)
    return orbits


OTHERS: dict[str, tuple[Checked[Any, Any, Any], Symmetry]] = {
    "two managers": (two_phase.checked(2), of_managers(2)),
    "four managers": (two_phase.checked(4), of_managers(4)),
    "clients": (simple_allocator.three_by_two, Symmetry(range(3), ["client"], indexed=["clients"])),
    "a line": (
        scheduling_allocator.three_by_two,
        Symmetry(range(3), ["client", "order"], indexed=["clients"], naming=["line"]),
    ),
    "processes": (peterson.checked, Symmetry(range(2), ["process"], indexed=["lines", "flags"], naming=["turn"])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_there_are_as_many_orbits_as_the_reachable_states_have(name: str) -> None:
    checked, symmetry = OTHERS[name]
    full, orbits = check(checked), check(replace(checked, symmetry=symmetry), symmetric=True)
    expected = orbits_of(checked, symmetry)
    assert orbits.distinct == len(expected) < full.distinct
    assert (orbits.verdict, orbits.depth) == (full.verdict, max(expected.values()))


def test_the_orbits_of_seven_managers_are_few() -> None:
    report = check(replace(two_phase.seven, symmetry=of_managers(7)), symmetric=True)
    assert (report.verdict, report.distinct, report.transitions, report.depth) == ("pass", 920, 8_410, 23)


# --- any state has the key of its orbit and no other -----------------------------------------------------------------


class Held(Value):
    """What of three clients is told in every way that there is."""

    rest: int
    marks: tuple[bool, ...]
    owner: str | None
    waiting: tuple[str, ...]
    inside: frozenset[str]
    sums: Map[int]


CLIENTS = ("a", "b", "c")
TOLD = Symmetry(CLIENTS, ["client"], indexed=["marks"], naming=["owner", "waiting", "inside", "sums"])
SOME = st.sampled_from(CLIENTS)
HELD = st.builds(
    Held,
    st.integers(0, 1),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    SOME | st.none(),
    st.lists(SOME | st.just("nobody"), max_size=3).map(tuple),
    st.frozensets(SOME, max_size=2),
    st.dictionaries(SOME | st.just("all"), st.integers(0, 1), max_size=2).map(Map),
)


def orbit(held: Held) -> set[Held]:
    """All states that become this one when clients change places, found by trying every permutation."""
    changes: Iterable[dict[str, str]] = (dict(zip(CLIENTS, other, strict=True)) for other in permutations(CLIENTS))
    return {TOLD.state(held, change) for change in changes}


@given(HELD, HELD)
def test_states_have_one_key_exactly_where_they_are_of_one_orbit(one: Held, other: Held) -> None:
    orbits = Orbits(TOLD, Held)
    assert {orbits.key(each) for each in orbit(one)} == {orbits.key(one)}
    assert (orbits.key(one) == orbits.key(other)) == (other in orbit(one))


class Said(Value):
    """What clients have said, in words of any kind."""

    words: Map[str]


def test_what_a_map_holds_is_never_taken_for_nothing() -> None:
    orbits = Orbits(Symmetry(CLIENTS, ["client"], naming=["words"]), Said)
    words = ["", "None", "not there", "NOT_THERE"]
    keys = {orbits.key(Said(Map())), *(orbits.key(Said(Map({"a": word}))) for word in words)}
    assert len(keys) == 1 + len(words)


# --- any machine of alike instances ----------------------------------------------------------------------------------

Cell = Annotated[int, Meta(ge=0, lt=4)]
Rules = dict[tuple[int, int], tuple[int, int]]  # where a part stands, and what all share: where they go from there


class Parts(Value):
    """Three parts, each at a place, and one thing that they share."""

    at: tuple[Cell, ...] = (0, 0, 0)
    shared: Cell = 0


class Push(Value):
    """Push a part on."""

    part: Annotated[int, Meta(ge=0, lt=3)]


class Pushed(Value):
    """A part went on."""

    part: Annotated[int, Meta(ge=0, lt=3)]
    to: Cell
    shared: Cell


PARTS = Symmetry(range(3), ["part"], indexed=["at"])


def evolve(parts: Parts, event: Pushed) -> Parts:
    at = (*parts.at[: event.part], event.to, *parts.at[event.part + 1 :])
    return structs.replace(parts, at=at, shared=event.shared)


def parts_of(rules: Rules) -> Aggregate[Parts, Push, Pushed]:
    def decide(parts: Parts, push: Push) -> list[Pushed]:
        rule = rules.get((parts.at[push.part], parts.shared))
        require(rule is not None, "stays")
        return [] if rule is None else [Pushed(push.part, *rule)]

    return Aggregate("parts", Parts, decide, evolve)


CELLS = st.integers(0, 3)


@given(st.dictionaries(st.tuples(CELLS, CELLS), st.tuples(CELLS, CELLS)), CELLS, CELLS)
def test_a_search_of_orbits_finds_what_a_search_of_all_states_finds(rules: Rules, bad: int, seen: int) -> None:
    def good(parts: Parts) -> bool:
        return sum(place == bad for place in parts.at) < 2

    def met(parts: Parts) -> bool:
        return parts.shared == seen

    def onwards(step: Step) -> bool:
        return bool(sum(step.after.at) >= sum(step.before.at) - 1)

    claims = [always(good), sometimes(met), always_step(onwards)]
    checked = Checked(parts_of(rules), properties=claims, symmetry=PARTS, finished=lambda parts: parts.shared > 0)
    full, orbits = check(checked, keep_going=True), check(checked, keep_going=True, symmetric=True)
    assert (orbits.verdict, orbits.depth, list(orbits.witnesses)) == (full.verdict, full.depth, list(full.witnesses))
    told = {finding.name: finding.trace.states if finding.trace else 0 for finding in full.findings}
    assert told == {finding.name: finding.trace.states if finding.trace else 0 for finding in orbits.findings}
    assert orbits.distinct <= full.distinct <= 6 * orbits.distinct


# --- what is not alike, and what is not judged -----------------------------------------------------------------------


def test_code_that_picks_an_instance_out_is_found() -> None:
    def decide(parts: Parts, push: Push) -> list[Pushed]:
        require(push.part != 1 or parts.at[1] == 0, "only_once")
        return [Pushed(push.part, min(parts.at[push.part] + 1, 3), 0)]

    report = check(Checked(Aggregate("parts", Parts, decide, evolve), symmetry=PARTS), symmetric=True)
    (finding,) = report.findings
    assert (report.verdict, finding.kind) == ("fail", "not_symmetric")
    assert "with the instances changed" in finding.message
    assert finding.trace is not None
    assert "check(checked, keep_going=True, symmetric=True)" in pytest_of(report, "tests.parts:checked")


def test_code_that_accepts_from_all_and_does_another_thing_for_one_is_found() -> None:
    def decide(parts: Parts, push: Push) -> list[Pushed]:
        require(parts.at[push.part] == 0, "done")
        return [Pushed(push.part, 1, 2 if push.part == 1 else 0)]

    checked = Checked(Aggregate("parts", Parts, decide, evolve), symmetry=PARTS)
    assert [finding.kind for finding in check(checked, symmetric=True).findings] == ["not_symmetric"]


def test_a_claim_that_picks_an_instance_out_is_found() -> None:
    def first_stays(parts: Parts) -> bool:
        return parts.at[0] < 2

    checked = Checked(parts_of({(0, 0): (1, 0), (1, 0): (2, 0)}), properties=[sometimes(first_stays)], symmetry=PARTS)
    (finding,) = check(checked, symmetric=True).findings
    assert (finding.kind, finding.name) == ("not_symmetric", "first_stays")

    def never_first(step: Step) -> bool:
        return bool(step.command.part != 0)

    checked = replace(checked, properties=[always_step(never_first)])
    kinds = {finding.kind for finding in check(checked, symmetric=True, keep_going=True).findings}
    assert "not_symmetric" in kinds


def test_a_scope_or_a_beginning_that_picks_an_instance_out_is_refused() -> None:
    scope = Scope(domains={"part": [0, 1]})
    with pytest.raises(NotSupported, match=r"the scope has Push\(part=1\) and not Push\(part=2\)"):
        check(Checked(parts_of({}), scope, symmetry=PARTS), symmetric=True)
    claims = [always(lambda parts: parts.at[0] == 1, name="first")]
    beginning = Checked(parts_of({}), properties=claims, initial=lambda: [Parts((1, 0, 0))], symmetry=PARTS)
    with pytest.raises(NotSupported, match="first is another of"):
        check(beginning, symmetric=True)
    both = Symmetry(range(2), ["part"], indexed=["at"])
    with pytest.raises(NotSupported, match="at should have an item for each of 2 instances"):
        check(Checked(parts_of({}), scope, symmetry=both), symmetric=True)


def test_a_symmetry_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(NotSupported, match="should be some, each once"):
        Symmetry([0, 0], ["part"], indexed=["at"])
    with pytest.raises(NotSupported, match="says which fields"):
        Symmetry([0, 1], ["part"])
    with pytest.raises(UnknownName, match="no field of Parts is named 'ta'"):
        check(Checked(parts_of({}), symmetry=Symmetry(range(3), ["part"], indexed=["ta"])), symmetric=True)
    with pytest.raises(NotSupported, match="declares no symmetry"):
        check(parts_of({}), symmetric=True)


def test_claims_about_ways_are_not_judged_and_the_report_says_so() -> None:
    checked = replace(two_phase.three, symmetry=of_managers(3), properties=[never_stuck(anything)])
    report = check(checked, symmetric=True)
    assert report.verdict == "inconclusive"
    assert [reason.remedy for reason in report.reasons] == ["a search of all states, without --symmetric"]
    assert check(checked).verdict == "pass"


def test_a_report_says_that_it_counted_orbits_and_its_verdict_is_another() -> None:
    checked = replace(two_phase.three, symmetry=of_managers(3))
    report = check(checked, symmetric=True)
    assert report.evidence.startswith("80 states up to which of 3 instances is which, 318 transitions, depth 11;")
    assert "in 80 of 80 states, every step and claim was tried with the instances changed" in report.doubts[0]
    assert not any("no two are taken for one" in doubt for doubt in report.doubts)
    assert report.code_hash != check(checked).code_hash == check(two_phase.three).code_hash


def test_states_of_one_orbit_are_not_taken_for_each_other_where_one_asks_whether_a_step_leads_anywhere() -> None:
    turned = Symmetry(range(2), ["manager"], indexed=["phases", "heard", "said"])
    two = replace(two_phase.checked(2), symmetry=turned)
    assert check(two, symmetric=True).verdict == check(two).verdict == "pass"
    assert Phase.WORKING in two.aggregate.initial().phases


def test_contexts_are_no_part_of_a_symmetry() -> None:
    scope = Scope(contexts=(Context(1, bytes(16)), Context(2, bytes(16))))

    def decide(parts: Parts, push: Push, context: Context) -> list[Pushed]:
        require(parts.at[push.part] == 0, "done")
        return [Pushed(push.part, context.stamp, 0)]

    timed: Aggregate[Parts, Push, Pushed] = Aggregate("timed", Parts, decide, evolve)
    report = check(Checked(timed, scope, symmetry=PARTS), symmetric=True)
    assert report.verdict == "pass"
