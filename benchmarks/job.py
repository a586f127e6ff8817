"""The job that commands are timed on: 1,000 accounts in rotation, deposits and withdrawals, one command in five refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from eventcore import Aggregate, Value, require
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import command_envelope
from eventcore.lane.runner import LaneRunner
from eventcore.log.port import Log, Record, TopicPlan
from eventcore.topics import Topics, partition_of

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


class Job(NamedTuple):
    """What a lane is timed on: an aggregate with its topics and codecs, and the commands that it gets."""

    name: str
    aggregate: Aggregate[Any, Any, Any]
    topics: Topics
    commands: Catalogue
    events: Catalogue
    records: Callable[[int], list[Record]]

    @staticmethod
    def of(name: str, aggregate: Aggregate[Any, Any, Any], records: Callable[[int], list[Record]]) -> Job:
        """The job of an aggregate."""
        return Job(
            name,
            aggregate,
            Topics.of("bench", aggregate.name),
            Catalogue(tuple(aggregate.command_checks), f"bench.{aggregate.name}"),
            Catalogue(tuple(aggregate.event_checks), f"bench.{aggregate.name}"),
            records,
        )

    def provision(self, log: Log, partitions: int = 1) -> None:
        """Make the topics."""
        compacted = self.topics.snapshots
        log.provision([TopicPlan(t, partitions, "compact" if t == compacted else "delete") for t in self.topics])

    def lane(self, log: Log, partition: int = 0) -> LaneRunner:
        """A lane that is not started yet."""
        return LaneRunner(log, self.aggregate, self.topics, partition, commands=self.commands, events=self.events)

    def started(self, log: Log) -> LaneRunner:
        """A started lane, on topics of one partition that are made for it."""
        self.provision(log)
        runner = self.lane(log)
        runner.start()
        return runner


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


def at_home(count: int, partition: int, partitions: int) -> list[Record]:
    """`count` commands to accounts that live in one partition of several."""
    return [r for r in commands(count * (partitions + 2)) if partition_of(r.key, partitions) == partition][:count]


SMALL = Job.of("one field", accounts, commands)
TOPICS, COMMANDS, EVENTS = SMALL.topics, SMALL.commands, SMALL.events


def lane_on(log: Log) -> LaneRunner:
    """A started lane of the small job, on topics of one partition."""
    return SMALL.started(log)


def drain(runner: LaneRunner, count: int, timeout_s: float = 0.0) -> None:
    """Let the lane decide `count` commands that stand in its topic, a commit under way while the next are decided."""
    decided = 0
    while decided < count:
        decided += runner.flow(timeout_s)
    runner.finish()
