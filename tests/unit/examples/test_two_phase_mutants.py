"""Two-phase commit with a guard too few: the size of what is reachable then, and the shortest way into trouble.

A broken refinement of transaction commit shows a step earlier than the broken invariant, or as early.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from eventcore import Accepted, Aggregate, Refusal, require, take_turn
from eventcore.check import Checked, Scope, always, check
from examples.models import t_commit
from examples.models.t_commit import Phase, Transaction
from examples.models.two_phase import (
    Abandon,
    Abandoned,
    Command,
    DecidedToCommit,
    DecideToAbort,
    DecideToCommit,
    Decision,
    Event,
    TwoPhase,
    all_decided,
    consistent,
    decide,
    evolve,
    two_phase_of,
)
from tests.unit.examples.plain_search import CONTEXT, Found, every_command, search

MANAGERS = range(3)

Decide = Callable[[TwoPhase, Command], list[Event]]


def early_commit(state: TwoPhase, command: Command) -> list[Event]:
    """The coordinator may commit when it has heard anyone."""
    if isinstance(command, DecideToCommit):
        require(state.decision is Decision.NONE and any(state.heard), "nobody")
        return [DecidedToCommit()]
    return decide(state, command)


def abort_after_prepare(state: TwoPhase, command: Command) -> list[Event]:
    """A manager may give up when it has said that it is prepared."""
    if isinstance(command, Abandon) and state.phases[command.manager] is Phase.PREPARED:
        return [Abandoned(command.manager)]
    return decide(state, command)


def no_abort(state: TwoPhase, command: Command) -> list[Event]:
    """The coordinator never aborts."""
    if isinstance(command, DecideToAbort):
        raise Refusal("never")
    return decide(state, command)


def mutant_of(decide: Decide) -> Aggregate[TwoPhase, Command, Event]:
    """Two-phase commit of three managers with another `decide`, and without an invariant that would stop its turns."""
    return Aggregate("two_phase", two_phase_of(3).initial, decide, evolve)


def searched(decide: Decide) -> Found[TwoPhase]:
    return search(mutant_of(decide), every_command(mutant_of(decide), manager=MANAGERS))


def checked(decide: Decide) -> Checked[TwoPhase, Command, Event]:
    return Checked(mutant_of(decide), Scope({"manager": MANAGERS}), [always(consistent)])


# Without its invariant: a step from a state that breaks it already is judged by itself.
TRANSACTIONS = Aggregate("t_commit", t_commit.transaction_of(3).initial, t_commit.decide, t_commit.evolve)
STEPS = every_command(TRANSACTIONS, manager=MANAGERS)


def is_legal(before: TwoPhase, after: TwoPhase) -> bool:
    """Whether transaction commit, where `before` stands, whether or not it ever comes there, may go on to `after`."""
    turns = (take_turn(TRANSACTIONS, Transaction(before.phases), step, CONTEXT) for step in STEPS)
    return Transaction(after.phases) in [turn.state for turn in turns if isinstance(turn, Accepted)]


def refinement(found: Found[TwoPhase]) -> tuple[int, int, int, int | None]:
    """Stutters, steps and bad steps of transaction commit, and the states of the shortest trace that ends in a bad one."""
    moved = [(before, after) for before, _, after in found.steps if before.phases != after.phases]
    bad = [before for before, after in moved if not is_legal(before, after)]
    shortest = min((found.levels[before] + 1 for before in bad), default=None)
    return len(found.steps) - len(moved), len(moved) - len(bad), len(bad), shortest


def test_two_phase_commit_refines_transaction_commit() -> None:
    found = searched(decide)
    assert found.counts == (288, 1_146, 11)
    assert refinement(found) == (497, 648, 0, None)
    assert len({Transaction(state.phases) for state in found.levels}) == 34
    assert found.stuck(all_decided) == 0


@pytest.mark.parametrize(
    ("mutant", "counts", "broken_at", "bad", "refinement_broken_at"),
    [(early_commit, (498, 1_956, 11), 6, 291, 5), (abort_after_prepare, (459, 2_277, 11), 10, 57, 10)],
)
def test_a_mutant_breaks_the_invariant_and_the_refinement(
    mutant: Decide, counts: tuple[int, int, int], broken_at: int, bad: int, refinement_broken_at: int
) -> None:
    found = searched(mutant)
    assert found.counts == counts
    assert found.violation(consistent) == broken_at
    assert refinement(found)[2:] == (bad, refinement_broken_at)


@pytest.mark.parametrize(
    ("mutant", "counts", "broken_at"),
    [(early_commit, (498, 1_956, 11), 6), (abort_after_prepare, (459, 2_277, 11), 10)],
)
def test_check_finds_the_same(mutant: Decide, counts: tuple[int, int, int], broken_at: int) -> None:
    report = check(checked(mutant), keep_going=True)
    assert (report.distinct, report.transitions, report.depth) == counts
    (finding,) = report.findings
    assert finding.name == "consistent"
    assert finding.trace is not None
    assert finding.trace.states == broken_at


def test_without_the_coordinators_abort_nothing_is_wrong_but_some_never_end() -> None:
    found = searched(no_abort)
    assert found.counts == (72, 218, 11)
    assert found.violation(consistent) is None
    assert found.stuck(all_decided) == 30
    report = check(checked(no_abort))
    assert (report.verdict, report.distinct, report.transitions, report.depth) == ("pass", 72, 218, 11)
