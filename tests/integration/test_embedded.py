"""An embedded app goes on after a failure from what the log says, and gives way to another owner."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import pytest
from msgspec.structs import replace

from eventcore.app import Embedded
from eventcore.app.audit import states_at
from eventcore.app.wiring import provision
from eventcore.avro.envelope import read_envelope, write_envelope
from eventcore.cut import Cut
from eventcore.errors import BrokenLog, Fenced, LogUnavailable, OutcomeUnknown, OwnedElsewhere, TimedOut
from eventcore.log.port import Log, Record
from examples.bank.account import Account, Deposit, accounts
from examples.bank.app import app
from examples.bank.balances import Balance, balances
from examples.bank.conservation import money_is_conserved
from examples.bank.transfer import RequestTransfer, transfers
from projections import open_views
from tests.failing import FailingLog

wiring = app.wiring
ACCOUNT_EVENTS = wiring.machine("account").topics.events


@contextlib.contextmanager
def bank_on(log: Log) -> Generator[Embedded]:
    """The bank on a log, as `App.open` makes it."""
    provision(log, wiring, 2)
    views = open_views("memory:")
    views.upgrade()
    views.prepare([balances])
    with Embedded(wiring, log, views) as bank:
        bank.start()
        yield bank


@pytest.mark.parametrize("fault", [LogUnavailable("the log is away"), KeyboardInterrupt()])
def test_a_commit_that_failed_is_not_believed(fault: BaseException) -> None:
    log = FailingLog()
    log.fault = fault
    with bank_on(log) as bank:
        bank.send(accounts.to("alice", Deposit(5)))
        log.commits = 1
        with pytest.raises(type(fault)):
            bank.send(accounts.to("alice", Deposit(7)), id="seven")
        outcome = bank.send(accounts.to("alice", Deposit(7)), id="seven")
        assert (outcome.kind, outcome.version, outcome.repeated) == ("accepted", 2, False)
        assert bank.state(accounts, "alice") == Account(12)
        assert bank.ask(balances, "alice", at_least=outcome.cut).row == Balance("alice", 12)


def test_a_log_that_stays_away_is_tried_again_each_time() -> None:
    log = FailingLog()
    with bank_on(log) as bank:
        log.commits = 3
        for _ in range(3):
            with pytest.raises(LogUnavailable):
                bank.send(accounts.to("alice", Deposit(5)), id="five")
        assert bank.send(accounts.to("alice", Deposit(5)), id="five").version == 1


def test_a_batch_of_which_a_part_is_decided_is_not_told_that_nothing_was_written() -> None:
    log = FailingLog()
    batch = [(accounts.to(name, Deposit(5)), name) for name in "abcdef"]  # in both partitions
    with bank_on(log) as bank:
        log.away = {0, 1}
        with pytest.raises(LogUnavailable):
            list(bank.send_all(batch))
        log.away = {1}
        with pytest.raises(
            OutcomeUnknown, match=r"account\[1\] cannot be written.*Ask again with the same ids"
        ) as unknown:
            list(bank.send_all(batch))
        assert isinstance(unknown.value.__cause__, LogUnavailable)
        log.away = set()
        outcomes = list(bank.send_all(batch))
    assert {(outcome.kind, outcome.version) for outcome in outcomes} == {("accepted", 1)}
    assert {outcome.repeated for outcome in outcomes} == {True, False}


@pytest.mark.parametrize("failures", range(1, 9))
def test_a_transfer_ends_though_its_relays_fail_on_the_way(failures: int) -> None:
    log = FailingLog()
    with bank_on(log) as bank:
        bank.send(accounts.to("alice", Deposit(500)))
        bank.send(transfers.to("t", RequestTransfer("alice", "bob", 300)))
        for _ in range(failures):
            log.appends = 1
            with contextlib.suppress(LogUnavailable):
                bank.run_until_idle()
        log.appends = 0
        bank.run_until_idle()
        progress = bank.saga(transfers, "t")
        assert progress is not None
        assert progress.status == "completed"
        assert bank.state(accounts, "bob") == Account(balance=300, credited=300)
        assert bank.audit(money_is_conserved).holds


def test_an_app_that_another_took_over_from_does_not_take_back() -> None:
    log = FailingLog()
    with bank_on(log) as first:
        first.send(accounts.to("alice", Deposit(5)), id="one")
        with bank_on(log) as second:
            for _ in range(2):
                with pytest.raises(Fenced):
                    first.send(accounts.to("alice", Deposit(7)), id="two")
            with pytest.raises(Fenced):
                first.run_until_idle()
            assert second.send(accounts.to("alice", Deposit(5)), id="one").repeated
            assert second.send(accounts.to("alice", Deposit(7)), id="two").version == 2


def test_a_second_app_on_one_file_is_told_who_has_it(tmp_path: Path) -> None:
    address = f"sqlite:{tmp_path / 'bank.db'}"
    with app.open(address) as first:
        first.send(accounts.to("alice", Deposit(5)))
        with pytest.raises(OwnedElsewhere, match=r"bank.db are owned by .* \(process \d+\) since"):
            app.open(address)
        assert first.send(accounts.to("alice", Deposit(5))).version == 2
    with app.open(address) as again:
        assert again.state(accounts, "alice") == Account(10)


def seems_to_leave_out(log: Log, partition: int) -> None:
    """Write a copy of the last event of a partition that counts on by 5 too many, as no lane does."""
    with contextlib.closing(log.follow(ACCOUNT_EVENTS, {partition: 0})) as follower:
        last = follower.poll(1_000, 0)[partition][-1]
    envelope = read_envelope(last.envelope)
    further = replace(
        envelope, sequence=envelope.sequence + 5, stamp=envelope.stamp + (9 << 16), cause=envelope.cause + 5
    )
    log.append(ACCOUNT_EVENTS, partition, [Record(last.key or b"", last.value, write_envelope(further))])


def test_a_stranger_s_event_that_seems_to_leave_others_out_breaks_neither_audits_nor_read_models() -> None:
    log = FailingLog()
    with bank_on(log) as bank:
        first = bank.send(accounts.to("alice", Deposit(5)))
        ((_, partition),) = first.cut
        bank.ask(balances, "alice")
        seems_to_leave_out(log, partition)
        assert bank.state(accounts, "alice", at=Cut({(ACCOUNT_EVENTS, partition): 2})) == Account(5)
        assert bank.ask(balances, "alice").row == Balance("alice", 5)
        bank.send(accounts.to("alice", Deposit(7)))
        assert bank.state(accounts, "alice", at=Cut({(ACCOUNT_EVENTS, partition): 2})) == Account(5)
        assert bank.state(accounts, "alice") == Account(12)
        assert bank.ask(balances, "alice").row == Balance("alice", 12)
        assert bank.audit(money_is_conserved).holds


def test_an_audit_looks_behind_its_cut_where_events_seem_to_be_missing_before_it() -> None:
    """Of a log that lost an event, as no log of ours does: what follows the one behind it shows that it was the lane's."""
    whole, torn = FailingLog(), FailingLog()
    with bank_on(whole) as bank:
        first, *_ = [bank.send(accounts.to("alice", Deposit(amount))) for amount in (1, 2, 3, 4)]
    ((_, partition),) = first.cut
    provision(torn, wiring, 2)
    with contextlib.closing(whole.follow(ACCOUNT_EVENTS, {partition: 0})) as follower:
        events = follower.poll(10, 0)[partition]
    kept = [Record(e.key or b"", e.value, e.envelope, e.time_ms) for e in events if e.offset != 1]
    torn.append(ACCOUNT_EVENTS, partition, kept)
    machine = wiring.machine("account")
    assert states_at(torn, machine, Cut({(ACCOUNT_EVENTS, partition): 1})) == {"alice": Account(1)}
    for end in (2, 3):
        with pytest.raises(BrokenLog, match=rf"{ACCOUNT_EVENTS}\[{partition}\]@1: sequence 3 follows 1"):
            states_at(torn, machine, Cut({(ACCOUNT_EVENTS, partition): end}))


def test_what_does_not_come_to_rest_is_not_waited_for_without_end() -> None:
    log = FailingLog()
    with bank_on(log) as bank:
        bank.send(accounts.to("alice", Deposit(500)))
        bank.send(transfers.to("t", RequestTransfer("alice", "bob", 300)))
        with pytest.raises(TimedOut, match="did not come to rest within 0 s"):
            bank.run_until_idle(timeout_s=0.0)
