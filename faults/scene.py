"""Where a fault happens: servers, workers, clients under load, and the clock that measures how long it takes to go on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from eventcore import Cut
from eventcore.app.wiring import provision
from eventcore.log.kafka import KafkaLog
from examples.bank.app import app
from examples.bank.balances import balances
from faults.judge import TRANSFER, Finding, Verdict, judge, unfinished
from faults.proxy import Proxy
from faults.reading import Topics
from faults.rows import wrong_rows
from faults.sending import Load, Senders
from faults.workers import Worker, Workers
from projections import open_views
from tests.servers import KafkaServer, PostgresServer

PARTITIONS = 4
RESUME_S = 120.0  # whoever has not gone on by then has not survived
SETTLE_S = 90.0  # for transfers under way to end, and the read model to catch up
LOOK_S = 0.01


class Servers(NamedTuple):
    """What a scene runs on. `brokers` can be killed one by one; `bootstrap` may be a proxy's."""

    brokers: list[KafkaServer]
    bootstrap: str
    postgres: PostgresServer
    proxy: Proxy | None = None
    in_sync: Callable[[], None] | None = None  # of three brokers: return when every replica is


@dataclass
class Report:
    """What came of a fault."""

    injected: int = 0
    noted: dict[str, int] = field(default_factory=dict[str, int])
    resumes: list[float] = field(default_factory=list[float])
    sent: int = 0
    retries: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0
    folder: Path = Path()


class Scene:
    """One fault's stage. Whoever injects uses it from one thread."""

    def __init__(self, name: str, servers: Servers, folder: Path, seed: int, *, short: bool) -> None:
        self.servers = servers
        self.short = short
        self.random = random.Random(f"{seed} {name}")
        self.report = Report(folder=folder)
        self.prefix = f"f{time.time_ns() // 1_000_000 % 10**9}-{name}."
        self.seed = seed
        self.name = name
        self.workers: Workers
        self.senders: Senders
        self.log: KafkaLog

    # --- for those who inject ---------------------------------------------------------------------------------------

    def times(self, long: int, short: int = 1) -> int:
        """How often to inject."""
        return short if self.short else long

    def pause(self, least_s: float, most_s: float) -> None:
        """Wait a random time."""
        threading.Event().wait(self.random.uniform(least_s, most_s))

    def some_worker(self) -> Worker:
        """One of the workers that run."""
        return self.random.choice([worker for worker in self.workers.all if not worker.paused])

    def note(self, what: str) -> None:
        """Count something that is worth telling."""
        self.report.noted[what] = self.report.noted.get(what, 0) + 1

    @contextmanager
    def fault(self) -> Generator[None]:
        """A fault is injected in this block; after it, wait until every client is answered again, and note how long.

        The time counts from the beginning of the block: an outage that lasts is part of it.
        """
        began = time.monotonic()
        self.report.injected += 1
        yield
        self.resumes(began)

    def resumes(self, since: float, after: float | None = None) -> None:
        """Wait until every client was answered on a batch that it began after `after`; count from `since`."""
        deadline = time.monotonic() + RESUME_S
        after = time.monotonic() if after is None else after
        while (at := self.senders.resumed(after)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not every client was answered again within {RESUME_S:.0f} s")
            self.workers.check()
            time.sleep(LOOK_S)
        self.report.resumes.append(at - since)

    def in_transaction(self, topic: str = "bank.account.events") -> bool:
        """Whether a transaction of some lane is open at this moment."""
        return any(self.log.end(topic, p) > self.log.stable_end(topic, p) for p in range(PARTITIONS))

    def wait_for_a_transaction(self, within_s: float = 2.0) -> None:
        """Return at a moment at which some lane has written records and not yet committed them, or after a while."""
        deadline = time.monotonic() + within_s
        while not self.in_transaction() and time.monotonic() < deadline:
            pass

    # --- the run ----------------------------------------------------------------------------------------------------

    def run(
        self,
        inject: Callable[[Scene], None],
        *,
        workers: int,
        load: Load,
        arguments: tuple[str, ...],
        client: Mapping[str, str],
    ) -> Report:
        """Start workers and clients, inject, let everything come to rest, and judge."""
        began = time.monotonic()
        url = _database(self.servers.postgres.url, self.prefix)
        address = f"kafka://{self.servers.bootstrap}?prefix={self.prefix}"
        environment = {
            "EVENTCORE_APP": "examples.bank.app:app",
            "EVENTCORE_LOG": address,
            "EVENTCORE_VIEWS": url,
            "EVENTCORE_PARTITIONS": str(PARTITIONS),
            **{f"EVENTCORE_KAFKA_{name.upper().replace('.', '_')}": value for name, value in client.items()},
        }
        self.log = KafkaLog(self.servers.bootstrap, self.prefix)
        self.workers = Workers(environment, self.report.folder, arguments)
        self.senders = Senders(self.log, load, f"{self.seed} {self.name}")
        try:
            provision(self.log, app.wiring, PARTITIONS)
            _prepare(url)
            self.workers.start(workers)
            self.workers.wait_until_ready()
            failures = self._play(inject)
            topics = Topics(self.servers.bootstrap, self.prefix, "bank")
            if failures:  # what was answered until then is judged all the same
                self.workers.destroy()
            else:
                failures = self._come_to_rest(topics, url)
                self.workers.end_all()
            self._judge(topics, url, failures)
        finally:
            self.workers.destroy()
            self.log.close()
            self.report.seconds = time.monotonic() - began
        return self.report

    def _play(self, inject: Callable[[Scene], None]) -> list[Finding]:
        """Inject under load; what broke it off, if anything did."""
        self.senders.start()
        try:
            self.resumes(time.monotonic())
            self.report.resumes.clear()  # the first answers tell how long a start takes
            inject(self)
        except Exception as broken:  # noqa: BLE001 - told as what was found
            return [Finding("wrong", "run", f"broke off: {type(broken).__name__}: {broken}")]
        finally:
            self.senders.end()
            self.report.sent, self.report.retries = len(self.senders.sent), self.senders.retries
        return []

    def _come_to_rest(self, topics: Topics, url: str) -> list[Finding]:
        """Wait until every transfer has ended and the rows are at the end of the log; what did not come to it."""
        deadline = time.monotonic() + SETTLE_S
        while (left := unfinished(topics.machine(TRANSFER))) and time.monotonic() < deadline:
            time.sleep(0.2)
        failures = (
            [Finding("wrong", "transfers", f"{len(left)} have not ended, the first is {left[0]}")] if left else []
        )
        events = "bank.account.events"
        end = Cut({(events, p): self.log.stable_end(events, p) for p in range(PARTITIONS)})
        views = open_views(url)
        try:
            views.ask(balances, "account-0-0", at_least=end, timeout_s=SETTLE_S)
        except Exception as late:  # noqa: BLE001 - told as what was found
            failures.append(Finding("wrong", "balances", f"the read model does not catch up: {late}"))
        finally:
            views.close()
        return failures

    def _judge(self, topics: Topics, url: str, failures: list[Finding]) -> None:
        machines = [topics.machine(name) for name in app.wiring.machines]
        verdict = judge(machines, self.senders.sent, self.senders.answered)
        if not failures:
            failures = wrong_rows(url, verdict.accounts)
        verdict.findings += failures
        verdict.findings += [Finding("wrong", "client", each) for each in self.senders.failures]
        verdict.findings += [Finding("wrong", "worker", each) for each in self.workers.surprises]
        self.report.verdict = verdict


def _database(server: str, prefix: str) -> str:
    name = prefix.replace("-", "_").replace(".", "")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return server.rpartition("/")[0] + f"/{name}"


def _prepare(url: str) -> None:
    views = open_views(url)
    views.upgrade()
    views.prepare([balances])
    views.close()
