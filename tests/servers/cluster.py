"""Three brokers as local processes: replication 3, two replicas in sync for a write to count, as in production.

Each is broker and controller, so that any one of them may die: two of three keep the quorum, and two of three replicas keep
`min.insync.replicas`. With a second one dead nothing is written until one is back. Measured on 2 cores: up in 4 to 6 s,
about 330 MB resident each.
"""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.servers.broker import QUICK_REGISTRATION, KafkaServer, Place
from tests.servers.errors import ServerUnavailable

NODES = (1, 2, 3)
HEAP_MB = 256
IN_SYNC_TIMEOUT_S = 60
LEADER_TIMEOUT_S = 60

REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "replica.lag.time.max.ms": "3000",  # a dead replica leaves the set soon, so that writes go on
}


class KafkaCluster:
    """Three brokers, each with its own handle: `brokers[0].kill()`, `.start()`. `settings` win over REPLICATED."""

    def __init__(self, settings: Mapping[str, str] = QUICK_REGISTRATION) -> None:
        places = [Place(node) for node in NODES]
        self.brokers = [KafkaServer({**REPLICATED, **settings}, place, places, HEAP_MB) for place in places]
        self.bootstrap = ",".join(broker.bootstrap for broker in self.brokers)
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def start(self) -> None:
        """Start all and return when each is counted in. Raises ServerUnavailable with the end of a log."""
        for broker in self.brokers:
            broker.begin()
        for broker in self.brokers:
            broker.wait_until_ready()

    def leader_of(self, topic: str, partition: int) -> KafkaServer:
        """The running broker that leads a partition, waited for. Raises ServerUnavailable after a minute.

        Whoever is asked may not have heard of the topic yet, or still name one that has died.
        """
        deadline = time.monotonic() + LEADER_TIMEOUT_S
        while (leader := self._led_by(topic, partition)) is None:
            if time.monotonic() > deadline:
                raise ServerUnavailable(f"nobody leads {topic}[{partition}] after {LEADER_TIMEOUT_S} s")
            time.sleep(0.05)
        return leader

    def wait_until_in_sync(self, topic: str | None = None) -> None:
        """Return when every replica is in sync, of `topic` or of all topics. Raises ServerUnavailable after a minute."""
        deadline = time.monotonic() + IN_SYNC_TIMEOUT_S
        while behind := self._behind(topic):
            if time.monotonic() > deadline:
                raise ServerUnavailable(f"not all replicas are in sync after {IN_SYNC_TIMEOUT_S} s: {behind}")
            time.sleep(0.05)

    def close(self) -> None:
        """Kill all and remove their data."""
        for broker in self.brokers:
            broker.close()

    def _led_by(self, topic: str, partition: int) -> KafkaServer | None:
        try:
            leader = self._topics()[topic].partitions[partition].leader
        except (KafkaException, KeyError):
            return None
        return next((broker for broker in self.brokers if broker.node == leader and broker.runs), None)

    def _behind(self, topic: str | None) -> list[str]:
        try:
            topics = self._topics()
        except KafkaException as away:
            return [str(away)]
        if topic is not None and topic not in topics:
            return [f"{topic} is not known yet"]
        return [
            f"{name}[{number}]"
            for name, each in topics.items()
            if topic in {None, name}
            for number, partition in each.partitions.items()
            if len(partition.isrs) < len(partition.replicas) or partition.leader < 0
        ]

    def _topics(self) -> dict[str, Any]:
        return self._admin.list_topics(timeout=5).topics


@contextmanager
def own_cluster(settings: Mapping[str, str] = QUICK_REGISTRATION) -> Generator[KafkaCluster]:
    """Three brokers of one's own, started. Always local processes."""
    cluster = KafkaCluster(settings)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
