"""A worker in a thread of the test, and waiting for what it does."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from typing import NamedTuple

from eventcore.app import App, Worker
from eventcore.app.supervision import Supervised
from eventcore.app.worker import Wanted, everything
from eventcore.log.port import Log
from projections import Views

WAIT_S = 30.0  # no test waits this long unless something is lost
LOOK_S = 0.02


class Running(NamedTuple):
    """A worker and the thread that it runs in."""

    worker: Worker
    thread: threading.Thread

    def ended(self) -> list[Supervised]:
        """What became of its children, once it has ended by itself."""
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive(), f"still running: {self.worker.children}"
        return self.worker.children

    def stands_ready(self) -> None:
        """Wait until every child has taken over what is its own."""
        wait_until(lambda: self.worker.ready, "every child to run")

    def child(self, name: str) -> Supervised:
        """One of its children."""
        wait_until(
            lambda: any(child.name == name for child in self.worker.children), f"{name} to be given to the worker"
        )
        return next(child for child in self.worker.children if child.name == name)


@contextlib.contextmanager
def running(app: App, log: Log, views: Views, wanted: Wanted = everything) -> Generator[Running]:
    """A worker that runs until the end of the block, or until it ends by itself."""
    worker = Worker(app, log, views, wanted=wanted)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield Running(worker, thread)
    finally:
        worker.stop()
        thread.join(WAIT_S)
        assert not thread.is_alive(), f"the worker does not stop: {worker.children}"


def wait_until(holds: Callable[[], bool], what: str, within_s: float = WAIT_S) -> None:
    """Look again and again, for `within_s` at most."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s for {what}"
        pause.wait(LOOK_S)
