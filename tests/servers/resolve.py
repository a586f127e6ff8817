"""Where a server comes from: the environment, else Docker, else a local process. Each is resolved on its own.

The first two may be passed over, and the address then says why; nothing is passed over in silence, and where none serves,
ServerUnavailable says what to install. EVENTCORE_TEST_DOCKER=no leaves Docker out: benchmarks do, since a port that Docker
publishes costs a transaction half as much again.
"""

import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.servers.broker import KafkaServer
from tests.servers.containers import KAFKA_IMAGE, POSTGRES_IMAGE, kafka_container, postgres_container, why_not
from tests.servers.database import NOT_DURABLE, PostgresServer
from tests.servers.errors import ServerUnavailable
from tests.servers.warm import warm_kafka, warm_postgres

KAFKA_VARIABLE = "EVENTCORE_TEST_KAFKA"
POSTGRES_VARIABLE = "EVENTCORE_TEST_POSTGRES"
DOCKER_VARIABLE = "EVENTCORE_TEST_DOCKER"


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
    with ExitStack() as stack:
        found = _kafka(stack)
        warm_kafka(found.bootstrap)
        yield found


def _kafka(stack: ExitStack) -> KafkaAddress:
    if address := os.environ.get(KAFKA_VARIABLE):
        return KafkaAddress(address, f"from {KAFKA_VARIABLE}")
    passed = [f"{KAFKA_VARIABLE} is not set"]
    if (problem := _no_docker(KAFKA_IMAGE)) is None:
        try:
            bootstrap = stack.enter_context(kafka_container())
        except ServerUnavailable as failed:
            problem = _told(failed)
        else:
            return KafkaAddress(bootstrap, f"{KAFKA_IMAGE} in Docker, {passed[0]}")
    server = KafkaServer({})
    stack.callback(server.close)
    server.start()
    return KafkaAddress(server.bootstrap, f"local process, {'; '.join([*passed, problem])}")


@contextmanager
def postgres() -> Generator[PostgresAddress]:
    """A Postgres for a whole run, with the durability settings off. Raises ServerUnavailable, which says what to install."""
    with ExitStack() as stack:
        found = _postgres(stack)
        warm_postgres(found.url)
        yield found


def _postgres(stack: ExitStack) -> PostgresAddress:
    if url := os.environ.get(POSTGRES_VARIABLE):
        return PostgresAddress(url, f"from {POSTGRES_VARIABLE}")
    passed = [f"{POSTGRES_VARIABLE} is not set"]
    if (problem := _no_docker(POSTGRES_IMAGE)) is None:
        try:
            url = stack.enter_context(postgres_container())
        except ServerUnavailable as failed:
            problem = _told(failed)
        else:
            return PostgresAddress(url, f"{POSTGRES_IMAGE} in Docker, {passed[0]}")
    server = PostgresServer(NOT_DURABLE)
    stack.callback(server.close)
    server.start()
    return PostgresAddress(server.url, f"local process, {'; '.join([*passed, problem])}")


def _told(failed: ServerUnavailable) -> str:
    """The first line of what went wrong in Docker, for the address; all of it goes to stderr."""
    print(f"tests.servers: {failed}", file=sys.stderr, flush=True)  # noqa: T201 (for whoever watches the run)
    return str(failed).splitlines()[0]


def _no_docker(image: str) -> str | None:
    """Why Docker is passed over; None where it is not."""
    if os.environ.get(DOCKER_VARIABLE, "").lower() in {"0", "no", "off", "false"}:
        return f"{DOCKER_VARIABLE} leaves Docker out"
    return why_not(image)
