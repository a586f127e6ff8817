"""What a commit made visible: its batches with the offsets of their records, and the answers that callers get of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from eventcore.avro.outcome import OutcomeRecord, event_count_in, read_outcome
from eventcore.lane.journal import Batch


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The outcome record of a command, and the offset of its last event; None where it has no events."""

    record: bytes
    last_event: int | None

    @property
    def outcome(self) -> OutcomeRecord:
        """The record, read: not everybody who decides looks at every outcome, and reading one takes microseconds."""
        return read_outcome(self.record)


class Committed(NamedTuple):
    """A batch that is in the log, and the offsets of its events and of its outcomes."""

    batch: Batch
    events: Sequence[int]
    outcomes: Sequence[int]


def apart(batches: Sequence[Batch], events: Sequence[int], outcomes: Sequence[int]) -> list[Committed]:
    """Batches that shared a commit, each with its own offsets of the commit's."""
    if len(batches) == 1:
        return [Committed(batches[0], events, outcomes)]
    committed: list[Committed] = []
    event = outcome = 0
    for batch in batches:
        event_end, outcome_end = event + len(batch.events), outcome + len(batch.outcomes)
        committed.append(Committed(batch, events[event:event_end], outcomes[outcome:outcome_end]))
        event, outcome = event_end, outcome_end
    return committed


def answers(committed: Sequence[Committed]) -> list[Answer]:
    """Each outcome that answers a command of these batches, with the offset of its last event."""
    given: list[Answer] = []
    for batch, offsets, _ in committed:
        events = 0
        for index, record in enumerate(batch.outcomes):
            value = record.value
            assert value is not None, "a lane's outcomes have values"
            count = event_count_in(value)
            events += count
            if index not in batch.others:
                given.append(Answer(value, offsets[events - 1] if count else None))
    return given
