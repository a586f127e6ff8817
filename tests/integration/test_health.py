"""A worker's health over HTTP: live from the start, ready when every part is, and its numbers as Prometheus reads them."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Generator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from eventcore.app import Client, Worker
from eventcore.app.health import Health
from eventcore.app.wiring import provision
from eventcore.errors import WrongUse
from eventcore.log.memory import MemoryLog
from examples.bank.account import Deposit, Withdraw, accounts
from examples.bank.app import app
from examples.bank.balances import balances
from projections import Views, open_views
from tests.running import WAIT_S, wait_until


def get(health: Health, path: str) -> tuple[int, str]:
    """What is answered."""
    host, port = health.address
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def numbers(health: Health) -> dict[str, float]:
    """Every sample, its labels without those that tell partitions apart, added up."""
    status, text = get(health, "/metrics")
    assert status == 200
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            kept = sample.labels.get("kind") if sample.name == "eventcore_turns_total" else None
            name = f"{sample.name} {kept}" if kept else sample.name
            found[name] = found.get(name, 0) + sample.value
    return found


@pytest.fixture
def views() -> Generator[Views]:
    """Views in memory."""
    views = open_views("memory:")
    views.upgrade()
    views.prepare([balances])
    yield views
    views.close()


def test_a_worker_is_live_at_once_ready_when_all_parts_are_and_not_while_it_drains(views: Views) -> None:
    log = MemoryLog()
    provision(log, app.wiring, 2)
    worker = Worker(app, log, views)
    with Health(worker, "127.0.0.1", 0) as health:
        assert get(health, "/live")[0] == 200
        assert get(health, "/ready")[0] == 503
        thread = threading.Thread(target=worker.run)
        thread.start()
        wait_until(lambda: get(health, "/ready")[0] == 200, "the worker to stand ready")
        assert json.loads(get(health, "/ready")[1]) == {"ready": True, "not_ready": []}
        worker.stop()
        assert get(health, "/ready")[0] == 503
        thread.join(WAIT_S)
        assert get(health, "/live")[0] == 200
        assert get(health, "/elsewhere")[0] == 404


def test_the_numbers_of_lanes_and_parts_are_what_happened(views: Views) -> None:
    log = MemoryLog()
    provision(log, app.wiring, 2)
    worker = Worker(app, log, views)
    with Health(worker, "127.0.0.1", 0) as health:
        assert numbers(health)["eventcore_ready"] == 0
        thread = threading.Thread(target=worker.run)
        thread.start()
        client = Client(app, log)
        for _ in range(3):
            client.send(accounts.to("alice", Deposit(5)))
        client.send(accounts.to("alice", Deposit(5)), id="receipt")
        client.send(accounts.to("alice", Deposit(5)), id="receipt")
        client.send(accounts.to("bob", Withdraw(5)))
        client.close()
        wait_until(lambda: numbers(health)["eventcore_ready"] == 1, "the worker to stand ready")
        # A lane answers before it counts.
        wait_until(lambda: numbers(health)["eventcore_batch_turns_sum"] == 6, "every turn to be counted")
        found = numbers(health)
        worker.stop()
        thread.join(WAIT_S)
    assert found["eventcore_turns_total accepted"] == 4
    assert found["eventcore_turns_total refused"] == 1
    assert found["eventcore_turns_total repeated"] == 1
    assert found["eventcore_batch_turns_sum"] == found["eventcore_commit_seconds_count"] == 6
    assert found["eventcore_dedup_ids"] == 5
    assert found["eventcore_instances"] == 1
    assert found["eventcore_term"] == 4  # one for each of two lanes of two machines
    assert found["eventcore_quarantined_instances"] == found["eventcore_backlog_commands"] == 0
    assert found["eventcore_part_restarts_total"] == 0
    assert found["eventcore_lag_records"] >= 0


def test_two_workers_of_one_process_have_numbers_of_their_own(views: Views) -> None:
    log = MemoryLog()
    provision(log, app.wiring, 2)
    with (
        Health(Worker(app, log, views), "127.0.0.1", 0) as one,
        Health(Worker(app, log, views), "127.0.0.1", 0) as other,
    ):
        assert one.address != other.address
        assert numbers(one)["eventcore_ready"] == numbers(other)["eventcore_ready"] == 0


def test_a_port_that_is_taken_is_named(views: Views) -> None:
    log = MemoryLog()
    with Health(Worker(app, log, views), "127.0.0.1", 0) as health, pytest.raises(WrongUse, match="Name a free port"):
        Health(Worker(app, log, views), *health.address)
