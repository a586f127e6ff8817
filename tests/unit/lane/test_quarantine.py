"""A turn that raises stops its instance and nothing else (N3), whatever it raises, and also after a restart."""

from __future__ import annotations

import pytest

from eventcore.avro.envelope import Options, SagaStep
from eventcore.lane.journal import DETAIL_BYTES_MAX, MESSAGE_BYTES_MAX, REASON_BYTES_MAX
from tests.bank import (
    QUARANTINING,
    REFUSING,
    UNLUCKY,
    Deposit,
    Misbehave,
    Withdraw,
    command,
    decide_all,
    happened,
    kinds,
    lane_on,
    memory_log,
    outcomes,
    run,
    send,
)


@pytest.mark.parametrize("known", [False, True], ids=["new instance", "known instance"])
@pytest.mark.parametrize("how", QUARANTINING)
def test_a_turn_that_raises_parks_its_command_and_stops_its_instance_alone(how: str, *, known: bool) -> None:
    log = memory_log()
    first = [command("alice", Deposit(5), "first")] if known else []
    decided = decide_all(
        log,
        *first,
        command("bob", Deposit(5), 1),
        command("alice", Misbehave(how), 2),
        command("alice", Deposit(5), 3),
        command("bob", Deposit(5), 4),
    )
    assert kinds(decided[-4:]) == ["accepted", "parked raised", "parked instance_quarantined", "accepted"]
    assert [h.id for h in happened(log)] == ["alice"] * len(first) + ["bob", "bob"]
    assert [o.sequence for o in decided] == list(range(1, len(decided) + 1))


@pytest.mark.parametrize("how", QUARANTINING)
def test_an_instance_stays_stopped_after_a_restart_for_the_reason_that_was_given(how: str) -> None:
    log = memory_log()
    decided = decide_all(log, command("alice", Misbehave(how), 1), command("alice", Deposit(5), 2))
    (later,) = decide_all(log, command("alice", Deposit(5), 3))
    assert kinds([later]) == ["parked instance_quarantined"]
    assert later.details.message == decided[1].details.message == decided[0].details.message


def test_the_outcome_of_a_fault_says_what_was_raised_and_where() -> None:
    (parked,) = decide_all(memory_log(), command("alice", Misbehave("raise"), 1))
    assert parked.details.message == "RuntimeError: on purpose"
    detail = parked.details.detail or ""
    assert detail.startswith("Traceback (most recent call last)")
    assert "in misbehave" in detail
    assert detail.endswith("RuntimeError: on purpose\n")


@pytest.mark.parametrize("how", [*QUARANTINING, *REFUSING])
def test_whatever_is_said_its_outcome_fits(how: str) -> None:
    """A reason or message without end would be a record that the log refuses, at each restart again."""
    (decided,) = decide_all(memory_log(), command("alice", Misbehave(how), 1))
    details = decided.details
    assert len((details.reason or "").encode()) <= REASON_BYTES_MAX
    assert len((details.message or "").encode()) <= MESSAGE_BYTES_MAX
    assert len((details.detail or "").encode()) <= DETAIL_BYTES_MAX


@pytest.mark.parametrize("how", REFUSING)
def test_a_refusal_that_cannot_be_written_as_it_is_stays_a_refusal(how: str) -> None:
    for known in (False, True):
        log = memory_log()
        first = [command("alice", Deposit(5), "first")] if known else []
        decided = decide_all(log, *first, command("alice", Misbehave(how), 1), command("alice", Deposit(5), 2))
        assert [o.details.kind for o in decided[-2:]] == ["refused", "accepted"]
        again = decide_all(log, command("alice", Misbehave(how), 1))
        assert again[0].details.repeated
        assert (again[0].details.reason, again[0].details.message) == (
            decided[-2].details.reason,
            decided[-2].details.message,
        )


def test_a_refusal_that_is_no_text_is_written_as_text() -> None:
    (refused,) = decide_all(memory_log(), command("alice", Misbehave("refuse with numbers"), 1))
    assert kinds([refused]) == ["refused 404"]
    assert refused.details.message is None


def test_who_interrupts_a_lane_in_a_turn_ends_the_lane_and_no_instance() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    send(log, command("alice", Misbehave("interrupt"), 1))
    with pytest.raises(KeyboardInterrupt):
        run(lane, log)
    assert outcomes(log) == []


def test_a_mere_violation_stops_nothing() -> None:
    decided = decide_all(memory_log(), command("alice", Deposit(5_000), 1), command("alice", Deposit(5), 2))
    assert kinds(decided) == ["violated never_above_ceiling", "accepted"]


def test_an_invariant_that_asks_for_it_stops_its_instance() -> None:
    log = memory_log()
    decided = decide_all(log, command("alice", Deposit(UNLUCKY), 1), command("alice", Deposit(5), 2))
    assert kinds(decided) == ["violated never_unlucky", "parked instance_quarantined"]
    (later,) = decide_all(log, command("alice", Deposit(5), 3))
    assert kinds([later]) == ["parked instance_quarantined"]
    assert later.details.message == decided[1].details.message == "violated never_unlucky"
    assert happened(log) == []


def test_a_repeat_is_answered_while_its_instance_is_stopped() -> None:
    sent = [command("alice", Deposit(5), 1), command("alice", Misbehave("raise"), 2)]
    decided = decide_all(memory_log(), *sent, *sent)
    assert kinds(decided) == ["accepted", "parked raised", "accepted*", "parked raised*"]


def test_a_saga_step_behind_a_stopped_instance_is_parked_with_its_step() -> None:
    step = SagaStep("transfer", "t1", "credit", "do")
    decided = decide_all(
        memory_log(),
        command("alice", Misbehave("raise"), 1),
        command("alice", Deposit(5), 2, options=Options(step=step)),
    )
    assert kinds(decided) == ["parked raised", "parked instance_quarantined"]
    assert decided[1].details.step == step


def test_a_stopped_instance_keeps_the_state_it_had() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    send(log, command("alice", Deposit(5), 1), command("alice", Misbehave("raise"), 2))
    run(lane, log)
    held = lane.memory.instances[b"alice"]
    send(log, command("alice", Withdraw(5), 3))
    run(lane, log)
    assert lane.memory.instances[b"alice"] == held
