"""Whether Docker can serve is told soon and rightly, and what is passed over is said; the daemons here are made up.

A run in which Docker serves takes its servers from there, and then every test of Kafka and Postgres tests the containers.
"""

import os
import socket
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests import servers
from tests.servers import containers, resolve

IMAGE = "apache/kafka:4.3.1"


class Daemon(BaseHTTPRequestHandler):
    """Answers as a daemon that has no image and reaches no registry."""

    def do_GET(self) -> None:
        """Answer one question."""
        if self.path.endswith("/version"):
            self._answer(200, b'{"ApiVersion": "1.41"}')
        elif self.path.endswith("/_ping"):
            self._answer(200, b'"OK"')
        else:
            self._answer(404 if "/images/" in self.path else 500, b'{"message": "No such image"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it)
        """Say nothing."""

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def empty_daemon(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    with HTTPServer(("127.0.0.1", 0), Daemon) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may need longer than ASK_S to start Python, and what is said then is that."""
    monkeypatch.setattr(containers, "ASK_S", 60)


@pytest.mark.usefixtures("no_daemon", "patient")
def test_where_no_daemon_runs_docker_is_passed_over() -> None:
    assert "no Docker daemon answers" in str(containers.why_not(IMAGE))


@pytest.mark.usefixtures("empty_daemon", "patient")
def test_where_a_daemon_has_no_image_and_no_registry_docker_is_passed_over() -> None:
    assert f"Docker has no image {IMAGE} and cannot pull it" in str(containers.why_not(IMAGE))


def test_where_a_daemon_does_not_answer_docker_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        assert containers.why_not(IMAGE) is not None
        assert time.monotonic() - began < containers.ASK_S + 3.0  # without it, as long as the library waits: a minute


@pytest.mark.server
@pytest.mark.usefixtures("no_daemon", "patient")
def test_a_local_process_says_why_the_sources_before_it_were_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(resolve.POSTGRES_VARIABLE, raising=False)
    monkeypatch.delenv(resolve.DOCKER_VARIABLE, raising=False)
    with servers.postgres() as database:
        assert database.source.startswith("local process, EVENTCORE_TEST_POSTGRES is not set; no Docker daemon answers")


@pytest.mark.server
def test_docker_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(resolve.POSTGRES_VARIABLE, raising=False)
    monkeypatch.setenv(resolve.DOCKER_VARIABLE, "no")
    with servers.postgres() as database:
        assert (
            database.source
            == "local process, EVENTCORE_TEST_POSTGRES is not set; EVENTCORE_TEST_DOCKER leaves Docker out"
        )


@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ("process.roles", "KAFKA_PROCESS_ROLES"),
        ("some_thing.else-where", "KAFKA_SOME__THING_ELSE___WHERE"),
    ],
)
def test_a_setting_of_the_broker_is_given_as_the_image_takes_it(setting: str, variable: str) -> None:
    assert containers.variable_of(setting) == variable


def test_containers_carry_the_process_that_they_belong_to() -> None:
    (owner,) = containers.labels().values()
    assert owner == f"{socket.gethostname()}/{os.getpid()}"
