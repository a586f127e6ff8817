"""What a crash left undecided is ended as it was decided, in whichever topics its end is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from eventcore.lane.facts import LANE
from eventcore.lane.hanging import NOTHING, mend, whole
from eventcore.lane.restore import read_to
from eventcore.log.memory import MemoryLog, MemoryWriter
from eventcore.log.port import Hanging, Record, Recorded
from tests.bank import TOPICS, Deposit, Withdraw, command, lane_on, memory_log

Pieces = Mapping[str, Sequence[Recorded]]


class Crashed(NamedTuple):
    """A log as readers see it after a crash, the last transaction of it, and what of that hangs."""

    log: MemoryLog
    last: Pieces
    hanging: dict[str, Hanging]


def written(turns: Sequence[Sequence[int]]) -> list[Pieces]:
    """What a lane writes in each transaction: deposits of these amounts, and where the amount is 0 something refused."""
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    pieces: list[Pieces] = []
    ends = dict.fromkeys((TOPICS.events, TOPICS.outcomes), 0)
    for number, amounts in enumerate(turns):
        lane.decide(
            [
                command("alice", Deposit(amount) if amount else Withdraw(999), f"{number} {index}")
                for index, amount in enumerate(amounts)
            ]
        )
        found: dict[str, Sequence[Recorded]] = {}
        for topic, start in ends.items():
            ends[topic] = log.end(topic, 0)
            found[topic] = [r for records in read_to(log, topic, 0, ends[topic], start=start) for r in records]
        pieces.append(found)
    lane.close()
    return pieces


def put(log: MemoryLog, topic: str, records: Iterable[Recorded]) -> None:
    """Write records as a lane's writer does."""
    writer = log.own(TOPICS, 0)
    writer.append(topic, [Record(r.key or b"", r.value, r.envelope, r.time_ms) for r in records])
    writer.commit(None)
    writer.close()


def crashed(turns: Sequence[Sequence[int]], hangs: Iterable[str], *, committed: bool, kept: float = 1.0) -> Crashed:
    """The last transaction hangs in these topics, with this part of it there; its end came through in the others."""
    *before, last = written(turns)
    log = memory_log()
    for pieces in before:
        for topic, records in pieces.items():
            put(log, topic, records)
    hanging: dict[str, Hanging] = {}
    for topic, records in last.items():
        if topic in hangs:
            hanging[topic] = Hanging(log.end(topic, 0), records[: round(len(records) * kept)])
        elif committed:
            put(log, topic, records)
    return Crashed(log, last, hanging)


AMOUNTS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=4)
HANGS = st.sampled_from([{TOPICS.events}, {TOPICS.outcomes}, {TOPICS.events, TOPICS.outcomes}])


@given(AMOUNTS, HANGS)
def test_what_was_committed_is_ended_as_committed_wherever_it_hangs(turns: list[list[int]], hangs: set[str]) -> None:
    log, _, hanging = crashed(turns, hangs, committed=True)
    assert whole(log, TOPICS, 0, hanging)


@given(AMOUNTS, HANGS, st.sets(st.sampled_from([TOPICS.events, TOPICS.outcomes])))
def test_what_was_committed_is_ended_so_where_the_next_transaction_stands_behind_it(
    turns: list[list[int]], hangs: set[str], next_hangs: set[str]
) -> None:
    """G3: its commit was acknowledged before; the end of it may be there, or hang wherever it likes."""
    log = memory_log()
    *before, last, following = written([*turns, [1, 0, 2]])
    for pieces in before:
        for topic, records in pieces.items():
            put(log, topic, records)
    hanging: dict[str, Hanging] = {}
    for topic in (TOPICS.events, TOPICS.outcomes):
        if topic in hangs and last[topic]:
            hanging[topic] = Hanging(log.end(topic, 0), last[topic], following[topic])
            continue
        put(log, topic, last[topic])
        if topic in next_hangs:
            hanging[topic] = Hanging(log.end(topic, 0), following[topic])
        else:
            put(log, topic, following[topic])
    assert whole(log, TOPICS, 0, hanging)


@given(AMOUNTS, st.sampled_from([TOPICS.events, TOPICS.outcomes]))
def test_what_was_aborted_elsewhere_is_ended_as_aborted_if_it_has_events(turns: list[list[int]], hangs: str) -> None:
    log, last, hanging = crashed(turns, {hangs}, committed=False)
    assert whole(log, TOPICS, 0, hanging) == (not last[TOPICS.events])


@given(AMOUNTS, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_what_is_ended_as_committed_leaves_a_log_that_agrees_with_itself(
    turns: list[list[int]], events: float, outcomes: float
) -> None:
    """G1, G2: whatever part of a transaction reached the log before the crash."""
    log, last, hanging = crashed(turns, {TOPICS.events, TOPICS.outcomes}, committed=True)
    for topic, kept in ((TOPICS.events, events), (TOPICS.outcomes, outcomes)):
        hanging[topic] = Hanging(hanging[topic].start, last[topic][: round(len(last[topic]) * kept)])
    commit = whole(log, TOPICS, 0, hanging)
    if commit:
        for topic, each in hanging.items():
            put(log, topic, each.records)
    lane = lane_on(log)
    lane.start()  # BrokenLog where outcomes and events do not agree
    if len(hanging[TOPICS.outcomes].records) == len(last[TOPICS.outcomes]) and events == 1.0:
        assert commit
    lane.close()


def test_records_of_others_among_what_hangs_count_for_nothing() -> None:
    log, _, hanging = crashed([[1, 2], [3, 0, 1]], {TOPICS.events, TOPICS.outcomes}, committed=True)
    strange = Recorded(99, b"alice", b"\x00", b"\x00", 0)
    for topic, each in hanging.items():
        hanging[topic] = Hanging(each.start, [strange, *each.records, strange])
    assert whole(log, TOPICS, 0, hanging)


def test_the_last_record_of_the_lane_is_found_behind_many_of_others() -> None:
    log, _, hanging = crashed([[1, 2], [3]], {TOPICS.events, TOPICS.outcomes}, committed=True)
    writer = log.own(TOPICS, 0)
    for topic in (TOPICS.events, TOPICS.outcomes):
        writer.append(topic, [Record(b"alice", b"\x00", b"\x00")] * 2_500)
    writer.commit(None)
    writer.close()
    hanging = {topic: Hanging(log.end(topic, 0), each.records) for topic, each in hanging.items()}
    assert whole(log, TOPICS, 0, hanging)


class Mending(MemoryWriter):
    """A writer of a log in memory that finds something hanging, and tells how it was ended."""

    def __init__(self, found: Mapping[str, Hanging]) -> None:
        self._found = found
        self.ended: list[tuple[dict[str, Record], bool]] = []

    def hanging(self) -> Mapping[str, Hanging]:
        """What hangs."""
        return self._found

    def end_hanging(self, records: Mapping[str, Record], *, commit: bool) -> None:
        """How it is ended."""
        self.ended.append((dict(records), commit))


def test_snapshots_that_hang_are_ended_with_the_checkpoint_taken_out() -> None:
    log, _, hanging = crashed([[1], [2]], {TOPICS.events}, committed=True)
    hanging[TOPICS.snapshots] = Hanging(0, [])
    writer = Mending(hanging)
    mend(log, writer, TOPICS, 0)
    assert writer.ended == [({TOPICS.snapshots: Record(LANE, None)}, True), ({TOPICS.events: NOTHING}, True)]


def test_where_nothing_hangs_nothing_is_written() -> None:
    writer = Mending({})
    mend(memory_log(), writer, TOPICS, 0)
    assert writer.ended == []
