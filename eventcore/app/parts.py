"""What a worker supervises: a lane of one partition, or a relay or projection over the partitions that are its share.

A part has one life that may be lived many times: `begin`, then `work` again and again, `finish`, `close`. Lanes come and go
with their partitions. Relays and projections follow lanes: they read the partitions whose lanes run in this process,
from the moment on at which such a lane has fenced its former owners (docs/decisions/0008).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

from eventcore.cut import Cut
from eventcore.lane.restore import Progress
from eventcore.lane.runner import LaneRunner
from eventcore.relay import Relay
from projections import ProjectionRunner

Kind = Literal["lane", "relay", "projection"]
Follower = Relay | ProjectionRunner[Any]


class Portion:
    """The partitions of one machine that this process has now. Any thread.

    Those that it may have are `given`; it has one once its lane has fenced its former owners, or at once without lanes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._given: set[int] = set()
        self._partitions: frozenset[int] = frozenset()

    @property
    def partitions(self) -> frozenset[int]:
        """Those that it has now."""
        with self._changed:
            return self._partitions

    def give(self, partition: int) -> None:
        """It may have this one from now on."""
        with self._changed:
            self._given.add(partition)

    def add(self, partition: int) -> None:
        """It has this one too, if it still may: a lane may be done with fencing after the partition was taken away."""
        with self._changed:
            if partition in self._given:
                self._set(self._partitions | {partition})

    def remove(self, partition: int) -> None:
        """It has this one no more, and may not."""
        with self._changed:
            self._given.discard(partition)
            self._set(self._partitions - {partition})

    def wait_while(self, partitions: frozenset[int], timeout_s: float) -> None:
        """Wait until it is others than these, or `timeout_s` has passed."""
        with self._changed:
            if self._partitions == partitions:
                self._changed.wait(timeout_s)

    def _set(self, partitions: frozenset[int]) -> None:
        self._partitions = partitions
        self._changed.notify_all()


class LanePart:
    """A lane whose partition this process was given."""

    kind: Kind = "lane"

    def __init__(self, lane: LaneRunner, owned: Callable[[int], None]) -> None:
        self.lane = lane
        self.name = lane.name
        self.machine = lane.topics.commands.removesuffix(".commands").rpartition(".")[2]
        self.reads = lane.topics.commands
        self.term: int | None = None
        self._owned = owned

    @property
    def partitions(self) -> frozenset[int]:
        """Which partition it is."""
        return frozenset((self.lane.partition,))

    @property
    def beats(self) -> int:
        """A number that changes while it goes on within a call. Any thread."""
        return self.lane.beats

    @property
    def position(self) -> Cut:
        """How far it has read its commands."""
        return self.lane.position

    def begin(self, progress: Progress) -> bool:
        """Take the partition over and restore."""
        self.lane.own()
        self._owned(self.lane.partition)
        self.lane.restore(progress)
        self.term = self.lane.term
        return True

    def work(self, timeout_s: float) -> int:
        """Decide what comes, the last commit perhaps still under way."""
        return self.lane.flow(timeout_s)

    def stale(self) -> bool:
        """Never: its partition is what it is."""
        return False

    def finish(self) -> None:
        """Wait for the commit under way, and answer."""
        self.lane.finish()

    def close(self) -> None:
        """Give the partition back."""
        self.lane.close()


class FollowerPart:
    """A relay or a projection over the portion that this process has."""

    def __init__(self, follower: Follower, portion: Portion) -> None:
        self.kind: Kind = "relay" if isinstance(follower, Relay) else "projection"
        self.name = follower.name
        self.machine = follower.reads.rpartition(".")[0].rpartition(".")[2]
        self.reads = follower.reads
        self.term: int | None = None
        self._follower = follower
        self._portion = portion
        self._partitions: frozenset[int] = frozenset()

    @property
    def partitions(self) -> frozenset[int]:
        """Those that it reads."""
        return self._partitions

    @property
    def beats(self) -> int:
        """Nothing: each of its calls is short."""
        return 0

    @property
    def position(self) -> Cut:
        """How far it has read what it reads."""
        return self._follower.position

    def begin(self, _: Progress) -> bool:
        """Take its partitions over; False where it has none now."""
        self._partitions = self._portion.partitions
        if self._partitions:
            self._follower.start(self._partitions)
        return bool(self._partitions)

    def work(self, timeout_s: float) -> int:
        """Read on; without partitions, wait until there are some."""
        if not self._partitions:
            self._portion.wait_while(self._partitions, timeout_s)
            return 0
        return self._follower.step(timeout_s)

    def stale(self) -> bool:
        """Whether its partitions are others now: then it is to begin again."""
        return self._portion.partitions != self._partitions

    def finish(self) -> None:
        """Every step has finished what it began."""

    def close(self) -> None:
        """Stop reading."""
        self._follower.close()


Part = LanePart | FollowerPart
