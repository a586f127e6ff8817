"""Consistent cuts: captured without stopping anything, closed under causes, and provable.

A cut over the events and outcomes of an app is *consistent* when no effect is in it without its cause:

C1  An event or outcome of a relayed command names the record that the relay read (`source`): that record is in the cut.
C2  An outcome names the last event of its partition after its decision: that event is in the cut.
C3  No turn is split: the last event of each partition is the last of its turn.

Capture: read the ends of all partitions (V0), then read them all again (V1). A cause is visible before its effect is
written, so a cause outside V1 became visible after V1's reading began, and its effect later still: only records
between V0 and V1 can have a cause outside. They are read, and V1 is raised to every cause found outside, the raised
part is read in turn, and so on; it ends because each cause was there before its effect. No clock is needed.

What a record claims is not believed beyond the end of the log: a cause that is not there was never read by a relay, and
an event that is not there was never written by a lane. Capture passes over such a claim, the check reports it. Causes in
topics of other apps are not judged.

On Kafka a transaction becomes visible in one partition a moment before it does in another, so C2 is checked for the
last outcome of each partition whether or not it is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eventcore.avro.envelope import Envelope, Source, read_envelope
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.cut import Cut, Position
from eventcore.errors import DataError
from eventcore.lane.restore import Progress, no_progress, read_to
from eventcore.log.port import Log, Recorded
from eventcore.topics import Topics


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
        self._sequences: dict[tuple[str, int], tuple[int, int]] = {}  # an end, and the last event's sequence below it

    def close(self) -> Cut:
        for topic, partition in list(self._ends):
            if topic in self._events_of and (
                last := last_record(self._log, topic, partition, self._ends[topic, partition], is_outcome)
            ):
                self._need_outcomes_events(topic, partition, read_outcome(last.value))
        while self._todo:
            topic, partition, start = self._todo.pop()
            end = self._ends[topic, partition]
            for records in read_to(self._log, topic, partition, end, start=start):
                for record in records:
                    self._need_causes(topic, partition, record)
        return Cut(self._ends)

    def _need_causes(self, topic: str, partition: int, record: Recorded) -> None:
        if topic in self._events_of:
            outcome = _outcome(record)
            if outcome is None:
                return
            self._need_outcomes_events(topic, partition, outcome)
            source = outcome.details.source
        else:
            envelope = _envelope(record)
            source = envelope.options.source if envelope is not None else None
        if source is not None:
            self._need(source.position())

    def _need(self, cause: Position) -> None:
        """C1: raise to a cause that is outside, and there; where it is an event, to the end of its turn (C3)."""
        topic, partition, offset = cause
        start = self._ends.get((topic, partition))
        if start is None or offset < start or offset >= self._log.end(topic, partition):
            return
        if topic in self._events_of:
            self._raise(topic, partition, offset + 1)
        else:
            self._raise_events(topic, partition, lambda _, at: at >= offset)

    def _need_outcomes_events(self, topic: str, partition: int, outcome: OutcomeRecord) -> None:
        """C2: raise to the last event before an outcome."""
        events, wanted = self._events_of[topic], outcome.events
        if wanted > self._sequence(events, partition):
            self._raise_events(events, partition, lambda envelope, _: envelope.sequence >= wanted)

    def _sequence(self, topic: str, partition: int) -> int:
        """The sequence of the last event inside."""
        end, sequence = self._sequences.get((topic, partition), (0, 0))
        if end != self._ends[topic, partition]:
            end = self._ends[topic, partition]
            last = last_record(self._log, topic, partition, end, is_event)
            sequence = read_envelope(last.envelope).sequence if last is not None else 0
            self._sequences[topic, partition] = end, sequence
        return sequence

    def _raise_events(self, topic: str, partition: int, reached: Callable[[Envelope, int], bool]) -> None:
        """Raise an events partition to the end of the turn in which `reached` first holds, if there is one."""
        end = self._log.end(topic, partition)
        for records in read_to(self._log, topic, partition, end, start=self._ends[topic, partition]):
            for record in records:
                envelope = _envelope(record)
                if envelope is not None and reached(envelope, record.offset) and envelope.index + 1 == envelope.count:
                    self._raise(topic, partition, record.offset + 1)
                    return

    def _raise(self, topic: str, partition: int, end: int) -> None:
        start = self._ends[topic, partition]
        if end > start:
            self._ends[topic, partition] = end
            self._todo.append((topic, partition, start))


def last_record(
    log: Log, topic: str, partition: int, end: int, wanted: Callable[[Recorded], bool] = lambda _: True
) -> Recorded | None:
    """The last committed record below `end` that is `wanted`, or None.

    Offsets have gaps, so it is looked for in growing steps back.
    """
    beginning, width = log.beginning(topic, partition), 8
    while end > beginning:
        start = max(beginning, end - width)
        last = None
        for records in read_to(log, topic, partition, end, start=start):
            last = next((record for record in reversed(records) if wanted(record)), last)
        if last is not None or start == beginning:
            return last
        width *= 8
    return None


def is_event(record: Recorded) -> bool:
    """Whether a lane can have written this record as an event."""
    return _envelope(record) is not None


def is_outcome(record: Recorded) -> bool:
    """Whether a lane can have written this record as an outcome."""
    return _outcome(record) is not None


def check_cut(log: Log, machines: Sequence[Topics], cut: Cut, progress: Progress = no_progress) -> list[Breach]:
    """Prove a cut: read everything in it and list each effect whose cause it lacks, and each split turn. Empty is proof."""
    breaches: list[Breach] = []
    ours = {topic for topics in machines for topic in (topics.events, topics.outcomes)}

    def judge(at: Position, source: Source | None) -> None:
        if source is not None and source.topic in ours and not cut.holds(source.position()):
            breaches.append(Breach(at, f"its cause {source.position()} is not in the cut"))

    for topics in machines:
        for partition in range(log.partitions(topics.events)):
            last: Envelope | None = None
            at = Position(topics.events, partition, 0)
            for record in _records(log, topics.events, partition, cut, progress):
                if (envelope := _envelope(record)) is not None:
                    last, at = envelope, at._replace(offset=record.offset)
                    judge(at, envelope.options.source)
            if last is not None and last.index + 1 != last.count:
                breaches.append(Breach(at, f"the cut splits its turn: event {last.index + 1} of {last.count}"))
            sequence = last.sequence if last is not None else 0
            for record in _records(log, topics.outcomes, partition, cut, progress):
                if (outcome := _outcome(record)) is not None:
                    at = Position(topics.outcomes, partition, record.offset)
                    judge(at, outcome.details.source)
                    if outcome.events > sequence:
                        breaches.append(Breach(at, f"its event of sequence {outcome.events} is not in the cut"))
    return breaches


def _records(log: Log, topic: str, partition: int, cut: Cut, progress: Progress) -> Iterator[Recorded]:
    for records in read_to(log, topic, partition, cut[topic, partition], progress):
        yield from records


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
