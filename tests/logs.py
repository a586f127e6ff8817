"""Logs of every kind for tests of what stands above them; the logs' own suite is in `tests/contracts/log`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

import pytest

from eventcore.log.kafka import KafkaLog
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Log
from eventcore.log.sqlite import SqliteLog

KAFKA = pytest.param("kafka", marks=pytest.mark.server)
EVERY_LOG = ["memory", "sqlite", KAFKA]
SHARED_LOGS = ["sqlite", KAFKA]  # those that several processes can use at a time

Opener = Callable[[], Log]


def opener_of(request: pytest.FixtureRequest, kind: str) -> Opener:
    """How handles of one empty log of this kind are opened; in memory there is one handle only."""
    match kind:
        case "memory":
            log = MemoryLog()
            return lambda: log
        case "sqlite":
            path = str(request.getfixturevalue("tmp_path") / "bank.db")
            return lambda: SqliteLog(path)
        case _:
            bootstrap, prefix = request.getfixturevalue("kafka"), request.getfixturevalue("kafka_prefix")
            return lambda: KafkaLog(bootstrap, prefix)


def address_of(request: pytest.FixtureRequest, kind: str) -> str:
    """The address of an empty log of this kind."""
    match kind:
        case "memory":
            return "memory:"
        case "sqlite":
            return f"sqlite:{request.getfixturevalue('tmp_path') / 'bank.db'}"
        case _:
            bootstrap, prefix = request.getfixturevalue("kafka"), request.getfixturevalue("kafka_prefix")
            return f"kafka://{bootstrap}?prefix={prefix}"


@contextlib.contextmanager
def opened(opener: Opener) -> Generator[Log]:
    """A handle that is closed at the end."""
    with contextlib.closing(opener()) as log:
        yield log
