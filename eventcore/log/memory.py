"""A log in memory: for tests, simulations and reading. The reference adapter: read this before you write another.

Theory of operation. A partition is a list of records. Those of an undecided transaction stand at its tail, where no
reader looks (L1): `visible` counts the decided ones. A commit moves `visible` to the end; an abort cuts the tail off
and leaves its offsets unused, a gap as on a broker. While a writer holds a partition nobody else appends to it, so the
tail is always one transaction's, and its offsets are contiguous. Everything happens under one lock, a `Condition` that
also wakes followers; to own a lane is to stand in `owners`, so a former writer finds somebody else there (L2).

Nothing is ever deleted: a plan's retention and compaction mean nothing here.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from eventcore.errors import Fenced, LogUnavailable, UnknownName, WrongUse
from eventcore.log.checks import (
    check_counts,
    check_lane_topic,
    check_partition,
    check_plans,
    check_records,
    check_start,
    lane_reader,
)
from eventcore.log.port import Difference, Record, Recorded, Share, Standing, TopicPlan
from eventcore.log.sole import Line, SoleMember
from eventcore.topics import Topics

HELD_S_MAX = 10.0  # how long an append waits for a writer that holds the partition: far longer than any commit


class MemoryLog:
    """A log that ends with its process. Any thread may use it."""

    def __init__(self) -> None:
        self._store = _Store()
        self._lines: dict[tuple[Topics, str | None], Line] = {}
        self.dropped = 0  # records that were posted and not taken

    def provision(self, plans: Sequence[TopicPlan]) -> None:
        """Create the topics that are missing. Raises NotSupported for other numbers of partitions."""
        check_plans(plans)
        with self._store.opened() as store:
            check_counts(plans, {name: len(partitions) for name, partitions in store.topics.items()})
            for plan in plans:
                store.topics.setdefault(plan.name, [_Partition() for _ in range(plan.partitions)])

    def differences(self, plans: Sequence[TopicPlan]) -> Sequence[Difference]:  # noqa: ARG002 - a topic has no settings here
        """None: a topic has no settings here."""
        return ()

    def partitions(self, topic: str) -> int:
        """The number of partitions. Raises UnknownName."""
        with self._store.opened() as store:
            return len(store.topic(topic))

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> Sequence[int]:
        """Write records outside any lane, all at once and next to each other."""
        check_records(topic, records)
        with self._store.opened() as store:
            place = store.at(topic, partition)
            if not store.changed.wait_for(lambda: place.holder is None, HELD_S_MAX):
                raise LogUnavailable(
                    f"a transaction has held {topic}[{partition}] for {HELD_S_MAX:.0f} s; nothing was written. "
                    "Commit or abort it first: a thread that holds a partition cannot append past itself"
                )
            offsets = place.add(records)
            place.decide(keep=True)
            store.changed.notify_all()
            return offsets

    def post(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Write records if nobody's transaction holds the partition; else drop them, and count them in `dropped`."""
        check_records(topic, records)
        with self._store.opened() as store:
            place = store.at(topic, partition)
            if place.holder is not None:
                self.dropped += len(records)
                return
            place.add(records)
            place.decide(keep=True)
            store.changed.notify_all()

    def follow(self, topic: str, starts: Mapping[int, int]) -> MemoryFollower:
        """Follow the given partitions from the given offsets. Raises DataError beyond the end."""
        with self._store.opened() as store:
            places = {partition: store.at(topic, partition) for partition in starts}
            for partition, place in places.items():
                check_start(topic, partition, starts[partition], 0, place.end)
            return MemoryFollower(store, places, starts)

    def beginning(self, topic: str, partition: int) -> int:
        """The first offset that is kept: always 0."""
        with self._store.opened() as store:
            store.at(topic, partition)
            return 0

    def end(self, topic: str, partition: int) -> int:
        """The next offset to be written, undecided records counted."""
        with self._store.opened() as store:
            return store.at(topic, partition).end

    def stable_end(self, topic: str, partition: int) -> int:
        """The next offset that a reader could not read yet."""
        with self._store.opened() as store:
            return store.at(topic, partition).stable

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """The offset of the first committed record whose time is at least `time_ms`; else the stable end."""
        with self._store.opened() as store:
            place = store.at(topic, partition)
            decided = place.records[: place.visible]
            return next((record.offset for record in decided if record.time_ms >= time_ms), place.stable)

    def own(self, topics: Topics, partition: int) -> MemoryWriter:
        """Become the single writer; the former one is fenced and what it left open is aborted (L2)."""
        with self._store.opened() as store:
            for topic in topics:
                store.release(store.at(topic, partition))
            writer = store.owners[topics, partition] = MemoryWriter(store, topics, partition)
            return writer

    def join(self, topics: Topics, share: Share, group: str | None = None) -> SoleMember:
        """Become the member that has all partitions; a second one waits until the first has left."""
        with self._store.opened() as store:
            return self._lines.setdefault((topics, group), Line()).join(len(store.topic(topics.commands)), share)

    def owners(self, topics: Topics) -> Mapping[int, str]:
        """This process, for the lanes that it has owned."""
        with self._store.opened() as store:
            return {partition: "this process" for owned, partition in store.owners if owned == topics}

    def saved(self, reader: str, topic: str, partition: int) -> int | None:
        """The position that `reader` saved last, or None."""
        with self._store.opened() as store:
            store.at(topic, partition)
            return store.saved.get((reader, topic, partition))

    def save(self, reader: str, topic: str, positions: Mapping[int, int]) -> None:
        """Remember how far `reader` has come."""
        with self._store.opened() as store:
            for partition, position in positions.items():
                store.at(topic, partition)
                store.saved[reader, topic, partition] = position

    def close(self) -> None:
        """End the log: its content is gone, writers and followers are closed."""
        with self._store.changed:
            self._store.closed = True
            self._store.changed.notify_all()


class MemoryFollower:
    """Reads decided records of one topic from its positions on."""

    def __init__(self, store: _Store, places: Mapping[int, _Partition], starts: Mapping[int, int]) -> None:
        self._store = store
        self._places = places
        self._positions = dict(starts)
        self._closed = False

    @property
    def positions(self) -> Mapping[int, int]:
        """The next offset of each followed partition."""
        return dict(self._positions)

    def poll(self, most: int, timeout_s: float) -> Mapping[int, Sequence[Recorded]]:
        """Return at most `most` records by partition, waiting up to `timeout_s` for the first."""
        if self._closed:
            raise WrongUse("this follower was closed; follow again")
        with self._store.opened() as store:
            store.changed.wait_for(lambda: store.closed or any(self._lag(p) for p in self._places), timeout_s)
            store.check_open()
            found: dict[int, Sequence[Recorded]] = {}
            for partition in sorted(self._places, key=self._lag, reverse=True):  # a busy one starves nobody
                if taken := self._take(partition, most):
                    found[partition] = taken
                    most -= len(taken)
            return found

    def close(self) -> None:
        """End this follower."""
        self._closed = True

    def _lag(self, partition: int) -> int:
        return self._places[partition].stable - self._positions[partition]

    def _take(self, partition: int, most: int) -> Sequence[Recorded]:
        place, position = self._places[partition], self._positions[partition]
        index = bisect_left(place.records, position, hi=place.visible, key=_offset_of)
        until = min(index + most, place.visible)
        after = place.stable if until == place.visible else place.records[until].offset
        self._positions[partition] = max(position, after)
        return place.records[index:until]


class MemoryWriter:
    """The single writer of one lane's partition; a `LocalWriter` too."""

    def __init__(self, store: _Store, topics: Topics, partition: int) -> None:
        self._store = store
        self._topics = topics
        self._partition = partition
        self._firsts: dict[str, int] = {}  # where the open transaction begins in each topic
        self._committed: Mapping[str, Sequence[int]] | None = None  # what `settle` is to return
        self._closed = False

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Add records to the open transaction."""
        check_lane_topic(self._topics, topic)
        self._add(topic, records)

    def receive(self, records: Sequence[Record]) -> int:
        """Append commands to this lane's own commands partition in the open transaction; return the first's offset."""
        return self._add(self._topics.commands, records)

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:  # noqa: ARG002 - always None
        """Make the transaction visible, here and now."""
        if self._committed is not None:
            raise WrongUse("a commit is under way already; settle it first")
        with self._store.opened() as store:
            self._check_owner()
            places = {topic: store.at(topic, self._partition) for topic in self._firsts}
            offsets = {topic: range(self._firsts[topic], place.end) for topic, place in places.items()}
            for place in places.values():
                place.decide(keep=True)
            self._firsts.clear()
            if consumed is not None:
                store.saved[lane_reader(self._topics), self._topics.commands, self._partition] = consumed
            store.changed.notify_all()
            self._committed = offsets

    def settle(self) -> Mapping[str, Sequence[int]]:
        """Return the offsets of the records that were committed last, by topic."""
        offsets, self._committed = self._committed, None
        return offsets or {}

    def settled(self) -> bool:
        """Always: what was begun is done."""
        return True

    def commit(self, consumed: int | None, standing: Standing | None = None) -> Mapping[str, Sequence[int]]:
        """Make the transaction visible; return the appended records' offsets by topic."""
        self.begin_commit(consumed, standing)
        return self.settle()

    def abort(self) -> None:
        """Drop the open transaction; a fenced writer has none."""
        with self._store.changed:
            for topic in self._firsts:
                place = self._store.at(topic, self._partition)
                if place.holder is self:
                    self._store.release(place)
            self._firsts.clear()

    def close(self) -> None:
        """Abort what is open and give the ownership back."""
        with self._store.changed:
            if not self._store.closed:
                self.abort()
            self._closed = True

    def _add(self, topic: str, records: Sequence[Record]) -> int:
        check_records(topic, records)
        with self._store.opened() as store:
            self._check_owner()
            place = store.at(topic, self._partition)
            place.holder = self
            first = place.add(records).start
            self._firsts.setdefault(topic, first)
            return first

    def _check_owner(self) -> None:
        if self._closed:
            raise WrongUse("this writer was closed; own the lane again")
        if self._store.owners.get((self._topics, self._partition)) is not self:
            raise Fenced(
                f"{lane_reader(self._topics)}[{self._partition}] was owned again after this writer; nothing was "
                "written. This lane steps down: own it again only if it is still meant to run here"
            )


class _Partition:
    """Records in offset order; those from index `visible` on are `holder`'s, and undecided."""

    __slots__ = ("end", "holder", "records", "stable", "visible")

    def __init__(self) -> None:
        self.records: list[Recorded] = []
        self.visible = 0
        self.stable = 0  # the offset after everything decided
        self.end = 0
        self.holder: MemoryWriter | None = None

    def add(self, records: Sequence[Record]) -> range:
        first, now_ms = self.end, time.time_ns() // 1_000_000
        self.records += [
            Recorded(offset, r.key, r.value, r.envelope, r.time_ms or now_ms, r.headers)
            for offset, r in enumerate(records, first)
        ]
        self.end = first + len(records)
        return range(first, self.end)

    def decide(self, *, keep: bool) -> None:
        if not keep:
            del self.records[self.visible :]
        self.visible = len(self.records)
        self.stable = self.end
        self.holder = None


class _Store:
    """What a log, its writers and its followers share; everything in it is read and changed under `changed`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()  # reentrant, and notified whenever something was decided
        self.topics: dict[str, list[_Partition]] = {}
        self.owners: dict[tuple[Topics, int], MemoryWriter] = {}
        self.saved: dict[tuple[str, str, int], int] = {}
        self.closed = False

    @contextmanager
    def opened(self) -> Generator[_Store, None, None]:
        """Hold the lock of a log that is open."""
        with self.changed:
            self.check_open()
            yield self

    def check_open(self) -> None:
        if self.closed:
            raise WrongUse("this log was closed; open another one")

    def topic(self, name: str) -> list[_Partition]:
        if (places := self.topics.get(name)) is None:
            raise UnknownName("topic", name, list(self.topics))
        return places

    def at(self, topic: str, partition: int) -> _Partition:
        places = self.topic(topic)
        check_partition(topic, partition, len(places))
        return places[partition]

    def release(self, place: _Partition) -> None:
        """Abort what an undecided transaction left in a partition."""
        place.decide(keep=False)
        self.changed.notify_all()


def _offset_of(record: Recorded) -> int:
    return record.offset
