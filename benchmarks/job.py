"""The job that commands are timed on: 1,000 accounts in rotation, deposits and withdrawals, one command in five refused."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from eventcore import Aggregate, Value, require
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import command_envelope
from eventcore.lane.runner import LaneRunner
from eventcore.log.port import Log, Record, TopicPlan
from eventcore.topics import Topics

ACCOUNTS = 1_000
Amount = Annotated[int, Meta(gt=0)]


class Deposited(Value):
    """Money came in."""

    amount: Amount


class Withdrawn(Value):
    """Money went out."""

    amount: Amount


class Deposit(Value):
    """Put money in."""

    amount: Amount


class Withdraw(Value):
    """Take money out, if there is enough."""

    amount: Amount


class Account(Value):
    """An account."""

    balance: int = 0


def decide(account: Account, command: Deposit | Withdraw) -> list[Deposited | Withdrawn]:
    """The bank's rule: nobody overdraws."""
    match command:
        case Deposit(amount):
            return [Deposited(amount)]
        case Withdraw(amount):
            require(amount <= account.balance, "insufficient_funds")
            return [Withdrawn(amount)]


def evolve(account: Account, event: Deposited | Withdrawn) -> Account:
    """The balance after an event."""
    match event:
        case Deposited(amount):
            return Account(account.balance + amount)
        case Withdrawn(amount):
            return Account(account.balance - amount)


def never_overdrawn(account: Account) -> bool:
    """The invariant that the guard implies."""
    return account.balance >= 0


accounts = Aggregate("account", Account, decide, evolve, invariants=[never_overdrawn])
TOPICS = Topics.of("bench", "account")
COMMANDS = Catalogue(tuple(accounts.command_checks), "bench.account")
EVENTS = Catalogue(tuple(accounts.event_checks), "bench.account")


def commands(count: int) -> list[Record]:
    """`count` encoded commands with ids of their own: per account deposits, small withdrawals, and one in five too large."""
    deposit, small = COMMANDS.encode(Deposit(50)), COMMANDS.encode(Withdraw(10))
    large = COMMANDS.encode(Withdraw(1_000_000_000))
    rotation = (deposit, small, deposit, small, large)
    keys = [f"account-{number:04}".encode() for number in range(ACCOUNTS)]
    return [
        Record(keys[n % ACCOUNTS], rotation[(n // ACCOUNTS + n) % 5], command_envelope(os.urandom(16)), 1)
        for n in range(count)
    ]


def lane_on(log: Log) -> LaneRunner:
    """A started lane of the job, on topics of one partition."""
    log.provision([TopicPlan(topic, 1) for topic in TOPICS])
    runner = LaneRunner(log, accounts, TOPICS, 0, commands=COMMANDS, events=EVENTS)
    runner.start()
    return runner


def drain(runner: LaneRunner, count: int, timeout_s: float = 0.0) -> None:
    """Let the lane decide `count` commands that stand in its topic."""
    decided = 0
    while decided < count:
        decided += runner.step(timeout_s)
