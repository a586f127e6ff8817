"""Induction: what it proves, and what it asks."""

from __future__ import annotations

from itertools import count, product

from msgspec.structs import replace

from eventcore import Aggregate, Value
from eventcore.check import Checked, Scope, always
from eventcore.check.abstraction import Abstraction, derived
from eventcore.check.induction import induction
from eventcore.check.induction_text import induction_text
from eventcore.check.matrix import matrix_of
from examples.models.t_commit import Phase
from examples.models.two_phase import TwoPhase, checked, three
from tests.unit.check.counter import (
    Moved,
    Open,
    Order,
    Parcel,
    Status,
    careless,
    decide,
    evolve,
    move,
    orders,
    shipped_is_paid,
    weak,
)

BITS = list(product((False, True), repeat=2))


class Throw(Value):
    """Throw once more."""


class Thrown(Value):
    """It was thrown."""


class Toss(Value):
    """How often it was thrown, and of that no more than two from below."""

    n: int = 0


def throw(_toss: Toss, _command: Throw) -> list[Thrown]:
    """Always."""
    return [Thrown()]


def thrown(toss: Toss, _event: Thrown) -> Toss:
    """From zero to two; from elsewhere nowhere."""
    return replace(toss, n=toss.n + 1 if toss.n < 2 else toss.n)


def decide_open(parcel: Parcel, _command: Open) -> list[Moved]:
    """Turn it round."""
    return [Moved(not parcel.sent)]


tossed = Aggregate("toss", Toss, throw, thrown)


def test_states_that_could_not_be_listed_are_not_called_unsatisfying() -> None:
    answer = induction(tossed)
    assert (answer.verdict, answer.typed, answer.listed) == ("inconclusive", None, False)
    assert "  endlessly many typed states: they were not listed, and no step was taken\n" in induction_text(answer)


def test_an_invariant_that_raises_where_nothing_leads_is_not_satisfied_there() -> None:
    def exact(order: Order) -> bool:
        return 6 // (order.paid + (order.status is Status.OPEN)) > 0  # shipped, and nothing was paid: it raises

    answer = induction(Aggregate("order", Order, decide, evolve, invariants=[exact, shipped_is_paid]))
    assert (answer.verdict, answer.typed, answer.satisfying) == ("pass", 8, 5)
    assert matrix_of(Aggregate("order", Order, decide, evolve, invariants=[exact])).sets.satisfying.states == 7


def test_an_invariant_that_keeps_itself_holds_beyond_any_depth() -> None:
    answer = induction(orders)
    assert answer.verdict == "pass"
    assert (answer.typed, answer.satisfying) == (8, 5)
    assert answer.steps == 5 * 3
    assert answer.questions == []


def test_a_bug_is_a_counterexample_whose_state_is_reachable() -> None:
    answer = induction(careless)
    assert answer.verdict == "fail"
    assert answer.questions[0].reach == "reachable"
    assert answer.questions[0].name == "shipped_is_paid"


def test_an_invariant_that_is_too_weak_is_a_question_about_a_state_that_nothing_reaches() -> None:
    answer = induction(Checked(Aggregate("order", Order, decide, evolve, invariants=[weak])))
    assert answer.verdict == "inconclusive"
    (question,) = answer.questions
    assert question.reach == "unreachable"
    assert question.before == Order(status=question.before.status, paid=0)


def test_what_is_claimed_of_all_states_is_assumed_and_judged() -> None:
    answer = induction(Checked(orders, properties=[always(lambda order: order.paid < 3, name="never_paid")]))
    assert [question.name for question in answer.questions] == ["never_paid"]
    assert answer.claims == ["shipped_is_paid", "never_paid"]


def test_two_phase_commit_asks_whether_a_manager_commits_before_the_decision() -> None:
    states = Scope({"phases": list(product(Phase, repeat=2)), "heard": BITS, "said": BITS})
    answer = induction(checked(2), Abstraction(derived(TwoPhase, "decision", "phases", "commit"), states))
    assert answer.verdict == "inconclusive"
    assert {question.reach for question in answer.questions} == {"unreachable"}
    assert any(hint.startswith("phases is") for hint in answer.questions[0].hints)


def test_a_declared_part_of_the_states_says_so_and_holds_where_no_step_leaves_it() -> None:
    answer = induction(tossed, Abstraction(derived(Toss), Scope({"n": (0, 1, 2)})))
    assert (answer.verdict, answer.leaving, answer.declared) == ("pass", 0, ["Toss.n"])
    assert "  3 states with Toss.n as declared, 3 of them satisfy all of it;" in induction_text(answer)


def test_nothing_holds_of_an_initial_state_that_is_not_among_those_that_were_enumerated() -> None:
    answer = induction(tossed, Abstraction(derived(Toss), Scope({"n": (5, 6)})))
    assert answer.verdict == "inconclusive"
    assert "the initial state Toss(n=0) is not among the states that were enumerated" in answer.reasons


def test_nothing_holds_of_a_reached_state_that_is_not_among_those_that_were_enumerated() -> None:
    answer = induction(Checked(tossed, initial=lambda: [Toss(5)]), Abstraction(derived(Toss), Scope({"n": (5,)})))
    assert (answer.verdict, answer.leaving) == ("pass", 0)
    two = Checked(tossed, initial=lambda: [Toss(5), Toss(0)])
    answer = induction(two, Abstraction(derived(Toss), Scope({"n": (5, 0)})))
    assert answer.verdict == "inconclusive"
    assert "the reachable state Toss(n=1) is not among the states that were enumerated" in answer.reasons


def test_an_initial_state_that_breaks_what_is_claimed_of_all_states_is_wrong_at_once() -> None:
    claimed = Checked(orders, properties=[always(lambda order: order.paid > 0, name="paid_something")])
    answer = induction(claimed)
    assert answer.verdict == "fail"
    assert answer.reasons[0].startswith("the initial state Order(status=Status.OPEN, paid=0) does not satisfy")


def test_nothing_is_proved_of_code_that_gives_two_results_for_one_input() -> None:
    turns = count()

    def move_by_turns(parcel: Parcel, event: Moved) -> Parcel:
        return move(parcel, Moved(event.sent and next(turns) % 3 == 1))

    answer = induction(Checked(Aggregate("parcel", Parcel, decide_open, move_by_turns)))
    assert answer.verdict != "pass"
    assert any("gave two results for one input" in reason for reason in answer.reasons)


def test_nobody_says_of_code_with_two_results_or_of_any_that_nothing_reaches_a_state() -> None:
    turns = count()

    def decide_once_in_a_while(toss: Toss, _command: Throw) -> list[Thrown]:
        return [Thrown()] if next(turns) % 3 == 1 or toss.n > 4 else []

    def small(toss: Toss) -> bool:
        return toss.n < 6

    def on(toss: Toss, _event: Thrown) -> Toss:
        return replace(toss, n=toss.n + 1)

    code = Aggregate("toss", Toss, decide_once_in_a_while, on, invariants=[small])
    answer = induction(code, Abstraction(derived(Toss), Scope({"n": (0, 5)})))
    assert not answer.exhausted
    assert all(question.reach != "unreachable" for question in answer.questions)


def test_where_states_have_no_end_induction_says_so_and_proves_nothing() -> None:
    answer = induction(three)
    assert answer.verdict == "inconclusive"
    assert answer.steps == 0
    assert "no end" in answer.reasons[0]
