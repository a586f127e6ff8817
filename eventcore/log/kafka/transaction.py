"""One transaction on its way: what was appended, the client that carries it, and the calls that decide it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

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


class Span:
    """What one append put into a topic: receipts of its first and last record."""

    __slots__ = ("count", "first", "last", "topic")

    def __init__(self, topic: str, count: int) -> None:
        self.topic = topic
        self.count = count
        self.first = -1
        self.last = -1

    def take(self, error: Any, message: Any) -> None:
        """Take one receipt; a record that failed makes the commit fail, so that is noticed there."""
        if error is None:
            offset = message.offset()
            if self.first < 0:
                self.first = offset
            self.last = offset


class Consumed(NamedTuple):
    """A position to be written with a transaction, and whose entitlement the group's coordinator is to judge."""

    at: TopicPartition
    metadata: Any


class Transaction:
    """A transaction on one slot, and how far its decision has come."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.spans: list[Span] = []
        self.flushed = threading.Event()  # the broker has every record, or there is no hope of it
        self.stage = At.APPENDING  # written by the thread that decides, read by the one that waits
        self._began = time.monotonic()

    def span(self, topic: str, count: int) -> Span:
        """Note that `count` records of a topic follow."""
        span = Span(topic, count)
        self.spans.append(span)
        return span

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


def joined(before: Sequence[int], after: range) -> Sequence[int]:
    """Two ascending runs of offsets as one: a range wherever they meet."""
    if not before:
        return after
    if isinstance(before, range) and before.stop == after.start:
        return range(before.start, after.stop)
    return [*before, *after]
