"""What an app may be, what is said to one that may not, and what it writes into a log before anything else."""

from __future__ import annotations

import io
import json
from typing import Any, cast

import fastavro
import pytest

from eventcore.app import App, GlobalInvariant, Part
from eventcore.app.wiring import provision
from eventcore.errors import NotSupported, UnknownName
from eventcore.lane.restore import read_to
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Log
from examples.bank.account import Account, Deposit, Deposited, accounts
from examples.bank.app import app
from examples.bank.balances import balances
from examples.bank.transfer import RequestTransfer, transfers
from tests.failing import FailingLog
from tests.integration.test_embedded import bank_on


def nothing_wrong(_: int) -> bool:
    """An invariant that always holds."""
    return True


def balance_of(account: Account) -> int:
    """What an account adds."""
    return account.balance


total = GlobalInvariant("total", [Part(accounts, balance_of)], int.__add__, nothing_wrong)


@pytest.mark.parametrize("name", ["", "my bank", "1bank", "bank.app", "x" * 101])
def test_an_app_is_named_as_a_topic_may_begin(name: str) -> None:
    with pytest.raises(NotSupported, match="cannot name an app: a letter, then letters, digits and _"):
        App(name, [accounts])


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"aggregates": [accounts, accounts]}, "two parts are the aggregate or saga 'account'"),
        ({"sagas": [transfers, transfers]}, "two parts are the aggregate or saga 'transfer'"),
        ({"projections": [balances, balances]}, "two parts are the projection 'balances'"),
        ({"invariants": [total, total]}, "two parts are the global invariant 'total'"),
    ],
)
def test_two_parts_of_one_name_are_refused(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(NotSupported, match=said):
        App("bank", parts.pop("aggregates", [accounts]), **parts)


@pytest.mark.parametrize("parts", [{"projections": [balances]}, {"invariants": [total]}])
def test_a_part_that_belongs_to_no_aggregate_of_the_app_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(UnknownName, match="no aggregate or saga is named 'account'; .* are: none"):
        App("bank", [], **parts)


def test_a_step_to_an_aggregate_that_is_not_of_the_app_is_refused_when_its_saga_starts() -> None:
    alone = App("bank", [], sagas=[transfers])
    with alone.open() as bank:
        outcome = bank.send(transfers.to("t", RequestTransfer("alice", "bob", 5)))
    assert (outcome.kind, outcome.reason) == ("parked", "raised")
    assert "no aggregate is named 'account'; the aggregate names here are: none" in (outcome.message or "")


def keys(log: Log) -> list[str]:
    """The keys in the schemas topic, in order."""
    return [
        (record.key or b"").decode()
        for records in read_to(log, "bank.schemas", 0, log.end("bank.schemas", 0))
        for record in records
    ]


def test_provisioning_makes_every_topic_and_writes_every_schema_once() -> None:
    log = MemoryLog()
    for _ in range(3):
        provision(log, app.wiring, 2)
    for machine in ("account", "transfer"):
        for topic in ("commands", "events", "outcomes", "snapshots"):
            assert log.partitions(f"bank.{machine}.{topic}") == 2
    written = keys(log)
    assert len(written) == len(set(written))
    expected = {
        f"{topic}/{mark.hex()}" for m in app.wiring.machines.values() for topic, s in m.schemas().items() for mark in s
    }
    assert set(written) == expected


def test_a_log_keeps_its_number_of_partitions() -> None:
    log = MemoryLog()
    provision(log, app.wiring, 2)
    with pytest.raises(NotSupported, match="bank.account.commands has 2, planned are 3"):
        provision(log, app.wiring, 3)


def test_whoever_has_the_log_and_fastavro_can_read_every_record() -> None:
    """Commands, events, envelopes and outcomes: by the schemas in the log, and without a line of ours."""
    log = FailingLog()
    with bank_on(log) as bank:
        bank.send(accounts.to("alice", Deposit(500)))
        bank.send(transfers.to("t", RequestTransfer("alice", "bob", 300)))
        bank.run_until_idle()
    schemas: dict[str, Any] = {}
    for records in read_to(log, "bank.schemas", 0, log.end("bank.schemas", 0)):
        schemas |= {(r.key or b"").decode(): json.loads(r.value or b"") for r in records}

    def read(topic: str, data: bytes | None) -> dict[str, Any]:
        assert data is not None
        assert data[:2] == b"\xc3\x01"
        body = io.BytesIO(data[10:])
        read = fastavro.schemaless_reader(body, schemas[f"{topic}/{data[2:10].hex()}"], None)
        assert not body.read()
        return cast("dict[str, Any]", read)

    seen: list[dict[str, Any]] = []
    for topics in app.wiring.topics():
        for topic in topics[:3]:
            for partition in range(2):
                for records in read_to(log, topic, partition, log.end(topic, partition)):
                    for record in records:
                        seen.append(read(topic, record.value))
                        if topic != topics.outcomes:
                            assert len(read(topic, record.envelope)["command_id"]) == 16
    assert Deposited(500).amount in [each.get("amount") for each in seen]
    assert {each["kind"] for each in seen if "kind" in each and "repeated" in each} == {"accepted"}
