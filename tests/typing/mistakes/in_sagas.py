"""Mistakes in a saga: its steps read its data, and make messages."""

from sagas import Saga, Start, Step, starts_on
from tests.typing.accepted import Account, RequestTransfer, Transfer, Withdraw, accounts, transfers

Step[Transfer]("debit", do=lambda t: accounts.to(t.nope, Withdraw(1)))  # WRONG: the data have no such field
Step[Transfer]("debit", do=lambda t: accounts.to(t.amount, Withdraw(1)))  # WRONG: an amount is no id
Step[Transfer]("debit", do=lambda t: accounts.to(t.source, Transfer("", "", 1)))  # WRONG: not a command of accounts
Step[Transfer]("debit", do=lambda t: Withdraw(t.amount))  # WRONG: a command is not a message
Step[Transfer]("debit", do=lambda t: accounts.to(t.source, Withdraw(t.amount)), kind="last")  # WRONG: no such kind
starts_on(RequestTransfer, Transfer, lambda c: Transfer(c.nope, c.target, c.amount))  # WRONG: nor has the request
other: Start[Transfer] = starts_on(RequestTransfer, Transfer, lambda c: Account(c.amount))  # WRONG: not its data


of_accounts: Step[Account] = Step("debit", do=lambda a: accounts.to("alice", Withdraw(a.balance)), kind="pivot")
start = starts_on(RequestTransfer, Transfer, lambda c: Transfer(c.source, c.target, c.amount))
Saga[Transfer]("transfer", start, steps=[of_accounts])  # WRONG: a step of other data
Saga[Transfer]("transfer", of_accounts, steps=[])  # WRONG: a step starts nothing
transfers.to("t1", "alice")  # WRONG: a saga is started by a value
