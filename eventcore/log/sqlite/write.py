"""The single writer of one lane (S2, S3)."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from eventcore.errors import EventcoreError, Fenced, OutcomeUnknown, WrongUse
from eventcore.log.checks import check_lane_topic, check_records, lane_reader
from eventcore.log.port import Record, Standing
from eventcore.log.sqlite.faults import fault
from eventcore.log.sqlite.store import Store
from eventcore.topics import Topics

HELD: Final = "SELECT 1 FROM positions WHERE reader = ? AND topic = ? AND partition = ? AND term = ?"
MOVE: Final = "UPDATE positions SET position = ? WHERE reader = ? AND topic = ? AND partition = ? AND term = ?"


class SqliteWriter:
    """The single writer of one lane's partition; a `LocalWriter` too. One thread at a time."""

    def __init__(
        self, store: Store, topics: Topics, partition: int, term: int, release: Callable[[SqliteWriter], None]
    ) -> None:
        self._store = store
        self._topics = topics
        self._partition = partition
        self._tables = {topic: store.table(topic, partition) for topic in topics}
        self._lane = (lane_reader(topics), topics.commands, partition, term)
        self._name = f"{lane_reader(topics)}[{partition}]"
        self._release = release
        self._using = threading.RLock()  # `own` fences from another thread
        self._pending: dict[str, list[Record]] = {}
        self._received = range(0)
        self._valid = -1  # the term was ours when the store's `valid` was this
        self._held: list[bool] = []  # while the SQL transaction is open, this writer holds the file's `writing`
        self._finished: EventcoreError | None = None
        self._committed: Mapping[str, Sequence[int]] | None = None  # what `settle` is to return

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Add records to the open transaction."""
        check_lane_topic(self._topics, topic)
        check_records(topic, records)
        with self._using:
            self._check_usable()
            if records:
                self._pending.setdefault(topic, []).extend(records)

    def receive(self, records: Sequence[Record]) -> int:
        """Append commands to this lane's own commands partition in the open transaction; return the first's offset."""
        check_records(self._topics.commands, records)
        with self._using:
            self._check_usable()
            try:
                if not self._held:
                    self._begin()
                received = self._store.insert(self._tables[self._topics.commands], records)
                self._received = range(self._received.start if self._received else received.start, received.stop)
            except sqlite3.Error as raised:
                raise self._fail(raised, "receiving commands of") from raised
            except EventcoreError:
                raise
            except BaseException as raised:
                self._interrupted(raised, "receiving commands of")
                raise
            return received.start

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:  # noqa: ARG002 - always None
        """Make the transaction visible and durable, here and now."""
        if self._committed is not None:
            raise WrongUse("a commit is under way already; settle it first")
        self._committed = self._commit(consumed)

    def settle(self) -> Mapping[str, Sequence[int]]:
        """Return the offsets of the records that were committed last, by topic."""
        offsets, self._committed = self._committed, None
        return offsets or {}

    def settled(self) -> bool:
        """Always: what was begun is done."""
        return True

    def commit(self, consumed: int | None, standing: Standing | None = None) -> Mapping[str, Sequence[int]]:
        """Make the transaction visible and durable; return the appended records' offsets by topic."""
        self.begin_commit(consumed, standing)
        return self.settle()

    def _commit(self, consumed: int | None) -> Mapping[str, Sequence[int]]:
        with self._using:
            self._check_usable()
            if not self._held and not self._pending and consumed is None:
                return {}
            try:
                return self._write(consumed)
            except EventcoreError:
                raise
            except BaseException as raised:
                self._interrupted(raised, "committing")
                raise

    def _write(self, consumed: int | None) -> Mapping[str, Sequence[int]]:
        if not self._held:
            self._begin()
        offsets: dict[str, Sequence[int]] = {}
        if self._received:
            offsets[self._topics.commands] = self._received
        store = self._store
        try:
            if consumed is not None:
                store.connection.execute(MOVE, (consumed, *self._lane))
            for topic, records in self._pending.items():
                offsets[topic] = store.insert(self._tables[topic], records)
        except sqlite3.Error as raised:
            raise self._fail(raised, "committing") from raised
        self._forget()
        try:
            store.commit(f"committing {self._name}", self._held)
        except EventcoreError as failed:
            self._finished = failed
            raise
        return offsets

    def abort(self) -> None:
        """Drop the open transaction."""
        with self._using:
            self._drop()

    def close(self) -> None:
        """Abort what is open and give the ownership back."""
        with self._using:
            self._drop()
            if self._finished is None:
                self._finished = WrongUse("this writer was closed; own the lane again")
        self._release(self)

    def fence(self) -> None:
        """End this writer because the lane is owned again; what it holds is dropped."""
        with self._using:
            self._drop()
            self._finished = self._finished or self._fenced()

    def _begin(self) -> None:
        """Begin the SQL transaction, and compare the term if it may have changed."""
        store = self._store
        store.begin(self._name, self._held)
        if self._valid == store.valid:
            return
        try:
            held = store.connection.execute(HELD, self._lane).fetchone()
        except sqlite3.Error as raised:
            raise self._fail(raised, "writing") from raised
        if held is None:
            self._drop()
            self._finished = self._fenced()
            raise self._finished
        self._valid = store.valid

    def _drop(self) -> None:
        """Roll back what is open, and forget what was to be written."""
        self._forget()
        self._store.roll_back(self._held)

    def _forget(self) -> None:
        self._pending.clear()
        self._received = range(0)

    def _fail(self, raised: sqlite3.Error, doing: str) -> EventcoreError:
        self._drop()
        self._finished = fault(raised, f"{doing} {self._name}", self._store.path)
        return self._finished

    def _interrupted(self, by: BaseException, doing: str) -> None:
        """End this writer because something that is no fault of the log's, as Ctrl-C, ended what it did."""
        self._finished = OutcomeUnknown(
            f"{doing} {self._name} in {self._store.path} was interrupted ({type(by).__name__}). It is committed whole or "
            "not at all: own the lane again and look"
        )
        self._drop()

    def _fenced(self) -> Fenced:
        return Fenced(
            f"{self._name} in {self._store.path} was owned again after this writer; nothing was written. "
            "This lane steps down: own it again only if it is still meant to run here"
        )

    def _check_usable(self) -> None:
        if self._finished is not None:
            raise self._finished
