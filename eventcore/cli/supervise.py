"""`run --supervise`: the worker as a process of its own, started again when it ends without having been told to.

The worker writes a byte into a pipe every HEARTBEAT_S. One that has been silent for too long hangs in a way that its own
watchdog cannot see (stopped, or held by a call that never lets another thread run): it is killed and started again. One
that starts has START_S at least: it writes nothing before this program is imported. The pipe works the other way too: a
worker whose supervisor has died finds nobody reading, and ends as if it was told to.

The worker gets signals from its supervisor only, in a session of its own: Ctrl-C reaches it once.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from eventcore.app.supervision import Restarts
from eventcore.cli.faults import CALLER, DONE, SYSTEM

logger = logging.getLogger("eventcore.supervisor")

HEARTBEAT = "EVENTCORE_HEARTBEAT_FD"  # how a worker is told where to write; for nobody to set
HEARTBEAT_S = 1.0
START_S = 60.0  # up to the first byte: 1 s on an idle machine, and that a loaded one needs longer is no hang
LOOK_S, LOOK_MOST_S = 0.2, 2.0
PAUSE_FIRST_S, PAUSE_MOST_S = 0.5, 30.0
RESTARTS_MAX, RESTARTS_S = (
    5,
    300.0,
)  # one that waits for a server takes two minutes to fail, and is started again for ever
LATE_S = 10.0  # beyond the time that a worker has to drain


class Supervisor:
    """Runs `command` as a child process until it ends well, or is told to; at most RESTARTS_MAX times in RESTARTS_S."""

    def __init__(self, command: Sequence[str], *, drain_s: float, hang_s: float) -> None:
        self._command = list(command)
        self._drain_s = drain_s
        self._hang_s = hang_s
        self._told: int | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Supervise; the code to end with: the child's, or SYSTEM where it was given up."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._tell)
        restarts = Restarts()
        while True:
            code = self._live()
            if self._told is not None or code in (DONE, CALLER):
                return code if code >= 0 else 128 - code
            restarts.note()
            count = restarts.within(RESTARTS_S)
            if count >= RESTARTS_MAX:
                logger.error(
                    "gives up: the worker ended %d times within %.0f s, the last time with %s. What it logged above says "
                    "why; start it again when that is mended",
                    count, RESTARTS_S, said_of(code),
                )  # fmt: skip
                return SYSTEM
            pause = min(PAUSE_MOST_S, PAUSE_FIRST_S * 2 ** (count - 1))
            logger.warning("the worker ended with %s; it is started again in %.1f s", said_of(code), pause)
            if not self._wait(pause):
                return DONE

    def _tell(self, number: int, _: FrameType | None) -> None:
        self._told = number
        child = self._child
        if child is not None and child.returncode is None:
            child.send_signal(number)

    def _wait(self, seconds: float) -> bool:
        """Wait; False where it is told to end meanwhile."""
        until = time.monotonic() + seconds
        while self._told is None and time.monotonic() < until:
            time.sleep(LOOK_S)
        return self._told is None

    def _live(self) -> int:
        """One life of the child; its exit code, negative for a signal."""
        reading, writing = os.pipe()
        try:
            child = subprocess.Popen(  # noqa: S603 - this program itself, as it was called
                self._command, env={**os.environ, HEARTBEAT: str(writing)}, pass_fds=[writing], start_new_session=True
            )
        finally:
            os.close(writing)
        self._child = child
        logger.info("the worker is process %d", child.pid)
        if self._told is not None:  # told between the looks
            child.send_signal(self._told)
        try:
            return self._watch(child, reading)
        finally:
            os.close(reading)
            if child.poll() is None:
                child.kill()
                child.wait()

    def _watch(self, child: subprocess.Popen[bytes], reading: int) -> int:
        silent_s = told_s = 0.0
        bound_s = max(self._hang_s, START_S)  # until the first sign of life
        last = time.monotonic()
        while (code := child.poll()) is None:
            ready, _, _ = select.select([reading], [], [], LOOK_S)
            now = time.monotonic()
            elapsed, last = min(now - last, LOOK_MOST_S), now  # time that this process was stopped does not count
            if ready and os.read(reading, 1_000):
                bound_s = self._hang_s
            elif ready:
                time.sleep(LOOK_S)  # the child has closed its end: it is about to end
            silent_s = 0.0 if ready else silent_s + elapsed
            told_s = told_s + elapsed if self._told is not None else 0.0
            if silent_s > bound_s:
                logger.error(
                    "the worker (process %d) gave no sign of life for %.0f s and is killed", child.pid, bound_s
                )
                child.kill()
                silent_s = 0.0
            elif told_s > self._drain_s + LATE_S:
                logger.error("the worker (process %d) did not end in time and is killed", child.pid)
                child.kill()
                told_s = 0.0
        return code


def supervised_command() -> list[str]:
    """How this program was called, less `--supervise`."""
    return [sys.executable, "-m", "eventcore.cli", *(a for a in sys.argv[1:] if a != "--supervise")]


def show_life(orphaned: Callable[[], None]) -> None:
    """Give signs of life to a supervisor, where there is one; `orphaned` is called once it is gone."""
    text = os.environ.pop(HEARTBEAT, None)
    if text is None:
        return
    writing = int(text)
    os.set_inheritable(writing, False)  # noqa: FBT003 - how it is called

    def beat() -> None:
        while True:
            try:
                os.write(writing, b".")
            except OSError:
                logger.warning("the supervisor of this worker is gone: stopping")
                orphaned()
                return
            time.sleep(HEARTBEAT_S)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()


def said_of(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
