"""Where a client hears of its commands, and what it puts on them so that it does.

A client listens to one partition of the app's replies topic, chosen at random, from its end, in no group; its commands
bear its address. It reads what other clients there are told, too, and passes over it by their token: a comparison.

A log in a file has no replies (`TopicPlan.kept_bytes`), nor has a cluster whose worker is older than they are, or whose
replies topic was deleted. There a client follows the outcomes of the partition that it sends to, and asks for the end of
its events once for each poll that brought something. What a client is told is the same.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Sequence
from typing import NamedTuple

from eventcore.app.awaited import Awaited, Heard
from eventcore.app.wiring import Machine, Wiring
from eventcore.avro.outcome import read_outcome
from eventcore.cut import Cut
from eventcore.errors import DataError, EventcoreError, LogUnavailable, OutcomeUnknown, UnknownName
from eventcore.lane.reply import Address, cut_of
from eventcore.log.port import Log, Recorded
from eventcore.topics import replies_topic, schemas_topic

logger = logging.getLogger("eventcore.client")

TOKEN_BYTES = 9  # random: two clients of one partition with the same token would read each other's replies, no more


class Place(NamedTuple):
    """Where a command is decided: the machine and the partition."""

    machine: Machine
    partition: int


class Listening:
    """What a client listens to. Any thread may use it."""

    def __init__(self, wiring: Wiring, log: Log) -> None:
        self._log = log
        self._topic = replies_topic(wiring.name)
        self._schemas = schemas_topic(wiring.name)
        self._looking = threading.Lock()
        self._token = os.urandom(TOKEN_BYTES).hex()
        self._lock = threading.Lock()
        self._address: Address | None = None
        self._replies: Awaited | None = None
        self._without = False  # replies are not to be had here
        self._outcomes: dict[tuple[str, int], _OutcomesOf] = {}

    @property
    def reply(self) -> str | None:
        """The address that commands are to bear, or None where outcomes are read. Raises LogUnavailable."""
        with self._lock:
            self._open()
            return None if self._without or self._address is None else str(self._address)

    def at(self, place: Place) -> Awaited:
        """Where the outcome of a command of this place will be heard. Raises LogUnavailable, UnknownName."""
        with self._lock:
            self._open()
            if self._replies is not None and not self._without:
                return self._replies
            topics, partition = place.machine.topics, place.partition
            if (outcomes := self._outcomes.get((topics.outcomes, partition))) is None:
                outcomes = _OutcomesOf(self._log, place)
                self._outcomes[topics.outcomes, partition] = outcomes
            return outcomes.awaited

    def cut(self, place: Place, heard: Heard) -> Cut:
        """A cut that holds the events of an outcome that was heard."""
        if heard.cut is not None:
            return heard.cut
        return self._outcomes[place.machine.topics.outcomes, place.partition].cut()

    def doubt(self, awaited: Awaited) -> None:
        """Look whether the replies topic is still there, since nothing was heard for long. Does not wait for it.

        A reader of a deleted topic is told nothing, for ever; the question takes as long as the log's patience.
        """
        if awaited.lossy and awaited.broken is None and self._looking.acquire(blocking=False):
            threading.Thread(target=self._look, args=(awaited,), name="client looks", daemon=True).start()

    def _look(self, awaited: Awaited) -> None:
        try:
            awaited.broken = self._missing()
        finally:
            self._looking.release()

    def _missing(self) -> EventcoreError | None:
        """Why there are no replies, although the log is there; None where there are, or nothing is known."""
        assert self._address is not None, "what is doubted was opened"
        try:
            self._log.end(self._topic, self._address.partition)
        except EventcoreError as gone:
            try:
                self._log.end(self._schemas, 0)
            except EventcoreError:
                return None  # the whole log is away, and may come back
            return gone
        return None

    def all(self) -> list[Awaited]:
        """Everything that is listened to now."""
        with self._lock:
            replies = [] if self._replies is None else [self._replies]
            return [*replies, *(outcomes.awaited for outcomes in self._outcomes.values())]

    def close(self) -> None:
        """Stop listening."""
        for awaited in self.all():
            awaited.close()
        with self._lock:
            self._replies = None
            self._outcomes.clear()

    def _open(self) -> None:
        if self._replies is not None and self._replies.broken is not None and not self._without:
            self._do_without(str(self._replies.broken))
        if self._without or self._replies is not None:
            return
        try:
            partition = random.randrange(self._log.partitions(self._topic))  # noqa: S311 - spreads clients, hides nothing
            self._replies = Awaited(self._log, self._topic, partition, self._hear, lossy=True)
            self._address = Address(partition, self._token.encode())
        except UnknownName:
            self._without = True
        except (LogUnavailable, DataError) as fault:
            self._log.end(self._schemas, 0)  # raises where the whole log is away
            self._do_without(str(fault))

    def _do_without(self, why: str) -> None:
        self._without = True
        logger.warning("no replies are to be had from %s, so outcomes are read instead: %s", self._topic, why)

    def _hear(self, records: Sequence[Recorded]) -> list[Heard]:
        token = self._token.encode()
        heard: list[Heard] = []
        for record in records:
            if record.key == token:
                try:
                    heard.append(Heard(read_outcome(record.value), cut_of(record)))
                except DataError as bad:
                    logger.warning("%s bears our token and is no reply: %s", self._topic, bad)
        return heard


class _OutcomesOf:
    """The outcomes of one partition, and where its events end."""

    def __init__(self, log: Log, place: Place) -> None:
        self._log = log
        self._events = place.machine.topics.events
        self._partition = place.partition
        self.awaited = Awaited(log, place.machine.topics.outcomes, place.partition, outcomes_in, lossy=False)
        # `_end` is an end of the events that was asked for when `finds` was what stands beside it: it holds the events
        # of every outcome that had been found by then. So a batch of outcomes costs one question, not one each.
        self._end = (-1, 0)

    def cut(self) -> Cut:
        """A cut that holds the events of every outcome taken so far."""
        finds, end = self.awaited.finds, self._end
        if end[0] != finds:
            try:
                end = (finds, self._log.end(self._events, self._partition))
            except LogUnavailable as away:
                raise OutcomeUnknown(
                    f"the command was decided, and then the log went away: ask again with the same id. {away}"
                ) from away
            self._end = end
        return Cut({(self._events, self._partition): end[1]})


def outcomes_in(records: Sequence[Recorded]) -> list[Heard]:
    """The outcomes among records of an outcomes topic."""
    heard: list[Heard] = []
    for record in records:
        try:
            heard.append(Heard(read_outcome(record.value), None))
        except DataError:
            continue  # not an outcome, so nobody waits for it; lanes and `log show` report foreign records
    return heard
