"""Three workers as processes of their own on one broker: they share the lanes, and take over what one of them leaves.

One is killed hard, one is stopped as a machine that stalls and goes on later, one is told to end. Commands are sent all
the while; afterwards the log is read with the plain client's eyes: each decided once, versions and sequences contiguous.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from eventcore import Cut
from eventcore.app import Client
from eventcore.app.wiring import provision
from eventcore.avro.envelope import read_envelope
from eventcore.avro.outcome import read_outcome
from eventcore.lane.restore import read_to
from eventcore.log.kafka import KafkaLog
from examples.bank.account import Deposit, accounts
from examples.bank.app import app
from examples.bank.balances import balances
from projections import open_views
from tests.running import wait_until

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
ACCOUNTS = 16
WAIT_S = 60.0  # a group gives up a member after its session's time: on the tests' broker 6 s


class Work(NamedTuple):
    """A worker on its own terminal."""

    popen: subprocess.Popen[str]
    errors: Path

    def said(self) -> str:
        """What it has logged."""
        return self.errors.read_text()

    def says(self, words: str) -> None:
        """Wait until it has logged these words; where it has ended instead, what it logged tells why."""
        wait_until(lambda: words in self.said() or self.popen.poll() is not None, f"{words!r} from a worker", WAIT_S)
        assert words in self.said(), f"it ended with {self.popen.poll()}: {self.said()}"

    def tell(self, number: int) -> None:
        """Send it a signal."""
        self.popen.send_signal(number)


class Bank(NamedTuple):
    """Three workers of the bank, and what they work on."""

    log: KafkaLog
    workers: list[Work]
    views: str


@pytest.fixture(params=["consumer", "classic"])
def bank(request: pytest.FixtureRequest, kafka: str, kafka_prefix: str, tmp_path: Path) -> Generator[Bank]:
    """Three workers that share the lanes, with either group protocol; killed at the end."""
    views = f"sqlite:{tmp_path / 'views.db'}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVENTCORE_")}
    where = {
        "EVENTCORE_APP": "examples.bank.app:app",
        "EVENTCORE_LOG": f"kafka://{kafka}?prefix={kafka_prefix}",
        "EVENTCORE_VIEWS": views,
        "EVENTCORE_KAFKA_GROUP_PROTOCOL": request.param,
        **({"EVENTCORE_KAFKA_SESSION_TIMEOUT_MS": "6000"} if request.param == "classic" else {}),
        "EVENTCORE_PARTITIONS": str(PARTITIONS),
        "PYTHONPATH": str(ROOT),
    }
    workers: list[Work] = []

    def start() -> Work:
        errors = tmp_path / f"worker-{len(workers)}"
        with errors.open("w") as stream:
            popen = subprocess.Popen(
                [sys.executable, "-m", "eventcore.cli", "--json", "run"],
                cwd=tmp_path, env={**clean, **where}, stdout=subprocess.PIPE, stderr=stream, text=True,
            )  # fmt: skip
        workers.append(Work(popen, errors))
        return workers[-1]

    with closing(KafkaLog(kafka, kafka_prefix)) as log:
        provision(log, app.wiring, PARTITIONS)
        first = start()
        try:
            first.says("parts stand ready")
            for each in (start(), start()):
                each.says("parts stand ready")
                each.says("gives this worker")
            yield Bank(log, workers, views)
        finally:
            for worker in workers:
                with worker.popen:
                    worker.popen.kill()


class Sending:
    """Deposits, one after the other in rounds over all accounts, until it is told to stop."""

    def __init__(self, log: KafkaLog) -> None:
        self.rounds = 0
        self.longest_s = 0.0
        self.kinds: set[str] = set()
        self._client = Client(app, log)
        self._over = threading.Event()
        self._failed: BaseException | None = None
        self._changed = threading.Condition()  # `rounds`, or `_failed`
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(WAIT_S)
        self._client.close()
        assert not self._thread.is_alive()

    def go_on(self, rounds: int) -> None:
        """Wait for so many more rounds: each of them was decided in every partition."""
        with self._changed:
            until = self.rounds + rounds
            came = self._changed.wait_for(lambda: self.rounds >= until or self._failed is not None, WAIT_S)
        assert self._failed is None, f"sending failed: {self._failed}"
        assert came, f"{self.rounds} rounds in time, and not {until}"

    def _send(self) -> None:
        try:
            self._go()
        except BaseException as failed:
            with self._changed:
                self._failed = failed
                self._changed.notify_all()
            raise

    def _go(self) -> None:
        while not self._over.is_set():
            batch = [(accounts.to(f"account-{n}", Deposit(1)), f"round {self.rounds} of {n}") for n in range(ACCOUNTS)]
            began = time.monotonic()
            self.kinds |= {outcome.kind for outcome in self._client.send_all(batch, timeout_s=WAIT_S)}
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            with self._changed:
                self.rounds += 1
                self._changed.notify_all()


def judge(bank: Bank, rounds: int) -> None:
    """Read events and outcomes as anybody can: each command was decided once, and nothing is missing or doubled."""
    topics = app.wiring.machine("account").topics
    versions: dict[bytes | None, int] = {}
    firsts: set[bytes] = set()
    for partition in range(PARTITIONS):
        sequence = term = 0
        for records in read_to(bank.log, topics.events, partition, bank.log.end(topics.events, partition)):
            for record in records:
                envelope = read_envelope(record.envelope)
                assert (envelope.version, envelope.sequence) == (versions.get(record.key, 0) + 1, sequence + 1)
                assert envelope.term >= term
                versions[record.key], sequence, term = envelope.version, envelope.sequence, envelope.term
        for records in read_to(bank.log, topics.outcomes, partition, bank.log.end(topics.outcomes, partition)):
            for record in records:
                outcome = read_outcome(record.value)
                assert outcome.details.repeated == (outcome.command_id in firsts)
                firsts.add(outcome.command_id)
    assert versions == {f"account-{n}".encode(): rounds for n in range(ACCOUNTS)}
    at_end = Cut({(topics.events, p): bank.log.end(topics.events, p) for p in range(PARTITIONS)})
    with closing(open_views(bank.views)) as views:
        for n in range(ACCOUNTS):
            row = views.ask(balances, f"account-{n}", at_least=at_end, timeout_s=WAIT_S).row
            assert row is not None
            assert row.balance == rounds


def test_when_one_is_killed_the_others_take_over(bank: Bank) -> None:
    with Sending(bank.log) as sending:
        sending.go_on(5)
        bank.workers[0].tell(signal.SIGKILL)
        sending.go_on(10)
    assert sending.kinds == {"accepted"}
    judge(bank, sending.rounds)


def test_one_that_stalls_is_replaced_and_does_no_harm_when_it_wakes(bank: Bank) -> None:
    with Sending(bank.log) as sending:
        sending.go_on(5)
        bank.workers[1].tell(signal.SIGSTOP)
        sending.go_on(10)
        bank.workers[1].tell(signal.SIGCONT)
        sending.go_on(10)
        wait_until(lambda: "to somebody else already" in bank.workers[1].said(), "it to learn that", WAIT_S)
        sending.go_on(10)
    assert sending.kinds == {"accepted"}
    assert [worker.popen.poll() for worker in bank.workers] == [None, None, None]
    judge(bank, sending.rounds)


def test_one_that_is_told_to_end_gives_its_lanes_back_at_once(bank: Bank) -> None:
    with Sending(bank.log) as sending:
        sending.go_on(5)
        bank.workers[2].tell(signal.SIGTERM)
        out, _ = bank.workers[2].popen.communicate(timeout=WAIT_S)
        sending.go_on(10)
    assert bank.workers[2].popen.returncode == 0, out
    assert {part["status"] for part in json.loads(out)["parts"]} <= {"stopped", "released"}
    assert sending.kinds == {"accepted"}
    judge(bank, sending.rounds)
