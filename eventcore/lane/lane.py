"""The lane's decisions, without I/O: committed commands in, records to be written out.

`take` runs the turns of a batch in order on the states it holds and returns what one transaction must write. It
changes the lane's memory at once: when the transaction fails, the whole lane is dropped and restored from the log, so
there is one way out of every error and never a half-believed state. Nobody but the lane reads these states.

N1  Every command that is read has exactly one outcome record for each time it stands in the commands topic; those
    after the first are marked `repeated` and carry the decision. One that waited behind a quarantine has another
    outcome when it is decided (quarantine.py).
N2  Events and outcomes carry the lane's term and a sequence without gaps, a partition each.
N3  A turn that raises anything, a `sys.exit` too, parks its command and quarantines its instance; the batch goes on
    without it. A KeyboardInterrupt is not the turn's: it ends the lane.
N4  The next command's position is one above the highest `cause` among this lane's outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.control import is_control, read_control
from eventcore.avro.envelope import EVENT_FIXED, HEAD, NO_OPTIONS, NOTHING, Options, command_envelope, read_envelope
from eventcore.avro.outcome import HEAD as OUTCOME_HEAD
from eventcore.avro.outcome import OUTCOME_FIXED, plain_acceptance, plain_refusal
from eventcore.context import COUNTER_BITS, Context
from eventcore.errors import DataError, DecodeError
from eventcore.lane.checkpoint import CHECKPOINTING, Checkpointing, Checkpoints, trust_of
from eventcore.lane.clock import AHEAD_MAX_MS, after, too_far_ahead
from eventcore.lane.journal import (
    COMMAND_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    QUARANTINED,
    Batch,
    Case,
    Journal,
    fits,
    id_of_position,
)
from eventcore.lane.memory import NOTHING_TO_UNDO, UNDONE, Decided, LaneMemory
from eventcore.lane.quarantine import Quarantine
from eventcore.lane.reply import address_of
from eventcore.log.port import Record, Recorded
from eventcore.topics import ID_BYTES_MAX, Topics, partition_of
from eventcore.turn import Accepted, Refused, Violated, take_turn

EVENTS_A_TURN_MAX = 1_000  # a turn is one transaction's unit; more is a batch job that wants to be several commands

UNDECODABLE, TOO_LARGE, CLOCK_AHEAD, WRONG_PARTITION = "undecodable", "too_large", "clock_ahead", "wrong_partition"

CLIENTS_MAX = 10_000  # whose addresses are kept at hand, with 300 bytes each; beyond it they are learnt again
NEW: tuple[Any, int] = (None, 0)  # what is held of an instance without events: its state is the aggregate's initial one
PLAIN = command_envelope(bytes(16))[26:]  # what follows the id in an envelope that says nothing else


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
        pace: Checkpointing = CHECKPOINTING,
    ) -> None:
        self._aggregate = aggregate
        self._topics = topics
        self._partition = partition
        self._partitions = partitions
        self._decode = commands.decode
        self._encode = events.encode
        self._journal = Journal(memory)
        self._quarantine = Quarantine(memory, self._journal)
        self.checkpoints = Checkpoints(memory, trust_of(aggregate, events), pace)
        self.memory = memory
        self.term = memory.term + 1
        self._now_ms = 0  # the wall clock of the batch that is being taken
        self._known = {PLAIN: NOTHING}  # a client's address alone makes no command rare: all of its end alike

    def take(self, records: Sequence[Recorded], now_ms: int) -> Batch:
        """Decide `records`, at least one, in order; return what to write. `now_ms` is the wall clock, read once a batch."""
        memory = self.memory
        self._now_ms = now_ms
        batch = Batch(records[-1].offset + 1)
        events, outcomes = batch.events, batch.outcomes
        known = self._known
        instances, window, quarantined = memory.instances, memory.decided, memory.quarantined
        held_of = instances.get
        waiting = memory.waiting.known
        turns_at = window.ends_before
        aggregate, encode, term = self._aggregate, self._encode, self.term
        pack_event, pack_outcome = EVENT_FIXED.pack, OUTCOME_FIXED.pack
        stamp = after(memory.stamp, now_ms) - 1
        commands, unreadable = self._decoded(records)
        for record, command in zip(records, commands, strict=True):
            stamp += 1
            envelope, key, value = record.envelope, record.key, record.value
            # The common case first: a well-formed command with no option but a reply, not seen before, for an instance that
            # is known or at home here. Everything else goes through _take_rare, which looks at one thing after the other.
            if (
                envelope is None
                or key is None
                or value is None
                or (options := known.get(envelope[26:])) is None
                or not envelope.startswith(HEAD)
                or (command_id := envelope[10:26]) in window.newer
                or command_id in window.older
                or command_id in waiting  # longer than the window reaches, and asked again of another instance
                or key in quarantined
                or len(value) > COMMAND_BYTES_MAX
                or ((held := held_of(key)) is None and self._misplaced(record) is not None)
            ):
                stamp = self._take_rare(record, stamp, now_ms, batch)
                continue
            state, version = held or NEW
            if unreadable and (bad := unreadable.get(record.offset)) is not None:
                if is_control(value):
                    stamp = self._take_rare(record, stamp, now_ms, batch)
                else:
                    self._park(Case(record, command_id, options, stamp), UNDECODABLE, bad, batch)
                continue
            bodies: list[bytes] = []
            try:
                if held is None:
                    state = aggregate.initial()
                turn = take_turn(aggregate, state, command, Context(stamp, command_id))
                if type(turn) is Accepted:
                    for event in turn.events:
                        bodies.append(encode(event))  # noqa: PERF401 - of one event, mostly: 0.2 µs less than a list's own loop
            except KeyboardInterrupt:  # an operator's, and nobody else's
                raise
            except BaseException as fault:  # noqa: BLE001 - N3: whatever user code raises is its instance's affair
                self._quarantine.stop(Case(record, command_id, options, stamp), version, fault, batch)
                continue
            # The most common turns of all, one event or none and the plain refusal, written out in place: the hot path.
            time_ms = stamp >> COUNTER_BITS
            if memory.outcome_sequence + 1 >= turns_at:
                window.turn(memory.outcome_sequence + 1)
                turns_at = window.ends_before
            if type(turn) is Accepted and (not bodies or (len(bodies) == 1 and len(bodies[0]) <= COMMAND_BYTES_MAX)):
                if bodies:
                    version += 1
                    memory.event_sequence += 1
                    instances[key] = (turn.state, version)
                    header = pack_event(
                        HEAD, command_id, version, 0, 1, term, memory.event_sequence, stamp, record.offset
                    )
                    events.append(Record(key, bodies[0], header + NO_OPTIONS, time_ms))
                window.newer[command_id] = version
                details = plain_acceptance(value)
            elif type(turn) is Refused and fits(turn.reason, turn.message):
                window.newer[command_id] = Decided("refused", version, turn.reason, turn.message or None)
                details = plain_refusal(value, turn.reason, turn.message)
            else:
                self._finish(Case(record, command_id, options, stamp), turn, bodies, batch)
                continue
            memory.outcome_sequence += 1
            fixed = pack_outcome(
                OUTCOME_HEAD,
                command_id,
                version,
                len(bodies),
                term,
                memory.outcome_sequence,
                stamp,
                record.offset,
                memory.event_sequence,
            )
            outcomes.append(Record(key, fixed + details, None, time_ms))
            if options.reply is not None:
                batch.replies.append((options.reply, len(outcomes) - 1))
        memory.stamp = stamp
        memory.next_command = batch.consumed
        self.checkpoints.write(batch, len(records))
        return batch

    def _decoded(self, records: Sequence[Recorded]) -> tuple[list[Any], dict[int, str]]:
        """The command in each record, and by offset why there is none in some.

        All at once, before any is decided: decoded between turns, one of 8 mixed fields took 1.5 µs longer.
        """
        decode: Any = self._decode
        try:
            return [decode(record.value) for record in records], {}
        except (DataError, TypeError):  # not all hold a command, or not all a value: then each by itself
            pass
        commands: list[Any] = []
        unreadable: dict[int, str] = {}
        for record in records:
            command = None
            if record.value is not None and len(record.value) <= COMMAND_BYTES_MAX:
                try:
                    command = decode(record.value)
                except DataError as bad:
                    unreadable[record.offset] = str(bad)
            commands.append(command)
        return commands, unreadable

    def _take_rare(self, record: Recorded, stamp: int, now_ms: int, batch: Batch) -> int:
        """Take one command step by step, checking everything; return the stamp that it was given."""
        try:
            envelope = read_envelope(record.envelope)
        except DecodeError as bad:
            command_id = id_of_position(self._topics.commands, self._partition, record.offset)
            self._park(Case(record, command_id, NOTHING, stamp), UNDECODABLE, str(bad), batch)
            return stamp
        case = Case(record, envelope.command_id, envelope.options, stamp)
        if case.options.reply is not None:
            self._learn(record.envelope or b"", case.options.reply)
        if (earlier := self.memory.answer_of(case.command_id)) is not None:
            self._journal.write_outcome(_small(case), earlier, batch, repeated=True)
            return stamp
        if (passed := self._relayed_before(case)) is not None:
            self._journal.write_outcome(_small(case), passed, batch, repeated=True)
            return stamp
        if (problem := self._misplaced(record)) is not None:
            self._park(_small(case), *problem, batch)
            return stamp
        if too_far_ahead(envelope.stamp, now_ms):
            self._park(case, CLOCK_AHEAD, f"more than {AHEAD_MAX_MS} ms ahead", batch)
            return stamp
        # A relayed command carries the stamp of its cause: this turn comes after it.
        case = case._replace(stamp=max(stamp, envelope.stamp + 1))
        return self._take_placed(case, batch)

    def _relayed_before(self, case: Case) -> Decided | None:
        source, key = case.options.source, case.record.key
        if source is None or not key:
            return None
        return self.memory.answer_of_relayed(source, case.options.step, self._version(key))

    def _learn(self, envelope: bytes, reply: str) -> None:
        """Take an envelope that says nothing but a reply's address for a common one from now on."""
        options = Options(reply=reply)
        if address_of(reply) is not None and envelope[26:] == command_envelope(bytes(16), options)[26:]:
            if len(self._known) > CLIENTS_MAX:
                self._known = {PLAIN: NOTHING}
            self._known[envelope[26:]] = options

    def _take_placed(self, case: Case, batch: Batch) -> int:
        """Take a command that belongs here, as an order or by the quarantine or its turn; return the last stamp used."""
        key, value = case.record.key, case.record.value
        assert key is not None, "a record without a key is misplaced"
        assert value is not None, "a record without a value is misplaced"
        if is_control(value):
            return self._take_order(case, value, batch)
        if key in self.memory.quarantined:
            self._quarantine.park(case, self._version(key), batch)
        else:
            self._decide(case, batch)
        return case.stamp

    def _take_order(self, case: Case, value: bytes, batch: Batch) -> int:
        version = self._version(case.record.key or b"")
        try:
            order = read_control(value)
        except DataError as bad:
            self._park(case, UNDECODABLE, str(bad), batch)
            return case.stamp
        assert order is not None, "its head is that of an order"
        if (answer := _by_conditions(case, version, self._now_ms)) is not None:
            self._journal.write_outcome(case, answer, batch)
            return case.stamp
        return self._quarantine.obey(case, order, version, batch, self._decide)

    def _decide(self, case: Case, batch: Batch) -> Decided:
        """Decide a command of an instance that nothing stops: by the ledger of steps, its conditions, or its turn."""
        key, value, options = case.record.key, case.record.value, case.options
        assert key is not None, "a record without a key is misplaced"
        assert value is not None, "a record without a value is misplaced"
        version = self._version(key)
        if (answer := self._by_ledger(options, version)) is not None:
            return self._journal.write_outcome(case, answer, batch)
        try:
            command = self._decode(value)
        except DataError as bad:
            return self._park(case, UNDECODABLE, str(bad), batch)
        if (answer := _by_conditions(case, version, self._now_ms)) is not None:
            return self._journal.write_outcome(case, answer, batch)
        try:
            state = self.memory.instances[key][0] if key in self.memory.instances else self._aggregate.initial()
            turn = take_turn(self._aggregate, state, command, Context(case.stamp, case.command_id))
            bodies = [self._encode(event) for event in turn.events] if type(turn) is Accepted else []
        except KeyboardInterrupt:  # an operator's, and nobody else's
            raise
        except BaseException as fault:  # noqa: BLE001 - N3: whatever user code raises is its instance's affair
            return self._quarantine.stop(case, version, fault, batch)
        return self._finish(case, turn, bodies, batch)

    def _misplaced(self, record: Recorded) -> tuple[str, str] | None:
        """Why this record cannot be a command of this partition, as (reason, message), or None."""
        if not record.key or record.value is None:
            return UNDECODABLE, "a command needs the id of its instance as key, and a value"
        if len(record.key) > ID_BYTES_MAX:
            return UNDECODABLE, f"the key has {len(record.key)} bytes, beginning with {record.key[:40]!r}: no id has"
        try:
            record.key.decode()
        except UnicodeDecodeError:
            return UNDECODABLE, "the key is not UTF-8, so it is no instance's id"
        if len(record.value) > COMMAND_BYTES_MAX:
            return TOO_LARGE, f"{len(record.value)} bytes; a command may have {COMMAND_BYTES_MAX}"
        if len(record.envelope or b"") > ENVELOPE_BYTES_MAX:
            return TOO_LARGE, f"an envelope of {len(record.envelope or b'')} bytes; it may have {ENVELOPE_BYTES_MAX}"
        home = partition_of(record.key, self._partitions)
        if home != self._partition:
            return (
                WRONG_PARTITION,
                f"this instance lives in partition {home}; the producer must partition as Java's client does",
            )
        return None

    def _version(self, key: bytes) -> int:
        return self.memory.instances[key][1] if key in self.memory.instances else 0

    def _by_ledger(self, options: Options, version: int) -> Decided | None:
        """The answer that the step ledger dictates to a saga's step, or None where the turn must be taken."""
        if options.step is None:
            return None
        known = self.memory.step(options.step)
        if options.step.action == "do":
            if known.do is not None:
                return known.do
            return Decided("refused", version, UNDONE, "its undo came first") if known.undo is not None else None
        if known.undo is not None:
            return known.undo
        if known.do is None or known.do.kind != "accepted":
            return Decided("accepted", version, None, NOTHING_TO_UNDO)
        return None

    def _finish(
        self, case: Case, turn: Accepted[Any, Any] | Refused | Violated, bodies: list[bytes], batch: Batch
    ) -> Decided:
        """Write a turn that was taken; `bodies` are its encoded events."""
        key = case.record.key
        assert key is not None, "only placed records are decided"
        version = self._version(key)
        if isinstance(turn, Refused):
            refused = Decided("refused", version, turn.reason, turn.message or None)
            return self._journal.write_outcome(case, refused, batch)
        if isinstance(turn, Violated):
            stop = turn.on_violation == "quarantine"
            violated = Decided("violated", version, turn.invariant, turn.message or None)
            written = self._journal.write_outcome(case, violated, batch, detail=QUARANTINED if stop else None)
            if stop:
                self.memory.quarantined[key] = f"violated {written.reason}"
                self.memory.changed_stops.add(key)
            return written
        if len(bodies) > EVENTS_A_TURN_MAX or max(map(len, bodies), default=0) > COMMAND_BYTES_MAX:
            limits = f"a turn may have {EVENTS_A_TURN_MAX} events of at most {COMMAND_BYTES_MAX} bytes each"
            return self._quarantine.stop(case, version, ValueError(limits), batch)
        self._journal.write_events(case, key, version, bodies, batch)
        version += len(bodies)
        if bodies:  # without events nothing is known of an instance that its log does not say
            self.memory.instances[key] = (turn.state, version)
        return self._journal.write_outcome(case, Decided("accepted", version, None, None), batch, count=len(bodies))

    def _park(self, case: Case, reason: str, message: str, batch: Batch) -> Decided:
        """Park one record that is no command we can read: its outcome keeps it, and its neighbours go on."""
        version = self._version(case.record.key) if case.record.key else 0
        return self._journal.write_outcome(case, Decided("parked", version, reason, message), batch)


def _by_conditions(case: Case, version: int, now_ms: int) -> Decided | None:
    """The answer to a command that came too late or to another version than it expects, or None.

    By the wall clock, not by the turn's stamp, which is at most later: another client's stamp may have moved it ahead.
    """
    options = case.options
    if options.expires is not None and now_ms > options.expires:
        late = f"expired at {options.expires}, decided at {now_ms} (Unix ms)"
        return Decided("expired", version, "expired", late)
    if options.expected_version is not None and options.expected_version != version:
        found = f"expected version {options.expected_version}, found {version}"
        return Decided("conflict", version, "conflict", found)
    return None


def _small(case: Case) -> Case:
    """The case without options that are too large to be written once more."""
    large = len(case.record.envelope or b"") > ENVELOPE_BYTES_MAX
    return case._replace(options=NOTHING) if large else case
