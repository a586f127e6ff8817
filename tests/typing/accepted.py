"""A program as users write it, which both checkers accept; the planted mistakes beside it import their words from here."""

from __future__ import annotations

from typing import Annotated, Any, assert_never, assert_type

from hypothesis.strategies import SearchStrategy
from msgspec import Meta

from eventcore import (
    Accepted,
    Aggregate,
    Context,
    Cut,
    Invariant,
    Message,
    Refused,
    Value,
    Violated,
    require,
    take_turn,
)
from eventcore.app import App, Client, Embedded, GlobalInvariant, Outcome, Part, Verdict
from eventcore.check import Checked, Report, Scope, always, check
from eventcore.testing import Folded, Reacted, Taken, accepted, given
from eventcore.testing.strategies import commands_of, values_of
from projections import Answer, Projection
from sagas import Progress, Saga, Step, starts_on

Amount = Annotated[int, Meta(gt=0)]


class Deposited(Value):
    amount: Amount


class Withdrawn(Value):
    amount: Amount


class Deposit(Value):
    amount: Amount


class Withdraw(Value):
    amount: Amount


class Account(Value):
    balance: int = 0


Event = Deposited | Withdrawn


def decide(account: Account, command: Deposit | Withdraw) -> list[Event]:
    match command:
        case Deposit(amount):
            return [Deposited(amount)]
        case Withdraw(amount):
            require(amount <= account.balance, "insufficient_funds")
            return [Withdrawn(amount)]


def decide_in_context(account: Account, command: Deposit | Withdraw, context: Context) -> list[Event]:
    require(context.time.year < 2100, "too_late")
    return decide(account, command)


def evolve(account: Account, event: Event) -> Account:
    match event:
        case Deposited(amount):
            return Account(account.balance + amount)
        case Withdrawn(amount):
            return Account(account.balance - amount)


def never_overdrawn(account: Account) -> bool:
    return account.balance >= 0


accounts = Aggregate("account", Account, decide, evolve, invariants=[never_overdrawn])
assert_type(accounts, Aggregate[Account, Deposit | Withdraw, Event])
assert_type(accounts.to("alice", Deposit(5)), Message[Deposit | Withdraw])

in_context = Aggregate(
    "account_in_context",
    Account,
    decide_in_context,
    evolve,
    invariants=[never_overdrawn, Invariant("never_rich", lambda account: account.balance < 1_000_000, "quarantine")],
)
assert_type(in_context, Aggregate[Account, Deposit | Withdraw, Event])


def told(turn: Accepted[Account, Event] | Refused | Violated) -> str:
    match turn:
        case Accepted(events, state):
            assert_type(events, list[Event])
            return f"{len(events)} events, {state.balance}"
        case Refused(reason):
            return reason
        case Violated(invariant):
            return invariant
        case _:
            assert_never(turn)


turn = take_turn(accounts, Account(3), Withdraw(2), Context(0, bytes(16)))
assert_type(turn, Accepted[Account, Event] | Refused | Violated)


class Balance(Value):
    account: str
    balance: int
    turns: int


def balance_row(row: Balance | None, account: str, event: Event) -> Balance | None:
    balance, turns = (row.balance, row.turns) if row else (0, 0)
    match event:
        case Deposited(amount):
            return Balance(account, balance + amount, turns + 1)
        case Withdrawn(amount):
            return Balance(account, balance - amount, turns + 1)


balances = Projection("balances", accounts, Balance, balance_row)
assert_type(balances, Projection[Balance, Event])


class RequestTransfer(Value):
    source: str
    target: str
    amount: Amount


class Transfer(Value):
    source: str
    target: str
    amount: Amount


transfers = Saga(
    "transfer",
    starts_on(RequestTransfer, Transfer, lambda c: Transfer(c.source, c.target, c.amount)),
    steps=[
        Step(
            "debit",
            do=lambda t: accounts.to(t.source, Withdraw(t.amount)),
            undo=lambda t: accounts.to(t.source, Deposit(t.amount)),
        ),
        Step("credit", do=lambda t: accounts.to(t.target, Deposit(t.amount)), kind="pivot"),
    ],
)
assert_type(transfers, Saga[Transfer])


class Money(Value):
    balance: int
    in_flight: int


def add(one: Money, other: Money) -> Money:
    return Money(one.balance + other.balance, one.in_flight + other.in_flight)


solvent = GlobalInvariant(
    "solvent",
    parts=[Part(accounts, lambda a: Money(a.balance, 0)), Part(transfers, lambda t: Money(0, t.amount))],
    combine=add,
    holds=lambda money: money.balance + money.in_flight >= 0,
)
assert_type(solvent, GlobalInvariant[Money])

app = App("bank", [accounts], projections=[balances], sagas=[transfers], invariants=[solvent])


def use(bank: Embedded, client: Client) -> None:
    outcome = bank.send(accounts.to("alice", Deposit(5)), id="receipt 17", expected_version=3)
    assert_type(outcome, Outcome)
    assert_type(outcome.cut, Cut)
    answer = bank.ask(balances, "alice", at_least=outcome.cut)
    assert_type(answer, Answer[Balance])
    assert_type(answer.row, Balance | None)
    assert_type(bank.state(accounts, "alice"), Account | None)
    assert_type(bank.saga(transfers, "t1"), Progress[Transfer] | None)
    assert_type(bank.audit(solvent), Verdict)
    messages: list[tuple[Message[Any], str]] = [(transfers.to("t1", RequestTransfer("alice", "bob", 5)), "one")]
    for each in client.send_all(messages):
        assert_type(each, Outcome)


def scenarios() -> None:
    taken = given(accounts, Deposited(5), Withdrawn(2)).when(Withdraw(3)).then(Withdrawn(3)).then_state(Account(0))
    assert_type(taken, Taken[Account, Deposit | Withdraw, Event])
    given(accounts, state=Account(3)).when(Withdraw(4)).then_refused("insufficient_funds")
    given(in_context, context=Context(0, bytes(16))).when(Deposit(1)).then(Deposited(1))
    folded = given(balances, Deposited(5), Withdrawn(2), id="alice").when(Withdrawn(3)).then(Balance("alice", 0, 3))
    assert_type(folded, Folded[Balance, Event])
    told = given(transfers, RequestTransfer("a", "b", 5)).when(accepted("debit")).then(accounts.to("b", Deposit(5)))
    assert_type(told, Reacted[Transfer])


def searches() -> None:
    checked = Checked(accounts, Scope(domains={"amount": range(1, 3)}), [always(never_overdrawn)])
    assert_type(check(checked), Report)
    assert_type(check(accounts, scope=Scope(domains={"Deposit.amount": (1,), Withdraw: (Withdraw(1),)})), Report)
    assert_type(values_of(Deposit), SearchStrategy[Deposit])
    assert_type(commands_of(accounts), SearchStrategy[Deposit | Withdraw])
