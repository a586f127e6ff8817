"""Following partitions: a read connection, polled when something was committed (S4)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from eventcore.errors import WrongUse
from eventcore.log.port import POLL_BYTES_MAX, Recorded
from eventcore.log.sqlite.faults import fault
from eventcore.log.sqlite.file import Table, connect
from eventcore.log.sqlite.store import Row, Store

OTHERS_S = 0.004  # how late a commit of another process is noticed: asking costs about 2 µs
_unpack_headers: Final = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


class SqliteFollower:
    """Reads committed records of one topic. One thread polls; any thread may close."""

    def __init__(
        self, store: Store, topic: str, starts: Mapping[int, int], release: Callable[[SqliteFollower], None]
    ) -> None:
        self._store = store
        self._topic = topic
        self._tables: dict[int, Table] = {partition: store.table(topic, partition) for partition in starts}
        self._positions = dict(starts)
        self._release = release
        self._connection = connect(store.path)
        self._polling = threading.Lock()
        self._seen = (-1, -1)  # commits of this process and of all, when the partitions were read last
        self._closed = False

    @property
    def positions(self) -> Mapping[int, int]:
        """The next offset of each followed partition."""
        return dict(self._positions)

    def poll(self, most: int, timeout_s: float) -> Mapping[int, Sequence[Recorded]]:
        """Return at most `most` records by partition, waiting up to `timeout_s` for the first."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._polling:
                if self._closed or self._store.closed:
                    raise WrongUse("this follower was closed; follow again")
                try:
                    if found := self._read(most):
                        return found
                except sqlite3.Error as raised:
                    raise fault(raised, f"reading {self._topic}", self._store.path) from raised
            if (left := deadline - time.monotonic()) <= 0:
                return {}
            self._store.wait(self._seen[0], min(left, OTHERS_S))

    def close(self) -> None:
        """Give the connection back."""
        with self._polling:
            self._closed = True
            self._connection.close()
        self._release(self)

    def _read(self, most: int) -> dict[int, Sequence[Recorded]]:
        """Read each partition, beginning with another one every time, unless nothing was committed since the last time."""
        commits = self._store.commits
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        found: dict[int, Sequence[Recorded]] = {}
        if self._seen == (commits, version):
            return found
        room = POLL_BYTES_MAX
        for partition, at in list(self._tables.items()):
            records, room = self._records(at, self._positions[partition], most, room)
            if records:
                found[partition] = records
                self._positions[partition] = records[-1].offset + 1
                most -= len(records)
                self._tables[partition] = self._tables.pop(partition)  # to the end: the others come first next time
                if most == 0 or room <= 0:
                    return found
        self._seen = (commits, version)
        return found

    def _records(self, at: Table, start: int, most: int, room: int) -> tuple[list[Recorded], int]:
        """At most `most` records of a partition, none more once `room` bytes are full, and the room that is left."""
        records: list[Recorded] = []
        cursor = self._connection.execute(at.read, (start, most))
        try:
            row: Row
            for row in cursor:  # one by one costs 0.3 µs each; all at once would be in memory before its size is known
                offset, time_ms, key, value, envelope, headers = row
                room -= len(key) + len(value or b"") + len(envelope or b"")
                if headers is None:
                    records.append(Recorded(offset, key, value, envelope, time_ms))
                else:
                    room -= len(headers)
                    records.append(Recorded(offset, key, value, envelope, time_ms, _unpack_headers(headers)))
                if room <= 0:
                    break
        finally:
            cursor.close()  # else it would hold on to what the file was when it began
        return records, room
