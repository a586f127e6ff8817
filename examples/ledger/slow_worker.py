"""A worker of the ledger that takes its time, so that it can be killed in the middle of its work. For `chaos` only.

It differs from a real worker in two things: a lane takes few commands at a time, and it pauses after each of them, with
what it wrote in an open transaction. So most of its life is spent with records in the log that nobody may read yet.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

from eventcore.app import Worker
from eventcore.log.address import open_log
from eventcore.log.port import Follower, Log, Recorded, Writer
from eventcore.topics import Topics
from examples.ledger.app import app
from projections import open_views

COMMANDS_MAX = 25  # at a time: the whole ledger takes about 470 a partition
HEARS = "hears when it is told to end"  # printed once it does
PAUSE_S = 0.05  # after each of these: longer than records take to the broker, so that a kill leaves some there


class SlowLog:
    """A log whose lanes are slow; everything else goes through to the log behind it."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def own(self, topics: Topics, partition: int) -> Writer:
        """A writer that pauses in its transactions."""
        return cast("Writer", SlowWriter(self._log.own(topics, partition)))

    def follow(self, topic: str, starts: Mapping[int, int]) -> Follower:
        """A follower that returns few commands at a time."""
        follower = self._log.follow(topic, starts)
        return cast("Follower", FewAtATime(follower)) if topic.endswith(".commands") else follower

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class SlowWriter:
    """A writer that pauses after each few commands, with their records in an open transaction."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._never = threading.Event()

    def append(self, topic: str, records: Sequence[Any]) -> None:
        """Append, and pause with what was appended in the log."""
        self._writer.append(topic, records)
        if topic.endswith(".outcomes"):
            self._never.wait(PAUSE_S)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


class FewAtATime:
    """A follower that never returns more than COMMANDS_MAX records."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def poll(self, most: int, timeout_s: float) -> Mapping[int, Sequence[Recorded]]:
        """Poll for fewer."""
        return self._follower.poll(min(most, COMMANDS_MAX), timeout_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._follower, name)


def main() -> int:
    """Run until SIGTERM; 1 where a part of the worker failed for good."""
    parser = argparse.ArgumentParser(prog="python -m examples.ledger.slow_worker")
    parser.add_argument("--log", required=True)
    parser.add_argument("--views", required=True)
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
    log, views = open_log(options.log), open_views(options.views)
    worker = Worker(app, cast("Log", SlowLog(log)), views)
    signal.signal(signal.SIGTERM, lambda _number, _frame: worker.stop())
    print(HEARS, flush=True)
    children = worker.run()
    views.close()
    log.close()
    return int(any(child.failed for child in children))


if __name__ == "__main__":
    sys.exit(main())
