"""One transaction on its way: what was appended, the client that carries it, and the calls that decide it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from eventcore.log.kafka.bounded import Pending
from eventcore.log.kafka.client import KafkaException, Producer, TopicPartition
from eventcore.log.kafka.faults import error_of
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.settings import KafkaSettings
from eventcore.log.kafka.states import At, judge

POSITION_S = 5.0  # for sending the consumed position; later than that counts as failed


class Slot:
    """One transactional id with its client."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self.lines = ClientLines()
        self.producer: Any = Producer(settings.transactional(transactional_id, self.lines))
        self.passed: Pending[None] | None = None  # whether readers have come past its last transaction


class Offsets:
    """Where a topic's records of one transaction stand, in the order of their handing over."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[int] = []

    def take(self, error: Any, message: Any) -> None:
        """Take one receipt; a record that failed makes the commit fail, so that is noticed there."""
        if error is None:
            self.found.append(message.offset())

    def in_order(self) -> Sequence[int]:
        """The offsets, as a range where nothing stands between."""
        found = self.found
        if found and found[-1] - found[0] == len(found) - 1:
            return range(found[0], found[-1] + 1)
        return found


class Consumed(NamedTuple):
    """A position to be written with a transaction, and whose entitlement the group's coordinator is to judge."""

    at: TopicPartition
    metadata: Any


class Transaction:
    """A transaction on one slot, and how far its decision has come."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.topics: dict[str, Offsets] = {}
        self.flushed = threading.Event()  # the broker has every record, or there is no hope of it
        self.stage = At.APPENDING  # written by the thread that decides, read by the one that waits
        self._began = time.monotonic()

    def receipts(self, topic: str) -> Offsets:
        """What takes the receipts of a topic's records."""
        return self.topics.setdefault(topic, Offsets())

    def begins(self, topic: str) -> bool:
        """Whether nothing was appended to a topic yet."""
        return topic not in self.topics

    def last(self) -> dict[str, int]:
        """The offset of its last record, by topic."""
        return {topic: offsets.found[-1] for topic, offsets in self.topics.items() if offsets.found}

    def offsets(self) -> dict[str, Sequence[int]]:
        """Where the records stand, by topic, after the commit."""
        return {topic: offsets.in_order() for topic, offsets in self.topics.items()}

    def age_s(self) -> float:
        """How long ago it was begun."""
        return time.monotonic() - self._began

    def commit(self, consumed: Consumed | None, bound_s: float) -> None:
        """Send the position, then the last records, then commit. Raises what the library raises; `stage` says where."""
        try:
            producer = self.slot.producer
            if consumed is not None:
                self.stage = At.POSITION
                producer.send_offsets_to_transaction([consumed.at], consumed.metadata, POSITION_S)
            self.stage = At.APPENDING
            producer.flush(bound_s)
            self.flushed.set()
            self.stage = At.COMMIT
            insist(producer.commit_transaction, At.COMMIT, bound_s)
        finally:
            self.flushed.set()


def insist(call: Any, at: At, bound_s: float) -> None:
    """Make a call, and make it again for as long as the table says so, up to `bound_s`."""
    deadline = time.monotonic() + bound_s
    while True:
        try:
            call()
        except KafkaException as raised:
            if not judge(at, error_of(raised)).again or time.monotonic() > deadline:
                raise
        else:
            return
