"""Mistakes in a match: a forgotten case means that nothing is returned for it."""

from eventcore import Accepted, Refused, Violated
from tests.typing.accepted import Account, Balance, Deposit, Deposited, Event, Withdraw, Withdrawn


def forgets_an_event(account: Account, event: Event) -> Account:  # WRONG: Withdrawn is missing
    match event:  # WRONG: so this does not match everything
        case Deposited(amount):
            return Account(account.balance + amount)


def forgets_a_command(account: Account, command: Deposit | Withdraw) -> list[Event]:  # WRONG: Deposit is missing
    match command:  # WRONG: so this does not match everything
        case Withdraw(amount):
            return [Withdrawn(amount)]


def forgets_an_event_of_a_row(row: Balance | None, account: str, event: Event) -> Balance:  # WRONG: Withdrawn again
    match event:  # WRONG: so this does not match everything
        case Deposited(amount):
            return Balance(account, amount, 1)


def forgets_a_verdict(turn: Accepted[Account, Event] | Refused | Violated) -> str:  # WRONG: Violated is missing
    match turn:  # WRONG: so this does not match everything
        case Accepted(_, state):
            return str(state.balance)
        case Refused(reason):
            return reason


def takes_it_for_accepted(turn: Accepted[Account, Event] | Refused | Violated) -> int:
    return turn.state.balance  # WRONG: it may be refused


def reads_the_wrong_field(account: Account, event: Event) -> Account:
    match event:
        case Deposited(amount):
            return Account(account.balance + amount)
        case Withdrawn():
            return Account(account.balance - event.sum)  # WRONG: it is called amount
