"""The deduplication window: what was decided lately, by command id, and what relays had delivered before that.

Two generations of a dict. A generation ends after so many outcomes *by their sequence*, so a lane that reads its outcomes
back from the beginning of a generation has exactly the window that its predecessor had.

A client's command is known while an outcome of it is among the last `size` of its lane, and for up to as many again:
repeats count as outcomes, and keep what they repeat.
A relayed command needs no window: a relay delivers the records of one source partition in order and leaves none out, so
whatever lies at or before the last source position that was decided before the window began was decided too. Within the
window its id tells. (One position above all would not do: two relays may read one source, at different places.)

An envelope says what its client likes: a source is kept only where a relay could have read it (`Readable`), so that there
are as many as the app has partitions. And where a generation ends, what was kept of a record that there is not is
forgotten: else all that is relayed from its partition would be taken for repeats one day.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from eventcore.avro.envelope import Source
from eventcore.errors import LogUnavailable, UnknownName
from eventcore.topics import NAME

WINDOW = 100_000  # outcomes; a lane under load holds up to twice as many ids, of about 200 bytes each

Answer = TypeVar("Answer")
Relayed = dict[tuple[str, int], int]  # the last offset that was decided, by source topic and partition


UNREADABLE_S = 60.0  # a topic that is not there is not asked for again so soon: asking a broker takes milliseconds
UNREADABLE_MAX = 1_000  # names of such topics kept at a time
AWAY_S = 60.0  # a log that does not tell an end is not asked again so soon: it may take ten seconds to say so


class Readable:
    """What relays of an app can read: the partitions of its events and outcomes that there are.

    `partitions` says how many a topic has, `end` where a partition ends; UnknownName where there is no such topic.
    Whatever else `partitions` raises comes out.
    """

    def __init__(self, app: str, partitions: Callable[[str], int], end: Callable[[str, int], int]) -> None:
        self._name = re.compile(rf"{re.escape(app)}\.(?:{NAME.pattern})\.(?:events|outcomes)")
        self._partitions = partitions
        self._end = end
        self._counts: dict[str, int] = {}
        self._unknown_until: dict[str, float] = {}
        self._ends: dict[tuple[str, int], int] = {}  # when they were asked for last
        self._away_until = 0.0

    def __call__(self, source: Source) -> bool:
        """Whether a relay can read such a record, if there is one."""
        return 0 <= source.partition < self._count(source.topic) and source.offset >= 0

    def written(self, topic: str, partition: int, offset: int) -> bool:
        """Whether there was such a record. Asks only beyond the end that is known.

        Where the log does not tell, it is believed: a lane does not stop because another partition has no leader.
        """
        if offset < self._ends.get((topic, partition), 0) or time.monotonic() < self._away_until:
            return True
        try:
            self._ends[topic, partition] = end = self._end(topic, partition)
        except UnknownName:
            return False
        except LogUnavailable:
            self._away_until = time.monotonic() + AWAY_S
            return True
        return offset < end

    def __deepcopy__(self, _: object) -> Readable:
        """Itself: a question to the log, and no part of what a copied memory knows."""
        return self

    def _count(self, topic: str) -> int:
        if (count := self._counts.get(topic)) is not None:
            return count
        if not self._name.fullmatch(topic) or self._unknown_until.get(topic, 0.0) > (now := time.monotonic()):
            return 0
        try:
            self._counts[topic] = count = self._partitions(topic)
        except UnknownName:
            if len(self._unknown_until) >= UNREADABLE_MAX:
                self._unknown_until.clear()
            self._unknown_until[topic] = now + UNREADABLE_S
            return 0
        return count


def anything(_: Source) -> bool:
    """Keep whatever is said to be a source: of those whose commands are their own."""
    return True


def always(_topic: str, _partition: int, _offset: int) -> bool:
    """Take every such record for written: the same."""
    return True


@dataclass
class Window(Generic[Answer]):
    """The answers of the last `size` outcomes at least, and of twice as many at most."""

    size: int = WINDOW
    generation: int = 0  # of the newer answers; that of an outcome is its sequence // size
    newer: dict[bytes, Answer] = field(default_factory=dict[bytes, Answer])
    older: dict[bytes, Answer] = field(default_factory=dict[bytes, Answer])
    delivered: Relayed = field(default_factory=Relayed)  # by now
    at_newer: Relayed = field(default_factory=Relayed)  # before the newer answers
    at_older: Relayed = field(default_factory=Relayed)  # before the window
    readable: Callable[[Source], bool] = field(default=anything, compare=False, repr=False)
    written: Callable[[str, int, int], bool] = field(default=always, compare=False, repr=False)

    @property
    def ends_before(self) -> int:
        """The sequence of the outcome for which `turn` is due."""
        return (self.generation + 1) * self.size

    def turn(self, sequence: int) -> None:
        """Begin a new generation, if the outcome of this sequence belongs to one."""
        while self.generation < sequence // self.size:
            self.generation += 1
            self.older, self.newer = self.newer, {}
            self._forget_what_was_never_written()
            self.at_older, self.at_newer = self.at_newer, dict(self.delivered)

    def _forget_what_was_never_written(self) -> None:
        """Fall back, for a partition whose end is before what is said to come from it, to the turn before.

        What was delivered from there since is known by its id for another generation, and by its position again once
        more is delivered. A question a partition and turn at most, and not a question a command.
        """
        for place, offset in list(self.delivered.items()):
            if self.written(*place, offset):
                continue
            before = self.at_newer.get(place)
            if before is not None and self.written(*place, before):
                self.delivered[place] = before
            else:  # there was none, or nobody could be asked then
                del self.delivered[place]
                self.at_newer.pop(place, None)

    def get(self, command_id: bytes) -> Answer | None:
        """The answer given to this command, or None."""
        found = self.newer.get(command_id)
        return self.older.get(command_id) if found is None else found

    def keep(self, command_id: bytes, answer: Answer) -> None:
        """Remember an answer; one that was given to this id before is overwritten."""
        self.newer[command_id] = answer

    def deliver(self, source: Source) -> None:
        """Remember that a relayed command was decided. A source that no relay can read is not remembered."""
        place = source.topic, source.partition
        if place not in self.delivered and not self.readable(source):
            return
        if self.delivered.get(place, -1) < source.offset:
            self.delivered[place] = source.offset

    def delivered_before(self, source: Source) -> bool:
        """Whether a relayed command whose id is not in the window was decided before the window began."""
        before = self.at_older.get((source.topic, source.partition))
        if before is None or source.offset > before:
            return False
        return self.written(source.topic, source.partition, before)  # asked already, but where nobody could be

    def __len__(self) -> int:
        return len(self.newer) + len(self.older)

    def __contains__(self, command_id: object) -> bool:
        return command_id in self.newer or command_id in self.older

    def clear(self) -> None:
        """Forget every answer, as if the window had passed over all of them."""
        self.newer.clear()
        self.older.clear()
