"""Mistakes in scenarios: a past of events, then a command, then events; rows of the read model; messages of the saga."""

from hypothesis.strategies import SearchStrategy

from eventcore.check import Checked, Scope, check
from eventcore.testing import accepted, given
from eventcore.testing.strategies import commands_of, values_of
from tests.typing.accepted import (
    Account,
    Balance,
    Deposit,
    Deposited,
    RequestTransfer,
    Withdraw,
    Withdrawn,
    accounts,
    balances,
    transfers,
)

given(accounts, Deposit(5))  # WRONG: a command is no past
given(accounts, Deposited(5)).when(Withdrawn(3))  # WRONG: an event is no command
given(accounts, Deposited(5)).when(Withdraw(3)).then(Withdraw(3))  # WRONG: nor does a command follow
given(accounts, Deposited(5)).when(Withdraw(3)).then_state(Balance("alice", 2, 2))  # WRONG: a row is no state
given(accounts, Deposited(5), id="alice")  # WRONG: an aggregate's scenario has no id
given(balances, Deposited(5), id="alice").when(Withdraw(3))  # WRONG: a read model is told events
given(balances, Deposited(5), id="alice").when(Withdrawn(3)).then(Account(2))  # WRONG: a state is no row
given(transfers, RequestTransfer("a", "b", 5)).when(accepted("debit")).then(Deposit(5))  # WRONG: not a message
given(transfers).when(RequestTransfer("a", "b", 5)).then_status("done")  # WRONG: no such status
given(Account)  # WRONG: a class is no subject

deposits: SearchStrategy[Withdraw] = values_of(Deposit)  # WRONG: of another class
deposits_too: SearchStrategy[Deposit] = commands_of(accounts)  # WRONG: of all its commands
Checked(balances)  # WRONG: a read model has no states to check
check(accounts, scope=Scope(items="two"))  # WRONG: a number
