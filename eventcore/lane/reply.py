"""Replies: each decision that a client waits for, told to it after its commit.

A client follows one partition of the app's replies topic from its end, in no group, and puts its address on its
commands: `<partition>/<token>`. The lane notes which outcomes somebody waits for, and posts them when their batch is
committed. Nobody may count on a reply: what is lost is asked for again with the same id, and answered again.

A reply is the outcome record as it stands in the log, under the client's token as its key. Beside it stands a position,
`bank.account.events[3]@871`: the end of the events that it was decided at, which is the client's cut.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Sequence
from typing import NamedTuple

from eventcore.avro.outcome import event_count_in
from eventcore.cut import Cut, Position
from eventcore.errors import DataError, LogUnavailable, UnknownName
from eventcore.lane.journal import Batch
from eventcore.log.port import Log, Record, Recorded
from eventcore.topics import Topics, replies_topic

logger = logging.getLogger(__name__)

CUT_HEADER = "eventcore.cut"
ADDRESS = re.compile(r"([0-9]{1,5})/([A-Za-z0-9_-]{1,64})", re.ASCII)
ADDRESS_MOST = 70  # characters; a longer one is none, and is not remembered either


class Address(NamedTuple):
    """Where a client listens: a partition of the replies topic, and what its records bear as their key."""

    partition: int
    token: bytes

    def __str__(self) -> str:
        return f"{self.partition}/{self.token.decode()}"


def address_of(text: str) -> Address | None:
    """The address that a command bears, or None where it is none: it comes from outside, and may be anything."""
    return _read(text) if len(text) <= ADDRESS_MOST else None


@functools.lru_cache(maxsize=10_000)
def _read(text: str) -> Address | None:
    found = ADDRESS.fullmatch(text)
    return None if found is None else Address(int(found[1]), found[2].encode())


class Replies:
    """Posts what the clients of one lane wait for. Belongs to the lane's thread.

    `end` is where the lane's events end, known from its restore and its commits: so that no reply asks the log for it.
    """

    def __init__(self, log: Log, topics: Topics, partition: int, end: int) -> None:
        self._log = log
        self._topic = replies_topic(topics.commands.partition(".")[0])
        self._events = topics.events
        self._partition = partition
        self._end = end
        self.posted = self.dropped = 0  # dropped: addresses that are none

    def post(self, batch: Batch, last_events: Sequence[int]) -> None:
        """Tell the outcomes of a committed batch; `last_events` are the offsets of its events. Never waits."""
        if not batch.replies:
            if last_events:
                self._end = last_events[-1] + 1
            return
        wanted: dict[int, list[Record]] = {}
        events = at = 0
        for text, index in batch.replies:  # in the order of the outcomes
            while at <= index:
                events += event_count_in(batch.outcomes[at].value or b"")
                at += 1
            end = last_events[events - 1] + 1 if events else self._end
            if (address := address_of(text)) is None:
                self.dropped += 1
                continue
            outcome = batch.outcomes[index]
            headers = ((CUT_HEADER, str(Position(self._events, self._partition, end)).encode()),)
            wanted.setdefault(address.partition, []).append(
                Record(address.token, outcome.value, None, outcome.time_ms, headers)
            )
        if last_events:
            self._end = last_events[-1] + 1
        self._post(wanted)

    def _post(self, wanted: dict[int, list[Record]]) -> None:
        try:
            partitions = self._log.partitions(self._topic)
        except UnknownName:  # a log from before there were replies: its clients read the outcomes
            partitions = 0
        except LogUnavailable as away:  # what they are told of is committed, and they ask again
            logger.warning("%d replies are not posted: %s", sum(map(len, wanted.values())), away)
            partitions = 0
        for partition, records in wanted.items():
            if partition < partitions:
                self._log.post(self._topic, partition, records)
                self.posted += len(records)
            else:
                self.dropped += len(records)


def cut_of(record: Recorded) -> Cut:
    """The cut that a reply bears. Raises DataError where it bears none: then no lane posted it."""
    for name, value in record.headers:
        if name == CUT_HEADER:
            end = Position.parse(value.decode("ascii", "replace"))
            return Cut({(end.topic, end.partition): end.offset})
    raise DataError(f"the reply at offset {record.offset} has no header {CUT_HEADER}, which tells the cut")
