"""Start Kafka and Postgres, print their addresses, and run until interrupted: `python -m tests.servers [--prepare]`.

With `--prepare`, only fetch what they need, so that a test run does not wait for a download in silence.
"""

import os
import signal
import sys
from types import FrameType

from tests.servers import ServerUnavailable, kafka, postgres
from tests.servers.jars import kafka_jars
from tests.servers.java import java
from tests.servers.resolve import KAFKA_VARIABLE, POSTGRES_VARIABLE


def main(arguments: list[str]) -> None:
    """Start both servers, or with `--prepare` fetch what they need."""
    if arguments == ["--prepare"]:
        _prepare()
    elif arguments:
        sys.exit(f"tests.servers: {' '.join(arguments)!r} is unknown; the only option is --prepare")
    else:
        _serve()


def _prepare() -> None:
    if os.environ.get(KAFKA_VARIABLE):
        return
    java()
    kafka_jars()


def _serve() -> None:
    signal.signal(signal.SIGTERM, _ended)
    with kafka() as broker, postgres() as database:
        _say(f"# Kafka: {broker.source}; Postgres: {database.source}; Ctrl-C stops what was started here")
        _say(f"export {KAFKA_VARIABLE}={broker.bootstrap}")
        _say(f"export {POSTGRES_VARIABLE}={database.url}")
        _say(f"# make ledger LOG=kafka://{broker.bootstrap} VIEWS={database.url}")
        signal.pause()


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
