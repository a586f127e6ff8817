"""A runner on every adapter: it resumes, parks, halts, and steps down, and its rows are what was committed."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from msgspec.structs import replace

from eventcore.cut import Cut, Position
from eventcore.errors import BrokenLog, DataError, Fenced, WrongUse
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record, TopicPlan
from projections import FoldFailed, Projection, ProjectionRunner, Views
from tests.contracts.views.bank import (
    TOPIC,
    Balance,
    Closed,
    Daily,
    Deposited,
    Event,
    Lane,
    Withdrawn,
    accounts,
    balances,
    catalogue,
    dailies,
    deposits,
    new_bank,
)
from tests.contracts.views.conftest import Place


def runner_on(log: MemoryLog, views: Views) -> ProjectionRunner[Balance]:
    return ProjectionRunner(balances, log, views, catalogue, TOPIC)


def test_a_batch_of_events_becomes_rows_and_a_position(views: Views) -> None:
    bank = new_bank(partitions=2)
    runner = runner_on(bank.log, views)
    bank.lanes[0].write([("a", Deposited(5)), ("b", Deposited(1)), ("a", Withdrawn(2)), ("b", Closed())])
    bank.lanes[1].write([("c", Deposited(9))])
    assert runner.step(0) == 5
    assert runner.position == views.position(balances) == Cut({(TOPIC, 0): 4, (TOPIC, 1): 1})
    assert list(views.rows(balances)) == [Balance("a", 3, 2), Balance("c", 9, 1)]
    assert runner.step(0) == 0


def test_a_row_is_deleted_and_may_come_again(views: Views) -> None:
    bank = new_bank()
    runner = runner_on(bank.log, views)
    steps: list[tuple[list[Event], Balance | None]] = [
        ([Deposited(5)], Balance("a", 5, 1)),
        ([Closed()], None),
        ([Deposited(7)], Balance("a", 7, 1)),
        ([Closed(), Deposited(1)], Balance("a", 1, 1)),
        ([Deposited(1), Closed()], None),
    ]
    for events, expected in steps:
        bank.lanes[0].write([("a", event) for event in events])
        runner.step(0)
        assert views.ask(balances, "a").row == expected


def test_rows_of_a_day_are_kept_apart(views: Views) -> None:
    one, two = date(2024, 1, 1), date(2024, 1, 2)
    bank = new_bank()
    runner = ProjectionRunner(dailies, bank.log, views, catalogue, TOPIC)
    batches: list[list[Event]] = [[Deposited(1, one), Deposited(2, two)], [Deposited(4, one), Closed(two)]]
    for events in batches:
        bank.lanes[0].write([("a", event) for event in events])
        runner.step(0)
    assert list(views.rows(dailies)) == [Daily("a", one, 5)]


def test_a_new_runner_goes_on_where_the_last_one_stood(views: Views, place: Place) -> None:
    bank = new_bank()
    bank.lanes[0].write(deposits(30))
    runner_on(bank.log, views).step(0)
    bank.lanes[0].write(deposits(30))
    with contextlib.closing(place.open()) as reopened:
        successor = runner_on(bank.log, reopened)
        assert successor.step(0) == 30
        assert [row.turns for row in reopened.rows(balances)] == [6] * 10


def test_a_former_runner_writes_nothing_and_stays_down(views: Views, place: Place) -> None:
    bank = new_bank()
    former = runner_on(bank.log, views)
    former.step(0)
    with contextlib.closing(place.open()) as reopened:
        successor = runner_on(bank.log, reopened)
        successor.start()
        bank.lanes[0].write(deposits(10))
        with pytest.raises(Fenced, match="belongs to another process"):
            former.step(0)
        with pytest.raises(WrongUse, match="runs again only when it is started again"):
            former.step(0)
        assert successor.step(0) == 10
    former.start()
    bank.lanes[0].write(deposits(10))
    assert former.step(0) == 10
    assert [row.turns for row in views.rows(balances)] == [2] * 10


def test_a_closed_runner_may_be_started_again(views: Views) -> None:
    bank = new_bank()
    runner = runner_on(bank.log, views)
    runner.start()
    runner.close()
    runner.close()
    with pytest.raises(WrongUse, match="was closed; start it again"):
        runner.step(0)
    bank.lanes[0].write(deposits(1))
    runner.start()
    assert runner.step(0) == 1


def test_records_of_other_writers_are_parked_with_their_bytes(views: Views) -> None:
    bank = new_bank()
    runner = runner_on(bank.log, views)
    bank.lanes[0].write([("a", Deposited(1))])
    bank.lanes[0].append([Record(b"a", b"junk", None), Record(b"\xff", None, b"junk")])
    bank.lanes[0].write([("a", Deposited(2))])
    assert runner.step(0) == 4
    assert views.ask(balances, "a").row == Balance("a", 3, 2)
    assert [(at, p.key, p.value, p.envelope) for at, p in views.parked(balances)] == [
        (Position(TOPIC, 0, 1), b"a", b"junk", None),
        (Position(TOPIC, 0, 2), b"\xff", None, b"junk"),
    ]


def test_a_position_moves_over_what_leaves_no_rows(views: Views) -> None:
    bank = new_bank()
    runner = runner_on(bank.log, views)
    bank.lanes[0].append([Record(b"a", b"junk", None)])
    runner.step(0)
    assert views.position(balances) == Cut({(TOPIC, 0): 1})


def test_missing_events_halt_and_nothing_is_skipped(views: Views) -> None:
    bank = new_bank()
    runner = runner_on(bank.log, views)
    bank.lanes[0].write([("a", Deposited(1))])
    bank.lanes[0].sequence += 1
    bank.lanes[0].write([("a", Deposited(2)), ("a", Deposited(3))])
    for _ in range(2):
        with pytest.raises(BrokenLog, match=r"bank.account.events\[0\]@1: sequence 3 follows 1"):
            runner.step(0)
    assert views.position(balances) == Cut()


def _told_with_their_time(lane: Lane, *events: Event) -> None:
    """As a lane's records are: their time is that of their stamp."""
    lane.append([replace(record, time_ms=lane.sequence) for record in (lane.record("a", event) for event in events)])


def test_an_event_that_seems_to_leave_others_out_is_a_stranger_s_where_the_lane_goes_on_before_it(views: Views) -> None:
    bank = new_bank()
    lane = bank.lanes[0]
    runner = runner_on(bank.log, views)
    _told_with_their_time(lane, Deposited(1))
    stranger = Lane(bank.log)
    stranger.sequence = 7
    stranger.write([("a", Deposited(100))])
    assert runner.step(0) == 2
    _told_with_their_time(lane, Deposited(2))
    runner.step(0)
    assert [(row.balance, row.turns) for row in views.rows(balances)] == [(3, 2)]
    assert [position.offset for position, _ in views.parked(balances)] == [1]


@pytest.mark.parametrize("restarted", [False, True])
def test_missing_events_halt_with_the_second_record_behind_them_however_they_are_read(
    views: Views, *, restarted: bool
) -> None:
    bank = new_bank()
    lane = bank.lanes[0]
    runner = runner_on(bank.log, views)
    _told_with_their_time(lane, Deposited(1))
    runner.step(0)
    lane.sequence += 1
    _told_with_their_time(lane, Deposited(2))
    runner.step(0)
    _told_with_their_time(lane, Deposited(3))
    for _ in range(2):
        if restarted:
            runner.start()
        with pytest.raises(BrokenLog, match=r"bank.account.events\[0\]@1: sequence 3 follows 1"):
            runner.step(0)
    assert [row.balance for row in views.rows(balances)] == [1]


def test_rows_that_the_cache_forgot_are_read_again(views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.runner.CACHED_ROWS_MAX", 3)
    bank = new_bank()
    runner = runner_on(bank.log, views)
    for number in range(12):
        bank.lanes[0].write([(f"a{n % 5}", Deposited(1)) for n in range(number, number + 2)])
        runner.step(0)
    assert [row.turns for row in views.rows(balances)] == [5, 6, 5, 4, 4]


def test_a_log_that_lost_its_beginning_is_refused(views: Views) -> None:
    bank = new_bank()
    bank.lanes[0].write(deposits(5))
    runner_on(bank.log, views).step(0)
    emptied = MemoryLog()
    emptied.provision([TopicPlan(TOPIC, 1)])
    with pytest.raises(DataError, match="ends at 0, and the start asked for is 5"):
        runner_on(emptied, views).start()


def suspicious_row(row: Balance | None, account: str, event: Event) -> Balance | None:
    """Raises at a large amount."""
    del row
    amount = 0 if isinstance(event, Closed) else event.amount
    if amount > 100:
        raise OverflowError(amount)
    return Balance(account, amount, 1)


def test_a_fold_that_raises_halts_there_and_goes_on_when_it_is_corrected(views: Views) -> None:
    bank = new_bank()
    runner = ProjectionRunner(
        Projection("balances", accounts, Balance, suspicious_row), bank.log, views, catalogue, TOPIC
    )
    bank.lanes[0].write([("a", Deposited(1))])
    runner.step(0)
    bank.lanes[0].write([("b", Deposited(2)), ("a", Deposited(101))])
    for _ in range(2):
        with pytest.raises(FoldFailed, match=r"halts at bank.account.events\[0\]@2.* raised OverflowError: 101"):
            runner.step(0)
    assert list(views.rows(balances)) == [Balance("a", 1, 1)]
    corrected = runner_on(bank.log, views)
    assert corrected.step(0) == 2
    assert list(views.rows(balances)) == [Balance("a", 102, 2), Balance("b", 2, 1)]
