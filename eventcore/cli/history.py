"""The events of one instance, folded from the first: what each found, and what it left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eventcore.app.wiring import Machine
from eventcore.avro.envelope import Envelope
from eventcore.cut import Cut, Position
from eventcore.errors import BrokenLog, DecodeError
from eventcore.lane.lineage import BEFORE_ALL, Placed
from eventcore.lane.restore import Progress, read_to
from eventcore.lane.restore_events import own_envelope
from eventcore.log.port import Log, Recorded
from eventcore.topics import key_of, partition_of


@dataclass(frozen=True)
class Happened:
    """One event of an instance, with the state before it and after it. A `foreign` record changes nothing."""

    at: Position
    time_ms: int
    before: Any
    envelope: Envelope | None = None
    event: Any = None
    after: Any = None
    foreign: str = ""

    @property
    def command_id(self) -> str | None:
        """The id of the command that it came of."""
        return None if self.envelope is None else str(UUID(bytes=self.envelope.command_id))


def history(log: Log, machine: Machine, instance: str, cut: Cut | None, progress: Progress) -> Iterator[Happened]:
    """Yield what happened to one instance up to a cut, or to the end.

    Raises BrokenLog at an event of ours that does not decode or does not fold, and where events are missing, since no state after it is known.
    """
    key, topic = key_of(instance), machine.topics.events
    partition = partition_of(key, log.partitions(topic))
    end = log.stable_end(topic, partition) if cut is None else cut[topic, partition]
    state = machine.aggregate.initial()
    last: Placed = BEFORE_ALL
    for records in read_to(log, topic, partition, end, progress):
        for record in records:
            at = Position(topic, partition, record.offset)
            try:
                last = envelope = own_envelope(record, at, last)
            except DecodeError as foreign:
                if record.key == key:
                    yield Happened(at, record.time_ms, state, foreign=str(foreign))
                continue
            if record.key == key:
                happened = _one(machine, at, record, envelope, state)
                state = happened.after
                yield happened


def _one(machine: Machine, at: Position, record: Recorded, envelope: Envelope, state: Any) -> Happened:
    try:
        event = machine.events.decode(record.value or b"")
        after = machine.aggregate.evolve(state, event)
    except Exception as fault:
        raise BrokenLog(str(at), f"the event does not fold: {type(fault).__name__}: {fault}") from fault
    return Happened(at, record.time_ms, state, envelope, event, after)
