"""Where a server comes from: the environment, else a local process. Each is resolved on its own."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers.broker import KafkaServer
from tests.servers.database import NOT_DURABLE, PostgresServer
from tests.servers.warm import warm_kafka, warm_postgres

KAFKA_VARIABLE = "EVENTCORE_TEST_KAFKA"
POSTGRES_VARIABLE = "EVENTCORE_TEST_POSTGRES"


@dataclass(frozen=True)
class KafkaAddress:
    """A broker that answers, has served a transaction and a consumer group, and where it came from."""

    bootstrap: str
    source: str


@dataclass(frozen=True)
class PostgresAddress:
    """A Postgres that answers, as a libpq URL of a user who may create databases, and where it came from."""

    url: str
    source: str


@contextmanager
def kafka() -> Generator[KafkaAddress]:
    """A broker for a whole run. Raises ServerUnavailable, which says what to install."""
    if address := os.environ.get(KAFKA_VARIABLE):
        warm_kafka(address)
        yield KafkaAddress(address, f"from {KAFKA_VARIABLE}")
        return
    server = KafkaServer({})
    try:
        server.start()
        warm_kafka(server.bootstrap)
        yield KafkaAddress(server.bootstrap, f"local process, {KAFKA_VARIABLE} is not set")
    finally:
        server.close()


@contextmanager
def postgres() -> Generator[PostgresAddress]:
    """A Postgres for a whole run, with the durability settings off. Raises ServerUnavailable, which says what to install."""
    if url := os.environ.get(POSTGRES_VARIABLE):
        warm_postgres(url)
        yield PostgresAddress(url, f"from {POSTGRES_VARIABLE}")
        return
    server = PostgresServer(NOT_DURABLE)
    try:
        server.start()
        warm_postgres(server.url)
        yield PostgresAddress(server.url, f"local process, {POSTGRES_VARIABLE} is not set")
    finally:
        server.close()
