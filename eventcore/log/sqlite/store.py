"""What a log, its writers and its followers share: the file's connections, the catalogue, and who wakes whom."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from eventcore.errors import LogUnavailable, UnknownName, WrongUse
from eventcore.log.checks import check_partition
from eventcore.log.port import Record
from eventcore.log.sqlite.faults import BUSY_S, fault
from eventcore.log.sqlite.file import Table, connect, open_file

T = TypeVar("T")
Row = tuple[int, int, bytes, bytes | None, bytes | None, bytes | None]
_pack_headers: Final = msgspec.msgpack.Encoder().encode


class Store:
    """One open file. `writing` is held for the length of each SQL transaction; any thread may call what is here.

    Ctrl-C raises KeyboardInterrupt wherever the main thread is, and who holds `writing` must be known all the same: else a
    program that is interrupted could never close its log. So whoever writes brings a list of its own, `held`, with one
    entry while `writing` is its own. CPython raises what a signal asks for after a call, at a function's beginning and at a
    loop's end, and nowhere else; hence an entry is made within the call that takes the lock (C code from end to end), and
    deleted in the statement before the one that releases it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.writing = threading.Lock()  # not reentrant: a transaction may be begun by one thread and ended by another
        self.connection = open_file(path)
        self._news = (
            threading.RLock()
        )  # entered by itself: in its own `__enter__` a condition can be interrupted, and keep it
        self.committed = threading.Condition(self._news)
        self.commits = 0  # of this process, changed under `writing`
        self.waiting = 0  # followers that wait for `committed`, changed under it
        self.closed = False
        self.valid = 0  # what was remembered of the file holds for this number; counted up when it may not hold
        self._version = -1
        self._reading = threading.Lock()
        self._reader = connect(path)
        self._counts: dict[str, int] = {}
        self._tables: dict[tuple[str, int], Table] = {}

    def table(self, topic: str, partition: int) -> Table:
        """The statements of a topic partition. Raises UnknownName, InvalidValue, and WrongUse after `close`."""
        if self.closed:
            raise WrongUse("this log was closed; open another one")
        if (known := self._tables.get((topic, partition))) is None:
            check_partition(topic, partition, self.count(topic))
            known = self._tables[topic, partition] = Table(topic, partition)
        return known

    def count(self, topic: str) -> int:
        """The number of partitions. Raises UnknownName."""
        if topic not in self._counts:
            self.learn((name, count) for name, count in self.read("SELECT name, partitions FROM topics"))
        if topic not in self._counts:
            raise UnknownName("topic", topic, list(self._counts))
        return self._counts[topic]

    def learn(self, counts: Iterable[tuple[str, int]]) -> None:
        """Remember the catalogue: topics are never removed."""
        self._counts = dict(counts)

    def read(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Every row that a statement reads from what is committed."""
        with self._reading:
            if self.closed:
                raise WrongUse("this log was closed; open another one")
            try:
                return self._reader.execute(statement, parameters).fetchall()
            except sqlite3.Error as raised:
                raise fault(raised, "reading", self.path) from raised

    def begin(self, doing: str, held: list[bool]) -> None:
        """Begin an SQL transaction, and hold `writing`. Raises LogUnavailable when others have it for too long.

        This process writes through one connection only, so what it knows of the file (where tables end, which terms
        are held) is still right unless `data_version` says that somebody else committed: 1 µs instead of 2 a table.
        """
        try:
            held.extend(filter(None, map(self.writing.acquire, (True,), (BUSY_S,))))
            self._check_held(doing, held)
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                (version,) = self.connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.Error as raised:
                raise fault(raised, doing, self.path) from raised
        except BaseException:
            self.roll_back(held)
            raise
        if version != self._version:
            self._version = version
            self.valid += 1

    def _check_held(self, doing: str, held: list[bool]) -> None:
        if not held:
            raise LogUnavailable(
                f"{doing} in {self.path}: a transaction of this process has been open for {BUSY_S:.0f} s. Nothing was "
                "written. Commit or abort it first: a thread that received commands cannot append past itself"
            )
        if self.closed:
            raise WrongUse("this log was closed; open another one")

    def commit(self, doing: str, held: list[bool]) -> None:
        """Commit what `begin` began, let the next one write, and wake followers.

        An interrupt that comes when it is committed already is raised all the same: whoever sees one knows nothing.
        """
        try:
            self.connection.execute("COMMIT")
            self.commits += 1
            del held[:]
            self.writing.release()
        except sqlite3.Error as raised:
            raise fault(raised, doing, self.path, committing=True) from raised
        finally:
            self.roll_back(held)
        if self.waiting:
            with self._news:
                self.committed.notify_all()

    def wait(self, commits: int, timeout_s: float) -> None:
        """Wait until this process has committed more than `commits` times, or the time has passed."""
        with self._news:
            self.waiting += 1  # first this, then the comparison: a commit in between notifies, or is seen
            try:
                if self.commits == commits:
                    self.committed.wait(timeout_s)
            finally:
                self.waiting -= 1

    def roll_back(self, held: list[bool]) -> None:
        """Drop what `begin` began, and let the next one write. Does nothing for who does not hold `writing`."""
        if not held:
            return
        self.valid += 1
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        finally:
            del held[:]
            self.writing.release()

    def transaction(self, doing: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some work in a transaction of its own, and return its result once it is durable."""
        held: list[bool] = []
        try:
            self.begin(doing, held)
            try:
                result = work(self.connection)
            except sqlite3.Error as raised:
                raise fault(raised, doing, self.path) from raised
            self.commit(doing, held)
        except BaseException:
            self.roll_back(held)
            raise
        finally:
            self.roll_back(held)  # a second interrupt may have fallen on the call above
        return result

    def insert(self, at: Table, records: Sequence[Record]) -> range:
        """Insert records behind the last one, in the open transaction; return their offsets."""
        if at.valid != self.valid:
            (last,) = self.connection.execute(at.end).fetchone()
            at.next, at.valid = (0 if last is None else last + 1), self.valid
        first, now_ms = at.next, time.time_ns() // 1_000_000
        if len(records) == 1:
            self.connection.execute(at.insert, _row(first, records[0], now_ms))
        else:
            self.connection.executemany(at.insert, _rows(first, records, now_ms))
        at.next = after = first + len(records)
        return range(first, after)

    def close(self) -> None:
        """Close the connections, after the transaction that is under way."""
        self.closed = True
        with self._news:
            self.committed.notify_all()
        with self.writing, self._reading:
            self._reader.close()
            self.connection.close()


def _rows(first: int, records: Sequence[Record], now_ms: int) -> list[Row]:
    return [
        (offset, r.time_ms or now_ms, r.key, r.value, r.envelope, _pack_headers(r.headers) if r.headers else None)
        for offset, r in enumerate(records, first)
    ]


def _row(offset: int, r: Record, now_ms: int) -> Row:
    headers = _pack_headers(r.headers) if r.headers else None
    return (offset, r.time_ms or now_ms, r.key, r.value, r.envelope, headers)
