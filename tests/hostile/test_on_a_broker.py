"""The same on a real broker, with a worker as a process of its own: it stays alive, small, and at its work."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from eventcore.log.kafka import KafkaLog
from eventcore.log.port import ENVELOPE_HEADER, Log, Record
from eventcore.topics import replies_topic
from projections import open_views
from tests.hostile.bank import (
    ACCOUNT,
    GOOD_KEYS,
    SCHEMAS,
    TRANSFER,
    Sample,
    check_goes_on,
    everything,
    flood,
    make_past,
    outcomes,
    samples,
)
from tests.hostile.spoiling import spoiled
from tests.logs import KAFKA, address_of
from tests.running import WAIT_S, wait_until

ROOT = Path(__file__).parents[2]
COUNT = 1_000  # in each topic: 11,000 records in all
SEED = 20_261_124
GROWTH_MAX = 120_000  # kB of the worker's resident memory, over what it has when it stands ready
REPLIES = replies_topic("bank")


class Worker:
    """`eventcore run` as a process, with what it says in a file."""

    def __init__(self, address: str, folder: Path, number: int) -> None:
        self.errors = folder / f"worker-{number}.log"
        self._stream = self.errors.open("w")
        self.popen = subprocess.Popen(
            [*program(address, folder), "run"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=self._stream,
        )

    def stands_ready(self) -> None:
        """Wait until every part does its work."""
        wait_until(lambda: "parts stand ready" in self.errors.read_text() or self.popen.poll() is not None, "a worker")
        assert self.popen.poll() is None, self.errors.read_text()

    def resident_kb(self) -> int:
        """Its memory now."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def end(self) -> None:
        """Tell it to end, and see that it does so in order."""
        self.popen.send_signal(signal.SIGTERM)
        assert self.popen.wait(WAIT_S) == 0, self.errors.read_text()

    def kill(self) -> None:
        """Whatever happened, leave nothing behind."""
        self.popen.kill()
        self.popen.wait()
        self._stream.close()


def program(address: str, folder: Path) -> list[str]:
    """The program on this log."""
    views = f"sqlite:{folder / 'views.db'}"
    return [sys.executable, "-m", "eventcore.cli", "--app", "examples.bank.app:app", "--log", address, "--views", views]


def environment() -> dict[str, str]:
    """An environment in which nothing is set but the way to the sources."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVENTCORE_")}
    return {**clean, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def worker(address: str, folder: Path, number: int) -> Generator[Worker]:
    """A worker that stands ready, and ends in order after the block."""
    started = Worker(address, folder, number)
    try:
        started.stands_ready()
        yield started
        started.end()
    finally:
        started.kill()


def raw_flood(log: KafkaLog, at: str, topic: str, real: list[Sample], seed: int) -> None:
    """As another program would: with no check of ours, keys and headers that may be missing, nothing waited for."""
    dice = random.Random(seed)
    bootstrap, prefix = at.removeprefix("kafka://").split("?prefix=")
    partitions = log.partitions(topic)
    producer: Any = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 1_000_000, "linger.ms": 5})
    for _ in range(COUNT // 2):
        partition, record = dice.choice(real)
        bad = spoiled(dice, record)
        headers = [(ENVELOPE_HEADER, bad.envelope)] if dice.random() < 0.9 else [(ENVELOPE_HEADER, None), ("b", b"")]
        with contextlib.suppress(BufferError):
            producer.produce(
                prefix + topic,
                bad.value,
                bad.key or None,
                partition % partitions,
                headers=headers,
                timestamp=bad.time_ms,
            )
        producer.poll(0)
    producer.flush(WAIT_S)


def replies(log: Log) -> list[Sample]:
    """What a reply is made of: outcomes, by an address."""
    return [
        Sample(n % 2, Record(b"a token", record.value, None, 1))
        for n, (_, record) in enumerate(everything(log, ACCOUNT.outcomes))
        if record.key not in GOOD_KEYS
    ]


@pytest.fixture(params=[KAFKA])
def address(request: pytest.FixtureRequest) -> str:
    """The address of an empty log on the broker."""
    return address_of(request, request.param)


@pytest.mark.slow
def test_a_worker_lives_through_bad_records_in_every_topic(
    address: str, kafka: str, kafka_prefix: str, tmp_path: Path
) -> None:
    log = KafkaLog(kafka, kafka_prefix)
    views = open_views(f"sqlite:{tmp_path / 'views.db'}")
    try:
        make_past(log, views)
        real = {topic: samples(log, topic) for topic in (*ACCOUNT, *TRANSFER, SCHEMAS)}
        for topic in (*ACCOUNT[1:], *TRANSFER[1:]):  # while nobody runs the lanes
            flood(log, topic, real[topic], SEED, COUNT)
        with worker(address, tmp_path, 0) as first:
            check_goes_on(log, views, "after")
            before_kb = first.resident_kb()
            for topic in (ACCOUNT.commands, TRANSFER.commands, SCHEMAS):
                flood(log, topic, real[topic], SEED + 1, COUNT // 2)
                raw_flood(log, address, topic, real[topic], SEED + 2)
            raw_flood(log, address, REPLIES, replies(log), SEED + 3)
            for topic in (*ACCOUNT[1:], *TRANSFER[1:]):  # beside their lanes
                flood(log, topic, real[topic], SEED + 4, COUNT // 20)
            every_command_has_its_outcome(log)
            check_goes_on(log, views, "beside")
            grown_kb = first.resident_kb() - before_kb
        with worker(address, tmp_path, 1):
            check_goes_on(log, views, "again")
        status = subprocess.run(
            [*program(address, tmp_path), "status", "--json"],
            env=environment(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert isinstance(json.loads(status.stdout), dict)
        assert grown_kb < GROWTH_MAX
    finally:
        views.close()
        log.close()


def every_command_has_its_outcome(log: KafkaLog) -> None:
    """Wait for it, and see that none has two; what was parked says why."""
    for topics in (ACCOUNT, TRANSFER):
        sent = {(partition, record.offset) for partition, record in everything(log, topics.commands)}
        wait_until(
            lambda: {(p, o.cause) for p, o in outcomes(log, topics.outcomes)} >= sent,  # noqa: B023 - called at once
            "an outcome for every command",
        )
        decided = outcomes(log, topics.outcomes)
        twice = [at for at, times in Counter((p, o.cause) for p, o in decided).items() if times > 1]
        assert not twice
        assert all(o.details.reason and o.details.message for _, o in decided if o.details.kind == "parked")
