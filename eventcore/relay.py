"""The relay: moves what committed records ask for from one topic to others, at least once and in order.

One relay reads partitions of its source topic: all, or those that are its process's share. What no lane wrote there is
passed over. A `route` turns a record into what is to be sent, or nothing; what is sent carries its source position and a
deterministic command id, so the lane that receives it twice answers twice and decides once. The position is saved after the acknowledgement: a crash between the two sends again, never skips.
The first failed delivery ends the step with everything from there on unsent.

What is not due yet is held back while others go on, and no position behind it is saved: a relay that starts again reads
it again. Much that is held back ends the reading until some of it is due, so what a relay holds is bounded.

Two relays may read one partition for a moment, while it moves from one process to another. Both send in order, without
gaps, from a position below which everything was delivered: so whatever arrives at the target, all before it has arrived,
and what arrives a second time is known by its source position.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

from eventcore.cut import Cut, Position
from eventcore.errors import WrongUse
from eventcore.lane.runner import wall_clock_ms
from eventcore.lane.strangers import Strangers
from eventcore.log.port import Follower, Log, Record, Recorded

BATCH_RECORDS_MAX = 1_000  # read before what they ask for is sent; bounds what a crash sends again
HELD_MAX = 10_000  # records that are not due yet
HELD_BYTES_MAX = 64 * 1024 * 1024


class Routed(NamedTuple):
    """A record to be sent, and where to; not before `due_ms`, Unix milliseconds."""

    topic: str
    partition: int
    record: Record
    due_ms: int = 0


Route = Callable[[Position, Recorded], Routed | None]


class _Held(NamedTuple):
    """What is not due yet, and the position before it."""

    routed: Routed
    before: int


class Relay:
    """Sends what `route` makes of each committed record of `topic`. Belongs to one thread; `start` it first.

    `strangers` tells which records are a lane's own; without it all are.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        topic: str,
        route: Route,
        strangers: Strangers | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.name = name
        self._log = log
        self.reads = topic
        self._route = route
        self._strangers = strangers
        self._now_ms = now_ms
        self._follower: Follower | None = None
        self._saved: dict[int, int] = {}
        self._read: dict[int, int] = {}
        # Behind the last record that is a lane's own: what is saved, so that it is found again.
        self._own: dict[int, int] = {}
        self._held: dict[int, deque[_Held]] = {}  # by partition, in the order of offsets, which is that of due times
        self._held_count = self._held_bytes = 0

    @property
    def position(self) -> Cut:
        """How far the source topic was relayed, but for what is held back until it is due."""
        return Cut({(self.reads, partition): offset for partition, offset in self._read.items()})

    def start(self, partitions: Collection[int] | None = None) -> None:
        """Stand where the last run saved, in these partitions, or in all. Raises LogUnavailable."""
        self.close()
        own = range(self._log.partitions(self.reads)) if partitions is None else sorted(partitions)
        self._saved = {p: self._log.saved(self.name, self.reads, p) or 0 for p in own}
        self._read, self._own = dict(self._saved), dict(self._saved)
        self._held, self._held_count, self._held_bytes = {}, 0, 0
        if self._strangers is not None:
            self._strangers.stand(self._saved)
        self._follower = self._log.follow(self.reads, self._saved)

    def step(self, timeout_s: float) -> int:
        """Relay one batch; return how many records it had. Whatever it raises, the relay must be started again.

        Raises LogUnavailable, OutcomeUnknown, BrokenLog where a lane's records are missing, and what the route raises.
        """
        if self._follower is None:
            raise WrongUse(f"the relay {self.name} is not started, or failed since: start it")
        try:
            return self._step(self._follower, timeout_s)
        except BaseException:
            self.close()  # it has read what it did not send: going on from here would pass over that
            raise

    def _step(self, follower: Follower, timeout_s: float) -> int:
        next_ms = min((held[0].routed.due_ms for held in self._waiting()), default=None)
        wait_s = timeout_s if next_ms is None else min(timeout_s, max(0, next_ms - self._now_ms()) / 1_000)
        sent: dict[tuple[str, int], list[Record]] = {}
        count = 0
        if self._held_count >= HELD_MAX or self._held_bytes >= HELD_BYTES_MAX:
            time.sleep(wait_s)  # nothing more is read until some of it is due
        else:
            for partition, records in follower.poll(BATCH_RECORDS_MAX, wait_s).items():
                count += len(records)
                self._take(partition, records, sent)
        due = self._due()
        for routed in due:
            sent.setdefault((routed.topic, routed.partition), []).append(routed.record)
        for (topic, partition), records_out in sent.items():
            self._log.append(topic, partition, records_out)
        reached = {p: self._held[p][0].before if self._held.get(p) else at for p, at in self._own.items()}
        moved = {p: at for p, at in reached.items() if at != self._saved[p]}
        if moved:
            self._log.save(self.name, self.reads, moved)
            self._saved |= moved
        self._read = dict(follower.positions)
        return count + len(due)

    def _take(self, partition: int, records: Collection[Recorded], sent: dict[tuple[str, int], list[Record]]) -> None:
        """Route the records of a partition: what is due is added to `sent`, the rest held back."""
        own = list(records) if self._strangers is None else self._strangers.without(partition, records)
        for record in own:
            routed = self._route(Position(self.reads, partition, record.offset), record)
            if routed is not None and routed.due_ms:
                self._held.setdefault(partition, deque()).append(_Held(routed, self._own[partition]))
                self._held_count += 1
                self._held_bytes += _size(routed)
            elif routed is not None:
                sent.setdefault((routed.topic, routed.partition), []).append(routed.record)
            self._own[partition] = record.offset + 1

    def _waiting(self) -> list[deque[_Held]]:
        return [held for held in self._held.values() if held]

    def _due(self) -> list[Routed]:
        """Let go of what is due by now."""
        now_ms = self._now_ms()
        due: list[Routed] = []
        for held in self._waiting():
            while held and held[0].routed.due_ms <= now_ms:
                due.append(held.popleft().routed)
        self._held_count -= len(due)
        self._held_bytes -= sum(map(_size, due))
        return due

    def close(self) -> None:
        """Stop reading. Idempotent."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None


def _size(routed: Routed) -> int:
    return len(routed.record.value or b"")
