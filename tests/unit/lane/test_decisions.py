"""What a lane decides and writes (N1, N2, N4), on a log in memory."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from eventcore import Value
from eventcore.avro.envelope import Options, SagaStep, Source
from eventcore.context import COUNTER_BITS, Context
from eventcore.lane import intake
from eventcore.lane.clock import AHEAD_MAX_MS
from eventcore.lane.lane import Lane
from eventcore.lane.memory import LaneMemory
from eventcore.lane.runner import wall_clock_ms
from eventcore.log.port import Record, Recorded
from tests.bank import (
    COMMANDS,
    EVENTS,
    TOPICS,
    Account,
    Deposit,
    Deposited,
    Look,
    Noted,
    Split,
    Stamp,
    Withdraw,
    Withdrawn,
    accounts,
    command,
    decide_all,
    everything,
    happened,
    id_of,
    kinds,
    lane_on,
    memory_log,
    outcomes,
    run,
    send,
)

NOW_MS = 1_700_000_000_000


def test_a_stamp_that_is_ahead_makes_nobody_elses_command_expire() -> None:
    now_ms = wall_clock_ms()
    ahead = command("alice", Deposit(1), 1, stamp=now_ms + AHEAD_MAX_MS - 1_000 << COUNTER_BITS)
    soon = command("alice", Deposit(1), 2, options=Options(expires=now_ms + AHEAD_MAX_MS // 2))
    decided = decide_all(memory_log(), ahead, soon)
    assert kinds(decided) == ["accepted", "accepted"]
    assert decided[1].stamp > decided[0].stamp


def test_each_kind_of_decision_has_its_outcome() -> None:
    log = memory_log()
    decided = decide_all(
        log,
        command("alice", Deposit(5), 1),
        command("alice", Withdraw(9), 2),
        command("alice", Deposit(1_000), 3),
        command("alice", Withdraw(1), 4, options=Options(expected_version=7)),
        command("alice", Withdraw(1), 5, options=Options(expires=1)),
        command("alice", Withdraw(1), 6, options=Options(expected_version=1, expires=2**50)),
    )
    assert kinds(decided) == [
        "accepted",
        "refused insufficient_funds",
        "violated never_above_ceiling",
        "conflict conflict",
        "expired expired",
        "accepted",
    ]
    assert [h.event for h in happened(log)] == [Deposited(5), Withdrawn(1)]
    assert [o.version for o in decided] == [1, 1, 1, 1, 1, 2]
    assert [o.details.message for o in decided[1:4]] == ["there is 5", None, "expected version 7, found 1"]


def test_every_command_has_an_outcome_that_holds_it_whole() -> None:
    """N1: whoever reads the outcomes alone can decide everything anew."""
    log = memory_log()
    sent = [command("alice", Deposit(n + 1), n) for n in range(5)] + [command("bob", Withdraw(1), "b")]
    decided = decide_all(log, *sent)
    assert [o.details.command for o in decided] == [record.value for record in sent]
    assert [o.command_id for o in decided] == [*(id_of(n) for n in range(5)), id_of("b")]
    assert [r.key for r in everything(log, TOPICS.outcomes)] == [record.key for record in sent]
    assert [o.cause for o in decided] == [0, 1, 2, 3, 4, 5]


def test_what_an_outcome_needs_of_its_command_is_in_it() -> None:
    options = Options(
        expected_version=0, source=Source("a.b.events", 1, 2), step=SagaStep("s", "1", "x", "do"), code=b"c", trace="t"
    )
    (decided,) = decide_all(memory_log(), command("alice", Deposit(5), 1, options=options))
    details = decided.details
    assert (details.expected_version, details.source, details.step, details.code, details.trace) == (
        options.expected_version,
        options.source,
        options.step,
        options.code,
        options.trace,
    )


def test_an_event_carries_its_cause_and_its_step_and_not_what_concerns_the_command_alone() -> None:
    source, step = Source("a.b.events", 1, 2), SagaStep("s", "1", "x", "do")
    log = memory_log()
    options = Options(expected_version=0, source=source, step=step, reply="r", expires=2**50, code=b"c", trace="t")
    decide_all(log, command("alice", Deposit(5), 1, options=options))
    assert [h.envelope.options for h in happened(log)] == [Options(source=source, step=step, trace="t")]


def test_a_repeated_command_is_answered_with_the_first_decision_and_appends_no_event() -> None:
    """N1."""
    log = memory_log()
    first = [command("alice", Deposit(5), 1), command("alice", Withdraw(9), 2), command("alice", Withdraw(2), 3)]
    decided = decide_all(log, *first, *first, *first)
    assert kinds(decided) == [
        *("accepted", "refused insufficient_funds", "accepted"),
        *("accepted*", "refused insufficient_funds*", "accepted*") * 2,
    ]
    assert [o.version for o in decided] == [1, 1, 2] * 3
    assert [o.details.message for o in decided[4::3]] == ["there is 5"] * 2
    assert [o.count for o in decided] == [1, 0, 1] + [0] * 6
    assert len(happened(log)) == 2


def test_a_repeat_is_known_after_a_restart_too() -> None:
    log = memory_log()
    decide_all(log, command("alice", Deposit(5), 1), command("alice", Withdraw(9), 2))
    again = decide_all(log, command("alice", Deposit(5), 1), command("alice", Withdraw(9), 2))
    assert kinds(again) == ["accepted*", "refused insufficient_funds*"]


@pytest.mark.parametrize("given", [Deposit(5), Withdraw(9), Deposit(999_999), Look()])
def test_any_command_twice_changes_nothing_the_second_time(given: Value) -> None:
    log = memory_log()
    decide_all(log, command("alice", given, 1))
    before = happened(log)
    decide_all(log, command("alice", given, 1))
    assert happened(log) == before


def test_the_events_of_a_turn_are_numbered_and_share_everything_else() -> None:
    log = memory_log()
    decide_all(log, command("alice", Deposit(1), 1), command("alice", Split((2, 3, 4)), 2))
    turn = [h.envelope for h in happened(log)[1:]]
    assert [(e.index, e.count, e.version, e.sequence) for e in turn] == [(0, 3, 2, 2), (1, 3, 3, 3), (2, 3, 4, 4)]
    assert {(e.command_id, e.stamp, e.cause, e.term) for e in turn} == {(id_of(2), turn[0].stamp, 1, 1)}


def test_a_turn_without_events_is_accepted_and_bumps_no_version() -> None:
    log = memory_log()
    decided = decide_all(log, command("alice", Look(), 1), command("alice", Deposit(5), 2), command("alice", Look(), 3))
    assert kinds(decided) == ["accepted"] * 3
    assert [(o.version, o.count, o.events) for o in decided] == [(0, 0, 0), (1, 1, 1), (1, 0, 1)]


def test_versions_are_counted_an_instance_each_and_sequences_a_partition() -> None:
    """N2."""
    log = memory_log()
    sent = [command(key, Deposit(1), f"{key}{n}") for n in range(3) for key in ("alice", "bob", "carol")]
    decided = decide_all(log, *sent)
    envelopes = [h.envelope for h in happened(log)]
    assert [e.version for e in envelopes] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [e.sequence for e in envelopes] == [o.sequence for o in decided] == list(range(1, 10))
    assert [o.events for o in decided] == list(range(1, 10))


def test_each_owner_writes_a_term_of_its_own_and_goes_on_counting() -> None:
    """N2."""
    log = memory_log()
    for n in range(4):
        decide_all(log, command("alice", Deposit(1), n), command("alice", Withdraw(100), f"no {n}"))
    assert [h.envelope.term for h in happened(log)] == [1, 2, 3, 4]
    assert [h.envelope.sequence for h in happened(log)] == [1, 2, 3, 4]
    assert [o.sequence for o in outcomes(log)] == list(range(1, 9))
    assert [o.term for o in outcomes(log)] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_the_next_command_is_the_one_after_the_last_decided_whatever_position_was_saved() -> None:
    """N4: a saved position that was lost or moved loses and doubles nothing."""
    log = memory_log()
    send(log, *(command("alice", Deposit(1), n) for n in range(3)))
    lane = lane_on(log)
    lane.start()
    run(lane, log)
    log.save("bank.account", TOPICS.commands, {0: 1})
    lane.start()
    assert lane.position[TOPICS.commands, 0] == 3
    assert lane.step(0.0) == 0


def test_the_consumed_position_is_saved_for_displays() -> None:
    log = memory_log()
    decide_all(log, *(command("alice", Deposit(1), n) for n in range(3)))
    assert log.saved("bank.account", TOPICS.commands, 0) == 3


def test_stamps_grow_across_batches_restarts_and_clocks_that_go_back() -> None:
    memory = LaneMemory()
    stamps: list[int] = []
    offset = itertools.count()
    for now_ms in (NOW_MS, NOW_MS, NOW_MS - 5_000, NOW_MS + 1):
        lane = Lane(accounts, TOPICS, 0, 1, commands=COMMANDS, events=EVENTS, memory=memory)
        batch = lane.take(
            [_recorded(next(offset), command("alice", Deposit(1), f"{len(stamps)}{n}")) for n in range(3)], now_ms
        )
        stamps += [_stamp_of(record) for record in batch.events]
        assert all(record.time_ms == _stamp_of(record) >> COUNTER_BITS for record in batch.events)
    assert stamps == sorted(set(stamps))
    assert stamps[0] >> COUNTER_BITS == NOW_MS
    assert stamps[-1] >> COUNTER_BITS == NOW_MS + 1


def _recorded(offset: int, record: Record) -> Recorded:
    return Recorded(offset, record.key, record.value, record.envelope, record.time_ms)


def _stamp_of(record: Record) -> int:
    assert record.envelope is not None
    return int.from_bytes(record.envelope[50:58], "big")


def test_a_relayed_commands_turn_is_stamped_after_its_cause_and_so_is_everything_after_it() -> None:
    ahead = NOW_MS + 30_000 << COUNTER_BITS
    lane = Lane(accounts, TOPICS, 0, 1, commands=COMMANDS, events=EVENTS, memory=LaneMemory())
    relayed = command("alice", Deposit(1), 1, options=Options(source=Source("x", 0, 0)), stamp=ahead)
    batch = lane.take([_recorded(0, relayed), _recorded(1, command("alice", Deposit(1), 2))], NOW_MS)
    assert [_stamp_of(record) for record in batch.events] == [ahead + 1, ahead + 2]


def test_a_turns_context_is_what_its_records_say() -> None:
    """What is decided anew from the outcomes gets the same time and ids."""
    log = memory_log()
    (outcome,) = decide_all(log, command("alice", Stamp(), 1))
    context = Context(outcome.stamp, outcome.command_id)
    assert [h.event for h in happened(log)] == [Noted(f"{outcome.stamp} {context.uuid('note')}")]


def test_a_lane_holds_what_its_events_add_up_to() -> None:
    log = memory_log()
    lane = lane_on(log)
    lane.start()
    send(log, command("alice", Deposit(5), 1), command("alice", Withdraw(2), 2), command("bob", Withdraw(2), 3))
    run(lane, log)
    assert lane.memory.instances == {b"alice": (Account(3), 2)}


def test_a_batch_has_at_most_a_thousand_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BATCH_DECIDE_S", 1_000.0)  # however slow this machine is
    log = memory_log()
    log.append(TOPICS.commands, 0, [command("alice", Look(), n) for n in range(1_500)])
    lane = lane_on(log)
    lane.start()
    assert [lane.step(0.0) for _ in range(5)] == [8, 128, 1_000, 364, 0]


def test_the_common_path_and_the_careful_path_decide_alike() -> None:
    """A trace context sends every command through the careful path; nothing else may differ."""
    given: list[Any] = [Deposit(5), Withdraw(2), Withdraw(9), Deposit(2_000), Split((1, 2)), Look(), Stamp()]
    one, other = memory_log(), memory_log()
    first = [command("alice", Deposit(1), "first")]
    plain = decide_all(one, *first, *(command("alice", g, n) for n, g in enumerate(given)))
    traced = decide_all(
        other, *first, *(command("alice", g, n, options=Options(trace="t")) for n, g in enumerate(given))
    )
    for a, b in zip(plain, traced, strict=True):
        assert (a.command_id, a.version, a.count, a.sequence, a.cause, a.events) == (
            b.command_id,
            b.version,
            b.count,
            b.sequence,
            b.cause,
            b.events,
        )
        assert (a.details.kind, a.details.reason, a.details.message) == (
            b.details.kind,
            b.details.reason,
            b.details.message,
        )
    assert [type(h.event) for h in happened(one)] == [type(h.event) for h in happened(other)]
