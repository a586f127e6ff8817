"""What a client's threads wait for: each waiting gets one outcome, in the order of the log, and none is kept for nobody."""

from __future__ import annotations

import time
from typing import NoReturn

import pytest

from eventcore.app import awaited as awaiting
from eventcore.app.awaited import Awaited
from eventcore.app.listening import outcomes_in
from eventcore.avro.outcome import Details, OutcomeRecord, write_outcome
from eventcore.errors import LogUnavailable, OutcomeUnknown
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record
from tests.bank import TOPICS, id_of, memory_log

SOON_S = 0.3


def decide(log: MemoryLog, name: str, version: int = 1) -> None:
    """An outcome, as a lane writes it."""
    record = OutcomeRecord(id_of(name), version, 0, 1, 1, 0, 0, 0, Details("accepted", repeated=False, command=b""))
    log.append(TOPICS.outcomes, 0, [Record(b"k", write_outcome(record), None, 1_000)])


def awaited_on(log: MemoryLog) -> Awaited:
    """Somebody who waits on the log."""
    return Awaited(log, TOPICS.outcomes, 0, outcomes_in, lossy=False)


def take(awaited: Awaited, name: str, within_s: float = 10.0) -> int:
    """The version that the next outcome of this command tells."""
    return awaited.take(id_of(name), time.monotonic() + within_s).outcome.version


def left(awaited: Awaited) -> tuple[int, int]:
    """How many are waited for, and how many were found for nobody yet."""
    return awaited._missing.total(), len(awaited._found)


def test_what_was_expected_is_found_in_any_order() -> None:
    log = memory_log()
    awaited = awaited_on(log)
    awaited.expect([id_of("a"), id_of("b"), id_of("c")])
    for number, name in enumerate("cxab"):
        decide(log, name, number)
    assert [take(awaited, name) for name in "abc"] == [2, 3, 0]
    assert left(awaited) == (0, 0)


def test_one_id_that_is_expected_twice_has_two_outcomes() -> None:
    log = memory_log()
    awaited = awaited_on(log)
    awaited.expect([id_of("a"), id_of("a")])
    decide(log, "a", 1)
    decide(log, "a", 2)
    assert [take(awaited, "a"), take(awaited, "a")] == [1, 2]
    assert left(awaited) == (0, 0)


def test_what_was_decided_before_it_was_expected_is_not_seen() -> None:
    """The client expects before it sends."""
    log = memory_log()
    decide(log, "a")
    awaited = awaited_on(log)
    awaited.expect([id_of("a")])
    with pytest.raises(OutcomeUnknown):
        take(awaited, "a", SOON_S)


@pytest.mark.parametrize("found", [False, True])
def test_what_is_given_up_is_not_kept(*, found: bool) -> None:
    log = memory_log()
    awaited = awaited_on(log)
    awaited.expect([id_of("a"), id_of("a"), id_of("b")])
    if found:
        decide(log, "a")
        decide(log, "b")
        assert take(awaited, "b") == 1
    awaited.give_up([id_of("a"), id_of("a")])
    if not found:
        awaited.give_up([id_of("b")])
    assert left(awaited) == (0, 0)


def test_records_that_are_no_outcomes_are_passed_over() -> None:
    log = memory_log()
    awaited = awaited_on(log)
    awaited.expect([id_of("a")])
    log.append(TOPICS.outcomes, 0, [Record(b"k", b"garbage", None, 1_000), Record(b"k", None, None, 1_000)])
    decide(log, "a")
    assert take(awaited, "a") == 1


def test_who_has_not_waited_for_long_begins_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that comes back after a night does not read the night's outcomes first."""
    log = memory_log()
    awaited = awaited_on(log)
    for number in range(20):
        decide(log, f"of somebody else {number}")
    monkeypatch.setattr(awaiting, "FRESH_S", 0.0)
    awaited.expect([id_of("a")])
    assert awaited._follower.positions == {0: 20}
    awaited.expect([id_of("b")])  # somebody waits now, so nothing moves
    decide(log, "b")
    decide(log, "a")
    assert [take(awaited, "a"), take(awaited, "b")] == [1, 1]


def test_a_log_that_goes_away_while_somebody_waits_is_an_unknown_outcome_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command is sent: `LogUnavailable` would say that nothing was written."""

    def away(*_: object) -> NoReturn:
        raise LogUnavailable("the log is away")

    log = memory_log()
    awaited = awaited_on(log)
    awaited.expect([id_of("a")])
    with monkeypatch.context() as patch:
        patch.setattr(awaited._follower, "poll", away)
        with pytest.raises(OutcomeUnknown, match="ask again with the same id") as told:
            take(awaited, "a", SOON_S)
    assert isinstance(told.value.__cause__, LogUnavailable)
    decide(log, "a")
    assert take(awaited, "a") == 1
