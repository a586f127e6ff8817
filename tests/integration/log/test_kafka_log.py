"""The Kafka log beside other producers, lost slots of its ring, and a broker that is away, killed or back again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import admin

from eventcore.errors import Fenced, LogUnavailable, OutcomeUnknown, SystemFault
from eventcore.lane.hanging import NOTHING
from eventcore.log.kafka import KafkaLog
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.port import COMMANDS_KEPT_MS, Log, MendingWriter, Record, Recorded, TopicPlan, Writer
from tests import servers
from tests.contracts.log.places import POLL_S, TOPICS, keys, owned, plans, read, record
from tests.contracts.log.test_threads import running

AWAY = "127.0.0.1:1"  # nothing listens there
# A broker that was killed listens again after 3 to 11 s. What a writer may take to notice is more: 10 s for a position, else
# 20 s each to flush and to commit and 15 of grace, and then up to 30 s to own the lane again; all of it twice at the worst.
BACK_S = 150.0

_confluent: Any = confluent_kafka
_admin: Any = admin


@pytest.fixture
def log(kafka: str, kafka_prefix: str) -> Iterator[KafkaLog]:
    """An empty log on the run's broker."""
    with contextlib.closing(KafkaLog(kafka, kafka_prefix)) as log:
        log.provision(plans(TOPICS))
        yield log


def transactional(kafka: str, transactional_id: str) -> Any:
    """A producer that has fenced every other of its id."""
    producer = _confluent.Producer({"bootstrap.servers": kafka, "transactional.id": transactional_id})
    producer.init_transactions(30)
    return producer


@pytest.mark.parametrize("slot", [0, 1])
def test_a_writer_that_lost_one_slot_of_its_ring_is_fenced(
    log: KafkaLog, kafka: str, kafka_prefix: str, slot: int
) -> None:
    """W1: at its first transaction if it lost slot 0, so that of two owners at once only one ever commits."""
    writer = owned(log)
    transactional(kafka, f"{kafka_prefix}bank.account.0.{slot}")
    for turn in range(slot):
        writer.append(TOPICS.events, [record(str(turn))])
        writer.commit(None)
    writer.append(TOPICS.events, [record("lost")])
    with pytest.raises(Fenced):
        writer.commit(None)
    assert keys(read(log, TOPICS.events)) == [str(turn) for turn in range(slot)]


def test_a_broken_talk_with_the_coordinator_ends_the_writer_after_its_commit(log: KafkaLog) -> None:
    """The line is the library's own; it is given by hand, since no test cuts the library's connection in time."""
    writer = log.own(TOPICS, 0)
    writer.append(TOPICS.events, [record("committed")])
    line = "[thrd:TxnCoordinator]: TxnCoordinator: 127.0.0.1:9092: Disconnected (after 10ms in state UP)"
    for held in writer._slots:
        held.lines.log(40, "%s [%s] %s", "FAIL", "rdkafka#producer-1", line)
    assert len(writer.commit(1)[TOPICS.events]) == 1
    with pytest.raises(LogUnavailable, match=r"the last transaction is decided, but .* own the lane again"):
        writer.append(TOPICS.events, [record("refused")])
    again = owned(log)
    again.append(TOPICS.events, [record("next")])
    again.commit(2)
    assert keys(read(log, TOPICS.events)) == ["committed", "next"]


def test_lines_about_anything_else_break_nothing() -> None:
    lines = ClientLines()
    lines.log(40, "%s [%s] %s", "FAIL", "rdkafka#producer-1", "[thrd:127.0.0.1:9092/1]: Disconnected")
    lines.log(30, "%s [%s] %s", "GETPID", "rdkafka#producer-1", "[thrd:main]: from broker TxnCoordinator/1: retrying")
    assert lines.take_broken() is None
    lines.log(40, "%s [%s] %s", "REQTMOUT", "rdkafka#producer-1", "[thrd:TxnCoordinator]: Timed out EndTxnRequest")
    assert lines.take_broken() is not None
    assert lines.take_broken() is None


def test_what_broke_between_transactions_does_no_harm(log: KafkaLog) -> None:
    """A broker closes connections that are idle for ten minutes; nothing was in flight then."""
    writer = log.own(TOPICS, 0)
    for slot in writer._slots:
        slot.lines.log(40, "%s [%s] %s", "FAIL", "rdkafka#producer-1", "[thrd:TxnCoordinator]: Disconnected")
    for turn in range(2):
        writer.append(TOPICS.events, [record(str(turn))])
        writer.commit(None)
    assert keys(read(log, TOPICS.events)) == ["0", "1"]


def test_offsets_are_exact_where_other_records_and_markers_stand_between(
    log: KafkaLog, kafka: str, kafka_prefix: str
) -> None:
    """A transaction's marker is written among the records of the next one; here another producer writes there too."""
    writer = owned(log)
    ends = threading.Event()
    began = threading.Event()

    def intrude() -> None:
        producer = _confluent.Producer({"bootstrap.servers": kafka, "linger.ms": 0})
        while not ends.is_set():
            producer.produce(f"{kafka_prefix}{TOPICS.events}", b"foreign", b"foreign", partition=0)
            producer.flush(5)
            began.set()

    thread = threading.Thread(target=intrude)
    thread.start()
    offsets: dict[str, int] = {}
    under_way: list[str] = []
    try:
        assert began.wait(POLL_S)
        for turn in range(10):
            names = [f"{turn}.{i}" for i in range(5_000)]
            writer.append(TOPICS.events, [record(name, "x" * 500) for name in names])
            offsets |= dict(zip(under_way, writer.settle().get(TOPICS.events, ()), strict=True))
            writer.begin_commit(None)
            under_way = names
        offsets |= dict(zip(under_way, writer.settle()[TOPICS.events], strict=True))
    finally:
        ends.set()
        thread.join(POLL_S)
    mine = [each for each in read(log, TOPICS.events) if each.key != b"foreign"]
    assert {(each.key or b"").decode(): each.offset for each in mine} == offsets
    assert [each.offset for each in mine] == sorted(offsets.values())
    assert len(mine) == 50_000


def test_topics_are_made_as_planned(log: KafkaLog, kafka: str, kafka_prefix: str) -> None:
    log.provision(
        [TopicPlan("bank.commands", 1, kept_ms=COMMANDS_KEPT_MS), TopicPlan("bank.schemas", 1, cleanup="compact")]
    )
    client = _admin.AdminClient({"bootstrap.servers": kafka})
    names = [TOPICS.events, "bank.commands", "bank.schemas"]
    wanted = [_admin.ConfigResource(_admin.ConfigResource.Type.TOPIC, kafka_prefix + name) for name in names]
    settings = {
        resource.name.removeprefix(kafka_prefix): {
            name: entry.value
            for name, entry in future.result(POLL_S).items()
            if name in {"cleanup.policy", "retention.ms", "retention.bytes", "message.timestamp.type"}
        }
        for resource, future in client.describe_configs(wanted).items()
    }
    common = {"message.timestamp.type": "CreateTime", "retention.bytes": "-1"}
    assert settings == {
        TOPICS.events: common | {"cleanup.policy": "delete", "retention.ms": "-1"},
        "bank.commands": common | {"cleanup.policy": "delete", "retention.ms": "604800000"},
        "bank.schemas": common | {"cleanup.policy": "compact", "retention.ms": "-1"},
    }


def test_prefixes_keep_apps_apart(log: KafkaLog, kafka: str, kafka_prefix: str) -> None:
    with contextlib.closing(KafkaLog(kafka, f"{kafka_prefix}other.")) as other:
        other.provision(plans(TOPICS))
        writers = [owned(log), owned(other)]
        for number, writer in enumerate(writers):
            writer.append(TOPICS.events, [record(str(number))])
            writer.commit(number + 10)
        assert [keys(read(each, TOPICS.events)) for each in (log, other)] == [["0"], ["1"]]
        assert [each.saved("bank.account", TOPICS.commands, 0) for each in (log, other)] == [10, 11]


def test_lag_is_seen_by_any_tool(log: KafkaLog, kafka: str, kafka_prefix: str) -> None:
    """The consumed position stands in the consumer group of the lane's name."""
    writer = owned(log)
    writer.append(TOPICS.outcomes, [record("a")])
    writer.commit(42)
    assert log.saved("bank.account", TOPICS.commands, 0) == 42  # waits until the transaction's markers are written
    consumer = _confluent.Consumer({"bootstrap.servers": kafka, "group.id": f"{kafka_prefix}bank.account"})
    at = _confluent.TopicPartition(f"{kafka_prefix}{TOPICS.commands}", 0)
    assert [found.offset for found in consumer.committed([at], timeout=POLL_S)] == [42]
    consumer.close()


def test_the_envelope_is_one_header_that_any_consumer_reads(log: KafkaLog, kafka: str, kafka_prefix: str) -> None:
    log.append(TOPICS.commands, 0, [Record(b"k", b"v", b"envelope", 1_000, (("trace", b"1"),))])
    consumer = _confluent.Consumer({"bootstrap.servers": kafka, "group.id": f"{kafka_prefix}plain"})
    consumer.assign([_confluent.TopicPartition(f"{kafka_prefix}{TOPICS.commands}", 0, 0)])
    message = consumer.poll(POLL_S)
    assert (message.key(), message.value(), message.timestamp()[1]) == (b"k", b"v", 1_000)
    assert message.headers() == [("eventcore", b"envelope"), ("trace", b"1")]
    consumer.close()


def test_foreign_headers_and_missing_keys_are_read(log: KafkaLog, kafka: str, kafka_prefix: str) -> None:
    producer = _confluent.Producer({"bootstrap.servers": kafka})
    producer.produce(f"{kafka_prefix}{TOPICS.events}", b"v", partition=0, headers=[("a", None), ("eventcore", b"e")])
    producer.flush(POLL_S)
    (found,) = read(log, TOPICS.events)
    assert (found.key, found.envelope, found.headers) == (None, b"e", (("a", b""),))


def test_a_cluster_that_is_not_there_is_named_and_waited_for_with_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventcore.log.kafka.cluster.ANSWER_S", 1.0)
    with contextlib.closing(KafkaLog(AWAY)) as log:
        for use in (
            lambda: log.provision(plans(TOPICS)),
            lambda: log.append(TOPICS.commands, 0, [record("a")]),
            lambda: log.follow(TOPICS.commands, {0: 0}),
            lambda: owned(log),
        ):
            began = time.monotonic()
            with pytest.raises(LogUnavailable, match=rf"Kafka at {AWAY} does not answer. Is it running"):
                use()
            assert time.monotonic() - began < 5


def test_a_killed_broker_comes_back_and_a_writer_and_a_follower_go_on(own_kafka: servers.KafkaServer) -> None:
    """Every acknowledged commit is there once, in order; the follower is never made anew; faults name the address."""
    with contextlib.closing(KafkaLog(own_kafka.bootstrap, transaction_ms=20_000)) as log:
        log.provision(plans(TOPICS))
        lane = _Lane(log)
        followed: list[Recorded] = []
        faults: list[SystemFault] = []
        enough, written = threading.Event(), threading.Event()

        def write() -> None:
            try:
                lane.commit_until(enough)
            finally:
                written.set()

        def follow() -> None:
            with contextlib.closing(log.follow(TOPICS.events, {0: 0})) as follower:
                while not written.is_set() or len(followed) < len(lane.kept):
                    try:
                        followed.extend(follower.poll(100, 0.2).get(0, ()))
                    except LogUnavailable as fault:
                        faults.append(fault)

        with running(write, follow):
            try:
                assert _wait_until(lambda: len(followed) > 10 or written.is_set())
                own_kafka.kill()
                own_kafka.start()
                count = len(lane.kept)
                assert _wait_until(lambda: len(lane.kept) > count + 10 or written.is_set()), (
                    f"no commit after the restart: {lane.faults}"
                )
            finally:
                enough.set()
        assert keys(followed) == lane.kept == keys(read(log, TOPICS.events))
        assert [fault for fault in faults + lane.faults if own_kafka.bootstrap not in str(fault)] == []


class _Lane:
    """Commits numbers exactly once over any fault, as a lane does: own again, read the log, write what is missing."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.kept: list[str] = []
        self.faults: list[SystemFault] = []
        self.writer = owned(log)

    def commit_until(self, enough: threading.Event) -> None:
        while not enough.is_set():
            key = str(len(self.kept))
            try:
                self.writer.append(TOPICS.events, [record(key)])
                self.writer.commit(int(key) + 1)
            except (LogUnavailable, OutcomeUnknown) as fault:
                self.faults.append(fault)
                if not self._recovered(key):
                    continue
            self.kept.append(key)

    def _recovered(self, key: str) -> bool:
        """Own the lane again, and say whether the commit in doubt had happened."""
        deadline = time.monotonic() + BACK_S
        while True:
            try:
                self.writer = owned(self.log)
                _mend(self.writer)
                return key in keys(read(self.log, TOPICS.events))
            except LogUnavailable as fault:
                self.faults.append(fault)
                if time.monotonic() > deadline:
                    raise


def _mend(writer: Writer) -> None:
    """End what the crash left without its end, one in eight: as committed, since one record is all there or not at all."""
    assert isinstance(writer, MendingWriter)
    if hanging := writer.hanging():
        writer.end_hanging(dict.fromkeys(hanging, NOTHING), commit=True)


def test_a_follower_says_that_the_broker_is_away_and_reads_on_when_it_is_back(own_kafka: servers.KafkaServer) -> None:
    with contextlib.closing(KafkaLog(own_kafka.bootstrap)) as log:
        log.provision(plans(TOPICS))
        follower = log.follow(TOPICS.commands, {0: 0})
        log.append(TOPICS.commands, 0, [record("before")])
        assert keys(list(follower.poll(10, POLL_S)[0])) == ["before"]
        own_kafka.kill()
        with pytest.raises(LogUnavailable, match=rf"{own_kafka.bootstrap} does not answer.*Poll again"):
            follower.poll(10, 5.0)
        with pytest.raises(LogUnavailable, match=rf"{own_kafka.bootstrap} does not answer.*Nothing was changed"):
            log.append(TOPICS.commands, 0, [record("while away")])
        own_kafka.start()
        log.append(TOPICS.commands, 0, [record("after")])
        found: list[Recorded] = []
        deadline = time.monotonic() + BACK_S
        while not found and time.monotonic() < deadline:
            with contextlib.suppress(LogUnavailable):
                found += follower.poll(10, 1.0).get(0, ())
        assert keys(found) == ["after"]


def test_an_abandoned_transaction_ends_by_itself(log: KafkaLog, kafka: str, kafka_prefix: str) -> None:
    """Nobody owns the lane again; readers of its partition go on when the transaction is too old."""
    with contextlib.closing(KafkaLog(kafka, kafka_prefix, transaction_ms=2_000)) as short:
        writer = owned(short)
        writer.append(TOPICS.events, [record("abandoned")])
        assert _wait_until(lambda: log.end(TOPICS.events, 0) >= 1)
        assert _wait_until(lambda: log.stable_end(TOPICS.events, 0) == log.end(TOPICS.events, 0) > 1)
        assert read(log, TOPICS.events) == []
        with pytest.raises(LogUnavailable, match=r"aborts it after 2 s. Nothing was written; own the lane again"):
            writer.commit(None)


def _wait_until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + BACK_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)  # a broker's own timers are waited for: it has nothing that could wake us
    return holds()
