"""A relay sends what its route asks for: in order, at least once, and nothing after a failed delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from eventcore import Cut, Position
from eventcore import relay as relays
from eventcore.errors import DataError, LogUnavailable, WrongUse
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, Recorded, TopicPlan
from eventcore.relay import BATCH_RECORDS_MAX, Relay, Routed
from tests.bank import everything


class FailingLog(MemoryLog):
    """A log that refuses the nth append or save from now on."""

    def __init__(self) -> None:
        super().__init__()
        self.fail_append = self.fail_save = -1

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> Sequence[int]:
        """Append, or fail with nothing written."""
        self.fail_append -= 1
        if self.fail_append == 0:
            raise LogUnavailable("the log is away")
        return super().append(topic, partition, records)

    def save(self, reader: str, topic: str, positions: Mapping[int, int]) -> None:
        """Save, or fail."""
        self.fail_save -= 1
        if self.fail_save == 0:
            raise LogUnavailable("the log is away")
        super().save(reader, topic, positions)


@pytest.fixture
def log() -> FailingLog:
    """Two partitions to read, two topics to write."""
    log = FailingLog()
    log.provision([TopicPlan("source", 2), TopicPlan("left", 1), TopicPlan("right", 1)])
    return log


def route(at: Position, record: Recorded) -> Routed | None:
    """Values that begin with `l` go left, with `r` right; the rest asks for nothing."""
    value = record.value or b""
    if value.startswith(b"!"):
        raise DataError("cannot be routed")
    topic = {b"l": "left", b"r": "right"}.get(value[:1])
    return None if topic is None else Routed(topic, 0, Record(str(at).encode(), value, None, 1_000))


def relay_on(log: MemoryLog) -> Relay:
    """A started relay."""
    relay = Relay(log, "relay:source", "source", route)
    relay.start()
    return relay


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        """What it shows."""
        return self.ms


def later(at: Position, record: Recorded) -> Routed | None:
    """As `route`, but what ends with digits is due at that many milliseconds."""
    routed = route(at, record)
    due = (record.value or b"")[1:]
    return routed if routed is None or not due.isdigit() else routed._replace(due_ms=int(due))


def relay_by(log: MemoryLog, clock: Clock) -> Relay:
    """A started relay that goes by this clock."""
    relay = Relay(log, "relay:source", "source", later, now_ms=clock)
    relay.start()
    return relay


def write(log: MemoryLog, partition: int, *values: str) -> None:
    """Put records into the source."""
    log.append("source", partition, [Record(b"k", value.encode(), None, 1_000) for value in values])


def values(log: MemoryLog, topic: str) -> list[str]:
    """What arrived, in order."""
    return [(record.value or b"").decode() for record in everything(log, topic)]


def test_what_the_route_asks_for_is_sent_in_order(log: FailingLog) -> None:
    write(log, 0, "l1", "r1", "nothing", "l2")
    write(log, 1, "l3", "r2")
    relay = relay_on(log)
    assert relay.step(0.0) == 6
    assert values(log, "left") in (["l1", "l2", "l3"], ["l3", "l1", "l2"])
    assert sorted(values(log, "right")) == ["r1", "r2"]
    assert relay.position == Cut({("source", 0): 4, ("source", 1): 2})
    assert everything(log, "left")[0].key in (b"source[0]@0", b"source[1]@0")


def test_nothing_new_is_nothing_to_do(log: FailingLog) -> None:
    relay = relay_on(log)
    assert relay.step(0.0) == 0
    assert relay.position == Cut()


def test_a_relay_that_starts_again_goes_on_where_it_saved(log: FailingLog) -> None:
    write(log, 0, "l1")
    relay_on(log).step(0.0)
    write(log, 0, "l2")
    relay = relay_on(log)
    assert relay.position == Cut({("source", 0): 1})
    relay.step(0.0)
    assert values(log, "left") == ["l1", "l2"]


def test_records_that_ask_for_nothing_move_the_position_too(log: FailingLog) -> None:
    write(log, 0, "nothing")
    relay_on(log).step(0.0)
    assert log.saved("relay:source", "source", 0) == 1


def test_a_crash_between_sending_and_saving_sends_again_and_skips_nothing(log: FailingLog) -> None:
    write(log, 0, "l1", "l2")
    relay = relay_on(log)
    log.fail_save = 1
    with pytest.raises(LogUnavailable):
        relay.step(0.0)
    assert log.saved("relay:source", "source", 0) is None
    relay_on(log).step(0.0)
    assert values(log, "left") == ["l1", "l2", "l1", "l2"]
    again = everything(log, "left")
    assert [r.key for r in again[:2]] == [r.key for r in again[2:]]


def test_a_failed_delivery_leaves_everything_from_there_on_unsent_and_unsaved(log: FailingLog) -> None:
    write(log, 0, "l1", "r1", "l2")
    relay = relay_on(log)
    log.fail_append = 2
    with pytest.raises(LogUnavailable):
        relay.step(0.0)
    assert (values(log, "left"), values(log, "right")) == (["l1", "l2"], [])
    relay.start()
    relay.step(0.0)
    assert (values(log, "left"), values(log, "right")) == (["l1", "l2", "l1", "l2"], ["r1"])


def test_a_record_that_cannot_be_routed_stops_the_relay_where_it_stands(log: FailingLog) -> None:
    write(log, 0, "l1", "!", "l2")
    relay = relay_on(log)
    for _ in range(2):
        with pytest.raises(DataError, match="cannot be routed"):
            relay.step(0.0)
        relay.start()
    assert values(log, "left") == []
    assert log.saved("relay:source", "source", 0) is None


def test_a_relay_that_failed_must_be_started_again(log: FailingLog) -> None:
    """It has read what it did not send: going on from there would pass over it."""
    write(log, 0, "l1")
    relay = relay_on(log)
    log.fail_append = 1
    with pytest.raises(LogUnavailable):
        relay.step(0.0)
    with pytest.raises(WrongUse, match="the relay relay:source is not started, or failed since"):
        relay.step(0.0)


def test_a_step_reads_a_bounded_number_of_records(log: FailingLog) -> None:
    write(log, 0, *(["l"] * (BATCH_RECORDS_MAX + 5)))
    relay = relay_on(log)
    assert [relay.step(0.0) for _ in range(3)] == [BATCH_RECORDS_MAX, 5, 0]


def test_a_relay_that_was_not_started_or_is_closed_does_nothing(log: FailingLog) -> None:
    relay = Relay(log, "relay:source", "source", route)
    with pytest.raises(WrongUse):
        relay.step(0.0)
    relay.start()
    relay.close()
    relay.close()
    with pytest.raises(WrongUse):
        relay.step(0.0)


def test_what_is_not_due_waits_while_others_go_on(log: FailingLog) -> None:
    write(log, 0, "l", "l50", "r", "l60")
    clock = Clock()
    relay = relay_by(log, clock)
    assert relay.step(0.0) == 4
    assert (values(log, "left"), values(log, "right")) == (["l"], ["r"])
    assert relay.position == Cut({("source", 0): 4})
    assert relay.step(0.0) == 0
    clock.ms = 50
    assert relay.step(9.0) == 1  # it waits for nothing else first
    assert values(log, "left") == ["l", "l50"]
    assert log.saved("relay:source", "source", 0) == 3


def test_what_waits_is_read_again_by_the_relay_that_starts_after_a_crash(log: FailingLog) -> None:
    write(log, 0, "l", "l50", "r", "l60")
    clock = Clock()
    relay_by(log, clock).step(0.0)
    assert log.saved("relay:source", "source", 0) == 1
    relay = relay_by(log, clock)
    relay.step(0.0)
    clock.ms = 60
    relay.step(0.0)
    assert (values(log, "left"), values(log, "right")) == (["l", "l50", "l60"], ["r", "r"])
    assert log.saved("relay:source", "source", 0) == 4


@pytest.mark.parametrize(("bound", "most"), [("HELD_MAX", 2), ("HELD_BYTES_MAX", 6)])
def test_a_relay_holds_a_bounded_number_back_and_then_reads_no_more(
    log: FailingLog, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(relays, bound, most)
    monkeypatch.setattr(relays, "BATCH_RECORDS_MAX", 1)
    write(log, 0, "l50", "l60", "l")
    clock = Clock()
    relay = relay_by(log, clock)
    assert [relay.step(0.0) for _ in range(3)] == [1, 1, 0]
    clock.ms = 50
    assert [relay.step(0.0) for _ in range(2)] == [1, 1]
    assert values(log, "left") == ["l50", "l"]
