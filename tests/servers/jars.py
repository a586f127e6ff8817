"""Kafka's jars, copied by Maven into the cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.cache import cached
from tests.servers.errors import ServerUnavailable
from tests.servers.java import java

POM = Path(__file__).with_name("pom.xml")
FETCH_TIMEOUT_S = 600


def kafka_jars() -> Path:
    """The folder of jars that pom.xml asks for; fetched once a machine. Raises ServerUnavailable."""
    return cached(f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}", _fetch)


def _fetch(folder: Path) -> None:
    print("tests.servers: fetching Kafka's jars with Maven (about 50 MB, once)", file=sys.stderr, flush=True)  # noqa: T201
    command = [_maven(), "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    environment = {"JAVA_HOME": str(java().resolve().parent.parent)} | dict(os.environ)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S, env=environment, cwd=folder
    )
    if done.returncode != 0 or not list(folder.glob("kafka_*.jar")):
        raise ServerUnavailable(
            f"Maven could not fetch Kafka's jars; it said: {(done.stdout + done.stderr).strip()[-1500:]}\n"
            "Try again with the network up, or set EVENTCORE_TEST_KAFKA to a broker's address."
        )


def _maven() -> str:
    """The full path of `mvn`; on a Debian machine where we are root it is installed when missing."""
    if (found := shutil.which("mvn")) is None and os.getuid() == 0 and (apt := shutil.which("apt-get")) is not None:
        print("tests.servers: no mvn here; installing Maven with apt-get", file=sys.stderr, flush=True)  # noqa: T201
        quiet = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "-y", "--no-install-recommends", "maven"]):
            subprocess.run([apt, *step], check=False, env=quiet, capture_output=True)
        found = shutil.which("mvn")
    if found is None:
        raise ServerUnavailable(
            "The tests need a Kafka broker, and its jars come by Maven, which is not here. Install Maven "
            "(Debian: apt-get install maven; macOS: brew install maven), or set EVENTCORE_TEST_KAFKA to a broker's address."
        )
    return found
