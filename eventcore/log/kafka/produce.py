"""Records on their way into the library: how one is handed over, and the client for appends outside any lane.

An append that fails has written a prefix of its records: a relay counts on that. One partition's records go in order
over one connection with sequence numbers; none times out by itself; and a client that failed is purged and dropped
whole, together with what other threads had in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from eventcore.errors import LogUnavailable, OutcomeUnknown
from eventcore.log.kafka.away import Away
from eventcore.log.kafka.client import Code, KafkaError, KafkaException, Producer
from eventcore.log.kafka.faults import code_of, fault
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.settings import ANSWER_S, KafkaSettings
from eventcore.log.port import ENVELOPE_HEADER, Record

PROBE_S = 1.0  # how long we ask whether a cluster that seemed away is back
WHY_S = 1.0  # how long the reason of a fatal error may take from one thread of the library's to the other
SLICE_S = 0.001  # another thread's poll may have served our receipts meanwhile
OnDelivery = Callable[[Any, Any], None]


def hand_over(producer: Any, topic: str, partition: int, records: Sequence[Record], receipt: OnDelivery) -> None:
    """Give records to the library, which keeps them until a broker has them. Raises what the library raises."""
    produce = producer.produce
    try:
        for record in records:
            envelope = record.envelope
            headers = None if envelope is None else [(ENVELOPE_HEADER, envelope)]
            if record.headers:
                headers = [*(headers or ()), *record.headers]
            try:
                produce(topic, record.value, record.key, partition, receipt, None, record.time_ms, headers)
            except BufferError:
                _offer_again(producer, topic, record, partition, receipt, headers)
    except KafkaException as raised:
        if code_of(raised) == Code.FATAL:
            _tell_why(producer)
        raise


def _tell_why(producer: Any) -> None:
    """Raise why a client is unfit: `produce` says only that it is, as when it was fenced meanwhile; `poll` says why, once."""
    deadline = time.monotonic() + WHY_S
    while time.monotonic() < deadline:
        producer.poll(0.01)


def _offer_again(producer: Any, topic: str, record: Record, partition: int, receipt: OnDelivery, headers: Any) -> None:
    """Serve receipts while the library's queue is full, and offer the record again: ANSWER_S at most."""
    deadline = time.monotonic() + ANSWER_S
    while True:
        producer.poll(0.01)
        try:
            producer.produce(topic, record.value, record.key, partition, receipt, None, record.time_ms, headers)
        except BufferError:
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(Code.QUEUE_TIMED_OUT)) from None
        else:
            return


class Appender:
    """Writes records outside any lane. Any thread may use it.

    Its client is made early: an idempotent producer needs half a second until it may send its first record, because the
    library asks for a producer id before it is connected, and then again only after 500 ms.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._away = Away()
        self._making = threading.Lock()
        self._producer: Any = None
        self._client()

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> Sequence[int]:
        """Return the records' offsets once every replica in sync has them."""
        producer = self._client()
        receipts = _Receipts()
        doing = f"appending {len(records)} records to {topic}[{partition}]"
        self._raise_if_away(producer, doing)
        try:
            name = self._settings.name(topic)
            hand_over(producer, name, partition, records, receipts.take)
            deadline = time.monotonic() + ANSWER_S
            while receipts.count < len(records) and time.monotonic() < deadline:
                producer.poll(SLICE_S)
        except (KafkaException, SystemError) as raised:
            self._drop(producer)
            raise fault(raised, doing, self._settings.bootstrap, sent=True) from raised
        if receipts.error is not None:
            self._drop(producer)
            raise fault(KafkaException(receipts.error), doing, self._settings.bootstrap, sent=True)
        if receipts.count < len(records):
            self._drop(producer)
            raise OutcomeUnknown(
                f"{doing}: Kafka at {self._settings.bootstrap} acknowledged {receipts.count} of them in {ANSWER_S:.0f} "
                "s. A prefix of the rest may be written too: look in the log, or append again if repeats do no harm"
            )
        self._away.seen = False
        return receipts.offsets

    def close(self) -> None:
        """Drop the client; what it still holds is not sent."""
        if self._producer is not None:
            self._drop(self._producer)

    def _raise_if_away(self, producer: Any, doing: str) -> None:
        """Raise LogUnavailable while nothing is handed over yet, if the cluster went away and is not back."""
        try:
            producer.poll(0)
            if self._away.seen:
                producer.list_topics(timeout=PROBE_S)
                self._away.seen = False
        except (KafkaException, SystemError) as raised:
            raise fault(raised, doing, self._settings.bootstrap) from raised

    def _client(self) -> Any:
        with self._making:
            if self._producer is None:
                try:
                    config = self._settings.appender(ClientLines()) | {"error_cb": self._away.hear}
                    self._producer = Producer(config)
                except KafkaException as raised:
                    doing = f"making a client for {self._settings.bootstrap}"
                    raise LogUnavailable(f"{doing}: {raised.args[0].str()}. Check the address") from raised
            return self._producer

    def _drop(self, producer: Any) -> None:
        """Forget a client that failed, with everything in it: nothing later gets through before what is lost."""
        with self._making:
            if self._producer is producer:
                self._producer = None
        producer.purge(in_queue=True, in_flight=True, blocking=False)


class _Receipts:
    """The offsets of delivered records, in the order of their handing over."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.error: KafkaError | None = None
        self.count = 0

    def take(self, error: KafkaError | None, message: Any) -> None:
        self.count += 1
        if error is not None:
            self.error = self.error or error
        else:
            self.offsets.append(message.offset())
