"""Outcomes that somebody waits for: one followed partition, shared by the threads of a client.

Whoever waits polls for everybody who waits on that partition, one at a time; what belongs to another waiter is put
where that one looks. Two who wait for one id (a command sent twice) get an outcome each, in the order of the log.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from uuid import UUID

from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.errors import DataError, LogUnavailable, OutcomeUnknown
from eventcore.log.port import Log

POLL_S = 0.1  # how long one waiter polls for all before it looks whether it is done
POLL_MOST = 5_000  # outcomes a poll: as many as a client has in flight
FRESH_S = 30.0  # after this long without a waiter it is cheaper to begin at the end than to read what was missed


class Awaited:
    """The outcomes of one partition from the moment somebody first waited. Any thread may use it."""

    def __init__(self, log: Log, topic: str, events: str, partition: int) -> None:
        self._log = log
        self._topic = topic
        self._events = events
        self._partition = partition
        self._polling = threading.Lock()  # whoever holds it polls
        self._entering = threading.Lock()  # nobody begins to wait while another waiter moves the beginning
        self._guard = threading.Lock()  # of the fields below, never held while anything waits
        self._missing: Counter[bytes] = Counter()
        self._found: dict[bytes, deque[OutcomeRecord]] = {}
        self._follower = log.follow(topic, {partition: log.end(topic, partition)})
        self._polled_at = time.monotonic()
        # `_end` is an end of the events that was asked for when `_finds` was what stands beside it: it holds the events
        # of every outcome that had been found by then. So a batch of outcomes costs one question, not one each.
        self._finds = 0
        self._end = (-1, 0)

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

    def take(self, command_id: bytes, deadline: float) -> OutcomeRecord:
        """Wait for the next outcome of a command and return it; it was expected before.

        Raises OutcomeUnknown at the deadline: then it is still expected, until it is given up.
        """
        away: LogUnavailable | None = None
        while (outcome := self._next(command_id)) is None:
            if time.monotonic() > deadline:
                raise OutcomeUnknown(
                    f"no outcome yet for command {UUID(bytes=command_id)} in {self._topic}[{self._partition}]. It is "
                    "sent and may yet be decided: ask again with the same id. Usually no worker runs its lane."
                ) from away
            if self._polling.acquire(timeout=POLL_S):
                try:
                    if command_id not in self._found:
                        self._poll()
                except LogUnavailable as fault:  # the command is sent: what the log said is told when patience ends
                    away = fault
                    time.sleep(POLL_S)
                finally:
                    self._polling.release()
        return outcome

    def end_of_events(self) -> int:
        """An end of the events that holds those of every outcome taken so far."""
        with self._guard:
            finds, end = self._finds, self._end
        if end[0] != finds:
            end = (finds, self._log.end(self._events, self._partition))
            with self._guard:
                self._end = end
        return end[1]

    def close(self) -> None:
        """Stop following."""
        self._follower.close()

    def _next(self, command_id: bytes) -> OutcomeRecord | None:
        with self._guard:
            queue = self._found.get(command_id)
            if not queue:
                return None
            outcome = queue.popleft()
            self._forget_empty(command_id)
            return outcome

    def _forget_empty(self, command_id: bytes) -> None:
        if not self._found[command_id]:
            del self._found[command_id]

    def _poll(self) -> None:
        records = self._follower.poll(POLL_MOST, POLL_S).get(self._partition, ())
        self._polled_at = time.monotonic()
        outcomes: list[OutcomeRecord] = []
        for record in records:
            try:
                outcomes.append(read_outcome(record.value))
            except DataError:
                continue  # not an outcome, so nobody waits for it; lanes and `log show` report foreign records
        with self._guard:
            self._finds += bool(records)
            for outcome in outcomes:
                command_id = outcome.command_id
                if self._missing[command_id] > 0:
                    self._missing[command_id] -= 1
                    if not self._missing[command_id]:
                        del self._missing[command_id]
                    self._found.setdefault(command_id, deque()).append(outcome)
