"""Commands a second on a real broker, beside a raw twin that consumes, produces and commits the same bytes.

The twin decodes nothing and decides nothing: in batches of the same size it consumes the same command records, produces
ready-made events and outcomes of the same bytes to two topics and commits them in one transaction with the consumed
position, with the same client settings.
"""

from __future__ import annotations

import statistics
import time
import uuid
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


def _log(bootstrap: str) -> KafkaLog:
    return KafkaLog(bootstrap, prefix=f"bench-{uuid.uuid4().hex[:8]}.")


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
    log = _log(bootstrap)
    try:
        lane_on(log).close()  # makes the topics
        log.append(TOPICS.commands, 0, commands(COUNT))
        prefix = log.prefix
        consumer = _consumer(bootstrap, prefix + TOPICS.commands)
        producer = _producer(bootstrap, prefix)
        taken = timed(COUNT, lambda: _pump(consumer, producer, prefix, events, outcomes))
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


def _producer(bootstrap: str, prefix: str) -> Any:
    producer: Any = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"{prefix}twin",
            "retry.backoff.ms": 1,
            "linger.ms": 1,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.init_transactions(30)
    return producer


def _pump(consumer: Any, producer: Any, prefix: str, events: list[Recorded], outcomes: list[Recorded]) -> None:
    share = len(events) / COUNT
    done = 0
    while done < COUNT:
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
    """One command at a time on a lane with nothing else to do, from its append to its outcome being decided and durable."""
    took = [_idle(bootstrap) for _ in range(runs())]
    p50 = statistics.median(one[0] for one in took)
    p99 = statistics.median(one[1] for one in took)
    return Row("a command on an idle Kafka lane (p50)", f"{p50:.1f} ms", "-", "-", "about 4 ms", f"p99 {p99:.1f} ms")


def _idle(bootstrap: str) -> tuple[float, float]:
    log = _log(bootstrap)
    took: list[float] = []
    try:
        runner = lane_on(log)
        for record in commands(ALONE):
            time.sleep(0.02)  # the lane is idle when the command comes: that is what is measured
            took.append(_one(runner, record))
        runner.close()
    finally:
        log.close()
    took.sort()
    return statistics.median(took) * 1e3, took[int(len(took) * 0.99) - 1] * 1e3


def _one(runner: Any, record: Record) -> float:
    start = time.perf_counter()
    runner.decide([record])
    return time.perf_counter() - start
