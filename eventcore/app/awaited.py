"""Outcomes that somebody waits for: one followed partition, shared by the threads of a client.

The partition is the client's own of the replies topic, or one of an outcomes topic where a log has no replies; which
records are outcomes, and for whom, is said from outside (`Hear`). Whoever waits polls for everybody who waits here, one at a
time; what belongs to another waiter is put where that one looks. Two who wait for one id (a command sent twice) get an
outcome each, in the order of the log.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from eventcore.avro.outcome import OutcomeRecord
from eventcore.cut import Cut
from eventcore.errors import DataError, EventcoreError, LogUnavailable, OutcomeUnknown
from eventcore.log.port import Follower, Log, Recorded

POLL_S = 0.1  # how long one waiter polls for all before it looks whether it is done
POLL_MOST = 5_000  # outcomes a poll: as many as a client has in flight
FRESH_S = 30.0  # after this long without a waiter it is cheaper to begin at the end than to read what was missed


class Heard(NamedTuple):
    """An outcome, and the cut that came with it."""

    outcome: OutcomeRecord
    cut: Cut | None


Hear = Callable[[Sequence[Recorded]], list[Heard]]
"""What of some records of the partition is an outcome that somebody may wait for; others are passed over."""


class Awaited:
    """The outcomes of one partition from the moment somebody first waited. Any thread may use it."""

    def __init__(self, log: Log, topic: str, partition: int, hear: Hear, *, lossy: bool) -> None:
        self._log = log
        self._topic = topic
        self._partition = partition
        self._hear = hear
        self.lossy = lossy  # whether an outcome may be there and never be heard here
        self._polling = threading.Lock()  # whoever holds it polls
        self._entering = threading.Lock()  # nobody begins to wait while another waiter moves the beginning
        self._guard = threading.Lock()  # of the fields below, never held while anything waits
        self._missing: Counter[bytes] = Counter()
        self._found: dict[bytes, deque[Heard]] = {}
        self._follower: Follower = log.follow(topic, {partition: log.end(topic, partition)})
        self._polled_at = time.monotonic()
        self.finds = 0  # grows with each poll that brought something
        self.broken: EventcoreError | None = None  # why nothing can be heard here any more

    def expect(self, ids: Iterable[bytes]) -> None:
        """Look for an outcome more of each of these, from now on: call it before their commands are sent."""
        with self._entering:
            with self._guard:
                idle = not self._missing and not self._found
            if idle and time.monotonic() - self._polled_at > FRESH_S:
                with self._polling:
                    self._begin_at_the_end()
            with self._guard:
                self._missing.update(ids)

    def _begin_at_the_end(self) -> None:
        former = self._follower
        self._follower = self._log.follow(self._topic, {self._partition: self._log.end(self._topic, self._partition)})
        self._polled_at = time.monotonic()
        former.close()

    def give_up(self, ids: Iterable[bytes]) -> None:
        """Look for an outcome less of each of these."""
        with self._guard:
            for command_id in ids:
                if queue := self._found.get(command_id):
                    queue.popleft()
                    self._forget_empty(command_id)
                elif self._missing[command_id] > 1:
                    self._missing[command_id] -= 1
                else:
                    del self._missing[command_id]

    def take(self, command_id: bytes, deadline: float) -> Heard:
        """Wait for the next outcome of a command and return it; it was expected before.

        Raises OutcomeUnknown at the deadline: then it is still expected, until it is given up.
        """
        away: EventcoreError | None = None
        while (heard := self.next(command_id)) is None:
            if self.broken is not None:
                raise self.unknown(command_id, self.broken)
            if (left := deadline - time.monotonic()) < 0:
                raise self.unknown(command_id, away)
            if self._polling.acquire(timeout=min(POLL_S, left)):
                try:
                    if command_id not in self._found:
                        away = self._poll(min(POLL_S, left)) or away
                finally:
                    self._polling.release()
        return heard

    def unknown(self, command_id: bytes, why: EventcoreError | None) -> OutcomeUnknown:
        """What to tell whoever waited for nothing."""
        unknown = OutcomeUnknown(
            f"no outcome yet for command {UUID(bytes=command_id)} in {self._topic}[{self._partition}]. It is sent and "
            f"may yet be decided: ask again with the same id. {why or 'Usually no worker runs its lane.'}"
        )
        unknown.__cause__ = why
        return unknown

    def poll(self) -> None:
        """Poll once for all who wait, if nobody else does."""
        if self._polling.acquire(timeout=POLL_S):
            try:
                self._poll(POLL_S)
            finally:
                self._polling.release()

    def next(self, command_id: bytes) -> Heard | None:
        """The next outcome of a command, if it was heard already."""
        with self._guard:
            queue = self._found.get(command_id)
            if not queue:
                return None
            heard = queue.popleft()
            self._forget_empty(command_id)
            return heard

    def found(self) -> list[bytes]:
        """The commands whose outcomes were heard and not taken yet."""
        with self._guard:
            return list(self._found)

    def close(self) -> None:
        """Stop following."""
        self._follower.close()

    def _forget_empty(self, command_id: bytes) -> None:
        if not self._found[command_id]:
            del self._found[command_id]

    def _poll(self, timeout_s: float) -> EventcoreError | None:
        """Poll once; why that could not be done, if the log may come back. A partition that is gone breaks this."""
        try:
            records = self._follower.poll(POLL_MOST, timeout_s).get(self._partition, ())
        except LogUnavailable as fault:  # the command is sent: what the log said is told when patience ends
            time.sleep(timeout_s)
            return fault
        except DataError as gone:  # what was to be read was deleted: by its retention, or with the whole topic
            try:
                self._begin_at_the_end()
            except EventcoreError as worse:
                worse.__context__ = gone
                self.broken = worse
            return gone
        self._polled_at = time.monotonic()
        heard = self._hear(records) if records else []
        with self._guard:
            self.finds += bool(records)
            for each in heard:
                command_id = each.outcome.command_id
                if self._missing[command_id] > 0:
                    self._missing[command_id] -= 1
                    if not self._missing[command_id]:
                        del self._missing[command_id]
                    self._found.setdefault(command_id, deque()).append(each)
                elif command_id in self._missing:
                    del self._missing[command_id]  # a counter keeps what it was only asked for
        return None
