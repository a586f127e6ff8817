"""Questions to the cluster: topics, ends, times and saved positions.

One administrative client answers most of them; it stays alive as long as the log (a collected one fails its pending
answers). A question is repeated until ANSWER_S have passed where the answer is that a leader or a coordinator moved:
after a broker's restart the first answers are often that. The client remembers who leads and in which epoch, and does
not look again by itself: ten seconds of asking with the epoch from before a restart were all refused. So it is told to.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from eventcore.errors import InvalidValue, LogUnavailable, UnknownName
from eventcore.log.checks import check_counts, check_partition, check_plans, lane_reader
from eventcore.log.kafka.client import (
    READ_COMMITTED,
    READ_UNCOMMITTED,
    AdminClient,
    Code,
    ConfigResource,
    Consumer,
    GroupPositions,
    KafkaError,
    KafkaException,
    NewTopic,
    OffsetSpec,
    TopicPartition,
)
from eventcore.log.kafka.faults import AWAY, code_of, fault
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.refusals import Refusals
from eventcore.log.kafka.settings import ANSWER_S, KafkaSettings
from eventcore.log.kafka.topics import Found, differences, settings_of
from eventcore.log.port import Difference, TopicPlan
from eventcore.topics import Topics

T = TypeVar("T")
AGAIN_S = 0.05  # between two tries of a question
# While a partition's leader is dead and no other is elected, the library answers a question for its end, after the whole
# timeout and without an error, with this offset; and it keeps a core busy meanwhile. So it is asked for a short time.
UNANSWERED = -1001
ENDS_S = 2.0
# Of a question to a group's coordinator it is we who give up, after ANSWER_S. When the library's own time is over while the
# connection breaks, it ends the process (`Assertion eonce->refcnt > 0`): within a minute of brokers killed with 3 s, not
# with this.
NEVER_S = 600.0
KNOWN_S = 0.2  # how long a caller who must not wait waits for the list of topics
AGAIN_KNOWN_S = 5.0
UNSTABLE_S = 2.0  # how long a saved position may be undecided before the one before it is answered


class Cluster:
    """What a log asks its cluster. Names are ours, without the prefix. Any thread may ask."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._refusals = Refusals()
        self._admin = self._new_admin()
        self._saver = self._new_admin()  # of positions
        self._counts: dict[str, int] = {}
        self._unknown_until = 0.0

    def _new_admin(self) -> Any:
        return AdminClient(self._settings.admin(ClientLines()) | {"error_cb": self._refusals.hear})

    def provision(self, plans: Sequence[TopicPlan]) -> None:
        """Create what is missing and wait until its leaders answer. Raises NotSupported for other counts."""
        check_plans(plans)
        existing = self._look()
        check_counts(plans, existing)
        if missing := [plan for plan in plans if plan.name not in existing]:
            self._create(missing)
            self._wait_until_led(missing)
            check_counts(plans, self._counts)

    def differences(self, plans: Sequence[TopicPlan]) -> list[Difference]:
        """How the topics that exist differ from their plans, in the order of the plans."""
        check_plans(plans)
        found = self._found([plan.name for plan in plans])
        replication = self._settings.replication
        return [each for p in plans if p.name in found for each in differences(p, found[p.name], replication)]

    def partitions(self, topic: str) -> int:
        """The number of partitions. Raises UnknownName."""
        if topic not in self._counts and topic not in self._look():
            raise UnknownName("topic", topic, list(self._counts))
        return self._counts[topic]

    def check(self, topic: str, partitions: Iterable[int]) -> None:
        """Raise UnknownName or InvalidValue unless the topic has these partitions."""
        count = self.partitions(topic)
        for partition in partitions:
            check_partition(topic, partition, count)

    def check_known(self, topic: str, partition: int) -> None:
        """As `check`, without waiting for a cluster that is away: KNOWN_S at most, and then not again for AGAIN_KNOWN_S.

        A topic that is not known for that reason passes.
        """
        if topic not in self._counts:
            if time.monotonic() < self._unknown_until:
                return
            try:
                self._learn(self._admin.list_topics(timeout=KNOWN_S))
            except KafkaException:  # away: whoever hands records over is told by their receipts
                self._unknown_until = time.monotonic() + AGAIN_KNOWN_S
                return
        self.check(topic, [partition])

    def beginnings(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that is kept, by partition."""
        return self._offsets(topic, partitions, OffsetSpec.earliest(), READ_UNCOMMITTED)

    def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The high watermark, by partition."""
        return self._offsets(topic, partitions, OffsetSpec.latest(), READ_UNCOMMITTED)

    def stable_ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The last stable offset, by partition."""
        return self._offsets(topic, partitions, OffsetSpec.latest(), READ_COMMITTED)

    def latest(self, topics: Iterable[str], partition: int, isolation: Any) -> dict[str, int]:
        """The next offset that a reader of this isolation could not read yet in one partition of each topic."""
        names = {self._settings.name(topic): topic for topic in topics}
        asked = {TopicPartition(name, partition): OffsetSpec.latest() for name in names}
        found = self._list_offsets(asked, isolation, f"asking for the ends of {', '.join(names.values())}")
        return {names[at.topic]: offset for at, offset in found.items()}

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """The first offset whose record, or gap before it, has at least this time; else the stable end."""
        spec = OffsetSpec.for_timestamp(max(time_ms, 0))
        found = self._offsets(topic, [partition], spec, READ_COMMITTED)[partition]
        return found if found >= 0 else self.stable_ends(topic, [partition])[partition]

    def owners(self, topics: Topics) -> dict[int, str]:
        """The members of the lanes' group, by partition of the commands topic."""
        group, commands = self._settings.group(lane_reader(topics)), self._settings.name(topics.commands)
        answers = self._ask(
            f"asking who is in the group {group}",
            lambda: self._admin.describe_consumer_groups([group], request_timeout=NEVER_S),
        )
        return {
            at.partition: f"{member.client_id} at {member.host.removeprefix('/')}"
            for member in answers[group].members
            for at in member.assignment.topic_partitions
            if at.topic == commands
        }

    def saved(self, reader: str, topic: str, partition: int) -> int | None:
        """The position a group committed last, or None.

        While a transaction that moves it is undecided there are two answers, so it is asked again for a while; then
        the older one is given. (A killed broker was seen to leave one undecided for ever.)
        """
        self.check(topic, [partition])
        at = TopicPartition(self._settings.name(topic), partition)
        doing = f"asking for the position of {reader}"
        try:
            return self._committed(reader, at, doing, UNSTABLE_S, "read_committed")
        except LogUnavailable:
            return self._committed(reader, at, doing, ANSWER_S, "read_uncommitted")

    def _committed(self, reader: str, at: TopicPartition, doing: str, within_s: float, isolation: str) -> int | None:
        """Ask by a consumer of its own.

        A long-lived administrative client whose connection broke, as when its broker is killed, does not hear the
        coordinator of a group again (measured: for 100 s, while a new client hears it in 60 ms).
        """
        config = self._settings.consumer(self._settings.group(reader), ClientLines())
        consumer: Any = Consumer(config | {"isolation.level": isolation})
        try:
            found = self._repeat(doing, lambda: consumer.committed([at], timeout=within_s)[0], within_s)
        finally:
            consumer.close()
        if found.error is not None:
            raise fault(KafkaException(found.error), doing, self._settings.bootstrap)
        return int(found.offset) if found.offset >= 0 else None

    def save(self, reader: str, topic: str, positions: Mapping[int, int]) -> None:
        """Commit a group's positions, outside any transaction."""
        self.check(topic, positions)
        if not positions:
            return
        at = [TopicPartition(self._settings.name(topic), p, position) for p, position in positions.items()]
        request = [GroupPositions(self._settings.group(reader), at)]
        doing = f"saving the position of {reader}"
        saver = self._saver
        try:
            answers = self._ask(doing, lambda: saver.alter_consumer_group_offsets(request, request_timeout=NEVER_S))
        except LogUnavailable:
            self._saver = self._new_admin()  # the old one may never hear of a coordinator again: see `_committed`
            raise
        for one in next(iter(answers.values())).topic_partitions:
            if one.error is not None:
                raise fault(KafkaException(one.error), doing, self._settings.bootstrap)

    def _offsets(self, topic: str, partitions: Iterable[int], spec: Any, isolation: Any) -> dict[int, int]:
        wanted = list(partitions)
        self.check(topic, wanted)
        asked = {TopicPartition(self._settings.name(topic), p): spec for p in wanted}
        found = self._list_offsets(asked, isolation, f"asking for the ends of {topic}")
        return {at.partition: offset for at, offset in found.items()}

    def _list_offsets(self, asked: Mapping[Any, Any], isolation: Any, doing: str) -> dict[Any, int]:
        def ask() -> dict[Any, int]:
            futures = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=ENDS_S)
            offsets = {at: future.result(ANSWER_S).offset for at, future in futures.items()}
            if UNANSWERED in offsets.values():
                raise KafkaException(KafkaError(Code.LEADER_NOT_AVAILABLE))
            return offsets

        return self._repeat(doing, ask)

    def _look(self) -> Mapping[str, int]:
        """Learn which topics exist. Asked for all of them, since asking for one by name may create it."""
        return self._learn(self._repeat("asking for the topics", lambda: self._admin.list_topics(timeout=ANSWER_S / 4)))

    def _learn(self, metadata: Any) -> Mapping[str, int]:
        prefix = self._settings.prefix
        self._counts = {
            name.removeprefix(prefix): len(topic.partitions)
            for name, topic in metadata.topics.items()
            if name.startswith(prefix) and topic.error is None and topic.partitions
        }
        return self._counts

    def _create(self, plans: Sequence[TopicPlan]) -> None:
        replicas = self._default_replication() if self._settings.replication is None else self._settings.replication
        topics = [
            NewTopic(self._settings.name(plan.name), plan.partitions, replicas, config=settings_of(plan, replicas))
            for plan in plans
        ]
        for name, future in self._admin.create_topics(topics, request_timeout=ANSWER_S).items():
            try:
                future.result(ANSWER_S * 2)
            except (KafkaException, TimeoutError) as raised:
                if code_of(raised) == Code.INVALID_REPLICATION:
                    raise InvalidValue(
                        "replication",
                        f"{replicas} replicas cannot be had at {self._settings.bootstrap}: "
                        f"{raised}. There must be as many brokers",
                    ) from raised
                if code_of(raised) != Code.TOPIC_EXISTS:  # somebody else was faster: the same to us
                    raise fault(raised, f"creating topic {name}", self._settings.bootstrap) from raised

    def _default_replication(self) -> int:
        """How many replicas the cluster gives a topic that does not say. Raises InvalidValue where it does not tell.

        It is asked for before topics are made, since how many replicas must have a record is set by it. Set afterwards,
        each topic had a moment in which it would lose data: of three workers that started together on a new cluster, one
        saw such a topic in 18 of 20 starts, and refused to run.
        """
        told = self._repeat("asking how many replicas a topic has by default", self._ask_default_replication)
        if told is None:
            raise InvalidValue(
                "replication",
                f"the cluster at {self._settings.bootstrap} does not tell this client how many replicas a topic has by "
                "default: say how many with --replication (on a cluster of three brokers or more: 3)",
            )
        return int(told)

    def _ask_default_replication(self) -> str | None:
        broker = self._admin.list_topics(timeout=ANSWER_S / 4).controller_id
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        answer = self._admin.describe_configs([resource], request_timeout=ANSWER_S)[resource]
        try:
            entry = answer.result(ANSWER_S).get("default.replication.factor")
        except KafkaException as raised:
            if code_of(raised) != Code.CLUSTER_NOT_ALLOWED:
                raise
            return None
        return None if entry is None else entry.value

    def _found(self, names: Sequence[str]) -> dict[str, Found]:
        """The topics of these names that exist, as they are."""
        existing = self._repeat("asking for the topics", lambda: self._admin.list_topics(timeout=ANSWER_S / 4)).topics
        asked = {self._settings.name(name): name for name in names if self._settings.name(name) in existing}
        if not asked:
            return {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in asked]
        answers = self._ask(
            "asking for the settings of the topics",
            lambda: self._admin.describe_configs(resources, request_timeout=ANSWER_S),
        )
        return {
            asked[resource.name]: Found(
                len(existing[resource.name].partitions),
                min(len(partition.replicas) for partition in existing[resource.name].partitions.values()),
                {entry.name: entry.value for entry in entries.values() if entry.value is not None},
            )
            for resource, entries in answers.items()
        }

    def _wait_until_led(self, plans: Sequence[TopicPlan]) -> None:
        deadline = time.monotonic() + ANSWER_S
        while not self._look().keys() >= {plan.name for plan in plans}:
            if time.monotonic() > deadline:
                raise LogUnavailable(
                    f"topics were created at {self._settings.bootstrap} but are not shown after {ANSWER_S:.0f} s: "
                    f"{', '.join(plan.name for plan in plans)}. Provision again"
                )
            time.sleep(AGAIN_S)
        for plan in plans:
            self.ends(plan.name, range(self._counts[plan.name]))

    def _ask(self, doing: str, start: Callable[[], Mapping[Any, Future[Any]]]) -> dict[Any, Any]:
        return self._repeat(doing, lambda: {key: future.result(ANSWER_S) for key, future in start().items()})

    def _repeat(self, doing: str, question: Callable[[], T], within_s: float | None = None) -> T:
        deadline = time.monotonic() + (ANSWER_S if within_s is None else within_s)
        while True:
            try:
                return question()
            except (KafkaException, TimeoutError) as raised:
                self._admin.poll(0)  # calls `hear`
                if (refused := self._refusals.take()) is not None:
                    raise fault(refused, doing, self._settings.bootstrap) from raised
                moved = code_of(raised) in AWAY | {Code.UNKNOWN_TOPIC}
                if not moved or time.monotonic() + AGAIN_S > deadline:
                    raise fault(raised, doing, self._settings.bootstrap) from raised
            time.sleep(AGAIN_S)
            with contextlib.suppress(KafkaException):  # the question itself will tell what is wrong
                self._admin.list_topics(timeout=1.0)
