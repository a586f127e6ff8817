"""Refinements that others stated hold with exactly their counts, and mutants are caught where others say they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope, always
from eventcore.check.divergence import cycle_in
from eventcore.check.refine import refine
from eventcore.check.refinement import Refinement, Steps
from eventcore.errors import NotSupported
from examples.bank import account
from examples.bank.versions import careless, closable
from examples.models import alternating_bit, scheduling_allocator, simple_allocator, t_commit, two_phase
from examples.models.t_commit import Transaction
from examples.models.two_phase import Command, Event, TwoPhase
from tests.unit.check import conserved
from tests.unit.check.machines import At, Go, Went, walk_of
from tests.unit.examples.test_two_phase_mutants import abort_after_prepare, early_commit, mutant_of

Decide = Callable[[TwoPhase, Command], list[Event]]


def phases(state: TwoPhase) -> Transaction:
    return Transaction(state.phases)


def add_up(found: Refinement) -> bool:
    """Stutters, mapped and bad steps and the initial states are all transitions."""
    return found.steps.total + found.initial == found.transitions


def test_two_phase_commit_refines_transaction_commit() -> None:
    found = refine(t_commit.three, two_phase.three, phases)
    assert (found.verdict, found.exit_code) == ("pass", 0)
    assert found.steps == found.kept == Steps(497, 648, 0)
    assert (found.image, found.old_distinct) == (34, 34)
    assert add_up(found)


def test_the_scheduling_allocator_refines_the_simple_one_and_reaches_376_of_its_400_states() -> None:
    found = refine(simple_allocator.three_by_two, scheduling_allocator.three_by_two, scheduling_allocator.without_line)
    assert found.verdict == "pass"
    assert found.steps == Steps(1_323, 4_530, 0)
    assert (found.image, found.old_distinct) == (376, 400)
    assert add_up(found)
    assert [(each.command, each.parting, each.now) for each in found.differences] == [
        ("Allocate", "refused now", "not_next")
    ]
    assert found.added == ["Schedule"]


def test_the_alternating_bit_protocol_refines_the_link_as_far_as_it_was_searched() -> None:
    found = refine(alternating_bit.abstract, alternating_bit.protocol, alternating_bit.without_queues)
    assert (found.verdict, found.findings) == ("inconclusive", [])
    assert (found.steps, found.kept) == (Steps(1_216, 168, 0), Steps(1_052, 144, 0))
    assert (found.image, found.old_distinct) == (20, 20)
    assert add_up(found)


def test_a_message_that_is_sent_and_gone_again_and_again_is_a_divergence() -> None:
    found = refine(alternating_bit.abstract, alternating_bit.protocol, alternating_bit.without_queues)
    assert found.divergence is not None
    *_, sent, gone = found.divergence.steps
    assert sent.before == gone.after != sent.after
    assert sent.before.ends == sent.after.ends == gone.after.ends


@pytest.mark.parametrize(
    ("mutant", "bad", "step_at", "invariant_at"), [(early_commit, 291, 5, 6), (abort_after_prepare, 57, 10, 10)]
)
def test_a_mutant_is_caught_in_a_trace_of_the_stated_length(
    mutant: Decide, bad: int, step_at: int, invariant_at: int
) -> None:
    found = refine(t_commit.three, Checked(mutant_of(mutant), Scope({"manager": range(3)})), phases)
    assert (found.verdict, found.exit_code, found.steps.bad) == ("fail", 1, bad)
    assert {each.name: each.trace.states for each in found.findings if each.trace is not None} == {
        "step": step_at,
        "consistent": invariant_at,
    }
    assert add_up(found)


def test_every_version_refines_itself_without_a_map_and_answers_everything_alike() -> None:
    for checked in (account.checked, t_commit.three, closable.checked, alternating_bit.abstract):
        found = refine(checked, checked)
        assert (found.verdict, found.steps.bad, found.differences) == ("pass", 0, [])
        assert found.image == found.old_distinct == found.distinct
        assert found.square is not None
        assert found.square.whole


def test_the_middle_of_a_turn_is_nobodys_business() -> None:
    found = refine(conserved.pots, conserved.pots)
    assert (found.verdict, found.findings) == ("pass", [])
    assert found.square is not None
    assert (found.square.steps, found.square.whole) == (2, True)


def test_a_version_that_only_refuses_more_is_accepted_and_each_refusal_is_listed_by_cell() -> None:
    found = refine(account.checked, closable.checked, closable.as_before)
    assert (found.verdict, found.added, found.gone) == ("pass", ["Close"], [])
    limits = [each for each in found.differences if each.now == "too_much_at_once" and each.was == "accepted"]
    assert {(each.command, each.row["held"]) for each in limits} == {
        (command, held) for command in ("Withdraw", "Hold") for held in ("0", ">0")
    }
    assert sum(each.count for each in limits) == 70
    assert {each.parting for each in found.differences} == {"refused now"}


def test_a_version_that_loses_held_money_is_refused_in_the_fewest_steps() -> None:
    found = refine(account.checked, careless.checked, closable.as_before)
    (finding,) = found.findings
    assert finding.trace is not None
    assert [type(step.command).__name__ for step in finding.trace.steps] == ["Deposit", "Hold", "Close"]


def test_what_the_new_version_accepts_and_the_old_refused_is_listed_and_is_a_bad_step() -> None:
    def generous(state: account.Account, command: account.Command) -> list[account.Event]:
        if isinstance(command, account.Release) and command.amount > state.held:
            return [account.Credited(command.amount)]
        return account.decide(state, command)

    new = Aggregate("account", account.Account, generous, account.evolve, invariants=[account.never_above_ceiling])
    found = refine(account.checked, in_the_scope(new, "never_above_ceiling"))
    assert found.verdict == "pass", "crediting is a step of the old version, by another command"
    assert {(each.command, each.parting, each.was) for each in found.differences} == {
        ("Release", "accepted now", "not_held")
    }


Accounts = Aggregate[account.Account, account.Command, account.Event]


def in_the_scope(new: Accounts, *enforced: str) -> Checked[account.Account, account.Command, account.Event]:
    """Another version of the account in the scope of the first."""
    return Checked(new, account.checked.scope, enforced=enforced)


# --- what was recorded -----------------------------------------------------------------------------------------------


def deposits_are_lost(state: account.Account, event: account.Event) -> account.Account:
    return state if isinstance(event, account.Credited) else account.evolve(state, event)


def test_a_fold_that_changed_does_not_commute_and_shows_the_stream() -> None:
    new = Aggregate(
        "account", account.Account, account.decide, deposits_are_lost, invariants=[account.never_above_ceiling]
    )
    found = refine(account.checked, in_the_scope(new, "never_above_ceiling"))
    square = [each for each in found.findings if each.kind == "square"]
    assert len(square) == 1
    assert square[0].trace is not None
    assert [type(step.command).__name__ for step in square[0].trace.steps] == ["Credit"]


class Moved(Value):
    """One went there, by a road."""

    to: int
    by: int


def test_an_upcaster_that_is_right_commutes_and_one_that_is_wrong_does_not() -> None:
    roads = {(0, 0): 1, (1, 1): 2, (2, 0): 0}

    def decide(at: At, go: Go) -> list[Moved]:
        require((at.place, go.by) in roads, "closed")
        return [Moved(roads[at.place, go.by], go.by)]

    def evolve(_: At, moved: Moved) -> At:
        return At(moved.to)

    def right(went: Went) -> Sequence[Moved]:
        return (Moved(went.to, 0),)

    def wrong(went: Went) -> Sequence[Moved]:
        return () if went.to == 0 else (Moved(went.to, 0),)

    old, new = walk_of(roads), Aggregate("walk", At, decide, evolve)
    found = refine(old, new, event_map=right)
    assert (found.verdict, found.square and found.square.whole) == ("pass", True)
    apart = refine(old, new, event_map=wrong)
    (finding,) = apart.findings
    assert (finding.kind, finding.trace and finding.trace.states) == ("square", 4)
    assert apart.square is not None
    assert not apart.square.whole, "it ends where the versions come apart"
    with pytest.raises(NotSupported, match="has no event of the same name and schema for Went. Give a function"):
        refine(old, new)


# --- maps, and what is wrong with them -------------------------------------------------------------------------------


def test_a_map_that_raises_or_gives_something_else_is_a_finding() -> None:
    def raising(state: TwoPhase) -> Transaction:
        return Transaction(state.phases[: 3 // (not state.commit)])

    raised = refine(t_commit.three, two_phase.three, raising)
    assert "the map raises ZeroDivisionError" in raised.findings[0].message
    strange = refine(t_commit.three, two_phase.three, lambda state: state)
    assert "which is no state of the old version" in strange.findings[0].message
    assert strange.verdict == "fail"


def test_a_map_of_commands_that_raises_is_refused_with_the_command() -> None:
    def raising(go: Go) -> Go:
        return Go(1 // go.by)

    with pytest.raises(NotSupported, match=r"the map of commands raises ZeroDivisionError .* for Go\(by=0\)"):
        refine(walk_of({(0, 0): 1}), walk_of({(0, 0): 1}), command_map=raising)


def test_a_beginning_that_the_old_version_does_not_know_is_a_finding() -> None:
    found = refine(walk_of({(0, 0): 1}), Checked(walk_of({(0, 0): 1}), initial=lambda: [At(1)]))
    assert [each.name for each in found.findings] == ["initial", "initial"], "of the steps, and of the streams"


def test_what_the_new_version_does_wrong_by_itself_fails_it() -> None:
    new = mutant_of(early_commit)
    guarded = Aggregate("two_phase", new.initial, early_commit, two_phase.evolve, invariants=[two_phase.consistent])
    found = refine(two_phase.three, Checked(guarded, Scope({"manager": range(3)})))
    assert found.verdict == "fail"
    (own,) = (each for each in found.findings if each.message.startswith("the new version by itself: "))
    assert "this turn would break the invariant consistent" in own.message
    assert own.trace is not None
    assert "this turn would break" in own.trace.steps[-1].outcome, "the step that is wrong is shown"
    assert not two_phase.consistent(own.trace.last)
    same = Checked(guarded, Scope({"manager": range(3)}))
    assert any("the old version by itself: this turn would break" in doubt for doubt in refine(same, same).doubts)


def test_an_old_version_that_gives_two_results_is_compared_with_nothing_for_sure() -> None:
    tosses = cycle([True, True, True, False])

    def decide(at: At, go: Go) -> list[Went]:
        require(at.place < 2, "closed")
        return [Went(at.place + 1 + next(tosses) * (go.by == 0 and at.place == 0))]

    def evolve(_: At, went: Went) -> At:
        return At(went.to)

    def stays(at: At, _: Go) -> list[Went]:
        require(at.place < 0, "closed")
        return []

    found = refine(Aggregate("walk", At, decide, evolve), Aggregate("walk", At, stays, evolve))
    assert found.verdict != "pass"
    said = [reason.what for reason in found.reasons]
    assert any(each.startswith("the old version by itself: decide gave two results") for each in said), said


def test_what_the_old_version_claims_of_every_state_must_hold_of_what_the_new_one_maps_to() -> None:
    plain = Aggregate("t_commit", t_commit.transaction_of(3).initial, t_commit.decide, t_commit.evolve)

    def strange(transaction: Transaction) -> bool:
        return transaction.phases[9] is t_commit.Phase.WORKING

    old = Checked(plain, Scope({"manager": range(3)}), [always(t_commit.consistent), always(strange)])
    found = refine(old, Checked(mutant_of(early_commit), Scope({"manager": range(3)})), phases)
    traces = {each.name: each.trace.states for each in found.findings if each.trace is not None}
    assert traces == {"step": 5, "consistent": 6, "strange": 1}


class Bag(Value):
    """Whatever is in it."""

    what: Any = None


class Fill(Value):
    """Put something in, or take it out."""


class Filled(Value):
    """What is in it now."""

    what: Any


def test_a_version_that_accepts_nothing_shows_nothing() -> None:
    found = refine(walk_of({(0, 0): 1}), walk_of({}))
    assert (found.verdict, found.steps.total) == ("inconclusive", 0)
    assert any("no command was ever accepted by the new version" in reason.what for reason in found.reasons)


def test_fields_that_may_hold_anything_are_reasons() -> None:
    def decide(bag: Bag, _: Fill) -> list[Filled]:
        return [Filled("a" if bag.what is None else None)]

    def evolve(_: Bag, event: Filled) -> Bag:
        return Bag(event.what)

    bags = Aggregate("bag", Bag, decide, evolve)
    found = refine(bags, bags)
    assert (found.verdict, found.findings) == ("inconclusive", [])
    assert [reason.what for reason in found.reasons] == [
        f"{where} of the {which} version is Any, so nobody knows what else it may hold"
        for which in ("old", "new")
        for where in ("Bag.what", "Filled.what")
    ]


def test_states_that_cannot_be_carried_need_a_map() -> None:
    with pytest.raises(NotSupported, match="have not the same name and fields. Give a function"):
        refine(account.checked, closable.checked)


# --- an oracle: random walks, compared by a loop that knows nothing of ours -------------------------------------------


Roads = dict[tuple[int, int], int]
ROADS = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 2)), st.integers(0, 4), max_size=12)


@given(ROADS, ROADS)
@settings(max_examples=60)
def test_walks_refine_one_another_as_a_plain_loop_says(old: Roads, new: Roads) -> None:
    found = refine(walk_of(old), walk_of(new))
    assert (found.steps, found.image) == plain(old, new)


def plain(old: Roads, new: Roads) -> tuple[Steps, int]:
    stutters = mapped = bad = 0
    reached = closure(new)
    for (place, _), to in new.items():
        if place in reached:
            if place == to:
                stutters += 1
            elif any(at == place and there == to for (at, _), there in old.items()):
                mapped += 1
            else:
                bad += 1
    return Steps(stutters, mapped, bad), len(reached & closure(old))


def closure(roads: Roads) -> set[int]:
    reached = {0}
    while more := {to for (place, _), to in roads.items() if place in reached} - reached:
        reached |= more
    return reached


# --- cycles ----------------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=4), max_size=8))
def test_a_cycle_is_found_where_there_is_one_and_is_one(edges: dict[int, list[int]]) -> None:
    cycle = cycle_in(edges)
    on_cycles = [node for node in edges if any(node in onward(edges, to) for to in edges[node] if to != node)]
    if cycle is None:
        assert on_cycles == []
    else:
        assert cycle[0] == cycle[-1] == min(on_cycles)
        assert len(cycle) > 2
        assert all(two in edges[one] for one, two in pairwise(cycle))


def onward(edges: dict[int, list[int]], start: int) -> set[int]:
    reached = {start}
    while more := {to for node in reached for to in edges.get(node, ())} - reached:
        reached |= more
    return reached
