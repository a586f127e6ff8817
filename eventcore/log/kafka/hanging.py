"""Transactions that a crash left without their end, and how they are found and ended.

A coordinator that starts again sends the markers of what was decided before its crash. For a partition whose leader its
broker does not know yet, it takes the topic for deleted, sends none, and holds the transaction to be over. Its records
stand there undecided from then on; readers cannot pass them, and no `init_transactions` ends them. Kafka calls such a
transaction *hanging* (KIP-664). Seen after `kill -9` of a cluster's only broker: one crash in eight to two in three,
and what hung was, each time it could be told, the last commit that had been acknowledged.

H1  Whatever a later transaction of the same id writes a marker for in that partition is the end of what hangs there too:
    a commit commits it, an abort aborts it. So a slot is used again only when everybody can read what its last
    transaction wrote (`Ends.passed`): then no abort of a later one, nor the next owner's, can undo what was acknowledged.
H2  The next owner ends what hangs by a transaction of each id of the ring (`KafkaWriter.end_hanging`); whether committed
    or aborted, `eventcore.lane.hanging` finds out from what was written. Where the marker is there after all, and only
    late, that changes nothing: the first marker decides.
H3  The first record of a transaction in each topic bears the header BEGINS, so that one can tell it from the next one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from eventcore.errors import LogUnavailable
from eventcore.log.kafka.client import (
    READ_COMMITTED,
    READ_UNCOMMITTED,
    Code,
    Consumer,
    KafkaException,
    TopicPartition,
)
from eventcore.log.kafka.cluster import Cluster
from eventcore.log.kafka.faults import fault
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.read import BEGINS, apart
from eventcore.log.kafka.settings import KafkaSettings
from eventcore.log.port import Hanging, Recorded

PASSED_S = 10.0  # how long the end of a decided transaction may take to be seen: 1-3 ms, as a rule
DECIDED_S = 1.0  # the same of what an owner finds, when all former owners' transactions are over
LOOK_S = 0.002
READ_S = 30.0


class Ends:
    """What can be read of one lane's partition of its topics. Any thread may ask."""

    def __init__(self, settings: KafkaSettings, cluster: Cluster, topics: Sequence[str], partition: int) -> None:
        self._settings = settings
        self._cluster = cluster
        self._topics = tuple(topics)
        self._partition = partition

    def passed(self, last: Mapping[str, int]) -> None:
        """Return once readers can read these offsets, by topic (H1). Raises LogUnavailable where they cannot."""
        deadline = time.monotonic() + PASSED_S
        while True:
            stable = self._cluster.latest(last, self._partition, READ_COMMITTED)
            if all(stable[topic] > offset for topic, offset in last.items()):
                return
            if time.monotonic() > deadline:
                held = {topic: stable[topic] for topic, offset in last.items() if stable[topic] <= offset}
                raise LogUnavailable(
                    f"the last transaction in partition {self._partition} is decided, but readers cannot pass {held} at "
                    f"{self._settings.bootstrap} after {PASSED_S:.0f} s. Usually a crashed broker left it without its end, or "
                    "another program holds a transaction open there. Nothing more was written; own the lane again"
                )
            time.sleep(LOOK_S)

    def hanging(self) -> dict[str, Hanging]:
        """What stands undecided although every former owner was fenced, by topic: the first transaction of each."""
        deadline = time.monotonic() + DECIDED_S
        while True:
            ends = self._cluster.latest(self._topics, self._partition, READ_UNCOMMITTED)
            stable = self._cluster.latest(self._topics, self._partition, READ_COMMITTED)
            held = {topic: stable[topic] for topic in self._topics if stable[topic] < ends[topic]}
            if not held:
                return {}
            if time.monotonic() > deadline:
                return {topic: self._undecided(topic, start, ends[topic]) for topic, start in held.items()}
            time.sleep(LOOK_S)

    def _undecided(self, topic: str, start: int, end: int) -> Hanging:
        """The records from `start` on, whatever becomes of them: those of the first transaction, and the others."""
        first: list[Recorded] = []
        behind: list[Recorded] = []
        found = first
        config = self._settings.consumer(self._settings.group("followers"), ClientLines())
        consumer: Any = Consumer(config | {"isolation.level": "read_uncommitted"})
        doing = f"reading what is undecided in {topic}[{self._partition}]@{start}"
        deadline = time.monotonic() + READ_S
        try:
            consumer.assign([TopicPartition(self._settings.name(topic), self._partition, start)])
            while time.monotonic() < deadline:
                message = consumer.poll(LOOK_S)
                if message is None:
                    continue
                if (error := message.error()) is not None:
                    if error.code() == Code.PARTITION_EOF:
                        return Hanging(start, first, behind)
                    if error.retriable():
                        continue
                    raise fault(KafkaException(error), doing, self._settings.bootstrap)
                if message.offset() >= end:
                    return Hanging(start, first, behind)
                headers = message.headers() or ()
                if first and any(name == BEGINS for name, _ in headers):
                    found = behind
                envelope, others = apart(headers)
                time_ms = message.timestamp()[1]
                found.append(Recorded(message.offset(), message.key(), message.value(), envelope, time_ms, others))
        except (KafkaException, SystemError) as raised:
            raise fault(raised, doing, self._settings.bootstrap) from raised
        finally:
            consumer.close()
        raise LogUnavailable(
            f"{doing}: Kafka at {self._settings.bootstrap} yields nothing more for {READ_S:.0f} s; own the lane again"
        )
