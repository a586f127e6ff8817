"""The relay: moves what committed records ask for from one topic to others, at least once and in order.

One relay reads partitions of its source topic: all, or those that are its process's share. A `route` turns a record into what is to be sent, or nothing; what
is sent carries its source position and a deterministic command id, so the lane that receives it twice answers twice
and decides once. The position is saved after the acknowledgement: a crash between the two sends again, never skips.
The first failed delivery ends the step with everything from there on unsent.

Two relays may read one partition for a moment, while it moves from one process to another. Both send in order, without
gaps, from a position below which everything was delivered: so whatever arrives at the target, all before it has arrived,
and what arrives a second time is known by its source position.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from eventcore.cut import Cut, Position
from eventcore.errors import WrongUse
from eventcore.log.port import Follower, Log, Record, Recorded

BATCH_RECORDS_MAX = 1_000  # read before what they ask for is sent; bounds what a crash sends again


class Routed(NamedTuple):
    """A record to be sent, and where to."""

    topic: str
    partition: int
    record: Record


Route = Callable[[Position, Recorded], Routed | None]


class Relay:
    """Sends what `route` makes of each committed record of `topic`. Belongs to one thread; `start` it first."""

    def __init__(self, log: Log, name: str, topic: str, route: Route) -> None:
        self.name = name
        self._log = log
        self.reads = topic
        self._route = route
        self._follower: Follower | None = None
        self._saved: dict[int, int] = {}

    @property
    def position(self) -> Cut:
        """How far the source topic was relayed and saved."""
        return Cut({(self.reads, partition): offset for partition, offset in self._saved.items()})

    def start(self, partitions: Collection[int] | None = None) -> None:
        """Stand where the last run saved, in these partitions, or in all. Raises LogUnavailable."""
        self.close()
        own = range(self._log.partitions(self.reads)) if partitions is None else sorted(partitions)
        self._saved = {p: self._log.saved(self.name, self.reads, p) or 0 for p in own}
        self._follower = self._log.follow(self.reads, self._saved)

    def step(self, timeout_s: float) -> int:
        """Relay one batch; return how many records it had. Whatever it raises, the relay must be started again.

        Raises LogUnavailable, OutcomeUnknown, and what the route raises.
        """
        if self._follower is None:
            raise WrongUse(f"the relay {self.name} is not started, or failed since: start it")
        try:
            return self._step(self._follower, timeout_s)
        except BaseException:
            self.close()  # it has read what it did not send: going on from here would pass over that
            raise

    def _step(self, follower: Follower, timeout_s: float) -> int:
        polled = follower.poll(BATCH_RECORDS_MAX, timeout_s)
        sent: dict[tuple[str, int], list[Record]] = {}
        count = 0
        for partition, records in polled.items():
            count += len(records)
            for record in records:
                if (routed := self._route(Position(self.reads, partition, record.offset), record)) is not None:
                    sent.setdefault((routed.topic, routed.partition), []).append(routed.record)
        for (topic, partition), records_out in sent.items():
            self._log.append(topic, partition, records_out)
        moved = {p: at for p, at in follower.positions.items() if at != self._saved[p]}
        if moved:
            self._log.save(self.name, self.reads, moved)
            self._saved |= moved
        return count

    def close(self) -> None:
        """Stop reading. Idempotent."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None
