"""How a worker is, over HTTP: `/live`, `/ready`, and `/metrics` for Prometheus.

- `/live`: 200 while this process answers; a part that hangs ends the process. An orchestrator kills what is not live.
- `/ready`: 200 while every lane, relay and projection that this worker was given stands ready; 503 while one restores, waits
  or has halted, while the worker drains, and before it has joined its groups. The body names those that are not.
- `/metrics`: what the lanes have counted, read when asked. Nothing global: each worker has a registry of its own.

Nothing here may hold the worker up: numbers are read without locks, and the ends of partitions, for the lag, are asked of the
log at most every ENDS_S, and left out where the log is away.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from eventcore.app.parts import LanePart
from eventcore.app.supervision import Supervised
from eventcore.app.worker import Worker
from eventcore.cut import Cut
from eventcore.errors import SystemFault, WrongUse
from eventcore.lane.measures import Histogram, Measures

ENDS_S = 5.0  # how old an end may be that a lag is told by
REQUEST_S = 10.0  # how long a client of ours may take to ask
LIVE, READY, METRICS = "/live", "/ready", "/metrics"


class Health:
    """Serves a worker's health at an address, until it is closed. Port 0 takes a free one: see `address`."""

    def __init__(self, worker: Worker, host: str, port: int) -> None:
        self._metrics = Metrics(worker)

        class Handler(_Handler):
            health = _Answers(worker, self._metrics)

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        try:
            self._server = Server((host, port), Handler)
        except (OSError, OverflowError) as taken:
            raise WrongUse(
                f"health cannot be served at {host}:{port}: {taken}. Name a free port of this machine"
            ) from taken
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where it is served."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Answers:
    """What is said at each path: status, type and body."""

    def __init__(self, worker: Worker, metrics: Metrics) -> None:
        self._worker = worker
        self._metrics = metrics

    def answer(self, path: str) -> tuple[int, str, bytes]:
        match path.partition("?")[0]:
            case "/live":
                return 200, "application/json", b'{"live": true}\n'
            case "/ready":
                return self._ready()
            case "/metrics":
                return 200, self._metrics.content_type, self._metrics.text()
            case _:
                said = f"there are {LIVE}, {READY} and {METRICS}\n"
                return 404, "text/plain; charset=utf-8", said.encode()

    def _ready(self) -> tuple[int, str, bytes]:
        ready = self._worker.ready
        waits = [
            {"part": part.name, "status": part.status, "reason": part.reason}
            for part in self._worker.standings()
            if part.status not in ("running", "idle", "released")
        ]
        body = json.dumps({"ready": ready, "not_ready": waits}) + "\n"
        return 200 if ready else 503, "application/json", body.encode()


class _Handler(BaseHTTPRequestHandler):
    """Reads one request; everything else is `_Answers`'."""

    health: _Answers
    timeout = REQUEST_S
    server_version = "eventcore"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer without the body."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        status, kind, said = self.health.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if body:
            self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: an orchestrator asks every few seconds."""


class Metrics:
    """A worker's numbers in Prometheus' text format, in a registry of its own. Raises WrongUse without its library."""

    def __init__(self, worker: Worker) -> None:
        try:
            import prometheus_client  # an optional dependency
            from prometheus_client import core
        except ImportError as missing:
            raise WrongUse("metrics need prometheus-client: pip install 'eventcore-framework[telemetry]'") from missing
        self._core: Any = core
        self._worker = worker
        self._registry = prometheus_client.CollectorRegistry()
        self._write = prometheus_client.generate_latest
        self.content_type = prometheus_client.CONTENT_TYPE_LATEST
        self._lock = threading.Lock()
        self._ends: dict[tuple[str, int], int] = {}
        self._asked: set[tuple[str, int]] = set()
        self._asked_at = -ENDS_S
        self._registry.register(self)

    def text(self) -> bytes:
        """All numbers as they are now."""
        return self._write(self._registry)

    def describe(self) -> Iterable[Any]:
        """Nothing beforehand: a registry asks once when a collector is added."""
        return ()

    def collect(self) -> Iterator[Any]:
        """Every metric. Called by the registry."""
        children = self._worker.children
        yield self._gauge(
            "eventcore_ready", "Whether every part of this worker stands ready.", [], [((), self._worker.ready)]
        )
        yield from self._parts(children)
        lanes = [(child, child.part.lane) for child in children if isinstance(child.part, LanePart)]
        yield from self._lanes([(_lane_labels(child), lane.measures) for child, lane in lanes])
        yield from self._memories([child for child, _ in lanes])

    def _parts(self, children: list[Supervised]) -> Iterator[Any]:
        standings = [child.standing() for child in children]
        yield self._gauge(
            "eventcore_part_ready",
            "Whether this part does its work.",
            ["part", "kind", "status"],
            [((s.name, s.kind, s.status), c.ready) for c, s in zip(children, standings, strict=True)],
        )
        yield self._counter(
            "eventcore_part_records",
            "Records that this part has taken.",
            ["part", "kind"],
            [((s.name, s.kind), s.records) for s in standings],
        )
        yield self._counter(
            "eventcore_part_restarts",
            "How often this part began again after a failure.",
            ["part", "kind"],
            [((s.name, s.kind), s.restarts) for s in standings],
        )
        ends = self._ends_of([s.position for s in standings if s.status in ("running", "idle")])
        yield self._gauge(
            "eventcore_lag_records",
            "Offsets between what this part has read and the end of the partition.",
            ["part", "kind", "topic", "partition"],
            [
                ((s.name, s.kind, topic, str(partition)), max(0, ends[topic, partition] - offset))
                for s in standings
                for (topic, partition), offset in s.position.items()
                if (topic, partition) in ends
            ],
        )

    def _lanes(self, lanes: list[tuple[tuple[str, str], Measures]]) -> Iterator[Any]:
        labels = ["machine", "partition"]
        yield self._counter(
            "eventcore_turns",
            "Outcomes that this lane has committed; repeats of an earlier one count as repeated.",
            [*labels, "kind"],
            [((*at, kind), count) for at, m in lanes for kind, count in m.outcomes.copy().items()],
        )
        yield self._histogram(
            "eventcore_batch_turns", "Turns in a transaction.", labels, [(at, m.batch_turns) for at, m in lanes]
        )
        yield self._histogram(
            "eventcore_commit_seconds",
            "How long a commit was under way.",
            labels,
            [(at, m.commit_s) for at, m in lanes],
        )
        yield self._gauge(
            "eventcore_restore_seconds",
            "How long the last restore took.",
            labels,
            [(at, m.restore_s) for at, m in lanes],
        )

    def _memories(self, lanes: list[Supervised]) -> Iterator[Any]:
        known: list[tuple[tuple[str, str], Any, int]] = []
        for child in lanes:
            assert isinstance(child.part, LanePart), "only lanes are asked for"
            try:
                known.append((_lane_labels(child), child.part.lane.memory, child.part.lane.term))
            except WrongUse:
                continue  # it restores, or has failed: it knows nothing now
        labels = ["machine", "partition"]
        yield self._gauge(
            "eventcore_term",
            "The lane's term: how often it has changed its owner.",
            labels,
            [(at, term) for at, _, term in known],
        )
        yield self._gauge(
            "eventcore_instances", "Instances in memory.", labels, [(at, len(m.instances)) for at, m, _ in known]
        )
        yield self._gauge(
            "eventcore_dedup_ids",
            "Command ids whose outcome is remembered.",
            labels,
            [(at, len(m.decided)) for at, m, _ in known],
        )
        yield self._gauge(
            "eventcore_quarantined_instances",
            "Instances that are stopped.",
            labels,
            [(at, len(m.quarantined)) for at, m, _ in known],
        )
        yield self._gauge(
            "eventcore_backlog_commands",
            "Commands that wait behind a quarantine.",
            labels,
            [(at, m.waiting.count) for at, m, _ in known],
        )

    def _ends_of(self, positions: list[Cut]) -> dict[tuple[str, int], int]:
        """The ends of these partitions, ENDS_S old at most; without those that the log does not tell."""
        with self._lock:
            wanted = {at for position in positions for at in position}
            if time.monotonic() - self._asked_at >= ENDS_S or not wanted <= self._asked:
                ends: dict[tuple[str, int], int] = {}
                try:
                    for topic, partition in wanted:
                        ends[topic, partition] = self._worker.log.end(topic, partition)
                except SystemFault:
                    pass  # the log is away: a part's status says so, and a lag that is not known is left out
                self._ends, self._asked, self._asked_at = ends, wanted, time.monotonic()
            return self._ends

    def _gauge(self, name: str, says: str, labels: list[str], rows: Iterable[tuple[tuple[str, ...], float]]) -> Any:
        return _filled(self._core.GaugeMetricFamily(name, says, labels=labels), rows)

    def _counter(self, name: str, says: str, labels: list[str], rows: Iterable[tuple[tuple[str, ...], float]]) -> Any:
        return _filled(self._core.CounterMetricFamily(name, says, labels=labels), rows)

    def _histogram(
        self, name: str, says: str, labels: list[str], rows: Iterable[tuple[tuple[str, ...], Histogram]]
    ) -> Any:
        family = self._core.HistogramMetricFamily(name, says, labels=labels)
        for at, histogram in rows:
            family.add_metric(at, histogram.cumulative(), histogram.sum)
        return family


def _filled(family: Any, rows: Iterable[tuple[tuple[str, ...], float]]) -> Any:
    for labels, value in rows:
        family.add_metric(labels, float(value))
    return family


def _lane_labels(child: Supervised) -> tuple[str, str]:
    assert isinstance(child.part, LanePart), "only lanes have these"
    return child.part.machine, str(child.part.lane.partition)
