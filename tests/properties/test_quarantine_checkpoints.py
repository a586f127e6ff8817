"""A lane that trusts its checkpoint knows of quarantines, and of what waits, what one that reads everything knows."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from eventcore.lane.checkpoint import Checkpointing
from eventcore.lane.lane import Lane
from eventcore.lane.memory import LaneMemory
from eventcore.lane.restore import restore
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, Recorded, TopicPlan
from tests.bank import COMMANDS, EVENTS, TOPICS, Account, provision
from tests.properties.test_quarantine_order import CODE, CODES, ordered, sent

PACE = Checkpointing(window=16, outcomes=6, at_once=3)
UNREAD = TOPICS._replace(snapshots="nothing.here")
strangers = st.builds(Record, st.sampled_from([b"alice", b"bob"]), st.just(b"hello"), st.none(), st.just(1_000))


def life(log: MemoryLog, code: str, batches: list[list[Record]]) -> LaneMemory:
    """Restore a lane of this code, let it decide batch after batch, and end; what it knew."""
    writer = log.own(TOPICS, 0)
    aggregate = CODE[code]
    memory = restore(log, aggregate, TOPICS, 0, EVENTS, pace=PACE)
    lane = Lane(aggregate, TOPICS, 0, 1, commands=COMMANDS, events=EVENTS, memory=memory, pace=PACE)
    for records in batches:
        offsets_in = log.append(TOPICS.commands, 0, records)
        taken = [Recorded(at, r.key, r.value, r.envelope, r.time_ms) for at, r in zip(offsets_in, records, strict=True)]
        batch = lane.take(taken, 1_000)
        for topic, written in (
            (TOPICS.events, batch.events),
            (TOPICS.outcomes, batch.outcomes),
            (TOPICS.snapshots, batch.snapshots),
        ):
            if written:
                writer.append(topic, written)
        offsets = writer.commit(batch.consumed)
        lane.checkpoints.committed(batch, offsets.get(TOPICS.events, ()), offsets[TOPICS.outcomes])
    writer.close()
    return memory


def of_quarantine(memory: LaneMemory) -> tuple[Any, ...]:
    """What a memory says of what has stopped."""
    backlog = memory.waiting
    return (
        memory.quarantined,
        {key: backlog.of(key) for key in (b"alice", b"bob")},
        (backlog.count, backlog.size),
        memory.passed,
        memory.foreign,
        memory.unsound,
        {key: state for key, state in memory.instances.items() if isinstance(state[0], Account)},
        (memory.event_sequence, memory.outcome_sequence, memory.next_command),
    )


batch_of = st.lists(st.one_of(sent, sent, sent, ordered), min_size=1, max_size=6)
lives = st.lists(
    st.tuples(st.sampled_from(CODES), st.lists(batch_of, min_size=1, max_size=8), st.none() | strangers),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200)
@given(lives)
def test_a_checkpoint_tells_what_everything_tells(program: list[tuple[str, list[list[Record]], Record | None]]) -> None:
    log = MemoryLog()
    provision(log)
    log.provision([TopicPlan("nothing.here", 1)])
    for code, batches, stranger in program:
        knew = life(log, code, batches)
        by_checkpoint = restore(log, CODE[code], TOPICS, 0, EVENTS, pace=PACE)
        in_full = restore(log, CODE[code], UNREAD, 0, EVENTS, pace=PACE)
        assert of_quarantine(by_checkpoint) == of_quarantine(in_full)
        assert of_quarantine(by_checkpoint)[:3] == of_quarantine(knew)[:3]
        event(f"a checkpoint is used: {by_checkpoint.marked > 0}")
        if stranger is not None:
            log.append(TOPICS.events, 0, [stranger])
