"""Logs are opened from the text that says where they are."""

from __future__ import annotations

import contextlib
import sys
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


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidValue) as refused:
        open_log("kafka://user:secret@host:9092")
    assert "secret" not in str(refused.value)


def test_without_its_extra_kafka_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(NotSupported, match=r"eventcore-framework\[kafka\]"):
        open_log("kafka://127.0.0.1:1")
