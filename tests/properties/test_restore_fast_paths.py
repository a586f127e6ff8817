"""Reading a batch gives the memory that reading its records one by one gives, whatever stands in the log."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import event, given, settings
from hypothesis import strategies as st

from eventcore.avro.control import Discard, Release
from eventcore.lane.checkpoint import Checkpointing
from eventcore.lane.memory import LaneMemory, Marks
from eventcore.lane.restore import restore
from eventcore.lane.restore_events import Folder
from eventcore.lane.restore_outcomes import Outcomes
from eventcore.lane.runner import LaneRunner
from eventcore.log.port import Recorded
from tests.bank import COMMANDS, EVENTS, TOPICS, accounts, everything, memory_log
from tests.properties.test_lane_crashes import commands
from tests.properties.test_quarantine_order import order

orders = st.builds(
    order, st.sampled_from(["alice", "bob"]), st.sampled_from([Release(), Discard()]), st.integers(1_000, 1_005)
)
sendings = st.lists(st.one_of(commands(), commands(), commands(), orders), min_size=1, max_size=25)


class Lived(NamedTuple):
    """What a lane wrote, with damage, and what it knew half way."""

    events: list[Recorded]
    outcomes: list[Recorded]
    known: LaneMemory
    pace: Checkpointing


def flipped(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with one of them changed, left out, or doubled."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    return data[:at] + draw(st.binary(max_size=2)) + data[at + 1 :]


def damaged(draw: st.DrawFn, record: Recorded) -> Recorded:
    """The record, or, now and then, what it may have become."""
    key, value, header = record.key, record.value, record.envelope
    match draw(st.integers(0, 20)):
        case 0:
            value = flipped(draw, value or b"")
        case 1:
            header = None if header is None else flipped(draw, header)
        case 2:
            key = draw(st.sampled_from([None, b"alice", b"bob", b"nobody"]))
        case 3:
            value = None
        case _:
            pass
    return Recorded(record.offset, key, value, header, record.time_ms)


@st.composite
def lives(draw: st.DrawFn) -> Lived:
    """A lane's log: any commands and orders, then records damaged, left out, or doubled."""
    log = memory_log()
    pace = Checkpointing(draw(st.integers(2, 12)), 4, 4, 1_000)
    sent = draw(sendings)
    half = draw(st.integers(0, len(sent)))
    known = LaneMemory()
    for part in (sent[:half], sent[half:]):
        known = restore(log, accounts, TOPICS, 0, EVENTS, pace=pace)
        lane = LaneRunner(log, accounts, TOPICS, 0, commands=COMMANDS, events=EVENTS, checkpoints=pace)
        lane.start()
        if part:
            log.append(TOPICS.commands, 0, part)
            while lane.step(0.0):
                pass
        lane.close()
    topics: list[list[Recorded]] = []
    for topic in (TOPICS.events, TOPICS.outcomes):
        records = list(everything(log, topic))
        if draw(st.booleans()):
            records = [damaged(draw, record) for record in records]
        if records and draw(st.integers(0, 3)) == 0:
            at = draw(st.integers(0, len(records) - 1))
            records[at : at + 1] = [] if draw(st.booleans()) else [records[at], records[at]]
        topics.append([Recorded(n, r.key, r.value, r.envelope, r.time_ms) for n, r in enumerate(records)])
    return Lived(topics[0], topics[1], known, pace)


def read(life: Lived, start: LaneMemory, at: int, *, tail: bool, fast: bool) -> tuple[Any, ...]:
    """Everything that a memory holds after these records, that which restores do not compare too."""
    memory = copy.deepcopy(start)
    folder = Folder(accounts, TOPICS.events, 0, EVENTS, memory, tail=tail)
    reader = Outcomes(TOPICS.outcomes, 0, memory, tail=tail)
    for taker, records in ((folder, life.events), (reader, life.outcomes)):
        for part in (records[:at], records[at:]):
            _give(taker, part, fast=fast)
    ended = "sound"
    try:
        reader.check_end(folder.gap)
    except Exception as fault:  # noqa: BLE001 - both ways must say the same, whatever it is
        ended = repr(fault)
    folder.judge()
    window = memory.decided
    return (
        memory,
        ended,
        (window.newer, window.older, list(window.newer)),
        (memory.marks.events, memory.marks.outcomes, memory.marks.begun),
        (memory.dirty, memory.changed_steps, memory.changed_stops, memory.judged, memory.waiting.changed),
    )


def _give(taker: Folder | Outcomes, records: Sequence[Recorded], *, fast: bool) -> None:
    if fast:
        taker.read(records)
        return
    for record in records:
        taker.take(record)


@settings(max_examples=400, deadline=None)
@given(lives(), st.sampled_from(["whole", "from a mark", "from before what is known"]), st.integers(0, 30))
def test_reading_a_batch_is_reading_each_of_its_records(life: Lived, where: str, at: int) -> None:
    start = LaneMemory()
    start.decided.size = life.pace.window
    if where != "whole":
        start = copy.deepcopy(life.known)
        start.dirty.clear()
    if where == "from before what is known":
        start.marks = Marks()
    one_by_one = read(life, start, at, tail=where != "whole", fast=False)
    assert read(life, start, at, tail=where != "whole", fast=True) == one_by_one
    event(f"{where}, {'sound' if one_by_one[1] == 'sound' else 'broken'}")
