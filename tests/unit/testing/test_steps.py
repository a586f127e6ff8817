"""A scenario of a saga tells it answers, and expects the commands that it asks for."""

from __future__ import annotations

import pytest

from eventcore.testing import accepted, given, refused, undo_refused, undone
from examples.bank.account import Credit, Hold, Release, Settle, accounts
from examples.bank.transfer import RequestTransfer, transfers
from sagas import Compensate

START = RequestTransfer("alice", "bob", 5)
HOLD, CREDIT = accounts.to("alice", Hold(5)), accounts.to("bob", Credit(5))
SETTLE, RELEASE = accounts.to("alice", Settle(5)), accounts.to("alice", Release(5))


def test_a_saga_asks_for_its_steps_one_after_the_other() -> None:
    begun = given(transfers).when(START).then(HOLD).then_status("running")
    begun.when(accepted("hold")).then(CREDIT).when(accepted("credit")).then(SETTLE)
    given(transfers, START, accepted("hold"), accepted("credit")).when(accepted("settle")).then().then_status(
        "completed"
    )


def test_a_refused_step_is_compensated() -> None:
    turned = given(transfers, START, accepted("hold")).when(refused("credit", "full"))
    turned.then(RELEASE).then_status("compensating")
    turned.when(undone("hold")).then().then_status("compensated")
    turned.when(undo_refused("hold", "closed")).then().then_status("stuck")


def test_a_saga_that_is_told_to_turn_back_does() -> None:
    given(transfers, START, accepted("hold")).when(Compensate("operator")).then_refused("past_the_pivot")
    given(transfers, START).when(Compensate("operator")).then(RELEASE)


def test_what_a_saga_refuses_can_be_expected() -> None:
    given(transfers).when(RequestTransfer("alice", "alice", 5)).then_refused("same_account")


def test_another_command_than_the_one_expected_is_shown_by_its_parts() -> None:
    with pytest.raises(AssertionError, match=r"differs +\[0\].id: expected 'alice', got 'bob'"):
        given(transfers, START).when(accepted("hold")).then(accounts.to("alice", Credit(5)))


def test_another_status_is_shown_with_the_steps() -> None:
    with pytest.raises(AssertionError, match=r"expected completed\n  got +running: .*'hold', status='done'"):
        given(transfers, START).when(accepted("hold")).then_status("completed")


def test_a_past_that_a_saga_does_not_take_is_named() -> None:
    with pytest.raises(AssertionError, match=r"does not take this past(?s:.)*unknown_saga"):
        given(transfers, accepted("hold"))
