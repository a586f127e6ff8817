"""Logs are opened from the text that says where they are."""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path

import pytest

from eventcore.errors import InvalidValue, NotSupported, UnknownName
from eventcore.log.address import open_log
from eventcore.log.kafka import KafkaLog
from eventcore.log.memory import MemoryLog
from eventcore.log.sqlite import SqliteLog


def test_each_scheme_opens_its_adapter(tmp_path: Path) -> None:
    with contextlib.closing(open_log("memory:")) as log:
        assert isinstance(log, MemoryLog)
    with contextlib.closing(open_log(f"sqlite:{tmp_path / 'bank.db'}")) as log:
        assert isinstance(log, SqliteLog)
    with contextlib.closing(open_log("kafka://127.0.0.1:1,127.0.0.1:2?prefix=test.")) as log:
        assert isinstance(log, KafkaLog)


def test_two_logs_in_memory_are_apart() -> None:
    assert open_log("memory:") is not open_log("memory:")


@pytest.mark.parametrize("address", ["redis://host", "bank.db", "", "postgresql://host/db"])
def test_an_unknown_scheme_lists_the_known_ones(address: str) -> None:
    with pytest.raises(UnknownName, match="kafka:, memory:, sqlite:"):
        open_log(address)


@pytest.mark.parametrize(
    "address", ["sqlite:", "sqlite:///bank.db", "sqlite://bank.db", "sqlite::memory:", "memory:bank"]
)
def test_a_malformed_address_says_how_it_is_written(address: str) -> None:
    with pytest.raises(InvalidValue, match=r"sqlite:PATH|write memory:"):
        open_log(address)


@pytest.mark.parametrize(
    "address",
    ["kafka://", "kafka:host:9092", "kafka://a:1,,b:2", "kafka://a:1/topic", "kafka://a:1?prefx=x", "kafka://a:1#x"],
)
def test_a_malformed_kafka_address_says_how_it_is_written(address: str) -> None:
    with pytest.raises(InvalidValue, match=r"kafka://host:port,host:port\?prefix=NAME"):
        open_log(address)


@pytest.mark.parametrize(
    "address",
    [
        "kafka://user:secret@host:9092",
        "kafka://[user:secret@host:9092",
        "kafka:user:secret@host",
        "user:secret@host",
        "sqlite://user:secret@host",
        "memory:user:secret@host",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises((InvalidValue, UnknownName)) as refused:
        open_log(address)
    assert "secret" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("host", ["host:port", "host:0", "host:65536", "host:1:2", "host:", "a:1,b:x"])
def test_a_port_that_is_none_is_told(host: str) -> None:
    with pytest.raises(InvalidValue, match="a port is a number from 1 to 65535"):
        open_log(f"kafka://{host}")


def test_without_its_extra_kafka_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(NotSupported, match=r"eventcore-framework\[kafka\]"):
        open_log("kafka://127.0.0.1:1")
