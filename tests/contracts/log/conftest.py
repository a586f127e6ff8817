"""One place a log adapter, and the two groups of them that some guarantees are about."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

import pytest

from eventcore.log.kafka import KafkaLog
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Log
from eventcore.log.sqlite import SqliteLog
from tests.contracts.log.places import TOPICS, Fresh, Place, plans

KAFKA = pytest.param("kafka", marks=pytest.mark.server)


@pytest.fixture(params=["memory", "sqlite", KAFKA])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An empty log of each kind, with the suite's topics."""
    yield from _place(request)


@pytest.fixture(params=["memory", "sqlite"])
def embedded(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A log of each kind that lives in the process of its users."""
    yield from _place(request)


@pytest.fixture
def log(place: Place) -> Log:
    """An empty log of each kind, with the suite's topics."""
    return place.log


def _place(request: pytest.FixtureRequest) -> Iterator[Place]:
    opener = OPENERS[request.param](request)
    with contextlib.closing(opener()) as log:
        log.provision(plans(TOPICS))
        yield Place(request.param, log, opener)


def _memory(_: pytest.FixtureRequest) -> Callable[[], Log]:
    log = MemoryLog()
    return lambda: log


def _sqlite(request: pytest.FixtureRequest) -> Callable[[], Log]:
    """A file that only one handle can own: a rival is the handle itself."""
    log = SqliteLog(str(request.getfixturevalue("tmp_path") / "bank.db"))
    return lambda: log


def _kafka(request: pytest.FixtureRequest) -> Callable[[], Log]:
    bootstrap, prefix = request.getfixturevalue("kafka"), request.getfixturevalue("kafka_prefix")
    return lambda: KafkaLog(bootstrap, prefix)


OPENERS = {"memory": _memory, "sqlite": _sqlite, "kafka": _kafka}


@pytest.fixture(params=["memory", "sqlite"])
def fresh_embedded(request: pytest.FixtureRequest) -> Fresh:
    """Opens one empty log after another."""
    numbers = itertools.count()

    def fresh() -> tuple[Log, Callable[[], Log]]:
        log = MemoryLog() if request.param == "memory" else SqliteLog(str(tmp_path / f"{next(numbers)}.db"))
        log.provision(plans(TOPICS))
        return log, lambda: log

    tmp_path = request.getfixturevalue("tmp_path")
    return fresh


@pytest.fixture
def fresh_kafka(kafka: str, kafka_prefix: str) -> Fresh:
    """Opens one empty log after another, each with topics of its own."""
    numbers = itertools.count()

    def fresh() -> tuple[Log, Callable[[], Log]]:
        prefix = f"{kafka_prefix}{next(numbers)}."
        log = KafkaLog(kafka, prefix)
        log.provision(plans(TOPICS))
        return log, lambda: KafkaLog(kafka, prefix)

    return fresh
