"""Commands a second: from the encoded record to the appended event and outcome, envelope and deduplication included."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.job import TOPICS, commands, drain, lane_on
from benchmarks.measure import Row, Taken, in_turn, rates_row, runs, timed
from eventcore.lane.intake import BATCH_TURNS_MAX
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, Recorded
from eventcore.log.sqlite import SqliteLog

IN_MEMORY, ON_SQLITE, ONE_BY_ONE = 100_000, 50_000, 1_000
INSERT = 'INSERT INTO "{}" (key, value, envelope, time_ms) VALUES (?, ?, ?, ?)'
TABLES = ("commands", "events", "outcomes")


def rows(*, full: bool = False) -> list[Row]:  # noqa: ARG001 - of one size only
    """The lines of the table, memory first."""
    return [memory_row(), sqlite_pipelined_row(), sqlite_one_by_one_row()]


def memory_row() -> Row:
    """Commands that stand in a topic in memory, decided in batches."""
    return rates_row("commands in memory", "/s", [_in_memory() for _ in range(runs())], None, "≥ 120 k (200 k)")


def _in_memory() -> Taken:
    log = MemoryLog()
    runner = lane_on(log)
    for batch in _batches(commands(IN_MEMORY)):
        log.append(TOPICS.commands, 0, batch)
    return timed(IN_MEMORY, lambda: drain(runner, IN_MEMORY))


def sqlite_pipelined_row() -> Row:
    """A thousand commands, their events and outcomes in each commit, beside the same rows inserted raw."""
    with tempfile.TemporaryDirectory() as folder:
        stored = _stored_rows(Path(folder) / "shape.db")
        ours, twin = in_turn(lambda: _sqlite(Path(folder)), lambda: _sqlite_twin(Path(folder), stored))
    return rates_row("commands on SQLite, 1,000 a commit", "/s", ours, twin, "≥ 50 k (90 k, 0.45 of the twin)")


def _fresh(folder: Path) -> Path:
    return folder / f"{time.monotonic_ns()}.db"


def _sqlite(folder: Path) -> Taken:
    log = SqliteLog(str(_fresh(folder)))
    try:
        runner = lane_on(log)
        batches = list(_batches(commands(ON_SQLITE)))

        def work() -> None:
            for batch in batches:
                runner.decide(batch)

        return timed(ON_SQLITE, work)
    finally:
        log.close()


Stored = list[list[tuple[bytes | None, bytes | None, bytes | None, int]]]


def _stored_rows(file: Path) -> Stored:
    """The rows of the three topics as our lane writes them: what the twin inserts ready-made."""
    log = SqliteLog(str(file))
    try:
        runner = lane_on(log)
        for batch in _batches(commands(ON_SQLITE)):
            runner.decide(batch)
        return [[_row(record) for record in _everything(log, topic)] for topic in TOPICS[:3]]
    finally:
        log.close()


def _everything(log: SqliteLog, topic: str) -> Iterator[Recorded]:
    follower = log.follow(topic, {0: 0})
    while records := follower.poll(10_000, 0.0).get(0, ()):
        yield from records
    follower.close()


def _row(record: Recorded) -> tuple[bytes | None, bytes | None, bytes | None, int]:
    return record.key, record.value, record.envelope, record.time_ms


def _twin_database(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    for table in TABLES:
        connection.execute(
            f'CREATE TABLE "{table}" (offset INTEGER PRIMARY KEY, key BLOB, value BLOB, envelope BLOB, time_ms INTEGER)'
        )
    return connection


def _sqlite_twin(folder: Path, stored: Stored) -> Taken:
    connection = _twin_database(_fresh(folder))
    commands_, events, outcomes = stored
    share = len(events) / len(commands_)

    def work() -> None:
        for start in range(0, ON_SQLITE, BATCH_TURNS_MAX):
            end = start + BATCH_TURNS_MAX
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT.format("commands"), commands_[start:end])
            connection.executemany(INSERT.format("events"), events[int(start * share) : int(end * share)])
            connection.executemany(INSERT.format("outcomes"), outcomes[start:end])
            connection.execute("COMMIT")

    try:
        return timed(ON_SQLITE, work)
    finally:
        connection.close()


def sqlite_one_by_one_row() -> Row:
    """One command, its event and its outcome in one commit, beside a raw commit of the same three rows."""
    with tempfile.TemporaryDirectory() as folder:
        stored = _stored_rows(Path(folder) / "shape.db")
        pairs = [(_one_by_one(Path(folder)), _one_by_one_twin(Path(folder), stored)) for _ in range(runs())]
    mine, raw = statistics.median(ours for ours, _ in pairs), statistics.median(twin for _, twin in pairs)
    return Row(
        "a command on SQLite, one a commit (p50)",
        f"{mine:.0f} µs",
        f"{raw:.0f} µs",
        f"{mine / raw:.2f}",
        "at most 1.3 of the twin",
    )


def _one_by_one(folder: Path) -> float:
    log = SqliteLog(str(_fresh(folder)))
    try:
        runner = lane_on(log)
        return _p50_us([lambda record=record: runner.decide([record]) for record in commands(ONE_BY_ONE)])
    finally:
        log.close()


def _one_by_one_twin(folder: Path, stored: Stored) -> float:
    connection = _twin_database(_fresh(folder))

    def commit(number: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for table, rows_ in zip(TABLES, stored, strict=True):
            connection.execute(INSERT.format(table), rows_[number])
        connection.execute("COMMIT")

    try:
        return _p50_us([lambda number=number: commit(number) for number in range(ONE_BY_ONE)])
    finally:
        connection.close()


def _p50_us(calls: Sequence[object]) -> float:
    took: list[float] = []
    for call in calls:
        assert callable(call)
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e6


def _batches(records: list[Record]) -> Iterator[list[Record]]:
    for start in range(0, len(records), BATCH_TURNS_MAX):
        yield records[start : start + BATCH_TURNS_MAX]
