"""The ledger's domain and its verification, against a plain fold of the bank's file."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from eventcore import Accepted, Context, take_turn
from eventcore.turn import fold as fold_events
from examples.ledger.account import Account, Command, Credit, Credited, Debit, Debited, Details, Event, accounts
from examples.ledger.bank_file import Printed, printed_balances
from examples.ledger.days import AccountDay, balances_by_day, fold
from examples.ledger.transactions import Transaction, transactions
from examples.ledger.verify import Day, Report, compare

CONTEXT = Context(0, bytes(16))
DETAILS = Details(1, None, None, None)
MONDAY, TUESDAY = date(1993, 3, 1), date(1993, 3, 2)


def book(account: Account, command: Command) -> tuple[Account, Event]:
    turn = take_turn(accounts, account, command, CONTEXT)
    assert isinstance(turn, Accepted), turn
    (event,) = turn.events
    return turn.state, event


@pytest.fixture(scope="module")
def sent() -> list[Transaction]:
    """The whole file, in the order of sending."""
    return transactions()


@pytest.fixture(scope="module")
def booked(sent: list[Transaction]) -> list[tuple[str, Event]]:
    """The whole file, booked."""
    states: dict[str, Account] = {}
    events: list[tuple[str, Event]] = []
    for message, _ in sent:
        states[message.id], event = book(states.get(message.id, Account()), message.command)
        events.append((message.id, event))
    return events


def rows_of(events: list[tuple[str, Event]]) -> list[Day]:
    """The read model, without a database."""
    rows: dict[tuple[str, date], AccountDay] = {}
    for account, event in events:
        key = (account, event.day)
        rows[key] = fold(rows.get(key), account, event)
    return [
        Day(r.account, r.day, r.movement, r.balance, r.turns, r.below_zero, r.backdated)
        for _, r in sorted(rows.items(), key=lambda item: item[0])
    ]


@pytest.fixture(scope="module")
def rows(booked: list[tuple[str, Event]]) -> list[Day]:
    """The read model of the whole file; tests change copies of it."""
    return rows_of(booked)


@pytest.fixture(scope="module")
def printed() -> Printed:
    """What the bank printed."""
    return printed_balances()


def test_a_turn_says_the_balance_that_it_left() -> None:
    account, event = book(Account(), Credit(MONDAY, Decimal("7.50"), DETAILS))
    assert event == Credited(MONDAY, Decimal("7.50"), Decimal("7.50"), backdated=False, details=DETAILS)
    account, event = book(account, Debit(TUESDAY, Decimal("9.00"), DETAILS))
    assert event == Debited(TUESDAY, Decimal("9.00"), Decimal("-1.50"), backdated=False, details=DETAILS)
    assert account == Account(Decimal("-1.50"), TUESDAY)


def test_a_turn_for_an_earlier_day_says_so_and_the_last_day_stays() -> None:
    account, _ = book(Account(), Credit(TUESDAY, Decimal(1), DETAILS))
    account, event = book(account, Credit(MONDAY, Decimal(1), DETAILS))
    assert event.backdated
    assert account.last_day == TUESDAY


def test_every_balance_in_an_event_is_that_of_the_state_after_it(booked: list[tuple[str, Event]]) -> None:
    states: dict[str, Account] = {}
    for account, event in booked:
        states[account] = fold_events(accounts, states.get(account, Account()), [event])
        assert states[account].balance == event.balance


def test_ids_of_commands_are_distinct_and_say_which_transaction(sent: list[Transaction]) -> None:
    assert len({command_id for _, command_id in sent}) == len(sent)
    assert sent[0].command_id == f"transaction-{sent[0].message.command.details.transaction}"


def test_commands_are_sent_by_day_and_credits_first(sent: list[Transaction]) -> None:
    order = [(message.command.day, isinstance(message.command, Debit)) for message, _ in sent]
    assert order == sorted(order)


def test_the_read_model_of_the_whole_file_is_what_the_bank_printed(rows: list[Day], printed: Printed) -> None:
    assert compare(rows, printed) == Report(
        turns=46_997, days_met=38_821, negative_turns=88, negative_accounts=26, days_ending_below_zero=51
    )


def test_a_part_of_the_file_is_held_to_that_part(booked: list[tuple[str, Event]]) -> None:
    until = date(1993, 6, 30)
    report = compare(rows_of([(a, e) for a, e in booked if e.day <= until]), printed_balances(until))
    assert report.holds
    assert report.turns == 5_347


CENT = Decimal("0.01")
ALTERED: dict[str, Callable[[Day], Day]] = {
    "movement": lambda row: row._replace(movement=row.movement + CENT),
    "balance": lambda row: row._replace(balance=row.balance - CENT),
    "turns": lambda row: row._replace(turns=row.turns + 1),
    "below_zero": lambda row: row._replace(below_zero=row.below_zero + 1),
    "backdated": lambda row: row._replace(backdated=1),
    "day": lambda row: row._replace(day=row.day.replace(year=1992)),
    "account": lambda row: row._replace(account="4711"),
}


@pytest.mark.parametrize("altered", ALTERED)
@pytest.mark.parametrize("number", [0, 20_000, 38_820])
def test_one_altered_row_is_found_with_its_account_and_day(
    altered: str, number: int, rows: list[Day], printed: Printed
) -> None:
    row = rows[number]
    wrong = ALTERED[altered](row)
    ours = {key: balances for key, balances in printed.items() if key[0] == row.account}
    report = compare([wrong if r is row else r for r in rows if r.account == row.account], ours)
    named = min(row.day, wrong.day)  # a row that was moved to an earlier day is found there first
    assert any(problem.startswith(f"account {row.account}, {named}: ") for problem in report.problems)


@pytest.mark.parametrize("number", [0, 23_456, 46_996])
def test_one_dropped_event_is_found_with_its_account_and_day(
    number: int, booked: list[tuple[str, Event]], printed: Printed
) -> None:
    account, event = booked[number]
    report = compare(rows_of([*booked[:number], *booked[number + 1 :]]), printed)
    assert len(report.problems) == 1
    assert report.problems[0].startswith(f"account {account}, {event.day}: ")


def test_transactions_that_arrive_late_keep_every_day_and_the_report_says_what_is_not_compared(
    sent: list[Transaction], printed: Printed
) -> None:
    late = {command_id for _, command_id in sent[::470]}
    states: dict[str, Account] = {}
    events: list[tuple[str, Event]] = []
    for message, _ in sorted(sent, key=lambda transaction: transaction.command_id in late):
        states[message.id], event = book(states.get(message.id, Account()), message.command)
        events.append((message.id, event))
    report = compare(rows_of(events), printed)
    assert report.holds
    assert report.days_met == 38_821
    assert report.days_ending_below_zero == 51
    assert report.accounts_backdated > 50
    assert any("after a later day" in line for line in report.lines())


def test_the_row_is_keyed_by_account_and_day() -> None:
    event = Credited(MONDAY, Decimal(5), Decimal(5), backdated=False, details=DETAILS)
    assert balances_by_day.key_for is not None
    assert balances_by_day.key_for("42", event) == balances_by_day.key_of(fold(None, "42", event)) == ("42", MONDAY)
