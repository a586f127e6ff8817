"""Transactions, fencing and limits: L2 and the atomicity of a commit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from eventcore.errors import Fenced, InvalidValue, WrongUse
from eventcore.log.port import RECORD_BYTES_MAX, LocalWriter, Log, Record, Writer
from eventcore.topics import Topics
from tests.contracts.log.places import LANE_READER, TOPICS, Place, keys, owned, plans, read, record


def test_a_commit_shows_every_topic_and_the_consumed_position(log: Log) -> None:
    writer = owned(log)
    writer.append(TOPICS.events, [record("e1"), record("e2")])
    writer.append(TOPICS.outcomes, [record("o1")])
    writer.append(TOPICS.events, [record("e3")])
    writer.append(TOPICS.snapshots, [record("s1")])
    offsets = writer.commit(7)
    found = {topic: read(log, topic) for topic in TOPICS[1:]}
    assert {topic: keys(records) for topic, records in found.items()} == {
        TOPICS.events: ["e1", "e2", "e3"],
        TOPICS.outcomes: ["o1"],
        TOPICS.snapshots: ["s1"],
    }
    assert {topic: list(of) for topic, of in offsets.items()} == {
        topic: [r.offset for r in records] for topic, records in found.items()
    }
    assert log.saved(LANE_READER, TOPICS.commands, 0) == 7
    assert log.saved(LANE_READER, TOPICS.commands, 1) is None


def test_an_abort_shows_no_topic_and_moves_no_position(log: Log) -> None:
    writer = owned(log)
    writer.append(TOPICS.events, [record("e0")])
    writer.commit(3)
    for topic in TOPICS[1:]:
        writer.append(topic, [record("aborted")])
    writer.abort()
    assert keys(read(log, TOPICS.events)) == ["e0"]
    assert read(log, TOPICS.outcomes) == read(log, TOPICS.snapshots) == []
    assert log.saved(LANE_READER, TOPICS.commands, 0) == 3


def test_a_transaction_of_nothing_but_a_position_is_kept(log: Log) -> None:
    writer = owned(log)
    assert writer.commit(5) == {}
    assert log.saved(LANE_READER, TOPICS.commands, 0) == 5
    assert writer.commit(None) == {}
    assert log.saved(LANE_READER, TOPICS.commands, 0) == 5


def test_transactions_follow_each_other(log: Log) -> None:
    writer = owned(log)
    offsets: list[int] = []
    for i in range(20):
        writer.append(TOPICS.events, [record(str(i))])
        offsets += writer.commit(i)[TOPICS.events]
    found = read(log, TOPICS.events)
    assert keys(found) == [str(i) for i in range(20)]
    assert [r.offset for r in found] == offsets


def test_a_large_transaction_is_one(log: Log) -> None:
    writer = owned(log)
    for batch in range(30):
        writer.append(TOPICS.events, [record(f"{batch}.{i}", "x" * 100) for i in range(1_000)])
    offsets = writer.commit(1)[TOPICS.events]
    assert [r.offset for r in read(log, TOPICS.events)] == list(offsets)
    assert len(offsets) == 30_000


def test_lanes_of_other_partitions_and_aggregates_do_not_fence_each_other(log: Log) -> None:
    others = Topics.of("bank", "other")
    log.provision(plans(others))
    writers = [owned(log, 0), owned(log, 1), log.own(others, 0)]
    for writer, topics in zip(writers, (TOPICS, TOPICS, others), strict=True):
        writer.append(topics.events, [record("mine")])
    for writer in writers:
        writer.commit(1)
    assert keys(read(log, TOPICS.events, 0)) == keys(read(log, TOPICS.events, 1)) == ["mine"]
    assert keys(read(log, others.events, 0)) == ["mine"]


def _idle(_: Writer) -> None:
    pass


def _after_a_commit(writer: Writer) -> None:
    writer.append(TOPICS.events, [record("kept")])
    writer.commit(1)


def _after_an_append(writer: Writer) -> None:
    writer.append(TOPICS.events, [record("lost")])


def _after_large_appends(writer: Writer) -> None:
    for _ in range(5):
        writer.append(TOPICS.events, [record("lost", "x" * 10_000)] * 20)
        writer.append(TOPICS.outcomes, [record("lost", "x" * 10_000)] * 20)


@pytest.mark.parametrize("stage", [_idle, _after_a_commit, _after_an_append, _after_large_appends])
def test_a_former_writer_cannot_commit(place: Place, stage: Callable[[Writer], None]) -> None:
    former = owned(place.log)
    stage(former)
    rival = place.rival()
    owner = owned(rival)
    end = {topic: rival.end(topic, 0) for topic in TOPICS}
    with pytest.raises(Fenced):
        _append_and_commit(former, "zombie")
    with pytest.raises(Fenced):
        _append_and_commit(former, "zombie again")
    kept = keys(read(rival, TOPICS.events, until=end[TOPICS.events]))
    assert kept == (["kept"] if stage is _after_a_commit else [])
    assert {topic: rival.end(topic, 0) for topic in TOPICS} == end, "a former owner wrote after `own` had returned"
    owner.append(TOPICS.events, [record("owner")])
    owner.commit(2)
    assert keys(read(rival, TOPICS.events)) == [*kept, "owner"]
    assert rival.saved(LANE_READER, TOPICS.commands, 0) == 2
    former.abort()
    former.close()
    rival.close()


def _append_and_commit(writer: Writer, key: str) -> None:
    writer.append(TOPICS.events, [record(key)])
    writer.commit(99)


def test_what_a_former_writer_left_open_is_decided_when_own_returns(place: Place) -> None:
    former = owned(place.log)
    former.append(TOPICS.events, [record("open")] * 10)
    owner = owned(place.rival())
    end = place.log.end(TOPICS.events, 0)
    assert read(place.log, TOPICS.events, until=end) == []
    assert place.log.stable_end(TOPICS.events, 0) == end
    owner.close()


def test_a_writer_that_gave_up_its_lane_leaves_nothing_open(log: Log) -> None:
    writer = owned(log)
    writer.append(TOPICS.events, [record("open")])
    writer.close()
    writer.close()
    assert read(log, TOPICS.events) == []
    with pytest.raises(WrongUse):
        writer.append(TOPICS.events, [record("late")])
    with pytest.raises(WrongUse):
        writer.commit(None)
    with contextlib.closing(owned(log)) as again:
        again.append(TOPICS.events, [record("next")])
        again.commit(None)
    assert keys(read(log, TOPICS.events)) == ["next"]


def test_a_lane_does_not_write_to_topics_that_others_write(log: Log) -> None:
    writer = owned(log)
    with pytest.raises(WrongUse, match=r"bank\.account\.commands"):
        writer.append(TOPICS.commands, [record("a")])
    with pytest.raises(WrongUse, match=r"bank\.other\.events"):
        writer.append("bank.other.events", [record("a")])


def test_a_record_at_the_limit_is_kept_and_one_above_refused_before_anything_is_written(log: Log) -> None:
    room = RECORD_BYTES_MAX - len(b"key") - len(b"envelope") - len("name") - len(b"header")
    largest = Record(b"key", b"v" * room, b"envelope", 1_000, (("name", b"header"),))
    larger = Record(b"key", b"v" * (room + 1), b"envelope", 1_000, (("name", b"header"),))
    with pytest.raises(InvalidValue, match=r"at most 1,000,000 bytes .* has 1,000,001"):
        log.append(TOPICS.commands, 0, [record("before"), larger])
    assert read(log, TOPICS.commands) == []
    log.append(TOPICS.commands, 0, [largest])
    assert [len(r.value or b"") for r in read(log, TOPICS.commands)] == [room]
    writer = owned(log)
    writer.append(TOPICS.events, [largest])
    with pytest.raises(InvalidValue):
        writer.append(TOPICS.events, [record("before"), larger])
    writer.append(TOPICS.events, [record("after")])
    writer.commit(None)
    assert keys(read(log, TOPICS.events)) == ["key", "after"]


def test_a_record_from_before_1970_is_refused(log: Log) -> None:
    with pytest.raises(InvalidValue, match="1970"):
        log.append(TOPICS.commands, 0, [Record(b"a", b"", None, -1)])


def test_appending_nothing_writes_nothing(log: Log) -> None:
    assert list(log.append(TOPICS.commands, 0, [])) == []
    writer = owned(log)
    writer.append(TOPICS.events, [])
    assert not any(writer.commit(None).values())
    assert log.end(TOPICS.events, 0) == 0


def test_a_local_writer_receives_commands_in_its_transaction(embedded: Place) -> None:
    log = embedded.log
    log.append(TOPICS.commands, 0, [record("earlier")])
    writer = owned(log)
    assert isinstance(writer, LocalWriter)
    first = writer.receive([record("c1"), record("c2")])
    assert first == 1
    assert writer.receive([record("c3")]) == 3
    writer.append(TOPICS.events, [record("e1")])
    assert keys(read(log, TOPICS.commands, until=log.stable_end(TOPICS.commands, 0))) == ["earlier"]
    offsets = writer.commit(4)
    assert list(offsets[TOPICS.events]) == [0]
    assert list(offsets[TOPICS.commands]) == [1, 2, 3]
    found = read(log, TOPICS.commands)
    assert keys(found) == ["earlier", "c1", "c2", "c3"]
    assert [r.offset for r in found] == [0, 1, 2, 3]


def test_received_commands_vanish_with_an_abort(embedded: Place) -> None:
    writer = owned(embedded.log)
    assert isinstance(writer, LocalWriter)
    writer.receive([record("lost")])
    writer.append(TOPICS.events, [record("lost")])
    writer.abort()
    log = embedded.log
    assert read(log, TOPICS.commands) == read(log, TOPICS.events) == []
    log.append(TOPICS.commands, 0, [record("kept")])
    assert keys(read(log, TOPICS.commands)) == ["kept"]


def test_owning_again_drops_received_commands(embedded: Place) -> None:
    former = owned(embedded.log)
    assert isinstance(former, LocalWriter)
    former.receive([record("lost")])
    owner = owned(embedded.log)
    with pytest.raises(Fenced):
        former.receive([record("zombie")])
    with pytest.raises(Fenced):
        former.commit(1)
    assert isinstance(owner, LocalWriter)
    owner.receive([record("kept")])
    owner.commit(1)
    assert keys(read(embedded.log, TOPICS.commands)) == ["kept"]


def test_a_record_may_bear_any_time(log: Log) -> None:
    (offset,) = log.append(TOPICS.commands, 0, [Record(b"k", b"v", time_ms=4_000_000_000_000)])
    (read_back,) = read(log, TOPICS.commands)
    assert (read_back.offset, read_back.time_ms) == (offset, 4_000_000_000_000)
