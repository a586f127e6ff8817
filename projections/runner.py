"""The runner of a projection: reads its topic, folds by key, commits rows and positions together.

Theory of operation. A step reads a batch from all partitions of the topic, folds the events of each key into one final
row, so that a hot row is written once a batch, and commits rows, deletions, parked records and positions in one
transaction. Rows that a batch touches come from a bounded cache of what this runner wrote or read under its own epoch,
or from the database; an instance whose first event (version 1) is in the batch has none to be read. Whatever a step
raises, the runner's memory is dropped, and the next step takes the partitions over again and reads from where the
database stands: this is also how a commit whose answer was lost is settled. Only a fenced runner does not go on by
itself, because somebody else has its partitions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

from eventcore.avro.catalogue import Catalogue
from eventcore.cut import Cut
from eventcore.errors import Fenced, WrongUse
from eventcore.lane.lineage import Mark
from eventcore.log.port import Follower, Log
from eventcore.value import Value
from projections.folding import Folder, Gap, Reader, Taken, placed_at
from projections.projection import Key, Projection
from projections.views import Advance, Batch, Standing, Views

Row = TypeVar("Row", bound=Value)

BATCH_EVENTS_MAX = 10_000  # a commit of 10,000 rows takes 0.1 s; beyond this, latency grows and throughput does not
CACHED_ROWS_MAX = 100_000  # in each of two generations: with rows of 300 bytes, 60 MB


class ProjectionRunner(Generic[Row]):
    """Runs one projection over partitions of `topic`: all, or those that are its process's share. One thread.

    Processes with other partitions of the same projection do not disturb it: each row's events are in one partition.
    """

    def __init__(
        self, projection: Projection[Row, Any], log: Log, views: Views, catalogue: Catalogue, topic: str
    ) -> None:
        self.projection = projection
        self.reads = topic
        self._log = log
        self._views = views
        self._reader = Reader(projection, catalogue, topic)
        self._folder = Folder(projection, topic)
        self._cache = _Cache[Row]()
        self._follower: Follower | None = None
        self._standing: dict[int, Standing] = {}
        self._last: dict[int, Mark] = {}
        self._gaps: dict[int, Gap | None] = {}
        self._ended: str | None = None
        self._share: Collection[int] | None = None  # None: all partitions

    @property
    def name(self) -> str:
        """How it is shown."""
        return f"projection:{self.projection.name}"

    @property
    def position(self) -> Cut:
        """How far the rows are, as this runner knows it."""
        return Cut({(self.reads, partition): standing.next_offset for partition, standing in self._standing.items()})

    def start(self, partitions: Collection[int] | None = None) -> None:
        """Take these partitions over, or all, and stand where the database stands. Who had one of them is fenced.

        Raises ViewsUnavailable, LogUnavailable; DataError where the log no longer holds what is needed.
        """
        self._share = partitions
        self._take_over()

    def _take_over(self) -> None:
        self._drop()
        self._ended = None
        partitions = range(self._log.partitions(self.reads)) if self._share is None else sorted(self._share)
        self._standing = dict(self._views.take_over(self.projection, self.reads, partitions))
        starts = {partition: standing.next_offset for partition, standing in self._standing.items()}
        self._follower = self._log.follow(self.reads, starts)
        for partition, standing in self._standing.items():
            self._last[partition], self._gaps[partition] = placed_at(self._log, self.reads, partition, standing)

    def step(self, timeout_s: float) -> int:
        """Apply one batch, waiting up to `timeout_s` for its first record; return how many records it had.

        Raises BrokenLog and FoldFailed where it halts, Fenced where another process took over, and the log's and the
        views' faults; after these a further step tries again from what the database holds.
        """
        if self._ended is not None:
            raise WrongUse(self._ended)
        if self._follower is None:
            self._take_over()
        try:
            return self._step(timeout_s)
        except Fenced as fenced:
            self._drop()
            self._ended = f"{self.name} was fenced, and runs again only when it is started again: {fenced}"
            raise
        except BaseException:
            self._drop()
            raise

    def close(self) -> None:
        """Stop reading; the positions stay where they are. A closed runner may be started again. Idempotent."""
        self._drop()
        self._ended = f"{self.name} was closed; start it again"

    def _drop(self) -> None:
        self._cache = _Cache()
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.close()

    def _step(self, timeout_s: float) -> int:
        assert self._follower is not None, "step starts a runner before it reads"
        polled = self._follower.poll(BATCH_EVENTS_MAX, timeout_s)
        reached = self._follower.positions
        taken = {
            partition: self._reader.take(partition, records, self._last[partition], self._gaps.get(partition))
            for partition, records in polled.items()
        }
        advances = self._advances(taken, reached)
        if not advances:
            return 0
        before = self._rows_before(list(taken.values()))
        after: dict[Key, Row | None] = {}
        for partition, each in taken.items():
            after |= self._folder.fold(partition, each, before)
        changed = {key: row for key, row in after.items() if row is not before[key]}
        batch = Batch(
            self.reads,
            advances,
            rows=[row for row in changed.values() if row is not None],
            deleted=[key for key, row in changed.items() if row is None],
            parked=[parked for each in taken.values() for parked in each.parked],
        )
        self._views.commit(self.projection, batch)
        self._cache.keep(after)
        self._standing |= {advance.partition: advance.after() for advance in advances}
        self._last |= {partition: each.last for partition, each in taken.items()}
        self._gaps |= {partition: each.gap for partition, each in taken.items()}
        return sum(len(records) for records in polled.values())

    def _advances(self, taken: dict[int, Taken], reached: Mapping[int, int]) -> list[Advance]:
        advances: list[Advance] = []
        for partition, before in sorted(self._standing.items()):
            each = taken.get(partition)
            last = each.last if each is not None else before
            if reached[partition] != before.next_offset:
                advances.append(Advance(partition, before, reached[partition], last.sequence, last.term))
        return advances

    def _rows_before(self, taken: Sequence[Taken]) -> dict[Key, Row | None]:
        """The rows that these events fold into, None where there is none."""
        rows: dict[Key, Row | None] = {}
        unknown: list[Key] = []
        single = self.projection.key_for is None
        find = self._cache.find
        for each in taken:
            for key in dict.fromkeys(each.keys):
                if (key if single else key[0]) in each.fresh:
                    rows[key] = None
                elif (found := find(key)) is not MISSING:
                    rows[key] = found
                else:
                    unknown.append(key)
        if unknown:
            read = self._views.read_rows(self.projection, unknown)
            rows |= {key: read.get(key) for key in unknown}
        return rows


MISSING: Any = object()


class _Cache(Generic[Row]):
    """Rows as they are in the database, None for one that is known to be absent, in two generations.

    What was not used while a generation filled is forgotten: a cheap approximation of the least recently used.
    """

    def __init__(self) -> None:
        self._young: dict[Key, Row | None] = {}
        self._old: dict[Key, Row | None] = {}

    def find(self, key: Key) -> Any:
        """The row, None where it is absent, MISSING where that is not known."""
        found = self._young.get(key, MISSING)
        return self._old.get(key, MISSING) if found is MISSING else found

    def keep(self, rows: dict[Key, Row | None]) -> None:
        """Remember rows that were committed."""
        self._young.update(rows)
        if len(self._young) > CACHED_ROWS_MAX:
            self._old, self._young = self._young, {}
