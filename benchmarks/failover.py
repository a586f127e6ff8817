"""The owner of some partitions is killed: how long until its successor answers there, and what the time goes into.

Two workers share 16 partitions, this process and one that is killed. Detection is the group's affair: until the broker
gives up a member that is silent (`group.consumer.session.timeout.ms`, 6 s on the broker of the tests; 45 s is Kafka's
default) and this process is told. Then the lane fences its predecessor, restores, and decides.

Of two members each has half. A lost pair of partitions is shown besides: two lanes whose owner holds them still and does
nothing any more, as a dead one does, are owned, restored and asked, a thread each. `EVENTCORE_BENCH_INSTANCES` sets the size.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.job import COMMANDS, SMALL, Deposit, accounts
from benchmarks.kafka import new_prefix, open_kafka
from benchmarks.measure import Row
from benchmarks.restore import PARTITIONS, fill
from eventcore.app import App, Client, Worker
from eventcore.app.wiring import provision
from eventcore.avro.envelope import command_envelope
from eventcore.errors import EventcoreError
from eventcore.lane.runner import LaneRunner
from eventcore.log.port import Log, Record
from eventcore.topics import key_of, partition_of
from projections import open_views
from tests.servers import kafka

SCALED, FULL = 20_000, 1_000_000
PATIENCE_S = 120.0
app = App("bench", [accounts])


def rows(*, full: bool = False) -> list[Row]:
    """The whole time, and its parts."""
    with kafka() as server, tempfile.TemporaryDirectory() as folder:
        instances = int(os.environ.get("EVENTCORE_BENCH_INSTANCES", FULL if full else SCALED))
        return _rows(server.bootstrap, Path(folder), instances)


def _rows(bootstrap: str, folder: Path, instances: int) -> list[Row]:
    prefix = new_prefix()
    log = open_kafka(bootstrap, prefix)
    views = open_views(f"sqlite:{folder / 'views.db'}")
    views.upgrade()
    fill(log, instances, 1)
    provision(log, app.wiring, PARTITIONS)
    moments = _Moments()
    victim = _start(f"kafka://{bootstrap}?prefix={prefix}", folder)
    worker = Worker(app, log, views)
    thread = threading.Thread(target=worker.run)
    try:
        _wait(lambda: "parts stand ready" in (folder / "victim.log").read_text(), "the first worker")
        thread.start()
        half = PARTITIONS // 2
        _wait(lambda: len(_standing(worker)) == half and worker.ready, "both to have their share")
        time.sleep(2)
        kept = _standing(worker)
        moments.watch()
        killed = time.perf_counter()
        victim.kill()
        answered = _ask(log, sorted(set(range(PARTITIONS)) - kept), killed)
        moments.stop()
        worker.stop()
        thread.join(PATIENCE_S)
        pair = _pair(log)
    finally:
        moments.stop()
        victim.kill()
        victim.wait()
        worker.stop()
        if thread.is_alive():
            thread.join(PATIENCE_S)
        views.close()
        log.close()
    detected = min(moments.owning.values()) - killed
    fenced = max(moments.owned[p] - moments.owning[p] for p in moments.owned)
    ready = max(moments.restored[p] - moments.owned[p] for p in moments.restored)
    last = max(moments.restored.values()) - killed
    of = f"{instances:,} instances, {PARTITIONS} partitions, the owner of {PARTITIONS - len(kept)} killed"
    return [
        Row(f"until a client is answered on each: {of}", f"{answered:.2f} s", "-", "-", "", ""),
        Row("    the group gives up the dead", f"{detected:.2f} s", "-", "-", "", "the broker's session timeout"),
        Row("    fencing, the slowest lane", f"{fenced:.2f} s", "-", "-", "", ""),
        Row("    restore, the slowest lane", f"{ready:.2f} s", "-", "-", "", ""),
        Row(
            f"    without detection, {PARTITIONS - len(kept)} lanes",
            f"{last - detected:.2f} s",
            "-",
            "-",
            "",
            "to ready",
        ),
        Row("    without detection, 2 lanes", f"{sum(pair):.2f} s", "-", "-", "≤ 2 s", _parts(pair)),
    ]


def _parts(pair: tuple[float, float, float]) -> str:
    return "fencing {:.2f} s, restore {:.2f} s, a command decided {:.2f} s; the slowest lane of each".format(*pair)


def _pair(log: Log) -> tuple[float, float, float]:
    """Seconds of fencing, restoring and deciding in two lanes whose owner is silent; the slowest of each."""
    dead = [SMALL.lane(log, partition) for partition in (0, 1)]
    for lane in dead:
        lane.start()

    def take_over(partition: int) -> tuple[float, float, float]:
        lane = SMALL.lane(log, partition)
        numbers = (n for n in itertools.count() if partition_of(f"account-{n:07}".encode(), PARTITIONS) == partition)
        began = time.perf_counter()
        lane.own()
        owned = time.perf_counter()
        lane.restore()
        restored = time.perf_counter()
        body = COMMANDS.encode(Deposit(1))
        lane.decide([Record(f"account-{next(numbers):07}".encode(), body, command_envelope(os.urandom(16)), 1)])
        decided = time.perf_counter()
        lane.close()
        return owned - began, restored - owned, decided - restored

    with ThreadPoolExecutor(2) as threads:
        taken = list(threads.map(take_over, (0, 1)))
    for lane in dead:
        with contextlib.suppress(EventcoreError):  # it was fenced
            lane.close()
    return max(t[0] for t in taken), max(t[1] for t in taken), max(t[2] for t in taken)


def _standing(worker: Worker) -> set[int]:
    return {
        int(part.name.rpartition("[")[2][:-1])
        for part in worker.standings()
        if part.kind == "lane" and part.status == "running"
    }


def _start(address: str, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "victim.log").open("w") as stream:
        views = f"sqlite:{folder / 'victim.db'}"
        arguments = ["--app", "benchmarks.failover:app", "--log", address, "--views", views, "run"]
        return subprocess.Popen(
            [sys.executable, "-m", "eventcore.cli", *arguments], stdout=subprocess.DEVNULL, stderr=stream
        )


def _ask(log: Log, partitions: list[int], since: float) -> float:
    """Send a command to an instance of each partition; return when the last was answered."""
    names: dict[int, str] = {}
    number = 0
    while len(names) < len(partitions):
        name = f"account-{number:07}"
        partition = partition_of(key_of(name), PARTITIONS)
        if partition in partitions:
            names.setdefault(partition, name)
        number += 1
    client = Client(app, log)
    for name in names.values():
        assert client.send(accounts.to(name, Deposit(1)), timeout_s=PATIENCE_S).accepted
    client.close()
    return time.perf_counter() - since


def _wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s for {what}"
        time.sleep(0.05)


class _Moments:
    """When lanes of this process begin to own, own, and stand ready, while it is watched."""

    def __init__(self) -> None:
        self.owning: dict[int, float] = {}
        self.owned: dict[int, float] = {}
        self.restored: dict[int, float] = {}
        self._own, self._restore = LaneRunner.own, LaneRunner.restore

    def watch(self) -> None:
        """Note from now on."""
        moments = self

        def own(lane: LaneRunner) -> None:
            moments.owning.setdefault(lane.partition, time.perf_counter())
            moments._own(lane)
            moments.owned.setdefault(lane.partition, time.perf_counter())

        def restore(lane: LaneRunner, *arguments: Any) -> None:
            moments._restore(lane, *arguments)
            moments.restored.setdefault(lane.partition, time.perf_counter())

        _replace(own, restore)

    def stop(self) -> None:
        """Leave things as they were."""
        _replace(self._own, self._restore)


def _replace(own: Any, restore: Any) -> None:
    """Watch from outside, so that a lane need not look at itself."""
    watched: Any = LaneRunner
    watched.own, watched.restore = own, restore
