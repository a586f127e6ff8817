"""Mistakes in a projection: its fold takes its source's events and returns its row."""

from eventcore.app import Embedded
from projections import Projection
from tests.typing.accepted import Account, Balance, Deposit, Event, accounts, balances, transfers


def folds_another_row(row: Balance | None, account: str, event: Event) -> Account:
    return Account()


def folds_commands(row: Balance | None, account: str, event: Deposit) -> Balance:
    return Balance(account, 0, 0)


def folds_without_an_id(row: Balance | None, event: Event) -> Balance:
    return Balance("", 0, 0)


def never_begins(row: Balance, account: str, event: Event) -> Balance:
    return row


Projection("balances", accounts, Balance, folds_another_row)  # WRONG: it returns another row
Projection("balances", accounts, Balance, folds_commands)  # WRONG: the source has other events
Projection("balances", accounts, Balance, folds_without_an_id)  # WRONG: the id is missing
Projection("balances", accounts, Balance, never_begins)  # WRONG: the first event finds no row


def use(bank: Embedded) -> None:
    row = bank.ask(balances, "alice").row
    row.balance  # WRONG: there may be none
    bank.ask(accounts, "alice")  # WRONG: an aggregate is no read model
    bank.ask(transfers, "t1")  # WRONG: nor is a saga
