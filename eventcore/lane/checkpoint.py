"""Checkpoints: snapshots written beside the work, so that a restore need not read everything.

A checkpoint begins at a *mark*: a place in events and outcomes that a commit made final. The instances that changed since
the last mark are written out over the following batches, a few with each, as they are by then: newer than the mark, which
is harmless, since every snapshot says which version it is. When the last is written, `LaneState` says where the mark was.
Until then the mark before holds. Facts do not wait: they are written with what changed them.

K1  A `LaneState` with mark M stands after a snapshot of every instance that changed before M, not older than M.
K2  Facts are exact: the last record of each key is what the lane knew at its last commit.
K3  Nothing here is the truth. Whatever looks wrong is not trusted, and the lane is read from events and outcomes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, cast

from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.codec import Codec, codec_for
from eventcore.avro.envelope import EVENT_FIXED, Source
from eventcore.avro.facts import LANE_STATE, LaneState, Place
from eventcore.avro.outcome import OUTCOME_FIXED
from eventcore.avro.snapshot import write_snapshot
from eventcore.codehash import reached
from eventcore.errors import InvalidValue, NotSupported
from eventcore.lane.facts import FACT, LANE, every_fact, fact_of, step_key, stopped_key, waiting_key
from eventcore.lane.journal import COMMAND_BYTES_MAX, Batch
from eventcore.lane.memory import LaneMemory
from eventcore.lane.window import WINDOW
from eventcore.log.port import Record
from eventcore.value import Value

logger = logging.getLogger(__name__)


class Checkpointing(NamedTuple):
    """How often a lane makes checkpoints: after so many outcomes, and after as many as it has instances."""

    window: int = WINDOW  # of deduplication, in outcomes
    outcomes: int = 50_000  # between two marks at least: what a restore reads beside snapshots, in a tenth of a second
    at_once: int = 500  # snapshots in one batch at most: 5 ms of a batch's time
    bytes_at_once: int = 1_000_000


CHECKPOINTING = Checkpointing()


class Trust(NamedTuple):
    """For which code and schemas a snapshot is good, and how states are written; None where they cannot be.

    `unseen` says what the mark cannot tell of: then nothing is trusted, and nothing written that would not be.
    """

    mark: bytes
    codec: Codec[Value] | None
    unseen: str | None = None


def trust_of(aggregate: Aggregate[Any, Any, Any], events: Catalogue) -> Trust:
    """What a lane of this code can trust: `evolve`, the initial state, the classes of states and events, their schemas."""
    codec = state_codec(aggregate, events)
    code = reached(aggregate.evolve, aggregate.initial, aggregate.state_type, *aggregate.event_checks)
    mark = hashlib.blake2b(code.digest, digest_size=16)
    for text in (codec.text if codec is not None else "", *events.schemas.values()):
        mark.update(text.encode())
    return Trust(mark.digest(), codec, code.unseen)


def state_codec(aggregate: Aggregate[Any, Any, Any], events: Catalogue) -> Codec[Value] | None:
    """What writes snapshots; None where a state has no schema: the lane works, and reads everything when it restores."""
    try:
        return codec_for(cast("type[Value]", aggregate.state_type), events.namespace)
    except NotSupported:
        return None


class Checkpoints:
    """The checkpoints of one lane. Belongs to its thread."""

    def __init__(self, memory: LaneMemory, trust: Trust, pace: Checkpointing = CHECKPOINTING) -> None:
        self._memory = memory
        self._trust = trust
        self._pace = pace
        self._pending: list[bytes] = []  # keys that the checkpoint under way has still to write
        self._mark: LaneState | None = None  # its mark
        self._given_up = trust.codec is None or trust.unseen is not None

    @property
    def under_way(self) -> bool:
        """Whether there is something to be written that no command has to wait for."""
        return self._mark is not None

    def write(self, batch: Batch, most: int) -> None:
        """Add to a batch the facts that it changed, and up to `most` records of the checkpoint under way."""
        memory = self._memory
        if batch.events:
            memory.dirty.update([event.key for event in batch.events])
        if memory.changed_steps or memory.changed_stops or memory.waiting.changed or memory.touched:
            memory.touched.update(map(step_key, memory.changed_steps))
            memory.touched.update(map(stopped_key, memory.changed_stops))
            memory.touched.update(map(waiting_key, memory.waiting.changed))
            for changed in (memory.changed_steps, memory.changed_stops, memory.waiting.changed):
                changed.clear()
            batch.snapshots.extend(Record(key, fact_of(memory, key)) for key in sorted(memory.touched))
            memory.touched.clear()
        if self._mark is not None and not self._given_up:
            self._go_on(batch, self._mark, min(most, self._pace.at_once))

    def _go_on(self, batch: Batch, mark: LaneState, most: int) -> None:
        size = 0
        while self._pending and most > 0 and size < self._pace.bytes_at_once:
            key = self._pending.pop()
            try:
                value = self._value(key)
            except InvalidValue as impossible:
                self._give_up(key, str(impossible))
                return
            size += len(value or b"")
            most -= 1
            batch.snapshots.append(Record(key, value))
        if not self._pending:
            if len(state := LANE_STATE.write(mark)) > COMMAND_BYTES_MAX:
                self._give_up(LANE, f"it has {len(state)} bytes, and may have {COMMAND_BYTES_MAX}")
                return
            batch.snapshots.append(Record(LANE, state))
            self._memory.marked = mark.outcomes_until
            self._mark = None

    def _value(self, key: bytes) -> bytes | None:
        if key[0] == FACT:
            return fact_of(self._memory, key)
        held = self._memory.instances.get(key)
        if held is None:
            return None
        state, version = held
        assert self._trust.codec is not None, "given up otherwise"
        value = write_snapshot(version, self._trust.codec.write(state))
        if len(value) > COMMAND_BYTES_MAX:
            raise InvalidValue(
                type(state).__name__, f"a snapshot of {len(value)} bytes; it may have {COMMAND_BYTES_MAX}"
            )
        return value

    def _give_up(self, key: bytes, why: str) -> None:
        self._given_up, self._mark, self._pending = True, None, []
        logger.warning(
            "no more checkpoints of this lane: what it keeps of %r cannot be written: %s. Restores read what has happened "
            "since the last one.",
            key,
            why,
        )

    def committed(self, batch: Batch, events: Sequence[int], outcomes: Sequence[int]) -> None:
        """Learn where a committed batch stands in the log; begin a checkpoint if one is due."""
        marks = self._memory.marks
        if batch.events:
            marks.events = place_after_event(events[-1], batch.events[-1].envelope or b"")
        if batch.outcomes:
            first: int = OUTCOME_FIXED.unpack_from(batch.outcomes[0].value or b"")[5]
            last = first + len(batch.outcomes) - 1
            size = self._memory.decided.size
            for begins in range(-(-first // size) * size, last + 1, size):
                index = begins - first
                if index:
                    before = place_after_outcome(outcomes[index], batch.outcomes[index - 1].value or b"")
                else:
                    before = moved(marks.outcomes, outcomes[0])
                marks.begin(begins // size, before)
            marks.outcomes = place_after_outcome(outcomes[-1] + 1, batch.outcomes[-1].value or b"")
        self._begin_if_due()

    def _begin_if_due(self) -> None:
        memory, window = self._memory, self._memory.decided
        marks = memory.marks
        due = memory.marked + max(self._pace.outcomes, len(memory.instances))
        if self._given_up or self._mark is not None or marks.outcomes.sequence < due:
            return
        generation = marks.outcomes.sequence // window.size
        if generation != window.generation:
            return  # the next batch, which is taken already, began another: then at the next commit
        first = max(0, generation - 1)
        if first not in marks.begun:
            return
        delivered = tuple(Source(t, p, offset) for (t, p), offset in sorted(window.at_older.items()))
        self._mark = LaneState(
            self._trust.mark,
            marks.events,
            marks.begun[first],
            window.size,
            first,
            delivered,
            marks.outcomes.sequence,
        )
        self._pending = list(memory.dirty)
        memory.dirty.clear()


def rewrite(memory: LaneMemory, found: Collection[bytes]) -> None:
    """Let everything be written anew: what stands under the keys `found` is worth nothing, and says so from now on."""
    memory.dirty = {*memory.instances, *every_fact(memory), *found}
    memory.dirty.discard(LANE)
    memory.changed_steps.clear()
    memory.changed_stops.clear()
    memory.waiting.changed.clear()
    memory.marked = 0
    if LANE in found:
        memory.touched.add(LANE)


def moved(place: Place, offset: int) -> Place:
    """The same place, where the next record stands at this offset."""
    return Place(offset, place.sequence, place.term, place.stamp, place.cause)


def place_after_event(offset: int, envelope: bytes) -> Place:
    """The place after an event of ours that stands at `offset`."""
    _, _, _, _, _, term, sequence, stamp, cause = EVENT_FIXED.unpack_from(envelope)
    return Place(offset + 1, sequence, term, stamp, cause)


def place_after_outcome(offset: int, value: bytes) -> Place:
    """The place after an outcome of ours, the next standing at `offset` or later."""
    _, _, _, _, term, sequence, stamp, cause, _ = OUTCOME_FIXED.unpack_from(value)
    return Place(offset, sequence, term, stamp, cause)
