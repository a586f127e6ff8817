"""`SqliteLog`: the log port on one SQLite file."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Mapping, Sequence

from eventcore.errors import SystemFault
from eventcore.log.checks import check_counts, check_plans, check_records, check_start, lane_reader
from eventcore.log.port import Difference, Record, Share, TopicPlan
from eventcore.log.sole import Line, SoleMember
from eventcore.log.sqlite.file import Table
from eventcore.log.sqlite.lease import Lease, sign
from eventcore.log.sqlite.read import SqliteFollower
from eventcore.log.sqlite.store import Store
from eventcore.log.sqlite.write import SqliteWriter
from eventcore.topics import Topics

LOGGER = logging.getLogger("eventcore.log.sqlite")


class SqliteLog:
    """A log in the file at `path`, made if it is missing. Any thread may use it, and so may other processes.

    Lanes belong to one process at a time; everybody else appends and follows. Nothing is ever deleted: a plan's
    retention and compaction are written down and have no effect here.
    """

    def __init__(self, path: str) -> None:
        self._store = Store(path)
        self._lease = Lease(path)
        self._lock = threading.RLock()  # of what follows
        self._writers: dict[tuple[Topics, int], SqliteWriter] = {}
        self._followers: set[SqliteFollower] = set()
        self._lines: dict[tuple[Topics, str | None], Line] = {}
        self.dropped = 0  # records that were posted and not taken

    def provision(self, plans: Sequence[TopicPlan]) -> None:
        """Create the topics that are missing, all or none. Raises NotSupported for other numbers of partitions.

        Those for posts are not made: a file would keep them for ever, and a post would cost as much as a commit.
        """
        check_plans(plans)
        plans = [plan for plan in plans if plan.kept_bytes is None]

        def work(connection: sqlite3.Connection) -> list[tuple[str, int]]:
            existing: dict[str, int] = dict(connection.execute("SELECT name, partitions FROM topics").fetchall())
            check_counts(plans, existing)
            for plan in plans:
                if plan.name not in existing:
                    existing[plan.name] = plan.partitions
                    row = (plan.name, plan.partitions, plan.cleanup, plan.kept_ms)
                    connection.execute("INSERT INTO topics VALUES (?, ?, ?, ?)", row)
                    for partition in range(plan.partitions):
                        connection.execute(Table(plan.name, partition).create)
            return list(existing.items())

        self._store.learn(self._store.transaction("provisioning topics", work))

    def differences(self, plans: Sequence[TopicPlan]) -> Sequence[Difference]:  # noqa: ARG002 - a topic has no settings here
        """None: a topic has no settings here."""
        return ()

    def partitions(self, topic: str) -> int:
        """The number of partitions. Raises UnknownName."""
        return self._store.count(topic)

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> Sequence[int]:
        """Write records outside any lane, all at once and next to each other."""
        check_records(topic, records)
        at = self._store.table(topic, partition)
        if not records:
            return ()
        doing = f"appending to {topic}[{partition}]"
        return self._store.transaction(doing, lambda _: self._store.insert(at, records))

    def post(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Write records as `append` does; those that the file does not take are dropped, and counted in `dropped`."""
        try:
            self.append(topic, partition, records)
        except SystemFault as fault:
            self.dropped += len(records)
            LOGGER.info("%d records for %s[%d] were dropped: %s", len(records), topic, partition, fault)

    def follow(self, topic: str, starts: Mapping[int, int]) -> SqliteFollower:
        """Follow the given partitions from the given offsets. Raises DataError beyond the end."""
        for partition, start in starts.items():
            check_start(topic, partition, start, 0, self.end(topic, partition))
        follower = SqliteFollower(self._store, topic, starts, self._forget_follower)
        with self._lock:
            self._followers.add(follower)
        return follower

    def beginning(self, topic: str, partition: int) -> int:
        """The first offset that is kept: always 0."""
        self._store.table(topic, partition)
        return 0

    def end(self, topic: str, partition: int) -> int:
        """The next offset to be written: undecided records are not in the file yet."""
        ((last,),) = self._store.read(self._store.table(topic, partition).end)
        return 0 if last is None else last + 1

    def stable_end(self, topic: str, partition: int) -> int:
        """The next offset that a reader could not read yet."""
        return self.end(topic, partition)

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """The offset of the first record whose time is at least `time_ms`; else the end.

        Times have no index, for the speed of writing: the partition is read from its beginning up to that record.
        """
        found = self._store.read(self._store.table(topic, partition).by_time, (time_ms,))
        return found[0][0] if found else self.end(topic, partition)

    def own(self, topics: Topics, partition: int) -> SqliteWriter:
        """Become the single writer; a former one of this handle is fenced.

        Raises OwnedElsewhere, naming the process, while another one owns lanes of this file.
        """
        for topic in topics:
            self._store.table(topic, partition)
        with self._lock:
            self._lease.take(self._store)
            if (former := self._writers.get((topics, partition))) is not None:
                former.fence()  # it stays known until it is replaced: what it holds, `close` can still end
            term = self._store.transaction(
                "owning a lane", lambda connection: _next_term(connection, topics, partition)
            )
            writer = SqliteWriter(self._store, topics, partition, term, self._forget_writer)
            self._writers[topics, partition] = writer
            return writer

    def join(self, topics: Topics, share: Share, group: str | None = None) -> SoleMember:
        """Become the member that has all partitions; a second one waits until the first has left.

        Other processes are told by `own` that the lanes are owned.
        """
        partitions = self._store.count(topics.commands)
        with self._lock:
            return self._lines.setdefault((topics, group), Line()).join(partitions, share)

    def owners(self, topics: Topics) -> Mapping[int, str]:
        """The process that owns the lanes of this file, for each partition."""
        holder = self._lease.holder(self._store)
        return {} if holder is None else dict.fromkeys(range(self.partitions(topics.commands)), holder)

    def saved(self, reader: str, topic: str, partition: int) -> int | None:
        """The position that `reader` saved last, or None."""
        self._store.table(topic, partition)
        found = self._store.read(
            "SELECT position FROM positions WHERE reader = ? AND topic = ? AND partition = ?",
            (reader, topic, partition),
        )
        return found[0][0] if found else None

    def save(self, reader: str, topic: str, positions: Mapping[int, int]) -> None:
        """Remember how far `reader` has come."""
        for partition in positions:
            self._store.table(topic, partition)
        rows = [(reader, topic, partition, position) for partition, position in positions.items()]
        if rows:
            self._store.transaction(f"saving the position of {reader}", lambda c: c.executemany(SAVE, rows))

    def close(self) -> None:
        """Close writers, followers and the file, and give the ownership back."""
        with self._lock:
            if self._store.closed:
                return
            for writer in list(self._writers.values()):
                writer.close()
            for follower in list(self._followers):
                follower.close()
            self._store.close()
            self._lease.give_back()

    def _forget_follower(self, follower: SqliteFollower) -> None:
        with self._lock:
            self._followers.discard(follower)

    def _forget_writer(self, writer: SqliteWriter) -> None:
        with self._lock:
            for lane, known in list(self._writers.items()):
                if known is writer:
                    del self._writers[lane]
            if not self._writers:
                self._lease.give_back()


SAVE = (
    "INSERT INTO positions (reader, topic, partition, position) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (reader, topic, partition) DO UPDATE SET position = excluded.position"
)


def _next_term(connection: sqlite3.Connection, topics: Topics, partition: int) -> int:
    """Count the lane's term up, in the open transaction, and sign as the owner."""
    sign(connection)
    lane = (lane_reader(topics), topics.commands, partition)
    connection.execute(
        "INSERT INTO positions (reader, topic, partition, term) VALUES (?, ?, ?, 1) "
        "ON CONFLICT (reader, topic, partition) DO UPDATE SET term = term + 1",
        lane,
    )
    (term,) = connection.execute(
        "SELECT term FROM positions WHERE reader = ? AND topic = ? AND partition = ?", lane
    ).fetchone()
    return int(term)
