"""Mistakes in a global invariant: its parts speak of the states they belong to, and add up to one kind of sum."""

from eventcore.app import App, GlobalInvariant, Part
from tests.typing.accepted import Account, Money, accounts, add, balances, transfers

Part(accounts, lambda a: Money(a.nope, 0))  # WRONG: an account has no such field
Part(transfers, lambda t: Money(0, t.balance))  # WRONG: nor has a transfer
Part(balances, lambda row: Money(0, 0))  # WRONG: a read model is not what an audit reads


def only_the_balance(account: Account) -> int:
    return account.balance


GlobalInvariant(
    "solvent",
    parts=[Part(accounts, only_the_balance)],
    combine=add,  # WRONG: the parts are ints, and this adds Money
    holds=lambda money: money.balance >= 0,  # WRONG: an int has no balance
)
App("bank", [transfers])  # WRONG: a saga is no aggregate
App("bank", [accounts], projections=[accounts])  # WRONG: nor is an aggregate a read model
