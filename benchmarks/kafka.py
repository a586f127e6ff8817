"""Commands a second on a real broker, beside a raw twin that consumes, produces and commits the same bytes.

The twin decodes nothing and decides nothing: in batches of the same size it consumes the same command records, produces
ready-made events and outcomes of the same bytes to two topics and commits them in one transaction with the consumed
position, with the same client settings.
"""

from __future__ import annotations

import itertools
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.job import TOPICS, commands, drain, lane_on
from benchmarks.measure import Row, Taken, in_turn, rates_row, runs, timed
from eventcore.lane.restore import read_to
from eventcore.lane.runner import BATCH_TURNS_MAX
from eventcore.log.kafka import KafkaLog
from eventcore.log.port import Record, Recorded
from tests.servers import kafka

COUNT = 50_000
RING = 2  # with one transactional id the next transaction waits for the markers of the last
ALONE = 100  # commands sent one at a time, 20 ms apart


def rows() -> list[Row]:
    """The lines of the table; starts a broker of its own unless the environment names one."""
    with kafka() as server:
        return [pipelined_row(server.bootstrap), idle_row(server.bootstrap)]


def pipelined_row(bootstrap: str) -> Row:
    """Commands that stand in their topic, decided and committed in transactions of a thousand."""
    written = _written(bootstrap)
    ours, twin = in_turn(lambda: _ours(bootstrap), lambda: _twin(bootstrap, *written))
    return rates_row("commands on Kafka, 1,000 a transaction", "/s", ours, twin, "≥ 0.25 of the twin (0.40)")


def _log(bootstrap: str, prefix: str = "") -> KafkaLog:
    return KafkaLog(bootstrap, prefix=prefix or _prefix())


def _prefix() -> str:
    return f"bench-{uuid.uuid4().hex[:8]}."


def _ours(bootstrap: str) -> Taken:
    log = _log(bootstrap)
    try:
        runner = lane_on(log)
        log.append(TOPICS.commands, 0, commands(COUNT))
        taken = timed(COUNT, lambda: drain(runner, COUNT, 1.0))
        runner.close()
        return taken
    finally:
        log.close()


def _written(bootstrap: str) -> tuple[list[Recorded], list[Recorded]]:
    """The events and outcomes that our lane writes for the job."""
    log = _log(bootstrap)
    try:
        runner = lane_on(log)
        log.append(TOPICS.commands, 0, commands(COUNT))
        drain(runner, COUNT, 1.0)
        runner.close()
        events, outcomes = (
            [record for batch in read_to(log, topic, 0, log.stable_end(topic, 0)) for record in batch]
            for topic in (TOPICS.events, TOPICS.outcomes)
        )
        return events, outcomes
    finally:
        log.close()


def _twin(bootstrap: str, events: list[Recorded], outcomes: list[Recorded]) -> Taken:
    prefix = _prefix()
    log = _log(bootstrap, prefix)
    try:
        lane_on(log).close()  # makes the topics
        log.append(TOPICS.commands, 0, commands(COUNT))
        consumer = _consumer(bootstrap, prefix + TOPICS.commands)
        ring = [_producer(bootstrap, f"{prefix}twin.{slot}") for slot in range(RING)]
        taken = timed(COUNT, lambda: _pump(consumer, ring, prefix, events, outcomes))
        consumer.close()
        return taken
    finally:
        log.close()


def _consumer(bootstrap: str, topic: str) -> Any:
    consumer: Any = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}-twin",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.queue.backoff.ms": 5,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    return consumer


def _producer(bootstrap: str, transactional_id: str) -> Any:
    producer: Any = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": transactional_id,
            "retry.backoff.ms": 1,
            "linger.ms": 1,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.init_transactions(30)
    return producer


def _pump(consumer: Any, ring: list[Any], prefix: str, events: list[Recorded], outcomes: list[Recorded]) -> None:
    share = len(events) / COUNT
    done = 0
    for producer in itertools.cycle(ring):
        if done >= COUNT:
            return
        metadata = consumer.consumer_group_metadata()
        messages = [m for m in consumer.consume(BATCH_TURNS_MAX, 1.0) if m.error() is None]
        if not messages:
            continue
        producer.begin_transaction()
        following = done + len(messages)
        for record in events[int(done * share) : int(following * share)]:
            producer.produce(
                prefix + TOPICS.events,
                record.value,
                record.key,
                0,
                headers=[("eventcore", record.envelope)],
                timestamp=record.time_ms,
            )
        for record in outcomes[done:following]:
            producer.produce(prefix + TOPICS.outcomes, record.value, record.key, 0, timestamp=record.time_ms)
        position = TopicPartition(prefix + TOPICS.commands, 0, messages[-1].offset() + 1)
        producer.send_offsets_to_transaction([position], metadata, 30)
        producer.commit_transaction()
        done = following


def idle_row(bootstrap: str) -> Row:
    """One command at a time on a lane with nothing else to do: from its append until its outcome is durable."""
    ours: list[tuple[float, float]] = []
    twin: list[tuple[float, float]] = []
    for _ in range(runs()):
        ours.append(_idle(bootstrap))
        twin.append(_idle_twin(bootstrap))
    (mine, mine_p99), (raw, raw_p99) = _middle(ours), _middle(twin)
    note = f"p99 {mine_p99:.1f} ms, twin {raw_p99:.1f}"
    what = "a command on an idle Kafka lane (p50)"
    return Row(what, f"{mine:.1f} ms", f"{raw:.1f} ms", f"{mine / raw:.2f}", "at most 1.5 of the twin", note)


def _middle(took: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(p50 for p50, _ in took), statistics.median(p99 for _, p99 in took)


def _idle(bootstrap: str) -> tuple[float, float]:
    log = _log(bootstrap)
    try:
        runner = lane_on(log)
        latencies = _one_by_one(lambda record: runner.decide([record]))
        runner.close()
        return latencies
    finally:
        log.close()


def _idle_twin(bootstrap: str) -> tuple[float, float]:
    prefix = _prefix()
    log = _log(bootstrap, prefix)
    lane_on(log).close()  # makes the topics
    log.close()
    sender: Any = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 0})
    consumer = _consumer(bootstrap, prefix + TOPICS.commands)
    ring = itertools.cycle([_producer(bootstrap, f"{prefix}twin.{slot}") for slot in range(RING)])

    def once(record: Record) -> None:
        sender.produce(prefix + TOPICS.commands, record.value, record.key, 0, headers=[("eventcore", record.envelope)])
        sender.flush()
        metadata = consumer.consumer_group_metadata()
        message = consumer.poll(5.0)
        producer = next(ring)
        producer.begin_transaction()
        producer.produce(prefix + TOPICS.events, record.value, record.key, 0, headers=[("eventcore", record.envelope)])
        producer.produce(prefix + TOPICS.outcomes, record.value, record.key, 0)
        position = TopicPartition(prefix + TOPICS.commands, 0, message.offset() + 1)
        producer.send_offsets_to_transaction([position], metadata, 30)
        producer.commit_transaction()

    try:
        return _one_by_one(once)
    finally:
        consumer.close()


def _one_by_one(once: Callable[[Record], object]) -> tuple[float, float]:
    """The p50 and p99 in milliseconds of ALONE calls, each after a pause: the lane is idle when the command comes."""
    took: list[float] = []
    for record in commands(ALONE):
        time.sleep(0.02)
        start = time.perf_counter()
        once(record)
        took.append((time.perf_counter() - start) * 1e3)
    return statistics.median(took), sorted(took)[int(ALONE * 0.99) - 1]
