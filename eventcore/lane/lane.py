"""The lane's decisions, without I/O: committed commands in, records to be written out.

`take` runs the turns of a batch in order on the states it holds and returns what one transaction must write. It
changes the lane's memory at once: when the transaction fails, the whole lane is dropped and restored from the log, so
there is one way out of every error and never a half-believed state. Nobody but the lane reads these states.

N1  Every command that is read has exactly one outcome record for each time it stands in the commands topic; those
    after the first are marked `repeated` and carry the first decision.
N2  Events and outcomes carry the lane's term and a sequence without gaps, a partition each.
N3  A turn that raises parks its command and quarantines its instance; the batch goes on without it.
N4  The next command's position is one above the highest `cause` among this lane's outcomes.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import (
    EVENT_FIXED,
    HEAD,
    NO_OPTIONS,
    NOTHING,
    OPTIONS_AT,
    Options,
    read_envelope,
    write_options,
)
from eventcore.avro.outcome import HEAD as OUTCOME_HEAD
from eventcore.avro.outcome import OUTCOME_FIXED, Details, plain_acceptance, write_details
from eventcore.context import COUNTER_BITS, Context
from eventcore.errors import DataError, DecodeError
from eventcore.lane.clock import AHEAD_MAX_MS, after, too_far_ahead
from eventcore.lane.memory import UNDONE, Decided, LaneMemory
from eventcore.log.port import RECORD_BYTES_MAX, Record, Recorded
from eventcore.topics import Topics, partition_of
from eventcore.turn import Accepted, Refused, Violated, take_turn

EVENTS_A_TURN_MAX = 1_000  # a turn is one transaction's unit; more is a batch job that wants to be several commands
COMMAND_BYTES_MAX = RECORD_BYTES_MAX - 32_768  # an outcome holds its command, its reason and a traceback
MESSAGE_MAX, DETAIL_MAX = 1_000, 8_000  # characters kept of what a fault says; the rest helps nobody

RAISED, QUARANTINED, UNDECODABLE = "raised", "instance_quarantined", "undecodable"


@dataclass
class Batch:
    """What one transaction must write: events, outcomes, and the position after the last consumed command."""

    consumed: int
    events: list[Record] = field(default_factory=list)
    outcomes: list[Record] = field(default_factory=list)


class Lane:
    """Takes the turns of one partition of one aggregate. Belongs to one thread; not usable after a failed commit."""

    def __init__(
        self,
        aggregate: Aggregate[Any, Any, Any],
        topics: Topics,
        partition: int,
        partitions: int,
        *,
        commands: Catalogue,
        events: Catalogue,
        memory: LaneMemory,
    ) -> None:
        self._aggregate = aggregate
        self._topics = topics
        self._partition = partition
        self._partitions = partitions
        self._decode = commands.decode
        self._encode = events.encode
        self.memory = memory
        self.term = memory.term + 1

    def take(self, records: Sequence[Recorded], now_ms: int) -> Batch:
        """Decide `records` in order and return what to write. `now_ms` is the wall clock, read once a batch."""
        memory = self.memory
        batch = Batch(records[-1].offset + 1)
        events, outcomes = batch.events, batch.outcomes
        instances, decided, quarantined = memory.instances, memory.decided, memory.quarantined
        aggregate, decode, encode, term = self._aggregate, self._decode, self._encode, self.term
        pack_event, pack_outcome = EVENT_FIXED.pack, OUTCOME_FIXED.pack
        stamp = after(memory.stamp, now_ms) - 1
        shortest = OPTIONS_AT + len(NO_OPTIONS)
        for record in records:
            stamp += 1
            envelope, key, value = record.envelope, record.key, record.value
            # The common case first: a well-formed command without options, for a known instance, not seen before.
            # Everything else goes through _take_rare, which looks at one thing after the other.
            if (
                envelope is None
                or value is None
                or len(envelope) != shortest
                or envelope[:10] != HEAD
                or envelope[OPTIONS_AT:] != NO_OPTIONS
                or key not in instances
                or envelope[10:26] in decided
                or key in quarantined
                or len(value) > COMMAND_BYTES_MAX
            ):
                stamp = self._take_rare(record, stamp, now_ms, batch)
                continue
            command_id = envelope[10:26]
            try:
                command = decode(value)
            except DataError as bad:
                self._park(record, command_id, stamp, UNDECODABLE, str(bad), batch)
                continue
            state, version = instances[key]
            try:
                turn = take_turn(aggregate, state, command, Context(stamp, command_id))
                if type(turn) is not Accepted or len(turn.events) > 1:
                    self._finish(record, command_id, NOTHING, turn, stamp, batch)
                    continue
                written = [encode(event) for event in turn.events]
            except Exception as fault:  # noqa: BLE001 - N3: whatever user code raises is its instance's affair
                self._quarantine(record, command_id, NOTHING, fault, stamp, batch)
                continue
            # The most common turn of all, one event or none, written out in place: this is the hot path.
            time_ms = stamp >> COUNTER_BITS
            if written:
                if len(written[0]) > COMMAND_BYTES_MAX:
                    self._too_large(record, command_id, NOTHING, stamp, batch)
                    continue
                version += 1
                memory.event_sequence += 1
                instances[key] = (turn.state, version)
                header = pack_event(HEAD, command_id, version, 0, 1, term, memory.event_sequence, stamp, record.offset)
                events.append(Record(key, written[0], header + NO_OPTIONS, time_ms))
            memory.outcome_sequence += 1
            fixed = pack_outcome(
                OUTCOME_HEAD,
                command_id,
                version,
                len(written),
                term,
                memory.outcome_sequence,
                stamp,
                record.offset,
                memory.event_sequence,
            )
            outcomes.append(Record(key, fixed + plain_acceptance(value), None, time_ms))
            decided[command_id] = version
        memory.stamp = stamp
        memory.next_command = batch.consumed
        return batch

    def _take_rare(self, record: Recorded, stamp: int, now_ms: int, batch: Batch) -> int:
        """Take one command step by step, checking everything; return the stamp that it was given."""
        memory = self.memory
        try:
            envelope = read_envelope(record.envelope)
            options = envelope.options
        except DecodeError as bad:
            self._park(record, bytes(16), stamp, UNDECODABLE, str(bad), batch)
            return stamp
        command_id = envelope.command_id
        if (earlier := memory.answer_of(command_id)) is not None:
            self._repeat(record, command_id, options, earlier, stamp, batch)
            return stamp
        if envelope.stamp:  # a relayed command carries the stamp of its cause: this turn comes after it
            if too_far_ahead(envelope.stamp, now_ms):
                self._park(record, command_id, stamp, "clock_ahead", f"more than {AHEAD_MAX_MS} ms ahead", batch)
                return stamp
            stamp = max(stamp, envelope.stamp + 1)
        problem = self._misplaced(record)
        if problem is not None:
            self._park(record, command_id, stamp, *problem, batch)
            return stamp
        key = record.key
        value = record.value
        assert key is not None, "a record without a key is misplaced"
        assert value is not None, "a record without a value is misplaced"
        if key in memory.quarantined:
            self._write_outcome(
                record,
                command_id,
                options,
                Decided("parked", self._version(key), QUARANTINED, memory.quarantined[key]),
                stamp,
                batch,
            )
            return stamp
        if options.step is not None and (answer := self._by_ledger(options, self._version(key))) is not None:
            self._write_outcome(record, command_id, options, answer, stamp, batch)
            return stamp
        try:
            command = self._decode(value)
        except DataError as bad:
            self._park(record, command_id, stamp, UNDECODABLE, str(bad), batch)
            return stamp
        version = self._version(key)
        if options.expires is not None and stamp >> COUNTER_BITS > options.expires:
            expired = Decided(
                "expired",
                version,
                "expired",
                f"expired at {options.expires}, decided at {stamp >> COUNTER_BITS} (Unix ms)",
            )
            self._write_outcome(record, command_id, options, expired, stamp, batch)
        elif options.expected_version is not None and options.expected_version != version:
            conflict = Decided(
                "conflict", version, "conflict", f"expected version {options.expected_version}, found {version}"
            )
            self._write_outcome(record, command_id, options, conflict, stamp, batch)
        else:
            state = memory.instances[key][0] if key in memory.instances else self._aggregate.initial()
            try:
                turn = take_turn(self._aggregate, state, command, Context(stamp, command_id))
            except Exception as fault:  # noqa: BLE001 - N3: whatever user code raises is its instance's affair
                self._quarantine(record, command_id, options, fault, stamp, batch)
            else:
                self._finish(record, command_id, options, turn, stamp, batch)
        return stamp

    def _misplaced(self, record: Recorded) -> tuple[str, str] | None:
        """Why this record cannot be a command of this partition, as (reason, message), or None."""
        if not record.key or record.value is None:
            return UNDECODABLE, "a command needs the id of its instance as key, and a value"
        try:
            record.key.decode()
        except UnicodeDecodeError:
            return UNDECODABLE, "the key is not UTF-8, so it is no instance's id"
        if len(record.value) > COMMAND_BYTES_MAX:
            return "too_large", f"{len(record.value)} bytes; a command may have {COMMAND_BYTES_MAX}"
        home = partition_of(record.key, self._partitions)
        if home != self._partition:
            return (
                "wrong_partition",
                f"this instance lives in partition {home}; the producer must partition as Java's client does",
            )
        return None

    def _version(self, key: bytes) -> int:
        return self.memory.instances[key][1] if key in self.memory.instances else 0

    def _by_ledger(self, options: Options, version: int) -> Decided | None:
        """The answer that the step ledger dictates, or None where the turn must be taken."""
        assert options.step is not None, "only called for a saga's step"
        known = self.memory.step(options.step)
        if options.step.action == "do":
            if known.do is not None:
                return known.do
            return Decided("refused", version, UNDONE, "its undo came first") if known.undo is not None else None
        if known.undo is not None:
            return known.undo
        if known.do is None or known.do.kind != "accepted":
            return Decided("accepted", version, None, "nothing to undo")
        return None

    def _finish(
        self,
        record: Recorded,
        command_id: bytes,
        options: Options,
        turn: Accepted[Any, Any] | Refused | Violated,
        stamp: int,
        batch: Batch,
    ) -> None:
        key = record.key
        assert key is not None, "only placed records are decided"
        version = self._version(key)
        if isinstance(turn, Refused):
            self._write_outcome(
                record,
                command_id,
                options,
                Decided("refused", version, turn.reason, turn.message or None),
                stamp,
                batch,
            )
            return
        if isinstance(turn, Violated):
            stop = turn.on_violation == "quarantine"
            if stop:
                self.memory.quarantined[key] = f"violated {turn.invariant}"
            answer = Decided("violated", version, turn.invariant, turn.message or None)
            self._write_outcome(record, command_id, options, answer, stamp, batch, detail=QUARANTINED if stop else None)
            return
        try:
            written = [self._encode(event) for event in turn.events]
        except Exception as fault:  # noqa: BLE001 - an event that its own codec refuses is a fault of this instance
            self._quarantine(record, command_id, options, fault, stamp, batch)
            return
        if len(written) > EVENTS_A_TURN_MAX or max(map(len, written), default=0) > COMMAND_BYTES_MAX:
            self._too_large(record, command_id, options, stamp, batch)
            return
        self._append_events(record, key, command_id, options, written, stamp, batch)
        version += len(written)
        if written or key not in self.memory.instances:
            self.memory.instances[key] = (turn.state, version)
        self._write_outcome(
            record, command_id, options, Decided("accepted", version, None, None), stamp, batch, count=len(written)
        )

    def _append_events(
        self,
        record: Recorded,
        key: bytes,
        command_id: bytes,
        options: Options,
        written: list[bytes],
        stamp: int,
        batch: Batch,
    ) -> None:
        tail = NO_OPTIONS
        if options is not NOTHING:
            tail = write_options(Options(source=options.source, step=options.step, trace=options.trace))
        version = self._version(key)
        for index, value in enumerate(written):
            self.memory.event_sequence += 1
            header = EVENT_FIXED.pack(
                HEAD,
                command_id,
                version + index + 1,
                index,
                len(written),
                self.term,
                self.memory.event_sequence,
                stamp,
                record.offset,
            )
            batch.events.append(Record(key, value, header + tail, stamp >> COUNTER_BITS))

    def _park(self, record: Recorded, command_id: bytes, stamp: int, reason: str, message: str, batch: Batch) -> None:
        """Park one record that is no command we can read: it is kept whole, and its neighbours go on."""
        if command_id == bytes(16) or command_id in self.memory.decided:
            command_id = _id_of_position(self._topics.commands, self._partition, record.offset)
        version = self._version(record.key) if record.key else 0
        self._write_outcome(record, command_id, NOTHING, Decided("parked", version, reason, message), stamp, batch)

    def _too_large(self, record: Recorded, command_id: bytes, options: Options, stamp: int, batch: Batch) -> None:
        fault = ValueError(f"a turn may have {EVENTS_A_TURN_MAX} events of at most {COMMAND_BYTES_MAX} bytes each")
        self._quarantine(record, command_id, options, fault, stamp, batch)

    def _quarantine(
        self, record: Recorded, command_id: bytes, options: Options, fault: BaseException, stamp: int, batch: Batch
    ) -> None:
        key = record.key
        assert key is not None, "only placed records are decided"
        summary = f"{type(fault).__name__}: {fault}"[:MESSAGE_MAX]
        self.memory.quarantined[key] = summary
        detail = "".join(traceback.format_exception(fault))[-DETAIL_MAX:]
        self._write_outcome(
            record,
            command_id,
            options,
            Decided("parked", self._version(key), RAISED, summary),
            stamp,
            batch,
            detail=detail,
        )

    def _repeat(
        self, record: Recorded, command_id: bytes, options: Options, earlier: Decided, stamp: int, batch: Batch
    ) -> None:
        self._write_outcome(record, command_id, options, earlier, stamp, batch, repeated=True)

    def _write_outcome(
        self,
        record: Recorded,
        command_id: bytes,
        options: Options,
        decided: Decided,
        stamp: int,
        batch: Batch,
        *,
        count: int = 0,
        repeated: bool = False,
        detail: str | None = None,
    ) -> None:
        memory = self.memory
        memory.outcome_sequence += 1
        value = record.value or b""
        message = decided.message
        details = Details(
            decided.kind,
            repeated,
            value if len(value) <= COMMAND_BYTES_MAX else b"",
            decided.reason,
            message if message is None else _sendable(message)[:MESSAGE_MAX],
            detail if detail is None else _sendable(detail),
            options.expected_version,
            options.source,
            options.step,
            options.code,
            options.trace,
        )
        fixed = OUTCOME_FIXED.pack(
            OUTCOME_HEAD,
            command_id,
            decided.version,
            count,
            self.term,
            memory.outcome_sequence,
            stamp,
            record.offset,
            memory.event_sequence,
        )
        batch.outcomes.append(Record(record.key or b"", fixed + write_details(details), None, stamp >> COUNTER_BITS))
        if not repeated:
            plain = decided.kind == "accepted" and decided.message is None
            memory.decided[command_id] = decided.version if plain else decided
            if options.step is not None:
                memory.remember_step(options.step, decided)


def _id_of_position(topic: str, partition: int, offset: int) -> bytes:
    """A command id for a record that has none of its own: the same whenever that record is read."""
    return hashlib.blake2b(f"{topic}[{partition}]@{offset}".encode(), digest_size=16).digest()


def _sendable(text: str) -> str:
    """Text that UTF-8 can carry: what a fault says may hold half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()


NowMs = Callable[[], int]
