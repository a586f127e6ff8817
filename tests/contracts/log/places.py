"""The logs that the contract suite runs on: an adapter adds a place here, and no test of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from eventcore.log.port import Log, Record, Recorded, TopicPlan, Writer
from eventcore.topics import Topics

TOPICS = Topics.of("bank", "account")
LANE_READER = "bank.account"
PARTITIONS = 2
POLL_S = 10.0  # no test waits this long unless a log has lost something
Fresh = Callable[[], tuple[Log, Callable[[], Log]]]  # an empty log, and how a rival's handle of it is opened


class Place(NamedTuple):
    """Where a log is kept: `log` is open and has the topics; `rival` opens the handle that another owner would use."""

    kind: str
    log: Log
    rival: Callable[[], Log]


def plans(topics: Topics) -> list[TopicPlan]:
    """Plans for one aggregate's topics."""
    return [TopicPlan(topic, PARTITIONS) for topic in topics]


def record(key: str, value: str = "", time_ms: int = 1_000) -> Record:
    """A record as a client would write it."""
    return Record(key.encode(), value.encode(), b"envelope of " + key.encode(), time_ms)


def keys(records: list[Recorded]) -> list[str]:
    """The keys of records, in order."""
    return [(r.key or b"").decode() for r in records]


def read(log: Log, topic: str, partition: int = 0, start: int = 0, *, until: int | None = None) -> list[Recorded]:
    """Every committed record from `start` to `until`, else to the end: then no transaction may be open there."""
    until = log.end(topic, partition) if until is None else until
    with contextlib.closing(log.follow(topic, {partition: start})) as follower:
        found: list[Recorded] = []
        while (position := follower.positions[partition]) < until:
            found += follower.poll(1_000, POLL_S).get(partition, ())
            moved = follower.positions[partition] > position
            assert moved, f"{topic}[{partition}] should be readable to {until}; in {POLL_S:.0f} s it was to {position}"
        return found


def owned(log: Log, partition: int = 0) -> Writer:
    """The writer of a lane of the suite's topics."""
    return log.own(TOPICS, partition)
