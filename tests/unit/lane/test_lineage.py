"""Which records are a lane's own: what a lane writes always is, and no copy of it ever is, whatever one bit says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from eventcore.avro.envelope import NOTHING, Envelope, read_envelope, write_envelope
from eventcore.errors import BrokenLog, DecodeError
from eventcore.lane.lineage import BEFORE_ALL, Mark, Placed, standing_of_event
from eventcore.lane.strangers import Strangers
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, TopicPlan
from tests.bank import everything

TOPIC = "bank.account.events"
FIRST_STAMP = 1_700_000_000_000 << 16


@st.composite
def lanes(draw: st.DrawFn) -> list[Envelope]:
    """The envelopes of some turns of one to three events, over some terms."""
    events: list[Envelope] = []
    stamp, cause, term = FIRST_STAMP, 0, 1
    for _ in range(draw(st.integers(1, 8))):
        stamp += draw(st.integers(1, 1 << 20))
        cause += draw(st.integers(1, 5))
        term += draw(st.integers(0, 1))
        count = draw(st.integers(1, 3))
        for index in range(count):
            events.append(Envelope(bytes(16), 1, index, count, term, len(events) + 1, stamp, cause, NOTHING))
    return events


@given(lanes())
def test_what_a_lane_writes_is_its_own_and_what_is_left_out_shows(events: list[Envelope]) -> None:
    last: Placed = BEFORE_ALL
    for event in events:
        assert standing_of_event(event, last) == "own"
        last = event
    for earlier, at in ((events[i], i) for i in range(len(events) - 2)):
        assert standing_of_event(events[at + 2], earlier) == "gap"


@given(lanes(), st.data())
def test_a_copy_with_one_bit_turned_over_is_never_taken_for_a_gap(events: list[Envelope], data: st.DataObject) -> None:
    copied = data.draw(st.sampled_from(events))
    bit = data.draw(st.integers(0, 8 * len(write_envelope(copied)) - 1))
    spoiled = bytearray(write_envelope(copied))
    spoiled[bit // 8] ^= 1 << bit % 8
    try:
        envelope = read_envelope(bytes(spoiled))
    except DecodeError:
        return
    assert standing_of_event(envelope, events[-1]) == "foreign"


def test_where_only_sequence_and_term_are_known_they_alone_tell() -> None:
    event = Envelope(bytes(16), 1, 0, 1, 2, 8, FIRST_STAMP, 5, NOTHING)
    assert standing_of_event(event, Mark(7, 2)) == "own"
    assert standing_of_event(event, Mark(6, 2)) == "gap"
    assert standing_of_event(event, Mark(8, 2)) == "foreign"
    assert standing_of_event(event, Mark(7, 3)) == "foreign"


@given(lanes(), st.lists(st.integers(0, 30), max_size=10), st.data())
def test_strangers_are_passed_over_wherever_the_reading_begins_again(
    events: list[Envelope], places: list[int], data: st.DataObject
) -> None:
    log = MemoryLog()
    log.provision([TopicPlan(TOPIC, 1)])
    ours: list[int] = []
    for event in events:
        ours += log.append(TOPIC, 0, [Record(b"a", b"", write_envelope(event))])
        for copied in (events[place] for place in places if place < event.sequence):
            log.append(TOPIC, 0, [Record(b"b", b"", write_envelope(replace(copied, version=9)))])
    records = everything(log, TOPIC)
    begins = data.draw(st.sampled_from([0, *(offset + 1 for offset in ours)]))
    strangers = Strangers(log, TOPIC, "events")
    strangers.stand({0: begins})
    own = strangers.without(0, records[begins:])
    assert [record.offset for record in own] == [offset for offset in ours if offset >= begins]


def test_where_the_position_is_not_behind_an_own_record_all_before_it_is_read() -> None:
    log = MemoryLog()
    log.provision([TopicPlan(TOPIC, 1)])
    events = [Envelope(bytes(16), n, 0, 1, 1, n, FIRST_STAMP + n, n, NOTHING) for n in (1, 2)]
    log.append(TOPIC, 0, [Record(b"a", b"", write_envelope(events[0])), Record(b"a", b"hello", None)])
    strangers = Strangers(log, TOPIC, "events")
    strangers.stand({0: 2})
    log.append(TOPIC, 0, [Record(b"a", b"", write_envelope(each)) for each in events])
    assert [record.offset for record in strangers.without(0, everything(log, TOPIC)[2:])] == [3]


def test_what_seems_to_leave_records_out_is_passed_over_until_the_next_tells_whose_it_is() -> None:
    first, second, third, fourth = (
        Envelope(bytes(16), n, 0, 1, 1, n, FIRST_STAMP + n, n, NOTHING) for n in range(1, 5)
    )
    log = MemoryLog()
    log.provision([TopicPlan(TOPIC, 1)])
    log.append(TOPIC, 0, [Record(b"a", b"", write_envelope(each)) for each in (third, first, third, second, fourth)])
    records = everything(log, TOPIC)
    strangers = Strangers(log, TOPIC, "events")
    strangers.stand({0: 0})
    assert [[r.offset for r in strangers.without(0, [record])] for record in records[:4]] == [[], [1], [], [3]]
    strangers.stand({0: 2})
    assert strangers.without(0, [records[2]]) == []
    with pytest.raises(BrokenLog, match=r"@2: sequence 3 follows 1: events are missing"):
        strangers.without(0, [records[4]])
