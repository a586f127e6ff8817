"""A watchdog: notices a part whose call does not return, and says where every thread stands.

Calls into a client library can hang for minutes after a broker was restarted, and a `decide` may loop for ever. Neither
can be ended from outside its thread; a process that ends itself can be started again, and recovery does the rest.

Time is counted in the watchdog's own ticks, each of at most TICK_MOST_S: a process that was stopped and goes on, or a
machine that slept, is not taken for one that hangs.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import NamedTuple

logger = logging.getLogger("eventcore.worker")

# Every call of ours into a client is bounded by a transaction's 60 s and 15 s more; what takes longer does not return.
HANG_S = 90.0
TICK_S, TICK_MOST_S = 1.0, 2.0


class Watched(NamedTuple):
    """What a watchdog sees of a part: `beats` grows while it goes on; `busy` while it must."""

    name: str
    beats: int
    busy: bool


class Watchdog:
    """Looks at parts every TICK_S, and calls `hangs` once with the name of the first that stands still for `hang_s`."""

    def __init__(
        self, look: Callable[[], Iterable[Watched]], hang_s: float, hangs: Callable[[str, float], None]
    ) -> None:
        self.thread = threading.Thread(target=self._live, name="watchdog", daemon=True)
        self._look = look
        self._hang_s = hang_s
        self._hangs = hangs
        self._stop = threading.Event()
        self._seen: dict[str, tuple[int, float]] = {}  # beats, and for how long they have been the same

    def end(self) -> None:
        """Look no more."""
        self._stop.set()

    def tick(self, elapsed_s: float) -> str | None:
        """Look once, `elapsed_s` after the last time; the name of a part that hangs."""
        seen: dict[str, tuple[int, float]] = {}
        hanging = None
        for name, beats, busy in self._look():
            before, still_s = self._seen.get(name, (beats - 1, 0.0))  # one that is new has just moved
            still_s = still_s + min(elapsed_s, TICK_MOST_S) if busy and before == beats else 0.0
            seen[name] = beats, still_s
            if still_s > self._hang_s:
                hanging = name
        self._seen = seen
        return hanging

    def _live(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(min(TICK_S, self._hang_s / 4)):
            now = time.monotonic()
            hanging = self.tick(now - last)
            last = now
            if hanging is not None:
                logger.critical("%s has not returned for %.0f s. All threads:\n%s", hanging, self._hang_s, stacks())
                self._hangs(hanging, self._hang_s)
                return


def stacks() -> str:
    """Where every thread stands."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - documented, "for debugging"
    )
