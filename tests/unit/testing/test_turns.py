"""A scenario of an aggregate passes where what follows is what was said, and says what differs where it is not."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import pytest

from eventcore import Aggregate, Context, Value
from eventcore.errors import InvalidValue, UnknownName
from eventcore.testing import given
from examples.bank.account import CEILING, Account, Credit, Deposit, Deposited, Held, Withdraw, Withdrawn, accounts


def test_events_state_refusals_and_violations_can_be_expected() -> None:
    taken = given(accounts, Deposited(5)).when(Withdraw(3))
    taken.then(Withdrawn(3)).then_state(Account(2))
    taken.when(Withdraw(3)).then_refused("insufficient_funds").then_state(Account(2))
    given(accounts).when(Credit(CEILING + 1)).then_violated("never_above_ceiling").then_state(Account())


def test_a_scenario_goes_on_from_what_its_last_command_did() -> None:
    last = given(accounts).when(Deposit(5)).when(Withdraw(9)).when(Withdraw(4)).then(Withdrawn(4))
    assert last.given.past == (Deposited(5),)
    assert last.state == Account(1)


def test_a_scenario_may_begin_in_a_state() -> None:
    given(accounts, Withdrawn(1), state=Account(10)).when(Withdraw(9)).then(Withdrawn(9)).then_state(Account())


def test_other_events_are_shown_beside_those_expected_and_what_differs_is_named() -> None:
    with pytest.raises(AssertionError) as failed:
        given(accounts, Deposited(5), Held(2)).when(Withdraw(3)).then(Withdrawn(2), Held(3))
    assert (
        str(failed.value)
        == """\
scenario of account
  given    Deposited(amount=5)
           Held(amount=2)
  state    Account(balance=3, held=2, credited=0, settled=0)
  when     Withdraw(amount=3)
  expected Withdrawn(amount=2)
           Held(amount=3)
  got      Withdrawn(amount=3)
  differs  [0].amount: expected 2, got 3
  differs  [1]: expected Held(amount=3), got nothing"""
    )


def test_a_refusal_where_events_were_expected_is_shown_with_its_message() -> None:
    with pytest.raises(AssertionError, match=r"got +refused: insufficient_funds \(5 is available, 9 is wanted\)"):
        given(accounts, Deposited(5)).when(Withdraw(9)).then(Withdrawn(9))


def test_acceptance_another_reason_or_another_invariant_is_not_what_was_expected() -> None:
    turn = given(accounts, Deposited(5)).when
    with pytest.raises(AssertionError, match=r"expected refused: insufficient_funds\n  got +Withdrawn"):
        turn(Withdraw(1)).then_refused("insufficient_funds")
    with pytest.raises(AssertionError, match="got +refused: insufficient_funds"):
        turn(Withdraw(9)).then_refused("closed")
    with pytest.raises(AssertionError, match="got +violated: never_above_ceiling"):
        turn(Credit(CEILING)).then_violated("never_overdrawn")
    with pytest.raises(AssertionError, match="differs +balance: expected 1, got 2"):
        turn(Withdraw(3)).then_state(Account(1))


def test_a_past_that_no_instance_can_have_is_named() -> None:
    with pytest.raises(AssertionError, match=r"no instance has this past(?s:.)*breaks +never_overdrawn"):
        given(accounts, Withdrawn(5))
    with pytest.raises(InvalidValue, match="Deposited.amount: -5 is less than 1"):
        given(accounts, Deposited(-5))


def test_a_command_that_no_client_can_send_raises_as_it_would_for_him() -> None:
    with pytest.raises(InvalidValue, match="Deposit.amount: 0 is less than 1"):
        given(accounts).when(Deposit(0))
    with pytest.raises(UnknownName, match="Deposited"):
        given(accounts).when(Deposited(5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # that it is refused


# --- code that cannot be right ---------------------------------------------------------------------------------------


class Odd(Value, eq=False):
    """Equal to itself only, so that what is read back is another."""


class Go(Value):
    """Go on."""


class Went(Value):
    """It went on."""

    at: datetime


class Number(Value):
    """A number."""

    number: int = 0


def go(_: Odd, __: Go, context: Context) -> list[Went]:
    return [Went(context.time)]


def stay(odd: Odd, _: Went) -> Odd:
    return odd


def go_once(_: Number, __: Go, context: Context) -> list[Went]:
    return [Went(context.time)]


STEPS = count(1)


def count_up(_: Number, __: Went) -> Number:
    return Number(next(STEPS))


def test_a_state_that_would_not_be_read_back_as_it_was_fails() -> None:
    with pytest.raises(AssertionError, match="does not survive its codec"):
        given(Aggregate("odd", Odd, go, stay))


def test_an_evolve_that_gives_two_states_for_one_event_fails() -> None:
    with pytest.raises(AssertionError, match=r"folds? to another state(?s:.)*differs +number"):
        given(Aggregate("unsteady", Number, go_once, count_up)).when(Go())


def test_the_time_of_a_turn_is_the_scenarios() -> None:
    at = datetime(2031, 5, 6, tzinfo=UTC)
    steady = Aggregate("steady", Number, go_once, one)
    given(steady, context=Context.at(at, UUID(int=7))).when(Go()).then(Went(at))


def one(_: Number, __: Went) -> Number:
    return Number(1)
