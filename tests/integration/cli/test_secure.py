"""The program on a broker that wants TLS and a password."""

import json
import signal
from pathlib import Path

import pytest

from tests import servers
from tests.integration.cli.conftest import Program, Start


def test_the_program_runs_over_tls_with_a_password_that_it_shows_nowhere(
    program: Program, start: Start, secure_kafka: servers.SecureKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = secure_kafka.options()
    Path("client.properties").write_text("".join(f"{name}={value}\n" for name, value in options.items()))
    log = f"kafka://{secure_kafka.bootstrap}?prefix=cli-"
    where = ("--log", log, "--views", "sqlite:views.db", "--kafka-config", "client.properties", "--partitions", "2")
    worker = start(*where, "--debug", "--json", "run", "--only", "lanes:jar")
    worker.wait_for("parts stand ready")
    monkeypatch.setenv("EVENTCORE_KAFKA_SASL_PASSWORD", secure_kafka.password)
    said = [
        program(*where, "config"),
        program(*where, "send", "jar", "a", "Add", '{"count": 5}'),
        program(*where, "status"),
        program(*where, "topics", "plan"),
    ]
    assert [ran.code for ran in said] == [0, 0, 0, 0]
    worker.popen.send_signal(signal.SIGTERM)
    ended = worker.ended()
    assert {part["status"] for part in json.loads(ended.out)["parts"]} == {"stopped"}

    monkeypatch.setenv("EVENTCORE_KAFKA_SASL_PASSWORD", secure_kafka.password + "?")
    refused = program(*where, "--debug", "status")
    assert refused.code == 3
    assert "Authentication failed: Invalid username or password" in refused.err
    assert all(secure_kafka.password not in ran.out + ran.err for ran in (*said, ended, refused))
