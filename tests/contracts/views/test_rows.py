"""Rows as they are written, deleted, read back and iterated, by every path of every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from eventcore.cut import Cut, Position
from eventcore.errors import InvalidValue, WrongUse
from eventcore.value import Value
from projections import Projection, Views
from projections.views import Advance, Batch, Parked
from tests.contracts.views.bank import TOPIC, Balance, Daily, Event, accounts, balances, dailies

FEW, MANY = 3, 2_500  # below and above what Postgres is sent by COPY


class Seen(Value):
    """That an account exists: a row that is nothing but its key."""

    account: str


def seen_row(row: Seen | None, account: str, event: Event) -> Seen | None:
    """Remember the account."""
    del row, event
    return Seen(account)


seen = Projection("seen", accounts, Seen, seen_row)


class Writer:
    """Commits rows of one projection, one offset a commit."""

    def __init__(self, views: Views, projection: Projection[Any, Any]) -> None:
        self._views = views
        self._projection = projection
        self._standing = views.take_over(projection, TOPIC, [0])[0]

    def commit(self, rows: Sequence[Value] = (), deleted: Sequence[Any] = (), parked: Sequence[Parked] = ()) -> None:
        """Commit these, and move the position by one."""
        step = Advance(0, self._standing, self._standing.next_offset + 1, self._standing.sequence + 1, 1)
        self._views.commit(self._projection, Batch(TOPIC, [step], rows, deleted, parked))
        self._standing = step.after()


@pytest.mark.parametrize("count", [FEW, MANY])
def test_rows_are_inserted_and_replaced(views: Views, count: int) -> None:
    writer = Writer(views, balances)
    for turn in range(3):
        rows = [Balance(f"a{n}", n, turn) for n in range(count)]
        writer.commit(rows)
        assert views.read_rows(balances, [row.account for row in rows]) == {row.account: row for row in rows}


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_row_of_nothing_but_its_key_may_be_written_again(views: Views, count: int) -> None:
    views.prepare([seen])
    writer = Writer(views, seen)
    rows = [Seen(f"a{n}") for n in range(count)]
    writer.commit(rows)
    writer.commit(rows)
    assert len(list(views.rows(seen))) == count


@pytest.mark.parametrize("count", [FEW, MANY])
def test_deleted_rows_are_gone_and_others_stay(views: Views, count: int) -> None:
    writer = Writer(views, balances)
    writer.commit([Balance(f"a{n}", n, 1) for n in range(count + 1)])
    writer.commit(deleted=[f"a{n}" for n in range(count)])
    assert list(views.rows(balances)) == [Balance(f"a{count}", count, 1)]


def test_a_key_may_have_several_fields(views: Views) -> None:
    first, second = date(2024, 2, 28), date(2024, 2, 29)
    writer = Writer(views, dailies)
    writer.commit([Daily("a", first, 1), Daily("a", second, 2), Daily("b", first, 3)])
    writer.commit(deleted=[("a", first)])
    assert views.ask(dailies, ("a", second)).row == Daily("a", second, 2)
    assert views.ask(dailies, ("a", first)).row is None
    assert views.read_rows(dailies, [("b", first), ("c", first)]) == {("b", first): Daily("b", first, 3)}


def test_keys_that_no_row_has_are_not_in_the_answer(views: Views) -> None:
    assert views.read_rows(balances, [f"a{n}" for n in range(MANY)]) == {}


def test_all_rows_come_in_the_bytewise_order_of_their_keys(views: Views) -> None:
    names = ["b", "B", "a", "Z", "é", "z", "", "ab", "a b", "10", "9", "\U0001f600", "\uffff"]
    Writer(views, balances).commit([Balance(name, 0, 1) for name in names])
    assert [row.account for row in views.rows(balances)] == sorted(names, key=str.encode)


def test_all_rows_and_their_cut_are_of_one_moment(views: Views) -> None:
    writer = Writer(views, balances)
    writer.commit([Balance(f"a{n:04}", 0, 1) for n in range(MANY)])
    with views.rows(balances) as answer:
        iterated = iter(answer)
        first = next(iterated)
        writer.commit([Balance(f"a{n:04}", 0, 2) for n in range(MANY)])
        assert answer.cut == Cut({(TOPIC, 0): 1})
        assert {row.turns for row in [first, *iterated]} == {1}


def test_text_that_a_database_might_not_keep_comes_back(views: Views) -> None:
    names = ["\0", "a\0b", "\ufdd0", "\ufdd00", "\ufdd01\0", "\ufdd0\ufdd0", "%s", "'", '"', "\\", "\n", "a" * 255]
    rows = [Balance(name, n, 1) for n, name in enumerate(names)]
    Writer(views, balances).commit(rows)
    for row in rows:
        assert views.ask(balances, row.account).row == row


def test_parked_records_keep_their_bytes_and_come_in_order(views: Views) -> None:
    whole = Parked(0, 7, "foreign", "why", b"k\0", b"\xc3\x01", b"")
    bare = Parked(0, 2, "foreign", "", None, None, None)
    Writer(views, balances).commit(parked=[whole, bare])
    assert views.parked(balances) == [(Position(TOPIC, 0, 2), bare), (Position(TOPIC, 0, 7), whole)]
    assert views.parked(balances, most=1) == [(Position(TOPIC, 0, 2), bare)]
    assert views.parked(dailies) == []


def test_a_key_of_the_wrong_kind_is_refused(views: Views) -> None:
    with pytest.raises(InvalidValue, match=r"a key of this read model is \(account, day\), not 'a'"):
        views.ask(dailies, "a")
    with pytest.raises(InvalidValue, match=r"dailies.day: expected date, got str 'monday'"):
        views.ask(dailies, ("a", "monday"))


def test_a_read_model_without_a_table_says_who_makes_it(views: Views) -> None:
    with pytest.raises(WrongUse, match="a worker creates it when it starts"):
        views.ask(seen, "a")


def test_closed_views_say_so(views: Views) -> None:
    views.close()
    views.close()
    with pytest.raises(WrongUse, match="open them again"):
        views.ask(balances, "a")
