"""A lane restored from its checkpoints knows what one knows that read everything, wherever it was killed."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from eventcore.lane.checkpoint import Checkpointing
from eventcore.lane.facts import LANE
from eventcore.lane.memory import LaneMemory
from eventcore.lane.restore import restore
from eventcore.lane.runner import LaneRunner
from eventcore.log.port import Record
from tests.bank import COMMANDS, EVENTS, TOPICS, accounts, everything, provision
from tests.dying import POINTS, DyingLog, Killed
from tests.properties.test_lane_crashes import commands

paces = st.builds(Checkpointing, st.integers(2, 12), st.integers(1, 8), st.integers(1, 4), st.integers(1, 300))
works = st.lists(
    st.tuples(st.lists(commands(), min_size=1, max_size=8), st.none() | st.sampled_from(POINTS), st.integers(0, 2)),
    min_size=1,
    max_size=12,
)


def lane_with(log: Any, pace: Checkpointing) -> LaneRunner:
    """A started lane that makes checkpoints at this pace."""
    lane = LaneRunner(log, accounts, TOPICS, 0, commands=COMMANDS, events=EVENTS, checkpoints=pace)
    lane.start()
    return lane


def without_snapshots(log: DyingLog, pace: Checkpointing) -> LaneMemory:
    """What the lane reads back where its snapshots were deleted."""
    place = log._store.topics[TOPICS.snapshots][0]
    kept, visible = list(place.records), place.visible
    place.records.clear()
    place.visible = 0
    try:
        return restore(log, accounts, TOPICS, 0, EVENTS, pace=pace)
    finally:
        place.records[:], place.visible = kept, visible


@settings(max_examples=300, deadline=None)
@given(paces, works)
def test_a_restore_from_checkpoints_equals_a_full_reading(
    pace: Checkpointing, program: list[tuple[list[Record], Any, int]]
) -> None:
    log = DyingLog()
    provision(log)
    lane = lane_with(log, pace)
    for records, point, passes in program:
        log.append(TOPICS.commands, 0, records)
        log.point, log.passes = point, passes
        try:
            while lane.step(0.0):
                pass
        except Killed:
            log.point = None
            lane = lane_with(log, pace)
        log.point = None
        full = without_snapshots(log, pace)
        assert restore(log, accounts, TOPICS, 0, EVENTS, pace=pace) == full
    states = [record for record in everything(log, TOPICS.snapshots) if record.key == LANE and record.value]
    event(f"checkpoints: {min(len(states), 3)}")
