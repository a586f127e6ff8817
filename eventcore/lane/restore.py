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
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.facts import LaneState
from eventcore.errors import BrokenLog, TimedOut
from eventcore.lane.checkpoint import CHECKPOINTING, Checkpointing, rewrite, trust_of
from eventcore.lane.memory import Decided, LaneMemory
from eventcore.lane.restore_events import Folder
from eventcore.lane.restore_outcomes import Outcomes
from eventcore.lane.snapshot import Found, trusted
from eventcore.lane.window import Readable, Window
from eventcore.log.port import Log, Recorded
from eventcore.topics import Topics

logger = logging.getLogger(__name__)

READ_MOST = 5_000  # records a poll: enough to amortise it, small enough to stay out of the way
FOLD_AT_ONCE = 500  # events between two signs of life: an evolve may be slow
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
    readable = Readable(topics.commands.partition(".")[0], log.partitions, log.end)
    known = trusted(found, trust, log, topics, partition, _empty_window(pace, readable))
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
    memory = LaneMemory(decided=_empty_window(pace, readable))
    _read(log, aggregate, topics, partition, events, memory, None, progress)
    rewrite(memory, found)
    return memory


def _empty_window(pace: Checkpointing, readable: Readable) -> Window[Decided | int]:
    return Window(pace.window, readable=readable, written=readable.written)


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
    folder = Folder(aggregate, topics.events, partition, events, memory, tail=state is not None)
    start, end = marks.events.offset, log.end(topics.events, partition)
    what = f"{topics.events}[{partition}]"
    for records in read_to(log, topics.events, partition, end, progress, start=start):
        for at in range(0, len(records), FOLD_AT_ONCE):
            if at:
                progress(f"{what}, folded", records[at].offset, end)
            folder.read(records[at : at + FOLD_AT_ONCE])
    outcomes = Outcomes(topics.outcomes, partition, memory, tail=state is not None)
    start, end = marks.outcomes.offset, log.end(topics.outcomes, partition)
    for records in read_to(log, topics.outcomes, partition, end, progress, start=start):
        outcomes.read(records)
    outcomes.check_end(folder.gap)
    folder.judge(lambda done: progress(f"{what}, judged", done, len(memory.instances)))
    return memory
