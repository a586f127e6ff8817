"""One part of a worker in a thread of its own: started again where that can help, halted alone where it cannot.

What a part raises is judged once, here:

- **the world failed** (SystemFault): it begins again after a pause that grows; RESTARTS_MAX times within RESTARTS_S, then
  it gives up.
- **it was fenced**: somebody owned its partition. While this process still holds the partition, that somebody was a former
  owner who woke up, or an operator: it takes over again, after a longer pause in which the group can tell it otherwise.
  It has FENCED_MAX such takeovers within RESTARTS_S, so that two who are wrong about each other do not go on for ever.
- **the app or its data is wrong** (CallerError, DataError): it halts at once; doing the same again would end the same.
- **anything else**: nobody foresaw it. It begins again UNFORESEEN_MAX times within RESTARTS_S, then it halts.

Its siblings go on in every case.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

from eventcore.app.parts import Kind, Part
from eventcore.cut import Cut
from eventcore.errors import CallerError, DataError, EventcoreError, Fenced, OwnedElsewhere, Refusal, SystemFault

logger = logging.getLogger("eventcore.worker")

POLL_S = 0.5  # how long a part waits for records before it looks whether it is to stop
PAUSE_FIRST_S, PAUSE_MOST_S = 0.1, 5.0
PAUSE_FENCED_S = 1.0  # at least: a member of a group learns within a heartbeat that its partition is another's
RESTARTS_S = 600.0
RESTARTS_MAX = 100  # with the longest pause about eight minutes, longer than a broker's restart takes
FENCED_MAX = 20
UNFORESEEN_MAX = 3
PAUSED_S = 60.0  # failures within so long make the next pause longer
PROGRESS_S = 5.0  # between two lines about a long restore

Status = Literal[
    "starting", "restoring", "running", "waiting", "idle", "stopped", "released", "halted", "gave_up", "cut_off"
]


Refuse = Callable[[EventcoreError], None]
"""Called with why this worker cannot run here at all: its `run` ends, and raises that."""


class PartStanding(NamedTuple):
    """How one part of a worker is. `position` says how far it has read, by partition; `term` is a lane's."""

    name: str
    kind: Kind
    machine: str
    status: Status
    reason: str
    records: int
    restarts: int
    reads: str
    position: Cut
    term: int | None


class Restarts:
    """How often something was started again lately: its restart intensity."""

    def __init__(self) -> None:
        self._at: deque[float] = deque()
        self.total = 0

    def note(self) -> None:
        """It failed once more."""
        self.total += 1
        self._at.append(time.monotonic())

    def within(self, seconds: float) -> int:
        """How often in the last `seconds`, which are RESTARTS_S at most."""
        now = time.monotonic()
        while self._at and self._at[0] < now - RESTARTS_S:
            self._at.popleft()
        return sum(at >= now - seconds for at in self._at)


class _Told(BaseException):
    """Raised out of a restore by a part that was told to end."""


class Supervised:
    """A part, its thread, how it is, and why. `failures` counts those in a row."""

    def __init__(self, part: Part, refuse: Refuse) -> None:
        self.part = part
        self.status: Status = "starting"
        self.reason = ""
        self.failures = 0
        self.records = 0
        self.beats = 0  # grows while the part goes on
        self.busy = False  # whether it is in a call that must return
        self.thread = threading.Thread(target=self._live, name=part.name, daemon=True)
        self._refuse = refuse
        self._stop = threading.Event()
        self._drop = False
        self._ending: Status = "stopped"
        self._restarts, self._fenced, self._unforeseen = Restarts(), Restarts(), Restarts()
        self._began = False
        self._said_at = 0.0

    @property
    def name(self) -> str:
        """How the part is shown."""
        return self.part.name

    @property
    def failed(self) -> bool:
        """Whether it ended for another reason than being told to."""
        return self.status in ("halted", "gave_up", "cut_off")

    @property
    def ready(self) -> bool:
        """Whether it does its work, or has none."""
        return self.status in ("running", "idle") and not self.part.stale()

    def standing(self) -> PartStanding:
        """How it is now."""
        part = self.part
        return PartStanding(
            self.name,
            part.kind,
            part.machine,
            self.status,
            self.reason,
            self.records,
            self._restarts.total,
            part.reads,
            part.position,
            part.term,
        )

    def end(self, status: Status = "stopped", *, drop: bool = False) -> None:
        """Tell it to finish its batch and end, as `status`; with `drop`, to end without waiting for its commit."""
        self._ending, self._drop = status, drop
        self._stop.set()

    def cut_off(self, seconds: float) -> None:
        """Note that it did not end in time."""
        self.status, self.reason = "cut_off", f"it did not end within {seconds:.0f} s of being told to: {self.reason}"

    def _live(self) -> None:
        try:
            while not self._stop.is_set() and not self.failed:
                self._run_until_fault()
        finally:
            self._close()
            self.busy = False
            if not self.failed:
                self.status = self._ending

    def _close(self) -> None:
        try:
            self.part.close()
        except SystemFault as fault:
            logger.warning("%s is left as it is: %s", self.name, fault)
        except BaseException as unforeseen:  # this thread ends here, and how the part ended is to be seen
            logger.exception("%s could not be closed, for a reason that nobody foresaw; it is left as it is", self.name)
            if not self.failed:
                self.status = "halted"
                self.reason = f"closing it raised {type(unforeseen).__name__}: {unforeseen}"

    def _run_until_fault(self) -> None:
        try:
            self.busy = True
            if self.status not in ("running", "idle") or self.part.stale():
                self._begin()
            while not self._stop.is_set() and not self.part.stale():
                self.beats += 1
                self.records += self.part.work(POLL_S)
                self.failures = 0
            if self._stop.is_set() and not self._drop:
                self.part.finish()
        except _Told:
            logger.info("%s was told to end while it restored", self.name)
        except Fenced as fenced:
            self._again(fenced, self._fenced, FENCED_MAX, PAUSE_FENCED_S)
        except OwnedElsewhere as owned:
            if self._began:
                self._again(owned, self._restarts, RESTARTS_MAX, 0.0)
            else:
                self.reason = str(owned)
                self._stop.set()
                self._refuse(owned)
        except SystemFault as fault:
            self._again(fault, self._restarts, RESTARTS_MAX, 0.0)
        except (CallerError, DataError, Refusal) as wrong:
            self._halt(wrong)
        except BaseException as unforeseen:  # a `sys.exit` in user code too: it would end this thread unseen
            logger.exception("%s fails in a way that nobody foresaw", self.name)
            self._again(unforeseen, self._unforeseen, UNFORESEEN_MAX, 0.0)

    def _begin(self) -> None:
        self.beats += 1
        self.status = "restoring" if self.part.kind == "lane" else "starting"
        began = time.monotonic()
        self._said_at = began

        def progress(what: str, done: int, end: int) -> None:
            self.beats += 1
            if self._stop.is_set():
                raise _Told
            self._say(began, what, done, end)

        has_work = self.part.begin(progress)
        self._began = True
        self.status, self.reason = "running" if has_work else "idle", ""
        if self.part.kind == "lane" and time.monotonic() - began > PROGRESS_S:
            logger.info("%s stands ready after %.0f s", self.name, time.monotonic() - began)

    def _say(self, began: float, what: str, done: int, end: int) -> None:
        now = time.monotonic()
        if now < self._said_at + PROGRESS_S:
            return
        self._said_at = now
        rate = done / (now - began)
        left = f", about {max(0, end - done) / rate:,.0f} s left" if rate else ""
        self.reason = f"{what}: {done:,} of about {end:,}"
        logger.info("%s restores %s (%s/s%s)", self.name, self.reason, f"{rate:,.0f}", left)

    def _again(self, fault: BaseException, restarts: Restarts, most: int, pause_least_s: float) -> None:
        self.busy = False
        if self._stop.is_set():
            return
        self.failures += 1
        restarts.note()
        if restarts is not self._restarts:
            self._restarts.note()
        said = str(fault) if isinstance(fault, SystemFault) else f"{type(fault).__name__}: {fault}"
        if restarts.within(RESTARTS_S) >= most:
            self.reason = said
            self.status = "halted" if restarts is self._unforeseen else "gave_up"
            logger.error("%s gives up after %d failures within %.0f s: %s", self.name, most, RESTARTS_S, said)
            return
        self.status, self.reason = "waiting", said
        growing = PAUSE_FIRST_S * 2 ** min(restarts.within(PAUSED_S) - 1, 10)
        pause = max(pause_least_s, min(PAUSE_MOST_S, growing))
        logger.warning("%s waits %.1f s and tries again: %s", self.name, pause, said)
        self._stop.wait(pause)

    def _halt(self, fault: BaseException) -> None:
        self.busy = False
        self.status, self.reason = "halted", f"{type(fault).__name__}: {fault}"
        logger.error("%s halts; its siblings go on", self.name, exc_info=fault)
