"""Commands a second on a real broker, beside a raw twin that consumes, produces and commits the same bytes.

The twin decodes nothing and decides nothing: in batches of the same size it consumes the same command records, produces
ready-made events and outcomes of the same bytes to two topics and commits them in one transaction with the consumed
position, with the same client settings.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.job import SMALL, TOPICS, Job, at_home, commands, drain, lane_on
from benchmarks.measure import Row, Taken, in_turn, rates_row, runs, timed
from benchmarks.mixed import MIXED
from eventcore.lane.intake import BATCH_TURNS_MAX
from eventcore.lane.restore import read_to
from eventcore.log.kafka import KafkaLog
from eventcore.log.port import Record, Recorded
from tests.servers import kafka

COUNT = 50_000
RING = 2  # with one transactional id the next transaction waits for the markers of the last
ALONE = 200  # commands sent one at a time, 20 ms apart


def rows(*, full: bool = False) -> list[Row]:  # noqa: ARG001 - of one size only
    """The lines of the table; starts a broker of its own unless the environment names one."""
    with kafka() as server:
        return [
            pipelined_row(server.bootstrap, SMALL, "≥ 0.40 of the twin, CPU ≤ 10 µs"),
            pipelined_row(server.bootstrap, MIXED, "CPU ≤ 14 µs"),
            processes_row(server.bootstrap),
            idle_row(server.bootstrap),
        ]


def pipelined_row(bootstrap: str, job: Job, goal: str) -> Row:
    """Commands that stand in their topic, decided and committed in transactions of a thousand."""
    written = _written(bootstrap, job)
    ours, twin = in_turn(lambda: _ours(bootstrap, job), lambda: _twin(bootstrap, job, *written))
    return rates_row(f"commands on Kafka, 1,000 a transaction, {job.name}", "/s", ours, twin, goal)


def open_kafka(bootstrap: str, prefix: str = "") -> KafkaLog:
    """A log of its own."""
    return KafkaLog(bootstrap, prefix=prefix or new_prefix())


def new_prefix() -> str:
    """A prefix of topics that nobody else uses."""
    return f"bench-{uuid.uuid4().hex[:8]}."


def _ours(bootstrap: str, job: Job) -> Taken:
    log = open_kafka(bootstrap)
    try:
        runner = job.started(log)
        log.append(job.topics.commands, 0, job.records(COUNT))
        taken = timed(COUNT, lambda: drain(runner, COUNT, 1.0))
        runner.close()
        return taken
    finally:
        log.close()


def _written(bootstrap: str, job: Job) -> tuple[list[Recorded], list[Recorded]]:
    """The events and outcomes that our lane writes for the job."""
    log = open_kafka(bootstrap)
    try:
        runner = job.started(log)
        log.append(job.topics.commands, 0, job.records(COUNT))
        drain(runner, COUNT, 1.0)
        runner.close()
        events, outcomes = (
            [record for batch in read_to(log, topic, 0, log.stable_end(topic, 0)) for record in batch]
            for topic in (job.topics.events, job.topics.outcomes)
        )
        return events, outcomes
    finally:
        log.close()


def _twin(bootstrap: str, job: Job, events: list[Recorded], outcomes: list[Recorded]) -> Taken:
    prefix = new_prefix()
    log = open_kafka(bootstrap, prefix)
    try:
        job.provision(log)
        log.append(job.topics.commands, 0, job.records(COUNT))
        consumer = _consumer(bootstrap, prefix + job.topics.commands)
        ring = [_producer(bootstrap, f"{prefix}twin.{slot}") for slot in range(RING)]
        taken = timed(COUNT, lambda: _pump(consumer, ring, prefix, job, events, outcomes))
        consumer.close()
        return taken
    finally:
        log.close()


def processes_row(bootstrap: str) -> Row:
    """What a second process adds: two partitions, decided by two lanes of one process, then by one of each of two."""
    one = statistics.median(_in_processes(bootstrap, [[0, 1]]) for _ in range(runs()))
    two = statistics.median(_in_processes(bootstrap, [[0], [1]]) for _ in range(runs()))
    what = "commands on Kafka, two partitions: two processes, beside one"
    return Row(what, f"{two:,.0f} /s", f"{one:,.0f}", f"{two / one:.2f}", "", "twin: two lanes in one process")


def _in_processes(bootstrap: str, shares: list[list[int]]) -> float:
    """Commands a second that processes with these partitions decide, all of them begun at once."""
    prefix = new_prefix()
    log = open_kafka(bootstrap, prefix)
    try:
        SMALL.provision(log, 2)
        for partition in range(2):
            log.append(TOPICS.commands, partition, at_home(COUNT, partition, 2))
    finally:
        log.close()
    arguments = [",".join(map(str, share)) for share in shares]
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.drain", bootstrap, prefix, argument, str(COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for argument in arguments
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for child in children:
        child.communicate("go\n", timeout=300)
    return 2 * COUNT / (time.perf_counter() - began)


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


def _pump(
    consumer: Any, ring: list[Any], prefix: str, job: Job, events: list[Recorded], outcomes: list[Recorded]
) -> None:
    topics = job.topics
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
                prefix + topics.events,
                record.value,
                record.key,
                0,
                headers=[("eventcore", record.envelope)],
                timestamp=record.time_ms,
            )
        for record in outcomes[done:following]:
            producer.produce(prefix + topics.outcomes, record.value, record.key, 0, timestamp=record.time_ms)
        position = TopicPartition(prefix + topics.commands, 0, messages[-1].offset() + 1)
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
    log = open_kafka(bootstrap)
    try:
        runner = lane_on(log)
        latencies = _one_by_one(lambda record: runner.decide([record]))
        runner.close()
        return latencies
    finally:
        log.close()


def _idle_twin(bootstrap: str) -> tuple[float, float]:
    prefix = new_prefix()
    log = open_kafka(bootstrap, prefix)
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
