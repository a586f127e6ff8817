"""What a scope calls unread is read by nothing that a verdict rests on: whoever looks at it is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value
from eventcore.check import (
    Abstraction,
    Checked,
    Scope,
    always,
    always_step,
    check,
    eventually,
    leads_to,
    matrix_of,
    never_stuck,
    predicate,
    retrace,
    sometimes,
)
from eventcore.check.properties import Property, Step
from eventcore.check.refine import refine
from eventcore.errors import NotSupported
from tests.unit.check.machines import anything

READ = "a field that the scope calls unread was read: total"
UNREAD = Scope(unread=["total"])


class Sum(Value):
    """What was added, and whether that was an odd number of times."""

    total: int = 0
    odd: bool = False


class Add(Value):
    """Add one."""


class Added(Value):
    """One was added."""


def decide(_: Sum, __: Add) -> list[Added]:
    return [Added()]


def evolve(state: Sum, _: Added) -> Sum:
    return replace(state, total=state.total + 1, odd=not state.odd)


def sums(decide: Callable[[Sum, Add], list[Added]] = decide) -> Aggregate[Sum, Add, Added]:
    return Aggregate("sums", Sum, decide, evolve)


def below_three(state: Sum) -> bool:
    return state.total < 3


def grows_to_one(step: Step) -> bool:
    return bool(step.after.total <= 1)


@pytest.mark.parametrize(
    "claim",
    [
        always(below_three),
        always_step(grows_to_one),
        sometimes(below_three),
        never_stuck(below_three),
        eventually(below_three),
        leads_to(below_three, anything, name="premise"),
    ],
    ids=lambda claim: str(claim.kind),
)
def test_a_claim_that_reads_an_unread_field_is_a_finding(claim: Property) -> None:
    report = check(Checked(sums(), UNREAD, [claim]))
    (finding,) = report.findings
    assert (finding.kind, finding.name) == ("raises", claim.name)
    assert READ in finding.message
    assert report.verdict == "fail"
    assert "read by nothing" not in str(report)


class Noted(Value):
    """A sum, and what other fields may be told of it."""

    total: int = 0
    last: int = 0
    note: str = ""
    held: Any = None
    seen: frozenset[int] = frozenset()


class Told(Value):
    """The sum as it was before."""

    total: int


def no_event(_: Noted, __: Add) -> list[Told]:
    return [Told(0)]


def telling(state: Noted, _: Add) -> list[Told]:
    return [Told(state.total)]


def asking_its_class(state: Noted, _: Add) -> list[Told]:
    return [Told(0)] if isinstance(state.total, int) else []


def asking_its_days(state: Noted, _: Add) -> list[Told]:
    return [Told(0)] if hasattr(state.total, "days") else []


def forgetting(state: Noted, _: Told) -> Noted:
    return replace(copy.deepcopy(state), total=state.total + 1)


def copied(state: Noted, _: Told) -> Noted:
    return replace(state, last=state.total)


def held(state: Noted, _: Told) -> Noted:
    return replace(state, held=(state.total,))


def noted(state: Noted, _: Told) -> Noted:
    return replace(state, total=state.total + 1, note=f"{state.total!r}")


def hashed(state: Noted, _: Told) -> Noted:
    return replace(state, seen=state.seen | {state.total})


@pytest.mark.parametrize(
    ("decide", "evolve", "blamed", "where"),
    [
        (telling, forgetting, "decide", "total, which decide passes on to Told.total"),
        (asking_its_class, forgetting, "decide", "total."),
        (asking_its_days, forgetting, "decide", "total."),
        (no_event, copied, "evolve", "total, which evolve passes on to Noted.last"),
        (no_event, held, "evolve", "total, which evolve passes on to Noted.held"),
        (no_event, noted, "evolve", "total."),
        (no_event, hashed, "evolve", "total."),
    ],
    ids=lambda each: str(getattr(each, "__name__", "")),
)
def test_a_value_of_an_unread_field_may_go_nowhere_else(decide: Any, evolve: Any, blamed: str, where: str) -> None:
    (finding,) = check(Checked(Aggregate("noted", Noted, decide, evolve), UNREAD)).findings
    assert (finding.kind, finding.name) == ("raises", blamed)
    assert f"was read: {where}" in finding.message


def test_an_unread_field_may_be_summed_stored_and_copied() -> None:
    report = check(Checked(Aggregate("noted", Noted, no_event, forgetting), UNREAD))
    assert (report.findings, report.distinct) == ([], 1)
    assert "total: read by nothing" in str(report)


def test_initial_states_that_differ_in_an_unread_field_alone_are_one() -> None:
    one, another, several = [Sum()], [Sum(7)], [Sum(7), Sum(8), Sum()]
    for initial in (lambda: one, lambda: another, lambda: several):
        report = check(Checked(sums(), UNREAD, initial=initial))
        assert (report.distinct, report.transitions, report.depth) == (2, 3, 2)


def test_whether_a_state_is_finished_or_within_may_not_depend_on_an_unread_field() -> None:
    def nothing(_: Sum, __: Add) -> list[Added]:
        return []

    finished = check(Checked(sums(nothing), UNREAD, finished=below_three))
    within = check(Checked(sums(), Scope(unread=["total"], within=below_three)))
    assert [(each.kind, each.name) for each in finished.findings] == [("raises", "finished")]
    assert [(each.kind, each.name) for each in within.findings] == [("raises", "within")]
    assert all(READ in each.findings[0].message for each in (finished, within))


def test_a_trace_is_judged_without_the_unread_fields_as_well() -> None:
    checked = Checked(sums(), UNREAD, [always_step(grows_to_one)])
    said = retrace(checked, Sum(), [Add()])
    assert said is not None
    assert said.startswith("grows_to_one: grows_to_one raises ")
    assert READ in said


def test_a_facet_that_looks_at_an_unread_field_is_refused_by_its_name() -> None:
    with pytest.raises(NotSupported, match=f"the facet below_three: {READ}"):
        matrix_of(Checked(sums(), UNREAD), Abstraction([predicate(below_three)]))


class Old(Value):
    """The version before, which adds no more than two."""

    balance: Annotated[int, Meta(ge=0, le=2)] = 0


def decide_old(state: Old, _: Add) -> list[Added]:
    return [Added()] if state.balance < 2 else []


def evolve_old(state: Old, _: Added) -> Old:
    return replace(state, balance=state.balance + 1)


def passing_on(state: Sum) -> Old:
    return Old(state.total)


def looking(state: Sum) -> Old:
    return Old(min(state.total, 2))


@pytest.mark.parametrize("state_map", [passing_on, looking])
def test_a_map_that_looks_at_an_unread_field_shows_no_refinement(state_map: Callable[[Any], Any]) -> None:
    old = Aggregate("old", Old, decide_old, evolve_old)
    found = refine(old, Checked(sums(), UNREAD), state_map)
    assert (found.verdict, found.findings[0].name) == ("fail", "state_map")
    assert READ in found.findings[0].message


def test_a_map_may_pass_on_what_neither_version_reads() -> None:
    found = refine(Checked(sums(), UNREAD), Checked(sums(), UNREAD), lambda state: Sum(state.total, odd=state.odd))
    assert (found.verdict, found.findings) == ("pass", [])
