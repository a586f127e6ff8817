"""A Kafka broker as a local process: one node, broker and controller, real transactions and real fencing.

Measured on 2 cores: ready in 1.2 to 1.6 s, stopped in 0.3 s, about 360 MB resident. A storage folder is formatted once a
machine and copied (0.4 s saved a start). After `kill`, a broker is refused by its own old registration until
`broker.session.timeout.ms` has passed, which is 9 s by default and 5 s here for a test's own broker. Shorter it must not be: a
broker that loses its session while it runs, on a machine that is full, may begin again without the groups that it knows (the limits
in docs/guarantees.md).
"""

import shutil
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.servers.cache import cached
from tests.servers.errors import ServerUnavailable
from tests.servers.jars import kafka_jars
from tests.servers.java import java
from tests.servers.process import Child, free_port, listens, new_folder, ourselves

CLUSTER_ID = "ZXZlbnRjb3JlLXRlc3RzLQ"  # any 16 bytes in base64
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
HEAP_MB = 512
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # one node, so one replica; few internal partitions, since 50 make the first start slower
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "min.insync.replicas": "1",
    # topics are provisioned, never made by a typing mistake
    "auto.create.topics.enable": "false",
    # groups form at once, and sessions may be as short as a test wants them
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "500",
    # transactions of the dead are aborted soon after their time-out
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}

QUICK_REGISTRATION = {"broker.session.timeout.ms": "5000", "broker.heartbeat.interval.ms": "300"}


@dataclass(frozen=True)
class Place:
    """Where one broker is: its number in its cluster, and its two ports on 127.0.0.1."""

    node: int = 1
    port: int = field(default_factory=free_port)
    controller: int = field(default_factory=free_port)


class KafkaServer:
    """A broker that can be stopped, killed and started again on the same port, with the same data.

    Alone, or one of the brokers at `places`; `settings` are added to SETTINGS and win over them.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        place: Place | None = None,
        places: Sequence[Place] = (),
        heap_mb: int = HEAP_MB,
    ) -> None:
        place = place or Place()
        self.node = place.node
        self._folder = new_folder("kafka")
        self._port = place.port
        self.bootstrap = f"127.0.0.1:{self._port}"
        data = self._folder / "data"
        file = self._folder / "server.properties"
        file.write_text(_properties(place, places or [place], data, settings))
        shutil.copytree(_formatted(place.node), data)
        self._child = Child(
            [str(java()), f"-Xmx{heap_mb}m", *JVM, "-cp", f"{kafka_jars()}/*", "kafka.Kafka", str(file)],
            log=self._folder / "server.log",
            account=ourselves(),
            on_parent_death=signal.SIGKILL,
        )

    def start(self) -> None:
        """Start it and return when it answers. Raises ServerUnavailable with the end of its log."""
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        """Start it and return at once: the brokers of a cluster wait for each other."""
        self._child.start()

    def wait_until_ready(self) -> None:
        """Return when it answers and its cluster counts it in. Raises ServerUnavailable with the end of its log."""
        name = f"Kafka (node {self.node})"
        self._child.wait_until_ready(lambda: listens(self._port), name=name, timeout_s=START_TIMEOUT_S)
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        self._child.wait_until_ready(lambda: self._counted_in(admin), name=name, timeout_s=START_TIMEOUT_S)

    def _counted_in(self, admin: AdminClient) -> bool:
        try:
            return self.node in admin.list_topics(timeout=1).brokers
        except KafkaException:
            return False

    def stop(self) -> None:
        """End it in order (SIGTERM), and return when it has ended."""
        self._child.end(signal.SIGTERM, timeout_s=STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End it as a crash does (SIGKILL), and return when it has ended."""
        self._child.end(signal.SIGKILL, timeout_s=STOP_TIMEOUT_S)

    @property
    def runs(self) -> bool:
        """Whether its process is running now."""
        return self._child.runs

    @property
    def pid(self) -> int:
        """Its process id, for tests that pause or starve it."""
        return self._child.pid

    def close(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        shutil.rmtree(self._folder)


@contextmanager
def own_kafka(settings: Mapping[str, str] = QUICK_REGISTRATION) -> Generator[KafkaServer]:
    """A broker of one's own, started; `settings` are added to SETTINGS. Always a local process."""
    server = KafkaServer(settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _properties(place: Place, places: Sequence[Place], data: Path, more: Mapping[str, str]) -> str:
    addresses = {
        "node.id": str(place.node),
        "listeners": f"PLAINTEXT://127.0.0.1:{place.port},CONTROLLER://127.0.0.1:{place.controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{place.port}",
        "controller.quorum.voters": ",".join(f"{each.node}@127.0.0.1:{each.controller}" for each in places),
        "log.dirs": str(data),
    }
    return "".join(f"{name}={value}\n" for name, value in {**SETTINGS, **addresses, **more}.items())


def _formatted(node: int) -> Path:
    """A formatted storage folder of this node in the cache, to be copied."""
    jars = kafka_jars()

    def format_storage(folder: Path) -> None:
        file = folder / "server.properties"
        place = Place(node, 9092, 9093)
        file.write_text(_properties(place, [place], folder, {}))
        tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(file)]
        command = [str(java()), *JVM, "-cp", f"{jars}/*", *tool]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_TIMEOUT_S)
        if done.returncode != 0:
            raise ServerUnavailable(f"Kafka's storage could not be formatted: {(done.stdout + done.stderr)[-1500:]}")
        file.unlink()

    return cached(f"{jars.name}-formatted-{node}", format_storage)
