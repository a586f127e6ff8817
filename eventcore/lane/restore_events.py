"""Reading events back: folding those of one partition into a lane's memory, and judging the states that come of it.

R1 to R4 of `restore` are decided here, for events. `take` decides any record. `read` knows only what nearly all of them
are, the next event of a sound instance, in a third of the time, and gives everything else to `take`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import EVENT_FIXED, HEAD, NO_OPTIONS, OPTIONS_AT, Envelope, read_envelope
from eventcore.avro.facts import Place
from eventcore.cut import Position
from eventcore.errors import BrokenLog, DecodeError, InvalidValue
from eventcore.lane.journal import beginning, said
from eventcore.lane.lineage import Mark, Placed, standing_of_event
from eventcore.lane.memory import FOREIGN, Foreign, LaneMemory
from eventcore.lane.quarantine import found_in_events
from eventcore.log.port import Recorded
from eventcore.topics import ID_BYTES_MAX

logger = logging.getLogger(__name__)

JUDGE_AT_ONCE = 100  # instances between two signs of life


def advance(memory: LaneMemory, term: int, stamp: int) -> None:
    """Know that this term and this stamp were given."""
    memory.term = max(memory.term, term)
    memory.stamp = max(memory.stamp, stamp)


def placed(last: Placed) -> Mark:
    """A place as a tuple."""
    return Mark(last.sequence, last.term, last.stamp, last.cause)


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


class Folder:
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

    def read(self, records: Sequence[Recorded]) -> None:
        """Fold records in their order: as `take` does, which takes whatever is not plainly the next event."""
        memory = self._memory
        instances, dirty, unsound, tail = memory.instances, memory.dirty, memory.unsound, self._tail
        initial, evolve, decode = self._aggregate.initial, self._aggregate.evolve, self._events.decode
        sequence, term, stamp, cause = placed(self._last)
        offset = -1  # of the last record that did not need `take`
        for record in records:
            header, key, body = record.envelope, record.key, record.value
            if (
                header is not None
                and header[OPTIONS_AT:] == NO_OPTIONS
                and key is not None
                and body
                and key not in unsound
            ):
                head, _, version, index, _, new_term, new_sequence, new_stamp, new_cause = EVENT_FIXED.unpack_from(
                    header
                )
                if (
                    head == HEAD
                    and new_sequence == sequence + 1
                    and new_term >= term
                    and new_cause >= cause
                    and (new_stamp > stamp or (index > 0 and new_stamp == stamp and new_cause == cause))
                ):
                    held = instances.get(key)
                    known = 0 if held is None else held[1]
                    folded = tail and version <= known and key not in dirty  # the snapshot holds it
                    if not folded and version == known + 1:
                        try:
                            state = evolve(initial() if held is None else held[0], decode(body))
                        except KeyboardInterrupt:
                            raise
                        except BaseException:  # noqa: BLE001 - `take` meets it again, and says what it is
                            folded = False
                        else:
                            instances[key] = state, version
                            dirty.add(key)
                            folded = True
                    if folded:
                        sequence, term, stamp, cause, offset = (
                            new_sequence,
                            new_term,
                            new_stamp,
                            new_cause,
                            record.offset,
                        )
                        continue
            if offset >= 0:
                self._come_to(Place(offset + 1, sequence, term, stamp, cause))
            self.take(record)
            offset = -1
            sequence, term, stamp, cause = placed(self._last)
        if offset >= 0:
            self._come_to(Place(offset + 1, sequence, term, stamp, cause))

    def _come_to(self, place: Place) -> None:
        memory = self._memory
        self._last, self.gap = place, None
        memory.marks.events, memory.event_sequence = place, place.sequence
        advance(memory, place.term, place.stamp)

    def take(self, record: Recorded) -> None:
        """Fold one record, or say what it is."""
        memory = self._memory
        where = Position(self._topic, self._partition, record.offset)
        try:
            envelope = own_envelope(record, where, self._last)
        except DecodeError as foreign:
            self._meet(record, f"{FOREIGN}{where}: {foreign}")
            return
        except BrokenLog as gap:  # or a stranger's after all: then one of ours follows, or no outcome counts it
            self._meet(record, f"{FOREIGN}{where}: {gap}")
            self.gap = self.gap or gap
            return
        self._last, self.gap = envelope, None
        memory.marks.events = Place(record.offset + 1, envelope.sequence, envelope.term, envelope.stamp, envelope.cause)
        memory.event_sequence = envelope.sequence
        advance(memory, envelope.term, envelope.stamp)
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
        except KeyboardInterrupt:
            raise
        except BaseException as fault:  # noqa: BLE001 - R3: whatever user code or a codec raises is its instance's affair
            self._stop(key, f"{where}: {said(fault)}")
            return
        self._memory.instances[key] = (state, version + 1)
        self._memory.dirty.add(key)

    def judge(self, progress: Callable[[int], None] = lambda _: None) -> None:
        """R4: quarantine every instance whose state today's invariants or types refuse, and all that R2 and R3 met.

        `progress` is called after every JUDGE_AT_ONCE instances with how many were judged: invariants may be slow.
        """
        memory = self._memory
        for done, (key, (state, version)) in enumerate(memory.instances.items()):
            if done and not done % JUDGE_AT_ONCE:
                progress(done)
            if (broken := self._broken_by(state)) is not None:
                why = beginning(f"its stored state at version {version} breaks {broken}")
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
            for guard in aggregate.guards:  # no generator: this is asked of every instance
                if not guard.holds(state):
                    return guard.name
        except InvalidValue as invalid:
            return f"{invalid.path}: {invalid.problem}"
        except KeyboardInterrupt:
            raise
        except BaseException as fault:  # noqa: BLE001 - R4: an invariant that cannot be judged does not hold
            return f"an invariant, which raises {said(fault)}"
        return None

    def _meet(self, record: Recorded, why: str) -> None:
        if record.key is None:
            return
        if len(record.key) > ID_BYTES_MAX:  # nor could a fact be written of it
            logger.warning(
                "%s stops nobody: no instance has an id of %d bytes, beginning with %r",
                beginning(why),
                len(record.key),
                record.key[:40],
            )
            return
        self._memory.changed_stops.add(record.key)
        self._memory.foreign[record.key] = Foreign(record.offset, beginning(why))

    def _stop(self, key: bytes, why: str) -> None:
        """Stop an instance; what user code says of it is cut and cleaned, for it stands in facts and in outcomes."""
        self._memory.unsound.setdefault(key, beginning(why))
        self._memory.changed_stops.add(key)
