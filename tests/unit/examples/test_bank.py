"""The bank's domain: what an account refuses, what its invariants stop, and that nobody's money comes from nowhere."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore import Accepted, Context, Refused, Violated, take_turn
from eventcore.errors import Refusal
from examples.bank.account import (
    CEILING,
    Account,
    Command,
    Credit,
    Credited,
    Deposit,
    Deposited,
    Event,
    Held,
    Hold,
    Release,
    Released,
    Settle,
    Settled,
    Withdraw,
    Withdrawn,
    accounts,
)
from examples.bank.balances import Balance, fold
from examples.bank.conservation import Money, is_conserved, together
from examples.bank.transfer import RequestTransfer, Transfer, begin, transfers

CONTEXT = Context(0, bytes(16))
KINDS: tuple[type[Command], ...] = (Deposit, Withdraw, Hold, Release, Credit, Settle)
AMOUNTS = st.integers(1, 9) | st.integers(1, 2 * CEILING)


@st.composite
def commands_of_all_kinds(draw: st.DrawFn) -> list[Command]:
    """Up to 30 commands: small amounts, and some around the ceiling."""
    return [kind(draw(AMOUNTS)) for kind in draw(st.lists(st.sampled_from(KINDS), max_size=30))]


def turn(account: Account, command: Command) -> Accepted[Account, Event] | Refused | Violated:
    return take_turn(accounts, account, command, CONTEXT)


@pytest.mark.parametrize(
    ("command", "event", "after"),
    [
        (Deposit(3), Deposited(3), Account(13, 5, 2, 1)),
        (Withdraw(10), Withdrawn(10), Account(0, 5, 2, 1)),
        (Hold(10), Held(10), Account(0, 15, 2, 1)),
        (Release(5), Released(5), Account(15, 0, 2, 1)),
        (Credit(3), Credited(3), Account(13, 5, 5, 1)),
        (Settle(5), Settled(5), Account(10, 0, 2, 6)),
    ],
)
def test_a_command_that_can_be_followed_is(command: Command, event: Event, after: Account) -> None:
    assert turn(Account(10, 5, 2, 1), command) == Accepted([event], after)


@pytest.mark.parametrize("command", [Withdraw(11), Hold(11)])
def test_held_money_cannot_be_spent(command: Command) -> None:
    assert turn(Account(balance=10, held=5), command) == Refused("insufficient_funds", "10 is available, 11 is wanted")


@pytest.mark.parametrize("command", [Release(6), Settle(6)])
def test_what_is_not_held_cannot_leave(command: Command) -> None:
    assert turn(Account(balance=10, held=5), command) == Refused("not_held", "5 is held, 6 is to leave")


@pytest.mark.parametrize("command", [Deposit(6), Credit(6)])
def test_the_ceiling_is_an_invariant_and_counts_held_money(command: Command) -> None:
    assert turn(Account(balance=CEILING - 10, held=5), command) == Violated("never_above_ceiling")
    assert isinstance(turn(Account(balance=CEILING - 11, held=5), command), Accepted)


@given(commands_of_all_kinds())
def test_balance_and_held_money_are_always_what_came_less_what_went(commands: list[Command]) -> None:
    account, events = Account(), list[Event]()
    for command in commands:
        if isinstance(taken := turn(account, command), Accepted):
            account = taken.state
            events += taken.events
    came = sum(e.amount for e in events if isinstance(e, Deposited | Credited))
    went = sum(e.amount for e in events if isinstance(e, Withdrawn | Settled))
    assert account.balance + account.held == came - went
    assert account.balance >= 0
    assert account.held >= 0
    assert account.balance + account.held <= CEILING


@given(commands_of_all_kinds())
def test_the_read_model_shows_the_account(commands: list[Command]) -> None:
    account, row = Account(), Balance("alice")
    for command in commands:
        if isinstance(taken := turn(account, command), Accepted):
            account = taken.state
            row = reduce(lambda r, e: fold(r, "alice", e), taken.events, row)
    assert row == Balance("alice", account.balance, account.held)


@given(st.integers(1, CEILING), st.integers(0, CEILING))
def test_releasing_what_was_held_puts_everything_back(amount: int, rest: int) -> None:
    before = Account(balance=min(amount + rest, CEILING))
    held = turn(before, Hold(amount))
    if isinstance(held, Accepted):
        assert turn(held.state, Release(amount)) == Accepted([Released(amount)], before)


def test_a_transfer_to_the_same_account_is_refused() -> None:
    with pytest.raises(Refusal, match="same_account"):
        begin(RequestTransfer("alice", "alice", 1))


def test_a_transfer_can_be_undone_until_its_money_is_credited() -> None:
    assert [(step.name, step.kind, step.undo is not None) for step in transfers.steps] == [
        ("hold", "compensatable", True),
        ("credit", "pivot", False),
        ("settle", "retriable", False),
    ]


def test_the_steps_of_a_transfer_go_to_the_right_account() -> None:
    hold, credit, settle = transfers.steps
    transfer = Transfer("alice", "bob", 7)
    assert hold.do(transfer) == accounts.to("alice", Hold(7))
    assert hold.undo is not None
    assert hold.undo(transfer) == accounts.to("alice", Release(7))
    assert credit.do(transfer) == accounts.to("bob", Credit(7))
    assert settle.do(transfer) == accounts.to("alice", Settle(7))


@pytest.mark.parametrize(
    ("money", "holds"),
    [
        (Money(), True),
        (Money(held=7, in_transfers=7), True),
        (Money(credited=7, held=7, in_transfers=7), True),
        (Money(credited=7, settled=7, in_transfers=7), True),
        (Money(credited=7, settled=7), True),
        (Money(settled=7, in_transfers=7), False),  # money left and did not arrive
        (Money(credited=7, in_transfers=7), False),  # money arrived that nobody gave
        (Money(held=7), False),  # money is held for no transfer
        (Money(credited=7, held=7), False),
    ],
)
def test_money_is_conserved_while_a_transfer_is_open_and_after_it(money: Money, *, holds: bool) -> None:
    assert is_conserved(money) is holds


MONEY = st.builds(Money, *[st.integers(0, 100)] * 4)


@given(MONEY, MONEY, MONEY)
def test_sums_of_money_may_be_added_in_any_order(one: Money, two: Money, three: Money) -> None:
    assert together(one, two) == together(two, one)
    assert together(one, together(two, three)) == together(together(one, two), three)
    assert together(one, Money()) == one
