"""Kafka and Postgres in Docker, through testcontainers: the images that others run, where a daemon and the images are here.

Theory of operation. A daemon without images and without a registry is common, so both are asked for, within 2 s, before
Docker is chosen. A broker must tell its clients the host's port, which Docker picks when the container runs: so the
container waits for a file with the address, which is written into it then. A container outlives a test run that was killed:
each carries our process id as a label, and those whose process is gone are removed when the next run begins.

testcontainers' own class for Kafka runs another vendor's image only. What is set here and why, with what was measured
(Docker 20.10, testcontainers 4.15): every default of the image is dropped by a single `KAFKA_*` variable, so the whole
configuration is said; the library's reaper is off, since every start fails without its image; the address is 127.0.0.1,
where it would take the bridge's in a container.
"""

import importlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.servers.broker import SETTINGS
from tests.servers.database import NOT_DURABLE
from tests.servers.errors import ServerUnavailable

KAFKA_IMAGE: Final = os.environ.get("EVENTCORE_TEST_KAFKA_IMAGE", "apache/kafka:4.3.1")
POSTGRES_IMAGE: Final = os.environ.get("EVENTCORE_TEST_POSTGRES_IMAGE", "postgres:17")
REAPER_IMAGE: Final = "testcontainers/ryuk:0.8.1"
ASK: Final = Path(__file__).with_name("ask_docker.py")  # by its path: the package around it takes 0.4 s to import
LABEL: Final = "eventcore.tests.owner"  # <host>/<pid>
ASK_S = 2  # how long we ask whether Docker can serve
START_TIMEOUT_S = 60
HOST_PORT, INSIDE_PORT, CONTROLLER_PORT = 9092, 9093, 9094
ADVERTISED = "/tmp/advertised"  # in the container
ENTRY = f"until [ -s {ADVERTISED} ]; do sleep 0.05; done; . {ADVERTISED}; exec /etc/kafka/docker/run"
DATA = "/var/lib/postgresql/data"  # where the image keeps it up to version 17

KAFKA_SETTINGS = SETTINGS | {
    "node.id": "1",
    "listeners": f"HOST://:{HOST_PORT},INSIDE://:{INSIDE_PORT},CONTROLLER://:{CONTROLLER_PORT}",
    "listener.security.protocol.map": "HOST:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "INSIDE",
    "controller.quorum.voters": f"1@localhost:{CONTROLLER_PORT}",
    "log.dirs": "/tmp/kafka-logs",
}


def why_not(image: str) -> str | None:
    """Why Docker cannot serve this image here, told within ASK_S and a start of Python; None where it can."""
    command = [sys.executable, "-P", str(ASK), image, str(ASK_S)]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASK_S)
    except subprocess.TimeoutExpired:
        return f"Docker does not say within {ASK_S} s whether it can have the image {image}"
    if asked.returncode != 0:
        return f"Docker cannot be asked: {asked.stderr.strip().splitlines()[-1]}"
    return asked.stdout or None


@contextmanager
def kafka_container() -> Generator[str]:
    """A broker in a container; its `bootstrap.servers`. Raises ServerUnavailable with the end of its log."""
    container = _container(KAFKA_IMAGE)
    container.with_exposed_ports(HOST_PORT)
    for name, value in KAFKA_SETTINGS.items():
        container.with_env(variable_of(name), value)
    container.with_env("KAFKA_HEAP_OPTS", "-Xms512m -Xmx512m")
    container.with_kwargs(entrypoint=["bash", "-c"], labels=labels())
    container.with_command([ENTRY])
    with _started(container, "Kafka"):
        bootstrap = f"127.0.0.1:{container.get_exposed_port(HOST_PORT)}"
        listeners = f"HOST://{bootstrap},INSIDE://localhost:{INSIDE_PORT}"
        container.copy_into_container(f"export KAFKA_ADVERTISED_LISTENERS={listeners}\n".encode(), ADVERTISED)
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        _wait(container, "Kafka", lambda: _answers(admin))
        yield bootstrap


@contextmanager
def postgres_container() -> Generator[str]:
    """A Postgres in a container, its data in memory; its libpq URL. Raises ServerUnavailable with the end of its log."""
    _before_import()
    from testcontainers.community.postgres import PostgresContainer  # reads the environment that was just set

    container: Any = PostgresContainer(
        POSTGRES_IMAGE, username="postgres", password="postgres", dbname="postgres", driver="psycopg"
    )
    container.with_kwargs(labels=labels())
    container.with_command(
        ["postgres", *(word for name, value in NOT_DURABLE.items() for word in ("-c", f"{name}={value}"))]
    )
    container.with_tmpfs_mount(DATA)
    with _started(container, "Postgres"):
        yield str(container.get_connection_url(driver=None))


def variable_of(setting: str) -> str:
    """The environment variable by which the image takes a setting of the broker."""
    return "KAFKA_" + setting.replace("_", "__").replace("-", "___").replace(".", "_").upper()


def _docker() -> Any:
    """The client library; imported late, since it is slow and a run that asks for no server has no need of it."""
    return importlib.import_module("docker")


def _before_import() -> None:
    """Set what testcontainers reads when it is imported; what is set already stays."""
    docker = _docker()
    with closing(docker.from_env(timeout=ASK_S)) as client:
        has_reaper = any(REAPER_IMAGE in image.tags for image in client.images.list())
    if not has_reaper:
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    if os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
        os.environ.setdefault("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
    os.environ.setdefault("TC_POOLING_INTERVAL", "0.1")
    os.environ.setdefault("TC_MAX_TRIES", str(START_TIMEOUT_S * 10))


def _container(image: str) -> Any:
    _before_import()
    from testcontainers.core.container import DockerContainer  # reads the environment that was just set

    return DockerContainer(image)


@contextmanager
def _started(container: Any, name: str) -> Generator[None]:
    _sweep()
    try:
        try:
            container.start()
        except Exception as failed:
            raise ServerUnavailable(f"{name} did not start in Docker: {failed}{_end_of_log(container)}") from failed
        yield
    finally:
        if container.get_wrapped_container() is not None:
            container.stop()


def _wait(container: Any, name: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        container.get_wrapped_container().reload()
        runs = container.get_wrapped_container().status == "running"
        if not runs or time.monotonic() > deadline:
            why = f"is not ready after {START_TIMEOUT_S} s" if runs else "ended by itself while starting"
            raise ServerUnavailable(f"{name} in Docker {why}.{_end_of_log(container)}")
        time.sleep(0.05)


def _end_of_log(container: Any) -> str:
    wrapped = container.get_wrapped_container()
    if wrapped is None:
        return ""
    lines: bytes = wrapped.logs(tail=30)
    return f"\nThe end of its log:\n{lines.decode(errors='replace')}"


def _answers(admin: AdminClient) -> bool:
    try:
        return bool(admin.list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def labels() -> dict[str, str]:
    """What tells whose a container is, so that the next run can remove those of a run that was killed."""
    return {LABEL: f"{socket.gethostname()}/{os.getpid()}"}


def _sweep() -> None:
    """Remove the containers of runs on this host whose process is gone."""
    with closing(_docker().from_env()) as client:
        for container in client.containers.list(all=True, filters={"label": LABEL}):
            host, _, pid = container.labels[LABEL].rpartition("/")
            if host == socket.gethostname() and not _alive(int(pid)):
                container.remove(force=True, v=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
