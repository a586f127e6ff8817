"""Grading: which changes to the code some claim notices, and which none does."""

from __future__ import annotations

from types import FunctionType

import pytest

from eventcore import Aggregate
from eventcore.check import Bounds, Checked, Scope, always_step, sometimes
from eventcore.check.grade import grade
from eventcore.check.grade_text import grade_data, grade_text
from eventcore.check.mutants import changes_of
from eventcore.errors import NotSupported
from examples.models.two_phase import checked as two_phase
from tests.unit.check import guards
from tests.unit.check.counter import PRICE, Order, Pay, Status, careless, decide, evolve, orders


def test_a_dropped_guard_is_noticed_by_the_invariant_behind_it() -> None:
    marks = {mark.what: mark for mark in grade(orders).marks}
    dropped = marks["require(order.paid == PRICE, 'not_paid') is dropped"]
    assert (dropped.outcome, dropped.by, dropped.states) == ("noticed", ("shipped_is_paid",), 2)
    assert dropped.where == "counter.py:68"


def test_what_no_claim_notices_is_listed_until_a_claim_does() -> None:
    gone_once = "require(order.status is Status.OPEN, 'gone') is dropped"
    assert {mark.what: mark.outcome for mark in grade(orders).marks}[gone_once] == "unnoticed"
    claimed = Checked(
        orders,
        properties=[
            always_step(
                lambda step: step.before.status is Status.OPEN or step.before == step.after, name="gone_is_gone"
            ),
            always_step(lambda step: step.before != step.after, name="something_happens"),
            sometimes(lambda order: order.status is Status.SHIPPED, name="shipped"),
        ],
    )
    better = grade(claimed)
    assert {mark.what: mark.by for mark in better.marks}[gone_once] == ("something_happens",)
    assert better.count("unnoticed") < grade(orders).count("unnoticed")
    assert better.alone["shipped_is_paid"] > 0


def test_every_guard_of_two_phase_commit_that_is_dropped_is_noticed_or_said_to_be_unnoticed() -> None:
    marks = grade(two_phase(2))
    dropped = {mark.what: mark.outcome for mark in marks.marks if mark.what.endswith("is dropped")}
    assert dropped["require(all(state.heard), 'not_everyone') is dropped"] == "noticed"
    assert dropped["require(state.commit, 'not_said') is dropped"] == "noticed"


def test_the_changed_functions_meet_each_other_and_the_users_own_stay_as_they_are() -> None:
    changes = changes_of(decide, evolve)
    assert changes.untouched == []
    before = decide(Order(), Pay(1))
    for change in changes.changes:
        assert isinstance(decide, FunctionType)
        assert change.make(decide) is not decide
    assert decide(Order(), Pay(1)) == before


def test_what_cannot_be_changed_is_named() -> None:
    price = PRICE

    def decide_within(order: Order, command: Pay) -> list[Order]:
        return [order] if price == command.part else []

    assert "decide_within" in changes_of(decide_within).untouched[0]


def test_guards_in_methods_behind_modules_in_tables_and_behind_wrappers_are_named() -> None:
    untouched = changes_of(guards.decide, guards.evolve).untouched
    assert [each.partition(" ")[2] for each in untouched] == [
        "Size.small, a method",
        "Door.has_room, a method",
        "Door.is_open, a method",
        "less, called by what is not changed",
        "not_late, behind a wrapper",
        "not_full, held in a table",
        "busy, reached through the module tests.unit.check.guards_elsewhere",
    ]
    assert untouched[-1].startswith("guards_elsewhere.py:")
    assert "  Not changed: " + untouched[0] in grade_text(grade(guards.doors))


def test_code_that_fails_as_it_is_is_not_graded() -> None:
    with pytest.raises(NotSupported, match="fails as it is"):
        grade(careless)


def test_nothing_is_without_effect_where_the_search_of_the_right_code_was_cut() -> None:
    marks = grade(orders, bounds=Bounds(2))
    assert {mark.outcome for mark in marks.marks} <= {"noticed", "undecided"}
    assert marks.count("undecided") > 0
    assert "The search of the code as it is was cut by the bound on states, so a change" in grade_text(marks)
    assert grade_data(marks)["cut"] == ["states"]
    assert grade(orders).cut == []


def test_a_scope_that_turns_states_away_is_a_scope_to_grade_in() -> None:
    within = Checked(orders, Scope(within=lambda order: order.paid < 3))
    assert {mark.outcome for mark in grade(within).marks} >= {"noticed", "unnoticed"}


def test_without_claims_nothing_is_noticed_but_what_the_types_say() -> None:
    marks = grade(Aggregate("order", Order, decide, evolve))
    assert set(marks.noticed) == {"valid_state"}
    assert "Noticed by nothing" in grade_text(marks)
    data = grade_data(marks)
    assert (
        data["changes"] == len(data["marks"]) == data["noticed"] + data["unnoticed"] + data["same"] + data["undecided"]
    )
