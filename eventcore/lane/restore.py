"""Reading a lane back from its own log: after this it knows what its predecessor knew, and no more.

Called after the predecessor was fenced, so that the end of the log is final. Events are folded and outcomes read up to
the high watermark, checking that terms and sequences are what lanes write:

R1  The sequence of events, and that of outcomes, grows by one; a step further is a gap: BrokenLog, and no service.
R2  A record that no lane can have written (no envelope, a sequence that was already there, one that is not later in
    every respect: `lineage`) is foreign: its instance is quarantined, everything else goes on.
R3  An event of ours that cannot be decoded or folded, or a version that does not follow, quarantines its instance.
R4  A restored state that breaks an invariant or a type of today's code quarantines its instance.
R5  The last outcome says how many events there are; another number means that the end of one of the topics is missing,
    which no sequence shows: BrokenLog, and no service.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import Envelope, read_envelope
from eventcore.avro.facts import LaneState, Place
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.cut import Position
from eventcore.errors import BrokenLog, DataError, DecodeError, InvalidValue, TimedOut
from eventcore.lane.checkpoint import CHECKPOINTING, Checkpointing, moved, rewrite, trust_of
from eventcore.lane.lineage import Placed, standing_of_event, standing_of_outcome
from eventcore.lane.memory import Decided, Foreign, LaneMemory
from eventcore.lane.quarantine import found_in_events, recall
from eventcore.lane.snapshot import Found, trusted
from eventcore.lane.window import Window
from eventcore.log.port import Log, Recorded
from eventcore.topics import Topics

logger = logging.getLogger(__name__)

READ_MOST = 5_000  # records a poll: enough to amortise it, small enough to stay out of the way
STALLED_S = 60.0  # a log that yields nothing for this long below its own end is not going to

Progress = Callable[[str, int, int], None]  # (topic and partition, records read, offset to be reached)


def no_progress(_what: str, _done: int, _end: int) -> None:
    """Report nothing."""


def read_to(
    log: Log, topic: str, partition: int, end: int, progress: Progress = no_progress, *, start: int = 0
) -> Iterator[Sequence[Recorded]]:
    """Yield the committed records of one partition from `start` up to `end`, in batches.

    Raises TimedOut where the log stands still below `end`: somebody holds a transaction open.
    """
    if end <= start:
        return
    follower = log.follow(topic, {partition: start})
    count = 0
    try:
        while follower.positions[partition] < end:
            before = follower.positions[partition]
            records = follower.poll(READ_MOST, STALLED_S).get(partition, ())
            if not records and follower.positions[partition] == before:
                raise TimedOut(
                    f"{topic}[{partition}] yields nothing from @{before} on for {STALLED_S:.0f} s, though it ends at @{end}. "
                    "Usually a producer holds a transaction open there."
                )
            records = [r for r in records if r.offset < end]
            count += len(records)
            progress(f"{topic}[{partition}]", count, end)
            if records:
                yield records
    finally:
        follower.close()


def read_snapshots(log: Log, topics: Topics, partition: int, progress: Progress) -> Found:
    """The last record of each key in a lane's snapshots."""
    found: Found = {}
    end = log.end(topics.snapshots, partition)
    start = log.beginning(topics.snapshots, partition)
    for records in read_to(log, topics.snapshots, partition, end, progress, start=start):
        for record in records:
            if record.key:
                if record.value is None:
                    found.pop(record.key, None)
                else:
                    found[record.key] = record.value
    return found


def restore(
    log: Log,
    aggregate: Aggregate[Any, Any, Any],
    topics: Topics,
    partition: int,
    events: Catalogue,
    progress: Progress = no_progress,
    pace: Checkpointing = CHECKPOINTING,
) -> LaneMemory:
    """Read a lane's memory back: from its last checkpoint on where there is one to be trusted, else from the beginning.

    Raises BrokenLog where records are missing, TimedOut where the log stands still below its end.
    """
    found = read_snapshots(log, topics, partition, progress)
    trust = trust_of(aggregate, events)
    known = trusted(found, trust, log, topics, partition, pace.window)
    if known is not None:
        memory, state = known
        found.clear()
        try:
            return _read(log, aggregate, topics, partition, events, memory, state, progress)
        except BrokenLog as broken:
            logger.warning(
                "%s[%d]: a checkpoint leads to a contradiction, %s: all is read", topics.events, partition, broken
            )
            found = read_snapshots(log, topics, partition, progress)
    memory = LaneMemory(decided=Window(pace.window))
    _read(log, aggregate, topics, partition, events, memory, None, progress)
    rewrite(memory, found)
    return memory


def _read(
    log: Log,
    aggregate: Aggregate[Any, Any, Any],
    topics: Topics,
    partition: int,
    events: Catalogue,
    memory: LaneMemory,
    state: LaneState | None,
    progress: Progress,
) -> LaneMemory:
    """Fold the events into a memory and read the outcomes: from a checkpoint's marks on, or all of them."""
    marks = memory.marks
    if state is not None:
        marks.events, marks.outcomes = state.events, state.outcomes
        marks.begun = {state.generation: state.outcomes}
        memory.event_sequence, memory.outcome_sequence = state.events.sequence, state.outcomes.sequence
        memory.marked = state.outcomes_until
    folder = _Folder(aggregate, topics.events, partition, events, memory, tail=state is not None)
    start, end = marks.events.offset, log.end(topics.events, partition)
    for records in read_to(log, topics.events, partition, end, progress, start=start):
        for record in records:
            folder.take(record)
    outcomes = _Outcomes(topics.outcomes, partition, memory, tail=state is not None)
    start, end = marks.outcomes.offset, log.end(topics.outcomes, partition)
    for records in read_to(log, topics.outcomes, partition, end, progress, start=start):
        for record in records:
            outcomes.take(record)
    outcomes.check_end(folder.gap)
    folder.judge()
    return memory


def own_envelope(record: Recorded, where: Position, last: Placed) -> Envelope:
    """The envelope of the event that follows `last`.

    Raises DecodeError for a foreign record (R2), BrokenLog where events are missing before this one (R1).
    """
    envelope = read_envelope(record.envelope)
    standing = standing_of_event(envelope, last)
    if standing == "foreign":
        stale = f"sequence {envelope.sequence} of term {envelope.term} after {last.sequence} of {last.term}"
        if envelope.sequence > last.sequence and envelope.term >= last.term:
            stale += f", but stamp {envelope.stamp} after {last.stamp} and cause {envelope.cause} after {last.cause}"
        raise DecodeError("eventcore.Envelope", "sequence", stale)
    if standing == "gap":
        missing = f"sequence {envelope.sequence} follows {last.sequence}: events are missing between them"
        raise BrokenLog(str(where), missing)
    return envelope


class _Folder:
    """Folds the events of one partition into a lane's memory."""

    def __init__(
        self,
        aggregate: Aggregate[Any, Any, Any],
        topic: str,
        partition: int,
        events: Catalogue,
        memory: LaneMemory,
        *,
        tail: bool,
    ) -> None:
        self._aggregate = aggregate
        self._topic = topic
        self._partition = partition
        self._events = events
        self._memory = memory
        self._tail = tail
        self._last: Placed = memory.marks.events
        self.gap: BrokenLog | None = None

    def take(self, record: Recorded) -> None:
        memory = self._memory
        where = Position(self._topic, self._partition, record.offset)
        try:
            envelope = own_envelope(record, where, self._last)
        except DecodeError as foreign:
            self._meet(record, f"foreign record at {where}: {foreign}")
            return
        except BrokenLog as gap:  # or a stranger's after all: then one of ours follows, or no outcome counts it
            self._meet(record, f"foreign record at {where}: {gap}")
            self.gap = self.gap or gap
            return
        self._last, self.gap = envelope, None
        memory.marks.events = Place(record.offset + 1, envelope.sequence, envelope.term, envelope.stamp, envelope.cause)
        memory.event_sequence = envelope.sequence
        _advance(memory, envelope.term, envelope.stamp)
        if record.key is not None and record.key not in memory.unsound:
            self._fold(record.key, record.value, envelope, where)

    def _fold(self, key: bytes, value: bytes | None, envelope: Envelope, where: Position) -> None:
        held = self._memory.instances.get(key)
        try:
            state, version = held if held is not None else (self._aggregate.initial(), 0)
            if self._tail and envelope.version <= version and key not in self._memory.dirty:
                return  # the snapshot is newer than the mark, and holds this event
            if envelope.version != version + 1:
                self._stop(key, f"{where}: version {envelope.version} follows {version}")
                return
            state = self._aggregate.evolve(state, self._events.decode(value or b""))
        except Exception as fault:  # noqa: BLE001 - R3: whatever user code or a codec raises is its instance's affair
            self._stop(key, f"{where}: {type(fault).__name__}: {fault}")
            return
        self._memory.instances[key] = (state, version + 1)
        self._memory.dirty.add(key)

    def judge(self) -> None:
        """R4: quarantine every instance whose state today's invariants or types refuse, and all that R2 and R3 met."""
        memory = self._memory
        for key, (state, version) in memory.instances.items():
            if (broken := self._broken_by(state)) is not None:
                why = f"its stored state at version {version} breaks {broken}"
                if memory.unsound.setdefault(key, why) is why:
                    memory.judged[key] = why
        for key, passed in memory.passed.items():
            if key in memory.foreign and memory.foreign[key].offset < passed:
                del memory.foreign[key]
        for key in (*memory.unsound, *memory.foreign):
            found_in_events(memory, key)

    def _broken_by(self, state: Any) -> str | None:
        aggregate = self._aggregate
        if type(state) is not aggregate.state_type:
            return f"its type: evolve made a {type(state).__name__}, not a {aggregate.state_type.__name__}"
        try:
            aggregate.state_check(state)
            return next((guard.name for guard in aggregate.guards if not guard.holds(state)), None)
        except InvalidValue as invalid:
            return str(invalid)
        except Exception as fault:  # noqa: BLE001 - R4: an invariant that cannot be judged does not hold
            return f"an invariant, which raises {type(fault).__name__}: {fault}"

    def _meet(self, record: Recorded, why: str) -> None:
        if record.key is not None:
            self._memory.changed_stops.add(record.key)
            self._memory.foreign[record.key] = Foreign(record.offset, why)

    def _stop(self, key: bytes, why: str) -> None:
        self._memory.unsound.setdefault(key, why)
        self._memory.changed_stops.add(key)


class _Gap(NamedTuple):
    """An outcome that seems to follow others that are missing, and how many events it counts."""

    fault: BrokenLog
    events: int


class _Outcomes:
    """Reads the outcomes of one partition into a lane's memory."""

    def __init__(self, topic: str, partition: int, memory: LaneMemory, *, tail: bool) -> None:
        self._tail = tail
        self._last = Position(topic, partition, 0)
        self._before: Placed = memory.marks.outcomes
        self._gap: _Gap | None = None
        self._events = 0  # as the last outcome counts them
        self._memory = memory

    def take(self, record: Recorded) -> None:
        memory = self._memory
        try:
            outcome = read_outcome(record.value)
        except DataError:
            return  # R2: no lane wrote it. It names no instance that it could have harmed; readers of outcomes report it.
        standing = standing_of_outcome(outcome, self._before)
        if standing == "foreign":
            return
        where = self._last._replace(offset=record.offset)
        if standing == "gap":  # or a stranger's after all: then one of ours follows that leaves nothing out
            missing = f"sequence {outcome.sequence} follows {memory.outcome_sequence}"
            gap = BrokenLog(str(where), f"{missing}: outcomes are missing between them")
            self._gap = _Gap(self._gap.fault if self._gap is not None else gap, outcome.events)
            return
        self._gap = None
        self._mark(record.offset, outcome)
        self._last, self._events, self._before = where, outcome.events, outcome
        memory.outcome_sequence = outcome.sequence
        memory.decided.turn(outcome.sequence)
        _advance(memory, outcome.term, outcome.stamp)
        memory.next_command = max(memory.next_command, outcome.cause + 1)
        if not outcome.details.repeated:
            details = outcome.details
            decided = Decided(details.kind, outcome.version, details.reason, details.message)
            memory.remember(outcome.command_id, details.source, None if self._tail else details.step, decided)
            if not self._tail:  # otherwise facts say it
                recall(memory, record.key or b"", outcome)

    def _mark(self, offset: int, outcome: OutcomeRecord) -> None:
        marks, size = self._memory.marks, self._memory.decided.size
        if outcome.sequence % size == 0:
            marks.begin(outcome.sequence // size, moved(marks.outcomes, offset))
        marks.outcomes = Place(offset + 1, outcome.sequence, outcome.term, outcome.stamp, outcome.cause)

    def check_end(self, events_gap: BrokenLog | None) -> None:
        """R1, R5: compare the events that were read with what the last outcome says.

        What seems to follow a gap and counts other events than there are was no lane's last outcome.
        """
        read = self._memory.event_sequence
        if self._gap is not None and (self._gap.events == read or read != self._events):
            raise self._gap.fault
        if read != self._events:
            if events_gap is not None:
                raise events_gap
            lost = "events are missing at their end" if read < self._events else "outcomes are missing after it"
            raise BrokenLog(str(self._last), f"the last outcome counts {self._events} events, there are {read}: {lost}")


def _advance(memory: LaneMemory, term: int, stamp: int) -> None:
    memory.term = max(memory.term, term)
    memory.stamp = max(memory.stamp, stamp)
