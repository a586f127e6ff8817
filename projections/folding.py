"""Folding a batch: records of one topic become events, keys, and final rows. Pure: no log, no database.

The definition of "the log" here is the lane's own when it restores, so that rows and states never disagree:

F1  An event of ours carries an envelope whose sequence is the next one, and that is later than the one before in every
    other respect too (eventcore.lane.lineage).
F2  A record without a valid envelope, or one that is not later than the last event of ours, was written by somebody
    else: it is parked, and no row knows of it.
F3  A sequence further than the next one is a gap: events are missing, or it is a stranger's. It is parked and held until the
    next record tells: where that follows it, BrokenLog; the projection halts there.
F4  An event of ours that cannot be decoded halts as well: to pass over it would make every later row of its key wrong.

A fold that raises, returns a row of another key, or one that breaks its own types halts too: FoldFailed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from operator import length_hint
from typing import Any, Generic, NamedTuple, TypeVar

from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import HEAD, NO_OPTIONS, read_envelope
from eventcore.avro.framing import HEAD_BYTES
from eventcore.context import COUNTER_BITS
from eventcore.cut import Position
from eventcore.errors import BrokenLog, DataError, FoldFailed, InvalidValue
from eventcore.lane.lineage import Mark, Placed, placed_in, standing_of, standing_of_event
from eventcore.lane.restore import read_to
from eventcore.log.port import Log, Recorded
from eventcore.value import Value
from projections.projection import Key, Projection
from projections.views import Parked, Standing

Row = TypeVar("Row", bound=Value)

PLAIN = struct.Struct(f">10s16xQ4xIQQQ{len(NO_OPTIONS)}s")  # head, version, term, sequence, stamp, cause, no options
LOOK_BACK = 100  # offsets before a projection's position that are read once more when it starts, at first
REASON_CHARS_MAX = 2_000  # kept of what a parked record's reason says; its bytes are kept whole


class Gap(NamedTuple):
    """A record that seems to leave out events after `last`: `offset` says where it is, and `mark` what it says of its place."""

    offset: int
    mark: Mark
    last: Mark


class Taken(NamedTuple):
    """What one partition's records hold: its events, what was parked, and the last sequence and term.

    `keys`, `instances`, `events` and `offsets` are of one length. `fresh` are the instances whose first event is here.
    `last` is where the last event of ours stands, of whatever batch, and `gap` what seems to leave out events behind it.
    """

    keys: list[Key]
    instances: list[str]
    events: list[Any]
    offsets: list[int]
    fresh: set[str]
    parked: list[Parked]
    last: Mark
    gap: Gap | None = None


class Reader:
    """Reads records of one topic's partitions into events; keeps nothing between two calls."""

    def __init__(self, projection: Projection[Any, Any], catalogue: Catalogue, topic: str) -> None:
        self._key_for: Callable[[str, Any], Key] | None = projection.key_for
        self._topic = topic
        self._catalogue = catalogue
        self._decoders = {codec.head: codec.decode for codec in catalogue.codecs}

    def take(self, partition: int, records: Sequence[Recorded], before: Placed, gap: Gap | None = None) -> Taken:
        """Read the records of one partition that follow the event `before`, and `gap` where the last call told of one.

        Raises BrokenLog (F3, F4).
        """
        sequence, term, stamp, cause = before.sequence, before.term, before.stamp, before.cause
        instances: list[str] = []
        events: list[Any] = []
        offsets: list[int] = []
        fresh: set[str] = set()
        parked: list[Parked] = []
        unpack, decoders = PLAIN.unpack, self._decoders
        for record in records:
            envelope = record.envelope
            try:
                head, version, its_term, its_sequence, its_stamp, its_cause, options = unpack(envelope)  # type: ignore[arg-type]  # None raises
                plain = head == HEAD and options == NO_OPTIONS
            except (struct.error, TypeError):
                plain, version, its_term, its_sequence, its_stamp, its_cause = False, 0, 0, 0, 0, 0
            if not plain:
                try:
                    whole = read_envelope(envelope)
                except DataError as foreign:
                    parked.append(_parked(partition, record, str(foreign)))
                    continue
                version, its_term, its_sequence = whole.version, whole.term, whole.sequence
                its_stamp, its_cause = whole.stamp, whole.cause
            # The common case first: the next sequence, and later in every respect. All else is looked at closely.
            if not (
                its_stamp > stamp and its_sequence == sequence + 1 and its_cause >= cause and its_term >= term
            ) and (why := self._not_ours(partition, record, Mark(sequence, term, stamp, cause), gap)):
                reason, gap = why
                parked.append(_parked(partition, record, reason))
                continue
            try:
                value = record.value
                event = decoders[value[:HEAD_BYTES]](value, HEAD_BYTES)  # type: ignore[index, arg-type]  # None raises
                instance = record.key.decode()  # type: ignore[union-attr]  # the same
            except (DataError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as broken:
                raise self._unreadable(partition, record, its_sequence) from broken
            if version == 1:
                fresh.add(instance)
            sequence, term, stamp, cause = its_sequence, its_term, its_stamp, its_cause
            instances.append(instance)
            events.append(event)
            offsets.append(record.offset)
        make = self._key_for
        keys = instances if make is None else list(map(make, instances, events))
        last = Mark(sequence, term, stamp, cause)
        return Taken(keys, instances, events, offsets, fresh, parked, last, _still(gap, last))

    def _not_ours(self, partition: int, record: Recorded, last: Mark, gap: Gap | None) -> tuple[str, Gap | None] | None:
        """Why this record, whose envelope can be read, is no event of ours, and the gap that is held from here.

        None where it is ours. Raises BrokenLog where it shows that the last gap was (F3).
        """
        envelope = read_envelope(record.envelope)
        sequence, standing = envelope.sequence, standing_of_event(envelope, last)
        if standing == "own":
            return None
        held = _still(gap, last)
        if standing == "gap":
            if held is not None and standing_of_event(envelope, held.mark) == "own":
                where = str(Position(self._topic, partition, held.offset))
                missing = f"sequence {held.mark.sequence} follows {last.sequence}: events are missing between them"
                raise BrokenLog(where, missing)
            mark = Mark(sequence, envelope.term, envelope.stamp, envelope.cause)
            return f"sequence {sequence} after {last.sequence} leaves others out", Gap(record.offset, mark, last)
        stale = f"sequence {sequence} of term {envelope.term} after sequence {last.sequence} of term {last.term}"
        if sequence > last.sequence and envelope.term >= last.term:
            stale += f", but stamp {envelope.stamp} after {last.stamp} and cause {envelope.cause} after {last.cause}"
        return stale, held

    def _unreadable(self, partition: int, record: Recorded, sequence: int) -> BrokenLog:
        where = str(Position(self._topic, partition, record.offset))
        try:
            self._catalogue.decode(record.value or b"")
            problem = f"its key {record.key!r} is no instance's id"
        except DataError as data:
            problem = str(data)
        return BrokenLog(
            where, f"the event of sequence {sequence} cannot be read, and rows without it would be wrong: {problem}"
        )


class Folder(Generic[Row]):
    """Folds taken events into rows."""

    def __init__(self, projection: Projection[Row, Any], topic: str) -> None:
        self._projection = projection
        self._topic = topic

    def fold(self, partition: int, taken: Taken, before: Mapping[Key, Row | None]) -> dict[Key, Row | None]:
        """The row of every key of these events after them, from the rows `before`: None where there is none.

        Raises FoldFailed at the first event that fails.
        """
        rows = {key: before[key] for key in taken.keys}
        fold = self._projection.fold
        events = iter(taken.events)
        try:
            for key, instance, event in zip(taken.keys, taken.instances, events):  # noqa: B905 - they are of one length
                rows[key] = fold(rows[key], instance, event)
        except Exception as fault:
            at = len(taken.events) - length_hint(events) - 1
            raise self._failed(partition, taken, at, f"raised {type(fault).__name__}: {fault}") from fault
        if self._wrong(rows):
            raise self._first_wrong(partition, taken, before)
        return rows

    def _wrong(self, rows: Mapping[Key, Row | None]) -> bool:
        """Whether any row cannot be its key's. Every row of a batch passes here: a type, a key, a validator."""
        cls, key_of, check_row = self._projection.row, self._projection.key_of, self._projection.check_row
        try:
            for key, row in rows.items():
                if row is not None:
                    if type(row) is not cls or key_of(row) != key:
                        return True
                    check_row(row)
        except InvalidValue:
            return True
        return False

    def _first_wrong(self, partition: int, taken: Taken, before: Mapping[Key, Row | None]) -> FoldFailed:
        """Fold once more, event by event, to name the one whose row is wrong."""
        rows = dict(before)
        for at, (key, instance, event) in enumerate(zip(taken.keys, taken.instances, taken.events, strict=True)):
            rows[key] = self._projection.fold(rows[key], instance, event)
            if problem := self._problem(key, rows[key]):
                return self._failed(partition, taken, at, problem)
        raise AssertionError(f"{self._projection.name}: the same events were folded twice, and gave two results")

    def _problem(self, key: Key, row: Row | None) -> str | None:
        if row is None:
            return None
        projection = self._projection
        if type(row) is not projection.row:
            return f"returned {row!r}, which is not a {projection.row.__name__}"
        if projection.key_of(row) != key:
            named = ", ".join(field.name for field in projection.key_fields)
            return f"returned a row whose key ({named}) is {projection.key_of(row)!r}; expected the key that was folded, {key!r}"
        try:
            projection.check_row(row)
        except InvalidValue as invalid:
            return f"returned a row that breaks its own type: {invalid}"
        return None

    def _failed(self, partition: int, taken: Taken, at: int, problem: str) -> FoldFailed:
        where = Position(self._topic, partition, taken.offsets[at])
        return FoldFailed(self._projection.name, str(where), taken.events[at], problem)


def _still(gap: Gap | None, last: Mark) -> Gap | None:
    """The gap while it is one: where an event of ours came after it, nothing was missing, and it was a stranger's."""
    return gap if gap is not None and gap.last == last else None


def placed_at(log: Log, topic: str, partition: int, standing: Standing) -> tuple[Mark, Gap | None]:
    """Where the last event that a projection took stands, and the gap that it holds, both as the log has them."""
    mark, after = _mark_of(log, topic, partition, standing)
    gap: Gap | None = None
    for records in read_to(log, topic, partition, standing.next_offset, start=after):
        for record in records:
            placed = placed_in(record, "events")
            if placed is not None and standing_of(placed, mark) == "gap":
                gap = Gap(record.offset, Mark(placed.sequence, placed.term, placed.stamp, placed.cause), mark)
    return mark, gap


def _mark_of(log: Log, topic: str, partition: int, standing: Standing) -> tuple[Mark, int]:
    """The place of the last event that a projection took, and the offset after it: looked for in growing steps back.

    Where it is not there any more, only sequence and term tell a stranger's record until the next event.
    """
    beginning, width = log.beginning(topic, partition), LOOK_BACK
    end = standing.next_offset
    while standing.sequence and end > beginning:
        start = max(beginning, standing.next_offset - width)
        for records in read_to(log, topic, partition, end, start=start):
            for record in records:
                try:
                    envelope = read_envelope(record.envelope)
                except DataError:
                    continue
                # It may be a stranger's copy with another stamp, and one that is too late would hide events of ours:
                # a lane's stamp and its record's time say the same.
                sure = record.time_ms == envelope.stamp >> COUNTER_BITS
                if sure and (envelope.sequence, envelope.term) == (standing.sequence, standing.term):
                    return Mark(standing.sequence, standing.term, envelope.stamp), record.offset + 1
        end, width = start, width * 8
    return Mark(standing.sequence, standing.term), standing.next_offset if standing.sequence else beginning


def _parked(partition: int, record: Recorded, reason: str) -> Parked:
    text = reason.replace("\0", "\\0")[:REASON_CHARS_MAX]
    return Parked(partition, record.offset, "foreign", text, record.key, record.value, record.envelope)
