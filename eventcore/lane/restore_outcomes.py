"""Reading outcomes back: what was decided, by command id, into a lane's memory.

R1, R2 and R5 of `restore` are decided here, for outcomes. `take` decides any record. `read` knows only what nearly all of
them are, the next decision, accepted or refused and with nothing rare about it. It does not decode those: their first
fields stand at constant offsets, and the bytes after the command have said the same in an outcome that `take` has read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from eventcore.avro.control import HEADS as CONTROL_HEADS
from eventcore.avro.facts import Place
from eventcore.avro.framing import HEAD_BYTES
from eventcore.avro.outcome import (
    DETAILS_AT,
    OUTCOME_FIXED,
    Details,
    Kind,
    OutcomeRecord,
    length_of,
    read_outcome,
    write_details,
)
from eventcore.avro.outcome import HEAD as OUTCOME_HEAD
from eventcore.cut import Position
from eventcore.errors import BrokenLog, DataError
from eventcore.lane.checkpoint import moved
from eventcore.lane.lineage import Placed, standing_of_outcome
from eventcore.lane.memory import Decided, LaneMemory
from eventcore.lane.quarantine import recall
from eventcore.lane.restore_events import advance, placed
from eventcore.log.port import Recorded

SIZE_AT = DETAILS_AT + 2  # of the command, after the decision's kind and whether it repeats
COMMAND_AT = SIZE_AT + 1
SAID_MOST = (
    1_000  # different ends of outcomes that are known at a time: there are as many as reasons, where messages are fixed
)
_KINDS: tuple[Kind, ...] = ("accepted", "refused")
PLAIN: Mapping[bytes, Kind] = MappingProxyType(
    {write_details(Details(kind, repeated=False, command=b""))[:2]: kind for kind in _KINDS}
)


class _Gap(NamedTuple):
    """An outcome that seems to follow others that are missing, and how many events it counts."""

    fault: BrokenLog
    events: int


class Outcomes:
    """Reads the outcomes of one partition into a lane's memory."""

    def __init__(self, topic: str, partition: int, memory: LaneMemory, *, tail: bool) -> None:
        self._tail = tail
        self._last = Position(topic, partition, 0)
        self._before: Placed = memory.marks.outcomes
        self._gap: _Gap | None = None
        self._events = 0  # as the last outcome counts them
        self._memory = memory
        self._said: dict[bytes, tuple[str | None, str | None]] = {}  # reason and message, by the bytes that say them

    def read(self, records: Sequence[Recorded]) -> None:
        """Learn from records in their order: as `take` does, which takes whatever is not plainly a next decision."""
        memory, said, whole = self._memory, self._said, not self._tail
        sequence, term, stamp, cause = placed(self._before)
        newer, ends = memory.decided.newer, memory.decided.ends_before
        waiting, offset, events = memory.waiting, -1, 0  # the last record that did not need `take`
        for record in records:
            value = record.value
            if value is not None and len(value) > COMMAND_AT + 1 and (kind := PLAIN.get(value[DETAILS_AT:SIZE_AT])):
                size, at = value[SIZE_AT], COMMAND_AT
                if size > 0x7F:
                    high = value[COMMAND_AT]
                    size, at = (size & 0x7F | high << 7 if 0 < high <= 0x7F else 1), COMMAND_AT + 1
                answer = said.get(value[at + (size >> 1) :])
                head, command_id, version, _, new_term, new_sequence, new_stamp, new_cause, counted = (
                    OUTCOME_FIXED.unpack_from(value)
                )
                if (
                    answer is not None
                    and head == OUTCOME_HEAD
                    and not size & 1
                    and new_sequence == sequence + 1
                    and new_sequence < ends
                    and new_sequence % memory.decided.size
                    and new_term >= term
                    and new_stamp > stamp
                    and new_cause >= cause
                    and not (whole and value[at : at + HEAD_BYTES] in CONTROL_HEADS)
                ):
                    reason, message = answer
                    plain = kind == "accepted" and message is None
                    newer[command_id] = version if plain else Decided(kind, version, reason, message)
                    if whole:
                        waiting.drop(command_id)
                    sequence, term, stamp, cause = new_sequence, new_term, new_stamp, new_cause
                    offset, events = record.offset, counted
                    continue
            if offset >= 0:
                self._come_to(Place(offset + 1, sequence, term, stamp, cause), events)
            self.take(record)
            offset = -1
            sequence, term, stamp, cause = placed(self._before)
            newer, ends = memory.decided.newer, memory.decided.ends_before
        if offset >= 0:
            self._come_to(Place(offset + 1, sequence, term, stamp, cause), events)

    def _come_to(self, place: Place, events: int) -> None:
        memory = self._memory
        self._gap, self._last = None, self._last._replace(offset=place.offset - 1)
        self._before, self._events = place, events
        memory.marks.outcomes, memory.outcome_sequence = place, place.sequence
        advance(memory, place.term, place.stamp)
        memory.next_command = max(memory.next_command, place.cause + 1)

    def _learn_tail(self, value: bytes, details: Details) -> None:
        """Remember what the bytes after the command of such a decision say: they are the same again and again."""
        size = length_of(len(details.command))
        at = SIZE_AT + len(size)
        if len(self._said) < SAID_MOST and value[SIZE_AT:at] == size and _nothing_rare(details):
            self._said[value[at + len(details.command) :]] = details.reason, details.message

    def take(self, record: Recorded) -> None:
        """Learn from one record, if it is the lane's."""
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
        advance(memory, outcome.term, outcome.stamp)
        memory.next_command = max(memory.next_command, outcome.cause + 1)
        details = outcome.details
        decided = Decided(details.kind, outcome.version, details.reason, details.message)
        if details.repeated:
            memory.keep(outcome.command_id, decided)
        else:
            memory.remember(outcome.command_id, details.source, None if self._tail else details.step, decided)
            if record.value is not None and record.value[DETAILS_AT:SIZE_AT] in PLAIN:
                self._learn_tail(record.value, details)
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


def _nothing_rare(details: Details) -> bool:
    d = details
    return all(rare is None for rare in (d.detail, d.expected_version, d.source, d.step, d.code, d.trace, d.expires))
