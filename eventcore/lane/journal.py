"""What a lane writes: events and outcomes with term and sequence, and what it then remembers of each decision.

An outcome is remembered exactly as it is written, so that a lane that reads it back knows what its predecessor knew.
Whatever a command, a refusal or a fault says is cut to a length that fits: no input can make a record that the log
refuses, which would stop the lane at the same command for ever.
"""

from __future__ import annotations

import hashlib
import traceback
from typing import NamedTuple

from eventcore.avro.envelope import EVENT_FIXED, HEAD, NO_OPTIONS, NOTHING, Options, write_options
from eventcore.avro.outcome import HEAD as OUTCOME_HEAD
from eventcore.avro.outcome import OUTCOME_FIXED, Details, write_details
from eventcore.context import COUNTER_BITS
from eventcore.lane.memory import Decided, LaneMemory
from eventcore.log.port import RECORD_BYTES_MAX, Record, Recorded
from eventcore.topics import ID_BYTES_MAX

# An outcome holds its command and, beside it, at most what the next four lines and a key allow: 14 kB of the 32 left.
COMMAND_BYTES_MAX = RECORD_BYTES_MAX - 32_768
ENVELOPE_BYTES_MAX = 4_096  # ours have 73 to 1,200 bytes; the rest is for a trace context
REASON_BYTES_MAX, MESSAGE_BYTES_MAX = 256, 1_000  # of what a fault or a refusal says; the rest helps nobody
DETAIL_BYTES_MAX = 8_000  # of a traceback, its end

RAISED, QUARANTINED = "raised", "instance_quarantined"


class Batch:
    """What one transaction must write, the position after the last consumed command, and what to answer after it.

    `replies` names, for each outcome that somebody waits for, the address and the outcome's index; `traces`, in the
    same way, where a trace goes on. `others` are the indices of outcomes that answer no record of this batch: of commands
    that waited, decided now.
    """

    __slots__ = ("consumed", "events", "others", "outcomes", "replies", "snapshots", "traces")

    def __init__(self, consumed: int) -> None:
        self.consumed = consumed
        self.events: list[Record] = []
        self.outcomes: list[Record] = []
        self.snapshots: list[Record] = []
        self.replies: list[tuple[str, int]] = []
        self.traces: list[tuple[str, int]] = []
        self.others: set[int] = set()


class Case(NamedTuple):
    """A command that is being decided: its record, its id, its options, and the stamp of its turn."""

    record: Recorded
    command_id: bytes
    options: Options
    stamp: int


class Journal:
    """Writes the records of one lane into batches, and the decisions into its memory."""

    def __init__(self, memory: LaneMemory) -> None:
        self._memory = memory
        self._term = memory.term + 1

    def write_events(self, case: Case, key: bytes, version: int, bodies: list[bytes], batch: Batch) -> None:
        """Write the events of one turn, the first with the version after `version`."""
        memory, options = self._memory, case.options
        tail = NO_OPTIONS
        if options is not NOTHING:
            tail = write_options(Options(source=options.source, step=options.step, trace=options.trace))
        for index, body in enumerate(bodies):
            memory.event_sequence += 1
            header = EVENT_FIXED.pack(
                HEAD,
                case.command_id,
                version + index + 1,
                index,
                len(bodies),
                self._term,
                memory.event_sequence,
                case.stamp,
                case.record.offset,
            )
            batch.events.append(Record(key, body, header + tail, case.stamp >> COUNTER_BITS))

    def write_outcome(
        self,
        case: Case,
        decided: Decided,
        batch: Batch,
        *,
        count: int = 0,
        detail: str | None = None,
        repeated: bool = False,
    ) -> Decided:
        """Write a decision and remember it, one that repeats an earlier one by its id alone; return it as written."""
        memory, record, options = self._memory, case.record, case.options
        memory.outcome_sequence += 1
        memory.decided.turn(memory.outcome_sequence)
        if not fits(decided.reason, decided.message):
            decided = _cut(decided)
        kind, version, reason, message = decided
        key, command = record.key or b"", record.value or b""
        details = Details(
            kind,
            repeated,
            command if len(command) <= COMMAND_BYTES_MAX else b"",
            reason,
            message,
            detail if detail is None else _end(detail, DETAIL_BYTES_MAX),
            options.expected_version,
            options.source,
            options.step,
            options.code,
            options.trace,
            options.expires,
        )
        fixed = OUTCOME_FIXED.pack(
            OUTCOME_HEAD,
            case.command_id,
            version,
            count,
            self._term,
            memory.outcome_sequence,
            case.stamp,
            record.offset,
            memory.event_sequence,
        )
        if len(key) > ID_BYTES_MAX:
            key = b""  # it is nobody's id, and might not fit
        batch.outcomes.append(Record(key, fixed + write_details(details), None, case.stamp >> COUNTER_BITS))
        if options.reply is not None:
            batch.replies.append((options.reply, len(batch.outcomes) - 1))
        if options.trace is not None:
            batch.traces.append((options.trace, len(batch.outcomes) - 1))
        if repeated:
            memory.keep(case.command_id, decided)  # its outcome counts, so it must not push out what it repeats
        else:
            memory.remember(case.command_id, options.source, options.step, decided)
        return decided

    def write_fault(self, case: Case, version: int, fault: BaseException, batch: Batch, reason: str) -> Decided:
        """Write that the turn raised; its message is the reason for which its instance is to be stopped."""
        told = Decided("parked", version, reason, said(fault))
        return self.write_outcome(case, told, batch, detail=_traced(fault))


def id_of_position(topic: str, partition: int, offset: int) -> bytes:
    """A command id for a record that has none of its own: the same whenever that record is read."""
    return hashlib.blake2b(f"{topic}[{partition}]@{offset}".encode(), digest_size=16).digest()


def fits(reason: str | None, message: str | None) -> bool:
    """Whether what is said can be written as it is: nearly everything can, and is not copied for it."""
    return (reason is None or (len(reason) <= REASON_BYTES_MAX and reason.isascii())) and (
        message is None or (len(message) <= MESSAGE_BYTES_MAX and message.isascii())
    )


def _cut(decided: Decided) -> Decided:
    kind, version, reason, message = decided
    return Decided(
        kind,
        version,
        None if reason is None else beginning(reason, REASON_BYTES_MAX),
        None if message is None else beginning(message, MESSAGE_BYTES_MAX),
    )


def beginning(text: str, most: int = MESSAGE_BYTES_MAX) -> str:
    """As much of a text as fits, in UTF-8: what a fault says may be endless, or hold half of a surrogate pair."""
    return text[:most].encode("utf-8", "backslashreplace")[:most].decode("utf-8", "ignore")


def _end(text: str, most: int) -> str:
    """The same from the end of a text: a traceback ends with what matters."""
    return text[-most:].encode("utf-8", "backslashreplace")[-most:].decode("utf-8", "ignore")


def said(fault: BaseException) -> str:
    """What was raised, in words; `beginning` makes it fit."""
    try:
        return f"{type(fault).__name__}: {fault}"
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a fault that cannot even say what it is must not stop the lane
        return f"{type(fault).__name__}, which cannot be shown"


def _traced(fault: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(fault))
    except KeyboardInterrupt:
        raise
    except BaseException as worse:  # noqa: BLE001 - the same
        return f"its traceback cannot be shown: {type(worse).__name__}"
