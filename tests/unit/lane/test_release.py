"""Release and discard: what waits behind a quarantined instance is decided in order and once, or dropped on purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eventcore import Aggregate, Context
from eventcore.avro.control import Control, Discard, Release, write_control
from eventcore.avro.envelope import NOTHING, Options, SagaStep, command_envelope, read_envelope
from eventcore.lane import backlog, intake
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record
from tests.bank import (
    TOPICS,
    UNLUCKY,
    Account,
    Deposit,
    Event,
    Look,
    Misbehave,
    Split,
    Stamp,
    Withdraw,
    accounts,
    command,
    decide,
    decide_all,
    everything,
    evolve,
    happened,
    id_of,
    kinds,
    lane_on,
    memory_log,
    outcomes,
    run,
    send,
)

Command = Deposit | Withdraw | Split | Look | Stamp | Misbehave


def mended(account: Account, command: Command, context: Context) -> list[Event]:
    """The code as it is after somebody corrected it: nothing misbehaves any more."""
    return [] if isinstance(command, Misbehave) else decide(account, command, context)


fixed = Aggregate("account", Account, mended, evolve, invariants=list(accounts.guards))


def order(key: str, control: Control, name: str | int, options: Options = NOTHING) -> Record:
    """An operator's order, as it stands in the commands topic."""
    return Record(key.encode(), write_control(control), command_envelope(id_of(name), options), 1_000)


def decide_with(log: MemoryLog, aggregate: Aggregate[Account, Command, Event], *records: Record) -> list[str]:
    """What a new lane with this code decides."""
    before = len(outcomes(log))
    send(log, *records)
    lane = lane_on(log, aggregate=aggregate)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # of these commands
    lane.start()
    run(lane, log)
    lane.close()
    return kinds(outcomes(log)[before:])


def poisoned(*later: Record) -> MemoryLog:
    """A log in which alice is stopped after a deposit, with these commands behind the one that raised."""
    log = memory_log()
    decide_all(log, command("alice", Deposit(5), "before"), command("alice", Misbehave("raise"), "poison"), *later)
    return log


def test_a_release_decides_what_waits_in_order_with_todays_code() -> None:
    log = poisoned(command("alice", Deposit(1), 1), command("bob", Deposit(7), 2), command("alice", Withdraw(6), 3))
    assert decide_with(log, fixed, order("alice", Release(), "r"), command("alice", Withdraw(1), 4)) == [
        *("accepted", "accepted", "accepted", "accepted"),
        "refused insufficient_funds",
    ]
    decided = outcomes(log)[-5:]
    assert [o.command_id for o in decided] == [id_of(name) for name in ("poison", 1, 3, "r", 4)]
    assert [o.cause for o in decided] == [5, 5, 5, 5, 6]
    assert [(h.id, h.envelope.version) for h in happened(log)] == [
        *(("alice", 1), ("bob", 1)),
        *(("alice", 2), ("alice", 3)),
    ]


def test_a_release_with_the_same_code_stops_the_instance_again_and_loses_nothing() -> None:
    log = poisoned(command("alice", Deposit(1), 1))
    assert decide_with(log, accounts, order("alice", Release(), "r")) == ["parked raised", "refused stopped_again"]
    assert decide_with(log, accounts, command("alice", Deposit(2), 2)) == ["parked instance_quarantined"]
    assert decide_with(log, fixed, order("alice", Release(), "r2")) == ["accepted"] * 4
    assert [o.command_id for o in outcomes(log)[-4:]] == [id_of(name) for name in ("poison", 1, 2, "r2")]


def test_a_second_poison_stops_the_release_where_it_stands() -> None:
    log = poisoned(command("alice", Deposit(1), 1))
    decide_all(log, command("alice", Misbehave("raise"), "second"), command("alice", Deposit(2), 2))
    decided = decide_with(log, accounts, order("alice", Discard(first_only=True), "d"), order("alice", Release(), "r"))
    assert decided == ["parked discarded", "accepted", "accepted", "parked raised", "refused stopped_again"]
    assert decide_with(log, fixed, order("alice", Release(), "r2")) == ["accepted", "accepted", "accepted"]


def test_asking_again_is_answered_parked_until_it_is_decided_and_then_finally() -> None:
    waiting = command("alice", Deposit(1), 1)
    log = poisoned(waiting, waiting)
    assert kinds(outcomes(log)[-2:]) == ["parked instance_quarantined", "parked instance_quarantined*"]
    assert decide_with(log, fixed, order("alice", Release(), "r"), waiting)[-2:] == ["accepted", "accepted*"]


def test_a_command_that_waits_is_known_even_where_its_decision_is_forgotten() -> None:
    """The window of remembered decisions is bounded; what waits is remembered beside it."""
    log = poisoned(command("alice", Deposit(1), 1))
    lane = lane_on(log)
    lane.start()
    lane.memory.decided.clear()
    send(log, command("alice", Deposit(1), 1))
    run(lane, log)
    assert kinds(outcomes(log)[-1:]) == ["parked instance_quarantined*"]
    assert len(lane.memory.waiting.of(b"alice")) == 2


def test_an_order_repeated_with_its_id_is_obeyed_once() -> None:
    log = poisoned(command("alice", Deposit(1), 1))
    release = order("alice", Release(), "r")
    assert decide_with(log, fixed, release, release) == ["accepted", "accepted", "accepted", "accepted*"]


def test_a_discard_drops_what_waits_and_the_instance_goes_on() -> None:
    log = poisoned(command("alice", Deposit(1), 1))
    later = command("alice", Deposit(2), 2)
    assert decide_with(log, accounts, order("alice", Discard(), "d"), later, command("alice", Deposit(1), 1)) == [
        *("parked discarded", "parked discarded", "accepted", "accepted"),
        "parked discarded*",
    ]
    assert [h.envelope.version for h in happened(log)] == [1, 2]


def test_a_discard_of_the_first_alone_leaves_the_others_waiting() -> None:
    log = poisoned(command("alice", Deposit(1), 1))
    decided = decide_with(log, accounts, order("alice", Discard(first_only=True), "d"), command("alice", Look(), 2))
    assert decided == ["parked discarded", "accepted", "parked instance_quarantined"]
    assert decide_with(log, accounts, order("alice", Release(), "r")) == ["accepted"] * 3


@pytest.mark.parametrize("control", [Release(), Discard(), Discard(first_only=True)])
def test_an_order_for_an_instance_that_goes_on_is_refused(control: Control) -> None:
    log = memory_log()
    decided = decide_with(log, accounts, command("alice", Deposit(1), 1), order("alice", control, 2))
    assert decided == ["accepted", "refused not_quarantined"]
    assert decide_with(log, accounts, order("nobody", control, 3)) == ["refused not_quarantined"]


def test_the_first_is_not_dropped_where_nothing_waits() -> None:
    log = memory_log()
    decide_all(log, command("alice", Deposit(UNLUCKY), 1))
    assert decide_with(log, accounts, order("alice", Discard(first_only=True), "d")) == ["refused nothing_waits"]


def test_an_instance_that_its_invariant_stopped_is_released_and_stopped_again_by_the_next() -> None:
    log = memory_log()
    unlucky = [command("alice", Deposit(UNLUCKY), n) for n in (1, 2)]
    decide_all(log, *unlucky, command("alice", Deposit(1), 3))
    assert decide_with(log, accounts, order("alice", Release(), "r")) == [
        "violated never_unlucky",
        "refused stopped_again",
    ]
    assert decide_with(log, accounts, order("alice", Release(), "r2")) == ["accepted", "accepted"]


def test_a_damaged_order_is_parked_and_changes_nothing() -> None:
    log = poisoned()
    damaged = order("alice", Release(), "r")
    assert decide_with(log, fixed, replace_value(damaged, (damaged.value or b"") + b"\0")) == ["parked undecodable"]
    assert decide_with(log, fixed, order("alice", Release(), "r2")) == ["accepted", "accepted"]


def replace_value(record: Record, value: bytes) -> Record:
    """The same record with another value."""
    return Record(record.key, value, record.envelope, record.time_ms)


def test_a_command_that_expires_while_it_waits_is_expired_when_it_is_released() -> None:
    log = poisoned(command("alice", Deposit(1), 1, options=Options(expires=1)))
    assert decide_with(log, fixed, order("alice", Release(), "r")) == ["accepted", "expired expired", "accepted"]


def test_a_command_that_waits_is_judged_by_the_version_it_then_finds() -> None:
    log = poisoned(
        command("alice", Deposit(1), 1, options=Options(expected_version=1)),
        command("alice", Deposit(1), 2, options=Options(expected_version=1)),
    )
    assert decide_with(log, fixed, order("alice", Release(), "r")) == [
        *("accepted", "accepted", "conflict conflict"),
        "accepted",
    ]


def test_an_undo_that_waits_behind_its_do_takes_effect_after_it() -> None:
    do, undo = (SagaStep("transfer", "t1", "hold", action) for action in ("do", "undo"))
    log = poisoned(
        command("alice", Withdraw(2), 1, options=Options(step=do)),
        command("alice", Deposit(2), 2, options=Options(step=undo)),
    )
    assert decide_with(log, fixed, order("alice", Release(), "r")) == ["accepted"] * 4
    assert [h.envelope.version for h in happened(log)] == [1, 2, 3]


def test_the_undo_of_a_discarded_step_has_nothing_to_undo_and_its_do_comes_too_late() -> None:
    do, undo = (SagaStep("transfer", "t1", "hold", action) for action in ("do", "undo"))
    log = poisoned(command("alice", Withdraw(2), 1, options=Options(step=do)))
    decided = decide_with(
        log,
        accounts,
        order("alice", Discard(), "d"),
        command("alice", Deposit(2), 2, options=Options(step=undo)),
        command("alice", Withdraw(2), "by hand", options=Options(step=do)),
    )
    assert decided[-2:] == ["accepted", "parked discarded"]
    assert len(happened(log)) == 1


def test_an_undo_that_is_discarded_with_its_do_has_nothing_to_undo() -> None:
    do, undo = (SagaStep("transfer", "t1", "hold", action) for action in ("do", "undo"))
    log = poisoned(
        command("alice", Withdraw(2), 1, options=Options(step=do)),
        command("alice", Deposit(2), 2, options=Options(step=undo)),
    )
    assert decide_with(log, accounts, order("alice", Discard(), "d")) == [
        *("parked discarded", "parked discarded", "accepted"),
        "accepted",
    ]


def test_what_does_not_fit_is_not_kept_and_is_decided_when_it_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "INSTANCE_MAX", 2)
    third = command("alice", Deposit(2), 2)
    log = poisoned(command("alice", Deposit(1), 1), third, third)
    assert kinds(outcomes(log)[-2:]) == ["parked backlog_full", "parked backlog_full"]
    assert "Send it again" in (outcomes(log)[-1].details.message or "")
    assert decide_with(log, fixed, order("alice", Release(), "r"), third) == ["accepted"] * 4


@pytest.mark.parametrize(("bound", "most"), [("LANE_MAX", 1), ("LANE_BYTES_MAX", backlog.OVERHEAD_BYTES + 100)])
def test_a_lane_keeps_no_more_than_its_bounds_over_all_instances(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(backlog, bound, most)
    log = poisoned(command("alice", Deposit(1), 1), command("bob", Misbehave("raise"), 2))
    assert kinds(outcomes(log)[-2:]) == ["parked backlog_full", "parked backlog_full"]
    assert (outcomes(log)[-1].details.detail or "").startswith("Traceback")
    assert decide_with(log, fixed, command("bob", Deposit(1), 3)) == ["parked backlog_full"]
    assert decide_with(log, fixed, order("bob", Release(), "r"), command("bob", Deposit(1), 3)) == ["accepted"] * 2


def test_a_state_that_todays_code_refuses_is_released_by_code_that_accepts_it() -> None:
    log = memory_log()
    decide_all(log, command("alice", Deposit(7), 1))
    strict = Aggregate("account", Account, decide, evolve, invariants=[never_above_six])
    assert decide_with(log, strict, command("alice", Deposit(1), 2), order("alice", Release(), "r")) == [
        "parked instance_quarantined",
        "refused unsound_state",
    ]
    assert "never_above_six" in (outcomes(log)[-1].details.message or "")
    # Q3: a command waits, so the instance stays stopped under any code, until it is released.
    assert decide_with(log, accounts, command("alice", Deposit(2), 3)) == ["parked instance_quarantined"]
    assert decide_with(log, accounts, order("alice", Release(), "r2")) == ["accepted"] * 3
    assert [h.envelope.version for h in happened(log)] == [1, 2, 3]


def test_an_unsound_instance_behind_which_nothing_waits_is_judged_anew() -> None:
    log = memory_log()
    decide_all(log, command("alice", Deposit(7), 1))
    strict = Aggregate("account", Account, decide, evolve, invariants=[never_above_six])
    assert decide_with(log, strict, order("alice", Release(), "r")) == ["refused unsound_state"]
    assert decide_with(log, accounts, command("alice", Deposit(1), 2)) == ["accepted"]


def test_a_discard_of_what_waits_behind_an_unsound_state_leaves_it_stopped() -> None:
    log = memory_log()
    decide_all(log, command("alice", Deposit(7), 1))
    strict = Aggregate("account", Account, decide, evolve, invariants=[never_above_six])
    decided = decide_with(
        log, strict, command("alice", Look(), 2), order("alice", Discard(), "d"), command("alice", Look(), 3)
    )
    assert decided == [
        *("parked instance_quarantined", "parked discarded", "accepted"),
        "parked instance_quarantined",
    ]
    assert "it stays quarantined" in (outcomes(log)[-2].details.message or "")


def never_above_six(account: Account) -> bool:
    """An invariant that came later."""
    return account.balance <= 6


def test_a_release_passes_over_the_foreign_records_that_it_names_and_no_others() -> None:
    log = memory_log()
    decide_all(log, command("alice", Deposit(5), 1))
    stranger = Record(b"alice", b"hello", None, 1_000)
    log.append(TOPICS.events, 0, [stranger])
    at = everything(log, TOPICS.events)[-1].offset
    assert decide_with(
        log, accounts, command("alice", Deposit(1), 2), order("alice", Release(foreign_below=at), "r")
    ) == ["parked instance_quarantined", "refused foreign_records"]
    assert decide_with(log, accounts, order("alice", Release(foreign_below=at + 1), "r2")) == ["accepted"] * 2
    assert decide_with(log, accounts, command("alice", Deposit(1), 3)) == ["accepted"]
    assert [h.version for h in map(read_envelope, ours(log))] == [1, 2, 3]
    log.append(TOPICS.events, 0, [stranger])
    assert decide_with(log, accounts, command("alice", Deposit(1), 4)) == ["parked instance_quarantined"]


def ours(log: MemoryLog) -> list[bytes]:
    """The envelopes of the events that lanes wrote."""
    return [record.envelope for record in everything(log, TOPICS.events) if record.envelope is not None]


def test_a_lane_that_restores_knows_what_waits_as_the_one_before_did() -> None:
    log = poisoned(command("alice", Deposit(1), 1, options=Options(expires=9, expected_version=1, trace="t")))
    lane = lane_on(log)
    lane.start()
    send(log, command("alice", Look(), 2), order("alice", Discard(first_only=True), "d"))
    send(log, command("bob", Misbehave("raise"), 3), order("alice", Release(foreign_below=9), "r"))
    run(lane, log)
    knew = lane.memory
    lane.close()
    lane.start()
    assert (lane.memory.quarantined, lane.memory.waiting, lane.memory.passed) == (
        knew.quarantined,
        knew.waiting,
        knew.passed,
    )


def test_whoever_decides_in_this_process_gets_the_answers_to_its_own_commands() -> None:
    """The outcomes of what had waited stand in the same batch, and answer nobody who asks now."""
    log = poisoned(command("alice", Deposit(1), 1))
    lane = lane_on(log, aggregate=fixed)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # of these commands
    lane.start()
    first, second = lane.decide([order("alice", Release(), "r"), command("alice", Deposit(1), 2)])
    assert [first.outcome.command_id, second.outcome.command_id] == [id_of("r"), id_of(2)]
    assert (first.last_event, second.last_event) == (None, 2)


def test_a_backlog_counts_what_it_holds() -> None:
    held = backlog.Backlog()
    waiting = backlog.Waiting(b"1" * 16, b"value", NOTHING, 0, "raised", None)
    held.keep(b"alice", waiting)
    held.keep(b"alice", waiting._replace(message="again"))
    assert (held.count, held.size) == (1, 5 + backlog.OVERHEAD_BYTES)
    assert held.get(b"1" * 16) == waiting._replace(message="again")
    assert held.drop(b"1" * 16) == waiting._replace(message="again")
    assert held.drop(b"1" * 16) is None
    assert held == backlog.Backlog()
    assert replace(held) == held


def test_each_turn_of_a_batch_and_of_a_release_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watchdog ends a process whose lane shows none, at the same place in each of its lives."""
    monkeypatch.setattr(intake, "BATCH_TURNS_FIRST", 100)
    log = poisoned(*(command("alice", Deposit(1), n) for n in range(20)))
    beats: list[int] = []

    def noting(account: Account, command: Command, context: Context) -> list[Event]:
        beats.append(lane.beats)
        return mended(account, command, context)

    slow = Aggregate("account", Account, noting, evolve)
    lane = lane_on(log, aggregate=slow)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # of these commands
    lane.start()
    send(log, order("alice", Release(), "r"))
    assert lane.step(0.0) == 1
    assert len(set(beats)) == 21  # in one batch, the one that fell among them
    beats.clear()
    send(log, *(command("bob", Deposit(1), f"b{n}") for n in range(30)))
    assert lane.step(0.0) == 30
    assert len(set(beats)) == 30
