"""Mistakes with commands: an aggregate takes its own, to an instance, as a message."""

from eventcore.app import Client, Embedded
from tests.typing.accepted import Account, Deposit, Deposited, accounts, transfers

accounts.to("alice", Account(3))  # WRONG: a state is no command
accounts.to("alice", Deposited(5))  # WRONG: nor is an event
accounts.to(5, Deposit(5))  # WRONG: an id is text
accounts.to(Deposit(5))  # WRONG: to whom?
accounts.command_named("Deposit").balance  # WRONG: a command has no balance


def use(bank: Embedded, client: Client) -> None:
    bank.send(Deposit(5))  # WRONG: a command is not a message
    client.send(accounts)  # WRONG: nor is an aggregate
    bank.send(accounts.to("alice", Deposit(5))).state  # WRONG: an outcome has no state
    bank.state(transfers, "t1")  # WRONG: a saga is no aggregate
    bank.saga(accounts, "alice")  # WRONG: and an aggregate no saga
