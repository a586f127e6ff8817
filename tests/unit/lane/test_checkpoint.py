"""Which checkpoints a lane trusts, and that it needs none."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from eventcore import Aggregate
from eventcore.lane.checkpoint import Checkpointing
from eventcore.lane.facts import LANE
from eventcore.lane.memory import LaneMemory
from eventcore.lane.restore import restore
from eventcore.lane.runner import LaneRunner
from eventcore.lane.window import always
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record
from tests.bank import (
    COMMANDS,
    EVENTS,
    TOPICS,
    Account,
    Deposit,
    Event,
    Misbehave,
    accounts,
    command,
    decide,
    everything,
    evolve,
    memory_log,
    run,
    send,
)

OFTEN = Checkpointing(window=20, outcomes=10, at_once=4)


def lane_with(log: MemoryLog, aggregate: Aggregate[Account, Any, Event] = accounts) -> LaneRunner:
    """A started lane that makes a checkpoint every ten outcomes."""
    lane = LaneRunner(log, aggregate, TOPICS, 0, commands=COMMANDS, events=EVENTS, checkpoints=OFTEN)
    lane.start()
    return lane


def long_log(count: int = 100) -> MemoryLog:
    """Three instances and many small batches; one of the instances is stopped."""
    log = memory_log()
    lane = lane_with(log)
    lane.decide([command("bob", Misbehave("raise"), "bad"), command("bob", Deposit(2), "waits")])
    for n in range(count):
        lane.decide([command(("alice", "carol")[n % 2], Deposit(2), n)])
    lane.close()
    return log


def read_from(log: MemoryLog, aggregate: Aggregate[Account, Any, Event] = accounts) -> tuple[LaneMemory, int]:
    """What is read back, and how many events it took."""
    seen = {f"{TOPICS.events}[0]": 0}
    memory = restore(log, aggregate, TOPICS, 0, EVENTS, lambda what, done, _: seen.update({what: done}), OFTEN)
    return memory, seen[f"{TOPICS.events}[0]"]


def another_evolve(account: Account, event: Event) -> Account:
    """The account after an event, as other code sees it."""
    return Account(evolve(account, event).balance, "seen")


def test_a_restore_reads_the_end_of_the_log_only() -> None:
    log = long_log()
    memory, events = read_from(log)
    assert memory.instances == {b"alice": (Account(100), 50), b"carol": (Account(100), 50)}
    assert set(memory.quarantined) == {b"bob"}
    assert [w.command_id for w in memory.waiting.of(b"bob")] == [
        record.envelope[10:26] for record in everything(log, TOPICS.commands)[:2] if record.envelope
    ]
    assert events < 25


def test_states_of_another_evolve_are_not_trusted_and_never_again() -> None:
    log = long_log()
    other = Aggregate("account", Account, decide, another_evolve)
    memory, events = read_from(log, other)
    assert (events, memory.instances[b"alice"]) == (100, (Account(100, "seen"), 50))
    lane = lane_with(log, other)
    lane.decide([command("alice", Deposit(2), "one more")])
    lane.close()
    memory, events = read_from(log)  # the first code again: its checkpoint was withdrawn by the other
    assert (events, memory.instances[b"alice"]) == (101, (Account(102), 51))


def importing_evolve(account: Account, event: Event) -> Account:
    """The same fold, by code that a hash of it does not reach."""
    from tests.bank import evolve as found

    return found(account, event)


def test_nothing_is_trusted_where_code_that_folds_cannot_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    log, importing = long_log(), Aggregate("account", Account, decide, importing_evolve)
    with caplog.at_level(logging.WARNING):
        memory, events = read_from(log, importing)
    assert (events, memory.instances[b"alice"]) == (100, (Account(100), 50))
    assert "importing_evolve imports while it runs" in caplog.text
    lane = lane_with(log, importing)
    for n in range(30):
        lane.decide([command("alice", Deposit(2), f"more {n}")])
    lane.close()
    assert read_from(log, importing)[1] == 130
    memory, events = read_from(log)  # what the former code had written was withdrawn
    assert (events, memory.instances[b"alice"]) == (130, (Account(160), 80))


def test_a_lane_without_commands_completes_its_checkpoint() -> None:
    log = memory_log()
    lane = lane_with(log)
    for n in range(40):
        send(log, command(f"account {n}", Deposit(2), n))
        while lane.step(0.0):
            pass
    while lane.step(0.0) or lane.checkpoint_under_way:
        pass
    assert lane.memory.marked >= 10
    written = {record.key for record in everything(log, TOPICS.snapshots)}
    assert written >= {f"account {n}".encode() for n in range(lane.memory.marked)}
    ended = log.end(TOPICS.snapshots, 0)
    assert not lane.step(0.0)
    assert log.end(TOPICS.snapshots, 0) == ended
    assert log.saved(TOPICS.commands.removesuffix(".commands"), TOPICS.commands, 0) == 40


def test_a_checkpoint_that_fits_no_record_is_given_up_and_the_lane_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    log = memory_log()
    lane = lane_with(log)
    lane.memory.decided.delivered = {("bank.transfer.events", n): n for n in range(60_000)}
    lane.memory.decided.written = always
    with caplog.at_level(logging.WARNING):
        for n in range(90):
            send(log, command("alice", Deposit(2), n))
            run(lane, log)
    assert "no more checkpoints of this lane" in caplog.text
    lane.close()
    memory, _ = read_from(log)
    assert memory.instances == {b"alice": (Account(180), 90)}


def test_without_snapshots_everything_is_read() -> None:
    log = long_log()
    whole, _ = read_from(log)
    place = log._store.topics[TOPICS.snapshots][0]
    place.records.clear()
    place.visible = 0
    memory, events = read_from(log)
    assert (memory, events) == (whole, 100)


@pytest.mark.parametrize("key", [LANE, b"alice", b"\xffstep:", b"\xffnobody's", b"\xffstopped:bob"])
@pytest.mark.parametrize("value", [b"", b"garbage", b"\xc3\x01" + bytes(40)])
def test_damaged_snapshots_are_told_and_everything_is_read_and_written_anew(
    key: bytes, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    log = long_log()
    whole, _ = read_from(log)
    log.append(TOPICS.snapshots, 0, [Record(key, value)])
    with caplog.at_level(logging.WARNING):
        assert read_from(log) == (whole, 100)
    assert "cannot be read" in caplog.text
    lane = lane_with(log)
    for n in range(60):
        send(log, command("alice", Deposit(2), f"after {n}"))
        run(lane, log)
    lane.close()
    memory, events = read_from(log)
    assert memory.instances[b"alice"] == (Account(220), 110)
    assert events < 60
