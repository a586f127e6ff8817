"""How long lanes take to know what their predecessors knew: many instances over 16 partitions, with few and many events each.

Lanes write the log as they do at work, and complete their checkpoints as idle lanes do. Then every partition is owned and
restored, a thread each, in one process. The snapshots topic is compacted by the broker when it likes: what its cleaner has
not looked at yet is read over. So the same restore is timed once more when the cleaner was made to hurry, with the settings
that the table names.

With `--full` there are 1,000,000 instances with 1 and with 10 events each. 100 events each would be 100,000,000 turns, most
of an hour: that number of events is shown on 100,000 instances. `EVENTCORE_BENCH_CASES=50000x1,50000x4` takes others.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from benchmarks.job import COMMANDS, SMALL, TOPICS, Deposit, drain
from benchmarks.kafka import new_prefix, open_kafka
from benchmarks.measure import Row
from eventcore.avro.envelope import command_envelope
from eventcore.lane.restore import read_to
from eventcore.log.kafka import KafkaLog
from eventcore.log.kafka.client import AdminClient, AlterOperation, ConfigEntry, ConfigResource
from eventcore.log.port import Log, Record
from eventcore.topics import partition_of
from tests.servers import kafka

PARTITIONS = 16
SCALED, FULL = 10_000, 1_000_000
CASES = ((SCALED, 1), (SCALED, 100))
FULL_CASES = ((FULL, 1), (FULL, 10), (100_000, 100))
PIECE = 50_000  # commands that are made and appended at a time
HURRY = {"segment.ms": "1000", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "1000"}
CLEANED_S = 60.0  # how long the cleaner is waited for; it looks every 15 s


class Restored(NamedTuple):
    """Seconds until all lanes stand ready, those of the slowest in fencing, the instances that they know, what was read."""

    seconds: float
    fencing: float
    instances: int
    snapshots: int
    events: int
    outcomes: int


def rows(*, full: bool = False) -> list[Row]:
    """A line a number of events, each before and after the broker's cleaner was at work."""
    lines: list[Row] = []
    with kafka() as server:
        for instances, events in _cases(full=full):
            prefix = new_prefix()
            log = open_kafka(server.bootstrap, prefix)
            try:
                fill(log, instances, events)
                lines.append(_row(log, instances, events, "as the topic is made"))
                if _hurry(server.bootstrap, prefix, log):
                    settings = ", ".join(f"{name}={value}" for name, value in HURRY.items())
                    lines.append(_row(log, instances, events, f"cleaned, {settings}"))
            finally:
                _delete(server.bootstrap, prefix)
                log.close()
    return lines


def _cases(*, full: bool) -> tuple[tuple[int, int], ...]:
    """Numbers of instances, and of events of each."""
    if given := os.environ.get("EVENTCORE_BENCH_CASES"):
        pairs = (case.partition("x") for case in given.split(","))
        return tuple((int(instances), int(events)) for instances, _, events in pairs)
    return FULL_CASES if full else CASES


def _delete(bootstrap: str, prefix: str) -> None:
    """Give the disk back: ten million turns are gigabytes."""
    admin: Any = AdminClient({"bootstrap.servers": bootstrap})
    names = [prefix + topic for topic in TOPICS]
    for future in admin.delete_topics(names).values():
        future.result(30)


def fill(log: Log, instances: int, events: int) -> None:
    """Let lanes decide `events` deposits for each of `instances` accounts."""
    SMALL.provision(log, PARTITIONS)
    lanes = [SMALL.lane(log, partition) for partition in range(PARTITIONS)]
    keys: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for number in range(instances):
        key = f"account-{number:07}".encode()
        keys[partition_of(key, PARTITIONS)].append(key)
    body = COMMANDS.encode(Deposit(1))
    number = 0
    for partition, lane in enumerate(lanes):
        lane.start()
        todo = [key for _ in range(events) for key in keys[partition]]
        for first in range(0, len(todo), PIECE):
            piece = todo[first : first + PIECE]
            ids = range(number, number + len(piece))
            number += len(piece)
            records = [
                Record(key, body, command_envelope(i.to_bytes(16, "big")), 1) for key, i in zip(piece, ids, strict=True)
            ]
            log.append(TOPICS.commands, partition, records)
            drain(lane, len(piece), 1.0)
        while lane.checkpoint_under_way:
            lane.step(0.0)
        lane.close()


def restored(log: Log) -> Restored:
    """Own and restore every partition, a thread each."""
    lanes = [SMALL.lane(log, partition) for partition in range(PARTITIONS)]
    fencing: list[float] = []
    read: dict[str, int] = {}
    lock = threading.Lock()

    def note(what: str, done: int, _end: int) -> None:
        if ", " not in what:  # else a sign of life amid what was read
            read[what] = done

    def start(partition: int) -> None:
        began = time.perf_counter()
        lanes[partition].own()
        with lock:
            fencing.append(time.perf_counter() - began)
        lanes[partition].restore(note)

    began = time.perf_counter()
    with ThreadPoolExecutor(PARTITIONS) as threads:
        list(threads.map(start, range(PARTITIONS)))
    seconds = time.perf_counter() - began
    known = sum(len(lane.memory.instances) for lane in lanes)
    for lane in lanes:
        lane.close()
    of = [sum(n for what, n in read.items() if what.startswith(f"{t}[")) for t in TOPICS]
    return Restored(seconds, max(fencing), known, of[3], of[1], of[2])


def _row(log: Log, instances: int, events: int, when: str) -> Row:
    taken = sorted(restored(log) for _ in range(3))[1]
    assert taken.instances == instances, f"{taken.instances} instances are known, {instances} were made"
    what = f"restore of {instances:,} instances, {events} events each, {PARTITIONS} partitions"
    read = f"read {taken.snapshots:,} snapshots, {taken.events:,} events, {taken.outcomes:,} outcomes"
    note = f"fencing {taken.fencing:.2f} s; {read}; {when}"
    records = taken.snapshots + taken.events + taken.outcomes
    return Row(what, f"{taken.seconds:.2f} s", "-", f"{records / taken.seconds:,.0f} records/s", "flat", note)


def snapshot_records(log: Log) -> int:
    """How many records a restore finds in the snapshots topic."""
    return sum(
        len(records)
        for partition in range(PARTITIONS)
        for records in read_to(log, TOPICS.snapshots, partition, log.stable_end(TOPICS.snapshots, partition))
    )


def _hurry(bootstrap: str, prefix: str, log: KafkaLog) -> bool:
    """Make the broker's cleaner look at the snapshots now; say whether it did."""
    before = snapshot_records(log)
    if not before:
        return False
    entries = [ConfigEntry(name, value, incremental_operation=AlterOperation.SET) for name, value in HURRY.items()]
    admin: Any = AdminClient({"bootstrap.servers": bootstrap})
    resource = ConfigResource(ConfigResource.Type.TOPIC, prefix + TOPICS.snapshots, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)
    time.sleep(1.5)
    for partition in range(PARTITIONS):  # a segment is closed by the record that comes after its time
        log.append(TOPICS.snapshots, partition, [Record(b"\xfe", None)])
    deadline = time.monotonic() + CLEANED_S
    while time.monotonic() < deadline:
        if snapshot_records(log) < before:
            time.sleep(15)  # the rest of its round
            return True
        time.sleep(1)
    return False
