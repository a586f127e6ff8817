"""Mistakes with values: they never change, and their fields are what they were declared."""

from tests.typing.accepted import Account, Balance, Deposit

account = Account(3)
account.balance = 4  # WRONG: a field of a value cannot be assigned
Account(3).balance += 1  # WRONG: the same
Deposit()  # WRONG: its amount is missing
Deposit("5")  # WRONG: an amount is an int
Deposit(5, 6)  # WRONG: it has one field
Balance("alice", 5, turns=1, owner="alice")  # WRONG: it has no such field
account.credit  # WRONG: nor has it this
