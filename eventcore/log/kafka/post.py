"""Posting: records that nobody may count on, handed to a client of their own, which never makes anybody wait.

Replies are posted after their commit. A lane that waited for them would be as slow as its slowest client's partition, so
the client's queue is bounded, what does not fit is dropped, and what is not delivered in time is dropped as well: whoever
waits for a reply asks again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from eventcore.log.kafka.client import KafkaError, KafkaException, Producer
from eventcore.log.kafka.lines import LOGGER, ClientLines
from eventcore.log.kafka.settings import KafkaSettings
from eventcore.log.port import ENVELOPE_HEADER, Record

CLOSE_S = 1.0  # how long the last posts may take when the log is closed
SAY_S = 10.0  # how often dropped records are logged


class Poster:
    """Takes records and sends what it can. Any thread may use it. `dropped` counts what was not delivered."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._producer: Any = None
        self._said_at = 0.0
        self.dropped = 0

    def post(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Hand records over; those that do not fit into the queue are dropped. Takes microseconds."""
        with self._lock:
            try:
                if self._producer is None:
                    self._producer = Producer(self._settings.poster(ClientLines()))
                self._producer.poll(0)
                for index, record in enumerate(records):
                    if not self._taken(topic, partition, record):
                        self._drop(len(records) - index, f"the queue for {topic}[{partition}] is full")
                        return
            except (KafkaException, SystemError) as raised:
                self._producer = None  # a client that failed for good; the next post makes another
                self._drop(len(records), f"{topic}[{partition}]: {raised}")

    def close(self) -> None:
        """Send what is left for CLOSE_S, then drop it."""
        with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                left = producer.flush(CLOSE_S)
                if left:
                    producer.purge(in_queue=True, in_flight=True, blocking=False)
                    self._drop(left, "the log was closed before they were sent")

    def _taken(self, topic: str, partition: int, record: Record) -> bool:
        headers = list(record.headers)
        if record.envelope is not None:
            headers.insert(0, (ENVELOPE_HEADER, record.envelope))
        name = self._settings.name(topic)
        try:
            self._producer.produce(
                name, record.value, record.key, partition, self._delivered, None, record.time_ms, headers or None
            )
        except BufferError:
            return False
        return True

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        """Called from within `poll` and `flush`, so under the lock."""
        if error is not None:
            self._drop(1, f"{message.topic()}[{message.partition()}]: {error.str()}")

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        if (now := time.monotonic()) > self._said_at + SAY_S:
            self._said_at = now
            LOGGER.warning("%d posted records were dropped, %d so far: %s", count, self.dropped, why)
