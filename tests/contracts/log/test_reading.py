"""L1 and L3: what readers see, and when."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from eventcore.errors import DataError, InvalidValue, UnknownName
from eventcore.log.port import FILLER, POLL_BYTES_MAX, RECORD_BYTES_MAX, Log, Record, Recorded
from tests.contracts.log.places import POLL_S, TOPICS, Place, keys, owned, read, record


def test_a_record_comes_back_as_it_was_written(log: Log) -> None:
    written = [
        Record(b"plain", b"value", b"envelope", 1_000),
        Record(b"tombstone", None, b"envelope", 1_001),
        Record(b"empty", b"", b"", 1_002),
        Record(b"no envelope", b"value", None, 1_003),
        Record(bytes(range(256)), bytes(range(256)), bytes(range(256)), 1_004),
        Record(b"", b"empty key", None, 1_005),
        Record(b"headers", b"", b"envelope", 1_006, (("a", b"1"), ("b", b""), ("a", bytes(range(256))))),
        Record(b"only others", b"", None, 1_007, (("name with ünicode", b"1"),)),
    ]
    offsets = log.append(TOPICS.commands, 0, written)
    assert read(log, TOPICS.commands) == [
        Recorded(offset, r.key, r.value, r.envelope, r.time_ms, r.headers)
        for offset, r in zip(offsets, written, strict=True)
    ]


def test_a_record_that_bears_the_header_of_a_filler_and_says_something_is_read(log: Log) -> None:
    """Whoever writes a command may write headers, too; it has an outcome all the same."""
    filler = (FILLER, b"")
    written = [
        Record(b"alice", b"a command", b"envelope", 1_000, (filler,)),
        Record(b"alice", b"a command", None, 1_001, (filler,)),
        Record(b"alice", None, None, 1_002, (filler,)),
        Record(b"", b"a command", None, 1_003, (filler,)),
        Record(b"", b"", None, 1_004, (filler,)),
        Record(b"", None, None, 1_005, (filler, ("another", b""))),
        Record(b"", None, None, 1_006, ((FILLER, b"said"),)),
        Record(b"", None, b"envelope", 1_007, (filler,)),
    ]
    log.append(TOPICS.commands, 0, written)
    assert [found.time_ms for found in read(log, TOPICS.commands)] == [each.time_ms for each in written]


def test_a_record_without_a_time_is_stamped_by_the_log(log: Log) -> None:
    log.append(TOPICS.commands, 0, [Record(b"a", b"", None)])
    (stamped,) = read(log, TOPICS.commands)
    assert stamped.time_ms > 1_500_000_000_000


def test_an_open_transaction_is_not_read(log: Log) -> None:
    writer = owned(log)
    writer.append(TOPICS.events, [record("decided")])
    writer.commit(None)
    visible = read(log, TOPICS.events)[-1].offset + 1
    writer.append(TOPICS.events, [record(f"open{i}") for i in range(100)])
    follower = log.follow(TOPICS.events, {0: 0})
    seen: list[Recorded] = []
    while not seen:
        seen += follower.poll(1_000, POLL_S).get(0, ())
    for _ in range(3):
        seen += follower.poll(1_000, 0.1).get(0, ())
    assert keys(seen) == ["decided"]
    assert log.stable_end(TOPICS.events, 0) >= visible
    writer.abort()


def test_the_stable_end_and_positions_stop_before_an_open_transaction(log: Log) -> None:
    writer = owned(log)
    writer.append(TOPICS.events, [record("open")])
    stable = log.stable_end(TOPICS.events, 0)
    follower = log.follow(TOPICS.events, {0: 0})
    follower.poll(10, 0.1)
    assert follower.positions[0] <= stable
    offset = writer.commit(None)[TOPICS.events][0]
    assert stable <= offset
    assert keys(read(log, TOPICS.events)) == ["open"]


def test_an_aborted_transaction_is_never_read_and_passed_over(log: Log) -> None:
    writer = owned(log)
    writer.append(TOPICS.events, [record("aborted")] * 10)
    writer.append(TOPICS.outcomes, [record("aborted")])
    writer.abort()
    assert read(log, TOPICS.events) == []
    assert read(log, TOPICS.outcomes) == []


def test_committed_records_between_aborted_ones_are_read_in_order_and_once(log: Log) -> None:
    writer = owned(log)
    committed: list[int] = []
    for batch in range(12):
        writer.append(TOPICS.events, [record(f"{batch}.{i}") for i in range(3)])
        if batch % 3:
            committed += writer.commit(None)[TOPICS.events]
        else:
            writer.abort()
    found = read(log, TOPICS.events)
    assert keys(found) == [f"{batch}.{i}" for batch in range(12) if batch % 3 for i in range(3)]
    assert [r.offset for r in found] == committed == sorted(set(committed))


def test_a_poll_is_bounded_by_bytes_too_and_goes_on_where_it_stopped(embedded: Place) -> None:
    """A broker's fetch has such a bound; what it has fetched already it returns. Memory gives what is in memory already."""
    large = [Record(str(n).encode(), bytes(RECORD_BYTES_MAX - 10), None, 1_000) for n in range(40)]
    for partition in (0, 1):
        for each in large:
            embedded.log.append(TOPICS.commands, partition, [each])
    embedded.log.append(TOPICS.commands, 0, [record("last")])
    with contextlib.closing(embedded.log.follow(TOPICS.commands, {0: 0, 1: 0})) as follower:
        seen: dict[int, list[Recorded]] = {0: [], 1: []}
        while polled := follower.poll(1_000, 0.0):
            size = sum(len(found.value or b"") for records in polled.values() for found in records)
            assert size < POLL_BYTES_MAX + RECORD_BYTES_MAX or embedded.kind == "memory"
            for partition, records in polled.items():
                seen[partition] += records
    assert keys(seen[0]) == [*map(str, range(40)), "last"]
    assert keys(seen[1]) == [*map(str, range(40))]


def test_partitions_are_apart(log: Log) -> None:
    log.append(TOPICS.commands, 0, [record("zero")])
    log.append(TOPICS.commands, 1, [record("one"), record("two")])
    assert keys(read(log, TOPICS.commands, 0)) == ["zero"]
    assert keys(read(log, TOPICS.commands, 1)) == ["one", "two"]


def test_a_follower_reads_several_partitions(log: Log) -> None:
    for partition in (0, 1):
        log.append(TOPICS.commands, partition, [record(f"{partition}.{i}") for i in range(50)])
    follower = log.follow(TOPICS.commands, {0: 0, 1: 0})
    found: dict[int, list[Recorded]] = {0: [], 1: []}
    while sum(map(len, found.values())) < 100:
        polled = follower.poll(7, POLL_S)
        assert 0 < sum(map(len, polled.values())) <= 7
        for partition, records in polled.items():
            found[partition] += records
    assert {p: keys(records) for p, records in found.items()} == {p: [f"{p}.{i}" for i in range(50)] for p in (0, 1)}
    assert follower.positions == {p: records[-1].offset + 1 for p, records in found.items()}


def test_a_follower_starts_where_it_is_told(log: Log) -> None:
    offsets = log.append(TOPICS.commands, 0, [record(str(i)) for i in range(10)])
    assert keys(read(log, TOPICS.commands, start=offsets[7])) == ["7", "8", "9"]
    assert read(log, TOPICS.commands, start=offsets[-1] + 1) == []


def test_a_follower_at_the_end_sees_what_comes(log: Log) -> None:
    log.append(TOPICS.commands, 0, [record("old")])
    follower = log.follow(TOPICS.commands, {0: log.end(TOPICS.commands, 0)})
    assert follower.poll(10, 0.05) == {}
    log.append(TOPICS.commands, 0, [record("new")])
    assert keys(list(follower.poll(10, POLL_S)[0])) == ["new"]


def test_a_waiting_follower_is_woken(log: Log) -> None:
    follower = log.follow(TOPICS.commands, {0: 0, 1: 0})
    found: list[Recorded] = []

    def wait() -> None:
        while not found:
            found.extend(r for records in follower.poll(10, POLL_S).values() for r in records)

    thread = threading.Thread(target=wait)
    thread.start()
    log.append(TOPICS.commands, 1, [record("late")])
    thread.join(POLL_S)
    assert keys(found) == ["late"]


def test_a_start_beyond_the_end_is_refused(log: Log) -> None:
    end = log.append(TOPICS.commands, 0, [record("last")])[-1] + 1
    with pytest.raises(DataError, match=rf"commands\[0\] ends at {end}, and the start asked for is {end + 1}"):
        log.follow(TOPICS.commands, {0: end + 1})


def test_an_empty_topic_begins_and_ends_at_zero(log: Log) -> None:
    assert (log.beginning(TOPICS.events, 0), log.end(TOPICS.events, 0), log.stable_end(TOPICS.events, 0)) == (0, 0, 0)


def test_the_end_counts_every_record(log: Log) -> None:
    log.append(TOPICS.commands, 0, [record("a"), record("b")])
    assert (log.end(TOPICS.commands, 0), log.stable_end(TOPICS.commands, 0)) == (2, 2)
    assert log.beginning(TOPICS.commands, 0) == 0


def test_offsets_are_found_by_time(log: Log) -> None:
    offsets = log.append(TOPICS.commands, 0, [record(str(t), time_ms=t) for t in (1_000, 1_000, 1_500, 2_000)])
    found = {t: log.offset_at(TOPICS.commands, 0, t) for t in (0, 1_000, 1_001, 1_500, 2_000)}
    assert found == {0: offsets[0], 1_000: offsets[0], 1_001: offsets[2], 1_500: offsets[2], 2_000: offsets[3]}
    assert log.offset_at(TOPICS.commands, 0, 2_001) == log.end(TOPICS.commands, 0)


def test_a_reader_that_starts_at_a_time_misses_no_committed_record(log: Log) -> None:
    writer = owned(log)
    now_ms = time.time_ns() // 1_000_000 + 60_000  # ahead of the stamps that a broker gives to its control records
    for seconds in (1, 2, 3):
        writer.append(TOPICS.events, [record("aborted", time_ms=now_ms + 1_000 * seconds)])
        writer.abort()
        writer.append(TOPICS.events, [record(str(seconds), time_ms=now_ms + 1_000 * seconds)])
        writer.commit(None)
    assert keys(read(log, TOPICS.events)) == ["1", "2", "3"]
    found = {
        ms: keys(read(log, TOPICS.events, start=log.offset_at(TOPICS.events, 0, now_ms + ms)))
        for ms in (0, 1_000, 1_500, 3_000, 3_001)
    }
    everything = ["1", "2", "3"]
    assert found == {0: everything, 1_000: everything, 1_500: ["2", "3"], 3_000: ["3"], 3_001: []}


def test_unknown_topics_and_partitions_are_named(log: Log) -> None:
    with pytest.raises(UnknownName, match=r"bank\.nothing"):
        log.partitions("bank.nothing")
    with pytest.raises(UnknownName, match=r"bank\.nothing"):
        log.append("bank.nothing", 0, [record("a")])
    with pytest.raises(UnknownName, match=r"bank\.nothing"):
        log.follow("bank.nothing", {0: 0})
    with pytest.raises(InvalidValue, match=r"commands\[2\]: the topic has 2 partitions, 0 to 1"):
        log.append(TOPICS.commands, 2, [record("a")])
    with pytest.raises(InvalidValue, match=r"commands\[2\]"):
        log.follow(TOPICS.commands, {2: 0})
    with pytest.raises(InvalidValue, match=r"commands\[-1\]"):
        log.end(TOPICS.commands, -1)
