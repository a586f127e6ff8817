"""`KafkaLog`: the log port on a Kafka cluster."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TypeVar

from eventcore.errors import WrongUse
from eventcore.log.checks import check_records, check_start
from eventcore.log.kafka.cluster import Cluster
from eventcore.log.kafka.member import KafkaMember
from eventcore.log.kafka.options import check_options
from eventcore.log.kafka.post import Poster
from eventcore.log.kafka.produce import Appender
from eventcore.log.kafka.read import KafkaFollower
from eventcore.log.kafka.settings import TRANSACTION_MS, KafkaSettings
from eventcore.log.kafka.write import KafkaWriter
from eventcore.log.options import NONE, ClientOptions
from eventcore.log.port import Difference, Record, Share, TopicPlan
from eventcore.topics import Topics

User = TypeVar("User", KafkaFollower, KafkaMember, KafkaWriter)


class KafkaLog:
    """A log on the cluster at `bootstrap` (`host:port,host:port`). Any thread may use it.

    `prefix` stands before every topic, group and transactional id, so that several apps or tests share a cluster.
    Nothing is asked of the cluster before the first use. A transaction that is open longer than `transaction_ms` is
    aborted by the cluster: so long can a lane that died hold back the readers of its partition, if nobody owns it.
    Raises InvalidValue for `options` that the client library does not take.
    """

    def __init__(
        self,
        bootstrap: str,
        prefix: str = "",
        *,
        transaction_ms: int = TRANSACTION_MS,
        options: ClientOptions = NONE,
        replication: int | None = None,
    ) -> None:
        self._settings = KafkaSettings(bootstrap, prefix, transaction_ms, options, replication)
        check_options(self._settings)
        self._cluster = Cluster(self._settings)
        self._appender = Appender(self._settings)
        self._poster = Poster(self._settings)
        self._users: weakref.WeakSet[KafkaFollower | KafkaMember | KafkaWriter] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    def provision(self, plans: Sequence[TopicPlan]) -> None:
        """Create the topics that are missing, with their own retention. Raises NotSupported for other counts."""
        self._check_open()
        self._cluster.provision(plans)

    def differences(self, plans: Sequence[TopicPlan]) -> Sequence[Difference]:
        """How topics that exist differ from their plans, in the order of the plans."""
        self._check_open()
        return self._cluster.differences(plans)

    def partitions(self, topic: str) -> int:
        """The number of partitions. Raises UnknownName."""
        self._check_open()
        return self._cluster.partitions(topic)

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> Sequence[int]:
        """Write records outside any lane; if it fails, a prefix of them may have been written."""
        self._check_open()
        check_records(topic, records)
        self._cluster.check(topic, [partition])
        return self._appender.append(topic, partition, records)

    @property
    def dropped(self) -> int:
        """How many posted records were not delivered."""
        return self._poster.dropped

    def post(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Hand records over without waiting; what the cluster does not take in time is dropped, counted and logged."""
        self._check_open()
        check_records(topic, records)
        self._cluster.check_known(topic, partition)
        self._poster.post(topic, partition, records)

    def follow(self, topic: str, starts: Mapping[int, int]) -> KafkaFollower:
        """Follow the given partitions from the given offsets. Raises DataError outside what is kept."""
        self._check_open()
        ends, beginnings = self._cluster.ends(topic, starts), self._cluster.beginnings(topic, starts)
        for partition, start in starts.items():
            check_start(topic, partition, start, beginnings[partition], ends[partition])
        return self._kept(KafkaFollower(self._settings, topic, starts))

    def beginning(self, topic: str, partition: int) -> int:
        """The first offset that retention has left."""
        self._check_open()
        return self._cluster.beginnings(topic, [partition])[partition]

    def end(self, topic: str, partition: int) -> int:
        """The high watermark."""
        self._check_open()
        return self._cluster.ends(topic, [partition])[partition]

    def stable_end(self, topic: str, partition: int) -> int:
        """The last stable offset. It may lie before a commit that has just returned, for a millisecond or two."""
        self._check_open()
        return self._cluster.stable_ends(topic, [partition])[partition]

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """The offset of the first record whose time is at least `time_ms`, or of a gap before it."""
        self._check_open()
        return self._cluster.offset_at(topic, partition, time_ms)

    def own(self, topics: Topics, partition: int) -> KafkaWriter:
        """Become the single writer; every former owner is fenced, and what it left open is decided."""
        self._check_open()
        for topic in topics:
            self._cluster.check(topic, [partition])
        return self._kept(KafkaWriter(self._settings, self._cluster, topics, partition))

    def join(self, topics: Topics, share: Share, group: str | None = None) -> KafkaMember:
        """Become a member of the group that shares the partitions of the commands topic. Raises UnknownName."""
        self._check_open()
        self._cluster.partitions(topics.commands)
        return self._kept(KafkaMember(self._settings, topics, share, group))

    def owners(self, topics: Topics) -> Mapping[int, str]:
        """The members of the lanes' group, by partition."""
        self._check_open()
        return self._cluster.owners(topics)

    def saved(self, reader: str, topic: str, partition: int) -> int | None:
        """The position that `reader` saved last, or None."""
        self._check_open()
        return self._cluster.saved(reader, topic, partition)

    def save(self, reader: str, topic: str, positions: Mapping[int, int]) -> None:
        """Remember how far `reader` has come, in the consumer group of its name."""
        self._check_open()
        self._cluster.save(reader, topic, positions)

    def close(self) -> None:
        """Close writers, followers and clients."""
        with self._lock:
            self._closed = True
            users = list(self._users)
        for user in users:
            user.close()
        self._poster.close()
        self._appender.close()

    def _check_open(self) -> None:
        if self._closed:
            raise WrongUse("this log was closed; open another one")

    def _kept(self, user: User) -> User:
        with self._lock:
            self._users.add(user)
        return user
