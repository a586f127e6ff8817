"""Start Kafka and Postgres, print their addresses, and run until interrupted: `python -m tests.servers [--three]`.

With `--three`, Kafka is a cluster of three local brokers; a line tells the process id of each, to kill or stop one by hand.
With `--prepare`, nothing is started, and what they need is fetched, so that a test run does not wait for a download in silence.
"""

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from tests.servers import KafkaAddress, ServerUnavailable, kafka, own_cluster, postgres
from tests.servers.jars import kafka_jars
from tests.servers.java import java
from tests.servers.resolve import KAFKA_VARIABLE, POSTGRES_VARIABLE
from tests.servers.warm import warm_kafka


def main(arguments: list[str]) -> None:
    """Start both servers, with `--three` three brokers, or with `--prepare` fetch what they need."""
    if arguments == ["--prepare"]:
        _prepare()
    elif arguments == ["--three"]:
        _serve(three=True)
    elif arguments:
        sys.exit(f"tests.servers: {' '.join(arguments)!r} is unknown; the options are --three and --prepare")
    else:
        _serve(three=False)


def _prepare() -> None:
    if os.environ.get(KAFKA_VARIABLE):
        return
    java()
    kafka_jars()


def _serve(*, three: bool) -> None:
    signal.signal(signal.SIGTERM, _ended)
    with _cluster() if three else kafka() as broker, postgres() as database:
        _say(f"# Kafka: {broker.source}; Postgres: {database.source}; Ctrl-C stops what was started here")
        _say(f"export {KAFKA_VARIABLE}={broker.bootstrap}")
        _say(f"export {POSTGRES_VARIABLE}={database.url}")
        _say(f"# make ledger LOG=kafka://{broker.bootstrap} VIEWS={database.url}")
        signal.pause()


@contextmanager
def _cluster() -> Generator[KafkaAddress]:
    with own_cluster({}) as cluster:
        warm_kafka(cluster.bootstrap)
        for broker in cluster.brokers:
            _say(f"# broker {broker.node}: {broker.bootstrap}, process {broker.pid}")
        yield KafkaAddress(cluster.bootstrap, "three local processes")


def _ended(number: int, frame: FrameType | None) -> None:
    del number, frame
    sys.exit(0)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 (this is a program)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(0)
    except ServerUnavailable as error:
        sys.exit(f"tests.servers: {error}")
