"""Servers for tests, as addresses: `kafka`, `kafka_prefix`, `postgres_url`, and servers of a test's own.

The run's servers start when the first test asks, once. A test is marked `server` by asking for one of these fixtures;
`make test-fast` leaves those out. A fixture that asks for them by name (`request.getfixturevalue`) says so in its parameter:
`pytest.param(..., marks=pytest.mark.server)`.
"""

import itertools
import signal
import uuid
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from tests import servers
from tests.servers.warm import warm_kafka

SERVER_FIXTURES = {
    "kafka",
    "kafka_prefix",
    "postgres",
    "postgres_url",
    "own_cluster",
    "own_kafka",
    "own_postgres",
    "secure_kafka",
}
RUN = uuid.uuid4().hex[:8]  # names made by this run differ from those of others on the same server
_numbers = itertools.count(1)

# No deadline, and no check of how fast examples are drawn: it says more about the machine than about the code. A failure prints how to repeat it.
settings.register_profile("eventcore", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("eventcore")

USED = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Remember which servers this run used; let the programs under test be interrupted however this run was started."""
    config.stash[USED] = {}
    # A shell starts what it puts into the background with this signal ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this one, where the run has several, which servers were used here."""
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["servers"] = session.config.stash[USED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Note the servers of a process of this run that has ended: each process has its own."""
    used = node.config.stash[USED]
    for name, server in getattr(node, "workeroutput", {}).get("servers", {}).items():
        used[name] = f"{used[name]}, {server}" if name in used else server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for a server."""
    for item in items:
        if SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the servers that the tests used."""
    used = config.stash[USED]
    for name in ("Kafka", "Postgres"):
        terminalreporter.write_line(f"server {name}: {used.get(name, 'not started, no test asked for it')}")


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Generator[str]:
    """The `bootstrap.servers` of the run's broker."""
    with servers.kafka() as broker:
        pytestconfig.stash[USED]["Kafka"] = f"{broker.bootstrap} ({broker.source})"
        yield broker.bootstrap


@pytest.fixture
def kafka_prefix(request: pytest.FixtureRequest, kafka: str) -> str:
    """A topic prefix, also for groups and transactional ids, that no other test uses."""
    assert request.node.get_closest_marker("server"), (
        f"{request.node.nodeid} asks for Kafka without being marked: "
        "give its parameter as pytest.param(..., marks=pytest.mark.server)"
    )
    return f"t{RUN}-{next(_numbers)}."


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Generator[str]:
    """The libpq URL of the run's Postgres, for making databases in."""
    with servers.postgres() as database:
        pytestconfig.stash[USED]["Postgres"] = f"{database.url.rpartition('@')[2]} ({database.source})"
        yield database.url


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres: str) -> Generator[str]:
    """The SQLAlchemy URL of an empty database of this test's own; dropped afterwards, whoever is still connected."""
    assert request.node.get_closest_marker("server"), (
        f"{request.node.nodeid} asks for Postgres without being marked: "
        "give its parameter as pytest.param(..., marks=pytest.mark.server)"
    )
    name = f"t{RUN}_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield urlsplit(postgres)._replace(scheme="postgresql+psycopg", path=f"/{name}").geturl()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def own_kafka() -> Generator[servers.KafkaServer]:
    """A broker of this test's own, to be stopped, killed and started again."""
    with servers.own_kafka() as server:
        yield server


@pytest.fixture
def own_cluster() -> Generator[servers.KafkaCluster]:
    """Three brokers of this test's own, each to be stopped, killed and started again."""
    with servers.own_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Generator[servers.SecureKafka]:
    """A broker for this run that wants TLS and a password."""
    with servers.own_secure_kafka(tmp_path_factory.mktemp("certificates")) as server:
        warm_kafka(server.inside)
        yield server


@pytest.fixture
def own_postgres() -> Generator[servers.PostgresServer]:
    """A Postgres of this test's own, durable, to be stopped, killed and started again; `url` is libpq's."""
    with servers.own_postgres() as server:
        yield server
