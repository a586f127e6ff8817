"""Following partitions: committed records from explicit offsets on.

A follower has a consumer of its own. It polls for the first record and then takes what is there: asked for n records
at once, the library waits the whole time unless n arrive. Positions move with records, and with the event that says
that nothing is left (`_PARTITION_EOF`, which carries the offset after the last gap).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from eventcore.errors import DataError, EventcoreError, LogUnavailable, WrongUse
from eventcore.log.kafka.away import Away
from eventcore.log.kafka.client import Code, Consumer, KafkaError, KafkaException, TopicPartition
from eventcore.log.kafka.faults import fault
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.settings import KafkaSettings
from eventcore.log.port import ENVELOPE_HEADER, FILLER, Recorded

SLICE_S = 0.1  # a poll returns to Python so often, for signals and for `close` from another thread
PROBE_S = 1.0  # how long we ask whether a cluster that seemed away is back
BEGINS = "eventcore-begins"  # on the first record of a transaction in a topic (hanging.py)
NO_HEADERS: tuple[tuple[str, bytes], ...] = ()
GONE = frozenset({Code.AUTO_OFFSET_RESET, Code.OFFSET_OUT_OF_RANGE})


class KafkaFollower:
    """Reads committed records of one topic. One thread polls; any thread may close."""

    def __init__(self, settings: KafkaSettings, topic: str, starts: Mapping[int, int]) -> None:
        self._settings = settings
        self._topic = topic
        self._positions = dict(starts)
        self._away = Away()
        config = settings.consumer(settings.group("followers"), ClientLines()) | {"error_cb": self._away.hear}
        self._consumer: Any = Consumer(config)
        self._consumer.assign([TopicPartition(settings.name(topic), p, start) for p, start in starts.items()])
        self._polling = threading.Lock()
        self._closed = False
        self._failed: EventcoreError | None = None  # found behind records that were still to be returned

    @property
    def positions(self) -> Mapping[int, int]:
        """The next offset of each followed partition."""
        return dict(self._positions)

    def poll(self, most: int, timeout_s: float) -> Mapping[int, Sequence[Recorded]]:
        """Return at most `most` records by partition, waiting up to `timeout_s` for the first."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._polling:
                if self._closed:
                    raise WrongUse("this follower was closed; follow again")
                if self._failed is not None:
                    raise self._failed
                messages = self._messages(most, min(SLICE_S, max(deadline - time.monotonic(), 0.0)))
                if messages:
                    before = dict(self._positions)
                    found = self._take(messages)
                    if found or self._positions != before:
                        return found
                if time.monotonic() >= deadline:
                    self._raise_if_away()
                    return {}

    def close(self) -> None:
        """Give the consumer back."""
        self._closed = True
        with self._polling:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def _messages(self, most: int, wait_s: float) -> list[Any]:
        if not self._positions:
            time.sleep(wait_s)
            return []
        try:
            first = self._consumer.poll(wait_s)
            if first is None:
                return []
            return [first, *self._consumer.consume(most - 1, 0)] if most > 1 else [first]
        except (KafkaException, SystemError) as raised:
            raise fault(raised, f"reading {self._topic}", self._settings.bootstrap) from raised

    def _take(self, messages: Sequence[Any]) -> dict[int, Sequence[Recorded]]:
        """Group messages by partition: the hot loop of every reader (about 0.35 µs a message)."""
        found: dict[int, list[Recorded]] = {}
        rows: list[Recorded] = []
        current = -1
        for message in messages:
            if (partition := message.partition()) != current or message.error() is not None:
                if (error := message.error()) is not None:
                    self._hear(error, message)
                    continue
                current = partition
                rows = found.setdefault(partition, [])
            headers = message.headers()
            if headers is None:
                envelope, others = None, NO_HEADERS
            elif len(headers) == 1 and headers[0][0] == ENVELOPE_HEADER:
                envelope, others = headers[0][1], NO_HEADERS
            else:
                if _says_nothing(message, headers):
                    self._positions[partition] = max(self._positions[partition], message.offset() + 1)
                    continue
                envelope, others = apart(headers)
            rows.append(
                Recorded(message.offset(), message.key(), message.value(), envelope, message.timestamp()[1], others)
            )
        for partition, records in list(found.items()):
            if records:
                self._positions[partition] = max(self._positions[partition], records[-1].offset + 1)
            else:
                del found[partition]
        return found  # type: ignore[return-value] # a dict of lists, which nobody changes any more

    def _hear(self, error: KafkaError, message: Any) -> None:
        if error.code() == Code.PARTITION_EOF:
            partition = message.partition()
            self._positions[partition] = max(self._positions[partition], message.offset())
        elif error.code() in GONE:
            position = self._positions[message.partition()]
            self._failed = DataError(
                f"{self._topic}[{message.partition()}]@{position} is not there any more ({error.str()}). Usual causes: "
                "its retention deleted it before it was read, or the topic was deleted and made anew"
            )
        elif not error.retriable():
            self._failed = fault(KafkaException(error), f"reading {self._topic}", self._settings.bootstrap)

    def _raise_if_away(self) -> None:
        """Raise LogUnavailable when the cluster went away and is not back: an idle topic alone tells neither."""
        if not self._away.seen:
            return
        partition = next(iter(self._positions))
        try:
            self._consumer.get_watermark_offsets(
                TopicPartition(self._settings.name(self._topic), partition), timeout=PROBE_S, cached=False
            )
        except KafkaException as raised:
            doing = f"reading {self._topic}[{partition}]@{self._positions[partition]}"
            raise LogUnavailable(
                f"{doing}: Kafka at {self._settings.bootstrap} does not answer ({raised.args[0].str()}). Is it running "
                "and reachable from here? Poll again: reading goes on by itself when it is back"
            ) from raised
        self._away.seen = False


def _says_nothing(message: Any, headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """Whether a record is a filler, as an owner writes it to end what hangs. With anything else in it, it is somebody's."""
    return (
        len(headers) == 1
        and headers[0][0] == FILLER
        and not headers[0][1]
        and not message.key()
        and message.value() is None
    )


def apart(headers: Sequence[tuple[str, bytes | None]]) -> tuple[bytes | None, tuple[tuple[str, bytes], ...]]:
    """The envelope, and the headers of others in their order."""
    envelope: bytes | None = None
    others: list[tuple[str, bytes]] = []
    for name, value in headers:
        if name == ENVELOPE_HEADER and envelope is None:
            envelope = value or b""
        elif name != BEGINS:
            others.append((name, value or b""))
    return envelope, tuple(others)
