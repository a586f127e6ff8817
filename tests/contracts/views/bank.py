"""A small bank's events as lanes write them, and two read models of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import NOTHING, Envelope, Options, write_envelope
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, TopicPlan
from eventcore.value import Value
from projections import Projection

TOPIC = "bank.account.events"
DAY = date(2024, 2, 29)


class Deposited(Value):
    """Money came in."""

    amount: int
    day: date = DAY


class Withdrawn(Value):
    """Money went out."""

    amount: int
    day: date = DAY


class Closed(Value):
    """The account is gone."""

    day: date = DAY


class Close(Value):
    """Close the account."""


class Account(Value):
    """An account's state, which no test here needs."""

    balance: int = 0


Event = Deposited | Withdrawn | Closed


def decide(account: Account, command: Close) -> list[Event]:
    """Close whatever is there."""
    del account, command
    return [Closed()]


def evolve(account: Account, event: Event) -> Account:
    """Leave the state as it is."""
    del event
    return account


accounts = Aggregate("account", Account, decide, evolve)


class Balance(Value):
    """What an account holds."""

    account: str
    balance: int
    turns: int


def balance_row(row: Balance | None, account: str, event: Event) -> Balance | None:
    """One row an account, until it is closed."""
    balance, turns = (row.balance, row.turns) if row is not None else (0, 0)
    match event:
        case Deposited(amount):
            return Balance(account, balance + amount, turns + 1)
        case Withdrawn(amount):
            return Balance(account, balance - amount, turns + 1)
        case Closed():
            return None


class Daily(Value):
    """What moved in an account on a day."""

    account: str
    day: date
    moved: int


def daily_row(row: Daily | None, account: str, event: Event) -> Daily | None:
    """One row an account and day; a closed account loses that day's."""
    moved = row.moved if row is not None else 0
    match event:
        case Deposited(amount, day) | Withdrawn(amount, day):
            return Daily(account, day, moved + amount)
        case Closed():
            return None


balances = Projection("balances", accounts, Balance, balance_row)
dailies = Projection("dailies", accounts, Daily, daily_row, key=("account", "day"))
catalogue = Catalogue(tuple(accounts.event_checks), "bank.account")


class Lane:
    """Writes one partition's events as its lane would: versions and sequences without gaps."""

    def __init__(self, log: MemoryLog, partition: int = 0) -> None:
        self._log = log
        self._partition = partition
        self._versions: dict[str, int] = {}
        self.sequence = 0
        self.term = 1

    def record(self, account: str, event: Event, options: Options = NOTHING) -> Record:
        """The record of the next event of an account."""
        self.sequence += 1
        version = self._versions[account] = self._versions.get(account, 0) + 1
        envelope = Envelope(
            bytes(16), version, 0, 1, self.term, self.sequence, self.sequence << 16, self.sequence, options
        )
        return Record(account.encode(), catalogue.encode(event), write_envelope(envelope))

    def write(self, events: Iterable[tuple[str, Event]]) -> None:
        """Append events of accounts."""
        self.append([self.record(account, event) for account, event in events])

    def append(self, records: Sequence[Record]) -> None:
        """Append any records."""
        self._log.append(TOPIC, self._partition, records)


class Bank(NamedTuple):
    """A log with the events topic, and a lane for each of its partitions."""

    log: MemoryLog
    lanes: tuple[Lane, ...]


def new_bank(partitions: int = 1) -> Bank:
    """An empty log in memory."""
    log = MemoryLog()
    log.provision([TopicPlan(TOPIC, partitions)])
    return Bank(log, tuple(Lane(log, partition) for partition in range(partitions)))


def deposits(count: int, accounts_number: int = 10) -> list[tuple[str, Event]]:
    """So many deposits, to accounts in turn."""
    return [(f"a{n % accounts_number}", Deposited(n)) for n in range(count)]
