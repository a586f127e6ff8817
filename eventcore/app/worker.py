"""A worker: every lane, relay and projection of an app, each in a thread of its own, until it is told to stop.

A child that fails because the world failed is started again after a pause that grows, up to a bound; one that was
fenced ends the whole worker, because another one runs this app; one that fails for any other reason (a broken log, a
fold that raises) halts alone and is shown, and its siblings go on. `run` returns when it was stopped or when nothing runs any
more, and says what became of each child.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from eventcore.app.app import App
from eventcore.app.children import Child, lanes_of, projections_of, relays_of
from eventcore.errors import Fenced, OwnedElsewhere, SystemFault
from eventcore.log.port import Log
from projections import Views

logger = logging.getLogger("eventcore.worker")

POLL_S = 0.5  # how long a child waits for records before it looks whether it is to stop
PAUSE_FIRST_S, PAUSE_MOST_S = 0.1, 5.0
FAILURES_MAX = 100  # in a row: with the longest pause about eight minutes, longer than a broker's restart takes

Status = Literal["starting", "running", "waiting", "stopped", "fenced", "halted", "gave_up"]


@dataclass
class Supervised:
    """A child, how it is, and why. `failures` counts those in a row."""

    child: Child
    status: Status = "starting"
    reason: str = ""
    failures: int = 0
    records: int = 0

    @property
    def failed(self) -> bool:
        """Whether it ended for another reason than being told to stop."""
        return self.status in ("fenced", "halted", "gave_up")


@dataclass
class Worker:
    """Runs an app on a log and views that stay the caller's. `run` blocks; `stop` may be called from any thread."""

    app: App
    log: Log
    views: Views
    children: list[Supervised] = field(init=False)

    def __post_init__(self) -> None:
        wiring = self.app.wiring
        parts: Sequence[Child] = [
            *lanes_of(wiring, self.log),
            *relays_of(wiring, self.log),
            *projections_of(wiring, self.log, self.views),
        ]
        self.children = [Supervised(part) for part in parts]
        self._stop = threading.Event()

    def run(self) -> list[Supervised]:
        """Run until `stop`, or until no child runs any more; return the children with what became of them.

        Raises OwnedElsewhere at once where another worker has an embedded log.
        """
        self._start_lanes()
        ready = sum(child.status == "running" for child in self.children)
        logger.info("%d of %d parts stand ready", ready, len(self.children))
        threads = [
            threading.Thread(target=self._supervise, args=(child,), name=child.child.name) for child in self.children
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.children

    def stop(self) -> None:
        """Ask every child to finish its batch and end. Safe in a signal handler."""
        self._stop.set()

    def _start_lanes(self) -> None:
        """Fail at once, and in the caller's thread, where another worker has the log."""
        for supervised in self.children:
            try:
                supervised.child.start()
            except OwnedElsewhere:
                for other in self.children:
                    other.child.close()
                raise
            except Exception as fault:  # noqa: BLE001 - its own thread starts it again, and judges what it raises there
                supervised.reason = str(fault)
            else:
                supervised.status = "running"

    def _supervise(self, supervised: Supervised) -> None:
        child = supervised.child
        try:
            while not self._stop.is_set() and not supervised.failed:
                self._run_until_fault(supervised)
            if not supervised.failed:
                supervised.status = "stopped"
        finally:
            child.close()

    def _run_until_fault(self, supervised: Supervised) -> None:
        child = supervised.child
        try:
            if supervised.status != "running":
                child.start()
                supervised.status, supervised.reason = "running", ""
            while not self._stop.is_set():
                supervised.records += child.step(POLL_S)
                supervised.failures = 0
        except Fenced as fenced:
            supervised.status, supervised.reason = "fenced", str(fenced)
            logger.warning("%s was fenced, so this worker ends: %s", child.name, fenced)
            self._stop.set()
        except SystemFault as fault:
            self._pause(supervised, fault)
        except BaseException as fault:  # a `sys.exit` in user code too: it would end this thread and be seen by nobody
            supervised.status, supervised.reason = "halted", f"{type(fault).__name__}: {fault}"
            logger.exception("%s halts; its siblings go on", child.name)

    def _pause(self, supervised: Supervised, fault: SystemFault) -> None:
        supervised.failures += 1
        supervised.reason = str(fault)
        if supervised.failures >= FAILURES_MAX:
            supervised.status = "gave_up"
            logger.error("%s gives up after %d failures: %s", supervised.child.name, supervised.failures, fault)
            return
        supervised.status = "waiting"
        pause = min(PAUSE_MOST_S, PAUSE_FIRST_S * 2 ** min(supervised.failures - 1, 10))
        logger.warning("%s waits %.1f s and tries again: %s", supervised.child.name, pause, fault)
        self._stop.wait(pause)
