"""Events a second into a read model, beside the same final rows upserted raw in the same batches.

The twin does not read a log, decode, check or fold: it is given each batch's rows as tuples, and writes them and a
position row as one would by hand: executemany on SQLite; on Postgres binary COPY into a temporary table and an INSERT …
ON CONFLICT. `hot` is 1,000 accounts in rotation, `distinct` gives each account one event, so that every event is a row.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from benchmarks.job import EVENTS, TOPICS, Deposited, Withdrawn, accounts
from benchmarks.measure import Row, Taken, in_turn, rates_row, timed
from eventcore import Value
from eventcore.avro.envelope import NOTHING, Envelope, write_envelope
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, TopicPlan
from projections import Projection, ProjectionRunner, Views, open_views
from projections.runner import BATCH_EVENTS_MAX
from tests.servers import postgres

TOTAL = 200_000
HOT = 1_000
Stored = tuple[str, int, int]
numbers = itertools.count()

TABLE = "(account TEXT {} PRIMARY KEY, balance BIGINT NOT NULL, turns BIGINT NOT NULL)"
BYTEWISE = 'COLLATE "C"'
RESOLVE = " ON CONFLICT (account) DO UPDATE SET balance = excluded.balance, turns = excluded.turns"


class Balance(Value):
    """What an account holds."""

    account: str
    balance: int
    turns: int


def balance_row(row: Balance | None, account: str, event: Deposited | Withdrawn) -> Balance | None:
    """The user's fold."""
    balance, turns = (row.balance, row.turns) if row is not None else (0, 0)
    match event:
        case Deposited(amount):
            return Balance(account, balance + amount, turns + 1)
        case Withdrawn(amount):
            return Balance(account, balance - amount, turns + 1)


class Job(NamedTuple):
    """A log full of events, and the final rows of each batch of it."""

    name: str
    log: MemoryLog
    batches: list[list[Stored]]


def rows(*, full: bool = False) -> list[Row]:  # noqa: ARG001 - of one size only
    """The lines of the table."""
    jobs = [job("hot", HOT), job("distinct", TOTAL)]
    table: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for each in jobs:
            ours, twin = in_turn(lambda: _into_sqlite(each, folder), lambda: _sqlite_twin(each, folder))  # noqa: B023 - called at once
            goal = "≥ 300 k" if each.name == "hot" else ""
            table.append(rates_row(f"projection into SQLite, {each.name} keys", "events/s", ours, twin, goal))
    with postgres() as server:
        for each in jobs:
            ours, twin = in_turn(lambda: _into_postgres(each, server.url), lambda: _postgres_twin(each, server.url))  # noqa: B023 - the same
            goal = "≥ 400 k" if each.name == "hot" else "≥ 0.5 of the twin"
            table.append(rates_row(f"projection into Postgres, {each.name} keys", "events/s", ours, twin, goal))
    return table


def job(name: str, keys: int) -> Job:
    """Events as a lane writes them, to `keys` accounts in rotation."""
    log = MemoryLog()
    log.provision([TopicPlan(TOPICS.events, 1)])
    held: dict[str, tuple[int, int]] = {}
    batches: list[list[Stored]] = []
    for first in range(0, TOTAL, BATCH_EVENTS_MAX):
        touched: set[str] = set()
        records: list[Record] = []
        for n in range(first, first + BATCH_EVENTS_MAX):
            account = f"account-{n * 7919 % keys:06}"  # a stride that visits every key once a round, out of order
            balance, turns = held.get(account, (0, 0))
            amount = 1 + n % 50
            held[account] = (balance + amount, turns + 1)
            touched.add(account)
            envelope = write_envelope(Envelope(n.to_bytes(16, "big"), turns + 1, 0, 1, 1, n + 1, n, n, NOTHING))
            records.append(Record(account.encode(), EVENTS.encode(Deposited(amount)), envelope))
        log.append(TOPICS.events, 0, records)
        batches.append([(account, *held[account]) for account in sorted(touched)])
    return Job(name, log, batches)


def _ours(each: Job, views: Views) -> Taken:
    projection = Projection(f"balances{next(numbers)}", accounts, Balance, balance_row)
    views.prepare([projection])
    runner = ProjectionRunner(projection, each.log, views, EVENTS, TOPICS.events)
    runner.start()

    def work() -> None:
        done = 0
        while done < TOTAL:
            done += runner.step(0)

    taken = timed(TOTAL, work)
    runner.close()
    return taken


def _into_sqlite(each: Job, folder: str) -> Taken:
    with contextlib.closing(open_views(f"sqlite:{folder}/{next(numbers)}.db")) as views:
        views.upgrade()
        return _ours(each, views)


def _sqlite_twin(each: Job, folder: str) -> Taken:
    db = sqlite3.connect(Path(folder) / f"{next(numbers)}.db", isolation_level=None)
    with contextlib.closing(db):
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"CREATE TABLE raw {TABLE.format('')} WITHOUT ROWID")
        db.execute("CREATE TABLE position (next_offset INTEGER)")

        def write(batch: list[Stored]) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE position SET next_offset = next_offset + 1")
            db.executemany("INSERT INTO raw VALUES (?, ?, ?)" + RESOLVE, batch)
            db.execute("COMMIT")

        return _each_batch(each, write)


def _into_postgres(each: Job, url: str) -> Taken:
    with contextlib.closing(open_views(url)) as views:
        views.upgrade()
        return _ours(each, views)


def _postgres_twin(each: Job, url: str) -> Taken:
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS raw, position")
        connection.execute(f"CREATE TABLE raw {TABLE.format(BYTEWISE)}".encode())
        connection.execute("CREATE TABLE position (next_offset BIGINT)")
        connection.execute("CREATE TEMPORARY TABLE load (a TEXT, b BIGINT, c BIGINT) ON COMMIT DELETE ROWS")
        connection.commit()

        def write(batch: list[Stored]) -> None:
            connection.execute("UPDATE position SET next_offset = next_offset + 1")
            with connection.cursor() as cursor:
                with cursor.copy("COPY load FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(["text", "int8", "int8"])
                    for row in batch:
                        copy.write_row(row)
                cursor.execute(("INSERT INTO raw SELECT * FROM load" + RESOLVE).encode())
            connection.commit()

        return _each_batch(each, write)


def _each_batch(each: Job, write: Callable[[list[Stored]], Any]) -> Taken:
    def work() -> None:
        for batch in each.batches:
            write(batch)

    return timed(TOTAL, work)
