"""What a lane promises a saga: a step is decided once, an undo takes effect only on an accepted do.

In every test a command is named by what it does and which try it is: `do 1`, `undo 2`. Tries have ids of their own, as
those of an operator have; with the same id a command would be answered before anybody looks at its step.
"""

from __future__ import annotations

import itertools

import pytest

from eventcore.avro.envelope import Options, SagaStep
from eventcore.avro.outcome import OutcomeRecord
from eventcore.log.port import Log, Record
from tests.bank import Account, Deposit, Misbehave, Withdraw, command, decide_all, kinds, lane_on, memory_log

DO, UNDO = Deposit(5), Withdraw(5)
names = itertools.count()


def do(given: Deposit | Withdraw | Misbehave = DO, *, step: str = "hold", saga: str = "t1") -> Record:
    """One try to do the step."""
    options = Options(step=SagaStep("transfer", saga, step, "do"))
    return command("alice", given, f"do {next(names)}", options=options)


def undo(given: Deposit | Withdraw = UNDO, *, step: str = "hold", saga: str = "t1") -> Record:
    """One try to undo it."""
    options = Options(step=SagaStep("transfer", saga, step, "undo"))
    return command("alice", given, f"undo {next(names)}", options=options)


@pytest.fixture(params=["in one batch", "restarting after each"])
def decided(request: pytest.FixtureRequest) -> Decide:
    """The outcomes of records, by one lane or by a new one for each: memory and log must say the same."""
    return Decide(memory_log(), each=request.param != "in one batch")


class Decide:
    """Lets records be decided on one log."""

    def __init__(self, log: Log, *, each: bool) -> None:
        self.log = log
        self.each = each

    def __call__(self, *records: Record) -> list[OutcomeRecord]:
        """The outcomes of these records."""
        if not self.each:
            return decide_all(self.log, *records)
        return [outcome for record in records for outcome in decide_all(self.log, record)]

    def balance(self) -> int:
        """The account as a new lane reads it."""
        lane = lane_on(self.log)
        lane.start()
        state: Account = lane.memory.instances.get(b"alice", (Account(), 0))[0]
        lane.close()
        return state.balance


def test_an_undo_after_an_accepted_do_takes_effect(decided: Decide) -> None:
    assert kinds(decided(do(), undo())) == ["accepted", "accepted"]
    assert decided.balance() == 0


def test_an_undo_before_its_do_leaves_a_tombstone_that_refuses_the_do(decided: Decide) -> None:
    early, late = decided(undo(), do())
    assert kinds([early, late]) == ["accepted", "refused undone"]
    assert early.details.message == "nothing to undo"
    assert early.count == 0
    assert decided.balance() == 0


def test_an_undo_of_a_refused_do_changes_nothing(decided: Decide) -> None:
    outcomes = decided(do(Withdraw(5)), undo(Deposit(5)))
    assert kinds(outcomes) == ["refused insufficient_funds", "accepted"]
    assert decided.balance() == 0


def test_an_undo_of_a_violated_do_changes_nothing(decided: Decide) -> None:
    outcomes = decided(do(Deposit(5_000)), undo(Withdraw(5)))
    assert kinds(outcomes) == ["violated never_above_ceiling", "accepted"]
    assert decided.balance() == 0


def test_a_do_tried_again_meets_the_same_outcome(decided: Decide) -> None:
    first, again, *_ = decided(do(), do())
    assert kinds([first, again]) == ["accepted", "accepted"]
    assert (first.version, again.version) == (1, 1)
    assert (first.count, again.count) == (1, 0)
    assert decided.balance() == 5


def test_a_refused_do_tried_again_is_refused_again_though_it_could_be_taken_now(decided: Decide) -> None:
    outcomes = decided(do(Withdraw(5)), command("alice", Deposit(9), next(names)), do(Withdraw(5)))
    assert kinds(outcomes) == ["refused insufficient_funds", "accepted", "refused insufficient_funds"]
    assert outcomes[2].details.message == outcomes[0].details.message == "there is 0"
    assert decided.balance() == 9


def test_an_undo_tried_again_meets_the_same_outcome(decided: Decide) -> None:
    assert kinds(decided(command("alice", Deposit(50), next(names)), do(), undo(), undo(), undo())) == ["accepted"] * 5
    assert decided.balance() == 50


def test_an_undo_that_is_refused_is_refused_again(decided: Decide) -> None:
    outcomes = decided(do(), command("alice", Withdraw(5), next(names)), undo(), undo())
    assert kinds(outcomes) == ["accepted", "accepted", "refused insufficient_funds", "refused insufficient_funds"]


def test_a_do_after_its_undo_meets_its_own_outcome(decided: Decide) -> None:
    """A delayed copy of the do under another id, after all is done: nothing comes back to life."""
    assert kinds(decided(do(), undo(), do())) == ["accepted", "accepted", "accepted"]
    assert decided.balance() == 0


def test_steps_of_other_sagas_and_other_steps_are_not_this_step(decided: Decide) -> None:
    outcomes = decided(do(), do(saga="t2"), do(step="credit"), undo(saga="t3"), undo(step="settle"))
    assert [o.count for o in outcomes] == [1, 1, 1, 0, 0]
    assert decided.balance() == 15


def test_a_parked_do_is_not_settled_and_its_undo_waits_with_it(decided: Decide) -> None:
    outcomes = decided(do(Misbehave("raise")), undo())
    assert kinds(outcomes) == ["parked raised", "parked instance_quarantined"]


def test_a_step_is_compared_with_the_version_it_expects_once(decided: Decide) -> None:
    """A conflict is an outcome like others: the step is settled by it."""
    step = SagaStep("transfer", "t1", "hold", "do")
    expecting = command("alice", DO, next(names), options=Options(step=step, expected_version=7))
    assert kinds(decided(expecting, do(), undo())) == ["conflict conflict", "conflict conflict", "accepted"]
    assert decided.balance() == 0
