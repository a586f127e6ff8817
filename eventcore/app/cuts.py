"""Consistent cuts: captured without stopping anything, closed under causes, and provable.

A cut over the events and outcomes of an app is *consistent* when no effect is in it without its cause:

C1  An event made from a relayed command names the record that the relay read (`source`): that record is in the cut.
C2  An outcome names the last event of its partition after its decision: that event is in the cut.
C3  No turn is split: the last event of each partition is the last of its turn.

Capture: read the ends of all partitions (V0), then read them all again (V1). A cause is visible before its effect is
written, so a cause outside V1 became visible after V1's reading began, and its effect later still: only records
between V0 and V1 can have a cause outside. They are read, and V1 is raised to every cause found outside, the raised
part is read in turn, and so on; it ends because each cause was there before its effect. No clock is needed.

On Kafka a transaction becomes visible in one partition a moment before it does in another, so C2 is checked for the
last outcome of each partition whether or not it is new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eventcore.avro.envelope import Envelope, read_envelope
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.cut import Cut, Position
from eventcore.errors import DataError, TimedOut
from eventcore.lane.restore import Progress, no_progress, read_to
from eventcore.log.port import Log, Recorded
from eventcore.topics import Topics

RAISE_S = 30.0  # how long a cause may take to become readable: longer than a transaction's timeout is a broken log


class Breach(NamedTuple):
    """A way in which a cut is not consistent: the record inside it, and what it lacks."""

    at: Position
    problem: str


def capture(log: Log, machines: Sequence[Topics]) -> Cut:
    """A consistent cut of everything committed when the call began, and perhaps a little more.

    Raises TimedOut where a cause does not become readable, LogUnavailable.
    """
    before = _ends(log, machines)
    return _Capture(log, machines, before, _ends(log, machines)).close()


def _ends(log: Log, machines: Sequence[Topics]) -> dict[tuple[str, int], int]:
    return {
        (topic, partition): log.stable_end(topic, partition)
        for topics in machines
        for topic in (topics.outcomes, topics.events)
        for partition in range(log.partitions(topic))
    }


class _Capture:
    """Raises a vector of ends until it is closed under causes."""

    def __init__(
        self, log: Log, machines: Sequence[Topics], before: dict[tuple[str, int], int], ends: dict[tuple[str, int], int]
    ) -> None:
        self._log = log
        self._events_of = {topics.outcomes: topics.events for topics in machines}
        self._ends = ends
        self._todo = [(topic, p, before[topic, p]) for topic, p in ends]

    def close(self) -> Cut:
        for topic, partition in list(self._ends):
            if topic in self._events_of and (
                last := last_record(self._log, topic, partition, self._ends[topic, partition])
            ):
                self._need_outcomes_events(topic, partition, last)
        while self._todo:
            topic, partition, start = self._todo.pop()
            end = self._ends[topic, partition]
            for records in read_to(self._log, topic, partition, end, start=start):
                for record in records:
                    self._need_causes(topic, partition, record)
        return Cut(self._ends)

    def _need_causes(self, topic: str, partition: int, record: Recorded) -> None:
        if topic in self._events_of:
            self._need_outcomes_events(topic, partition, record)
            return
        envelope = _envelope(record)
        source = envelope.options.source if envelope is not None else None
        if source is None or source.offset < self._ends.get((source.topic, source.partition), source.offset + 1):
            return
        if source.topic in self._events_of:
            self._raise(source.topic, source.partition, source.offset + 1)
        else:
            self._raise_events(source.topic, source.partition, lambda _, at: at >= source.offset)

    def _need_outcomes_events(self, topic: str, partition: int, record: Recorded) -> None:
        outcome = _outcome(record)
        if outcome is None or outcome.events == 0:
            return
        events = self._events_of[topic]
        last = last_record(self._log, events, partition, self._ends[events, partition])
        envelope = _envelope(last) if last is not None else None
        if envelope is None or envelope.sequence < outcome.events:
            wanted = outcome.events
            self._raise_events(events, partition, lambda e, _: e.sequence >= wanted)

    def _raise_events(self, topic: str, partition: int, reached: Callable[[Envelope, int], bool]) -> None:
        """Raise an events partition to the end of the turn in which `reached` first holds."""
        start = self._ends[topic, partition]
        for record in _wait_for_records(self._log, topic, partition, start):
            envelope = _envelope(record)
            if envelope is not None and reached(envelope, record.offset) and envelope.index + 1 == envelope.count:
                self._raise(topic, partition, record.offset + 1)
                return

    def _raise(self, topic: str, partition: int, end: int) -> None:
        start = self._ends[topic, partition]
        if end > start:
            self._ends[topic, partition] = end
            self._todo.append((topic, partition, start))


def _wait_for_records(log: Log, topic: str, partition: int, start: int) -> Iterator[Recorded]:
    follower = log.follow(topic, {partition: start})
    deadline = time.monotonic() + RAISE_S
    try:
        while time.monotonic() < deadline:
            yield from follower.poll(1_000, 1.0).get(partition, ())
        raise TimedOut(
            f"a cause in {topic}[{partition}] at or above @{start} did not become readable in {RAISE_S:.0f} s"
        )
    finally:
        follower.close()


def last_record(log: Log, topic: str, partition: int, end: int) -> Recorded | None:
    """The last committed record below `end`, or None: offsets have gaps, so it is looked for in growing steps back."""
    width = 8
    while end > 0:
        start = max(0, end - width)
        last = None
        for records in read_to(log, topic, partition, end, start=start):
            last = records[-1]
        if last is not None or start == 0:
            return last
        width *= 8
    return None


def check_cut(log: Log, machines: Sequence[Topics], cut: Cut, progress: Progress = no_progress) -> list[Breach]:
    """Prove a cut: read everything in it and list each effect whose cause it lacks, and each split turn. Empty is proof."""
    breaches: list[Breach] = []
    for topics in machines:
        for partition in range(log.partitions(topics.events)):
            sequence = _check_events(log, topics.events, partition, cut, breaches, progress)
            end = cut[topics.outcomes, partition]
            for records in read_to(log, topics.outcomes, partition, end, progress):
                for record in records:
                    outcome = _outcome(record)
                    if outcome is not None and outcome.events > sequence:
                        at = Position(topics.outcomes, partition, record.offset)
                        breaches.append(Breach(at, f"its event of sequence {outcome.events} is not in the cut"))
    return breaches


def _check_events(log: Log, topic: str, partition: int, cut: Cut, breaches: list[Breach], progress: Progress) -> int:
    """Judge the events of one partition; return the last sequence in the cut."""
    last: Envelope | None = None
    at = Position(topic, partition, 0)
    for records in read_to(log, topic, partition, cut[topic, partition], progress):
        for record in records:
            envelope = _envelope(record)
            if envelope is None:
                continue
            last, at = envelope, Position(topic, partition, record.offset)
            source = envelope.options.source
            if source is not None and not cut.holds(source.position()):
                breaches.append(Breach(at, f"its cause {source.position()} is not in the cut"))
    if last is not None and last.index + 1 != last.count:
        breaches.append(Breach(at, f"the cut splits its turn: event {last.index + 1} of {last.count}"))
    return last.sequence if last is not None else 0


def _envelope(record: Recorded) -> Envelope | None:
    """The envelope of an event, or None for a foreign record, which has no cause that we could know."""
    try:
        return read_envelope(record.envelope)
    except DataError:
        return None


def _outcome(record: Recorded) -> OutcomeRecord | None:
    try:
        return read_outcome(record.value)
    except DataError:
        return None
