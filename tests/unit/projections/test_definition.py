"""A projection that cannot work fails when it is defined, and says what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import pytest

from eventcore.errors import InvalidValue, NotSupported
from eventcore.value import Value
from projections import Projection
from tests.contracts.views.bank import (
    Balance,
    Closed,
    Daily,
    Deposited,
    Event,
    Withdrawn,
    accounts,
    balance_row,
    balances,
    dailies,
)


def define(row: Any, fold: Callable[..., Any], key: Sequence[str] = (), name: str = "p") -> Projection[Any, Any]:
    return Projection(name, accounts, row, fold, key)


def folding(row: Any, event: Any = Event, returned: Any = None, instance: Any = str) -> Callable[..., Any]:
    """A fold annotated for a row class."""

    def fold(before: Any, account: Any, given: Any) -> Any:
        del account, given
        return before

    fold.__annotations__ = {
        "before": row | None, "account": instance, "given": event, "return": returned or row | None,
    }  # fmt: skip
    return fold


class Numbered(Value):
    """Its first field is no id."""

    number: int
    account: str


class Nothing(Value):
    """No fields."""


class Cased(Value):
    """Two columns of one name."""

    account: str
    Account: int


class System(Value):
    """A column that Postgres has of its own."""

    account: str
    xmin: int


class Listed(Value):
    """A field that no value may have."""

    account: str
    items: list[int]


class Sometimes(Value):
    """A key that may be None, or a float."""

    account: str
    day: date | None
    ratio: float


class Moment(Value):
    """A key of another type than the event's attribute."""

    account: str
    day: datetime
    reason: str


def test_a_key_is_the_first_field_unless_it_is_named() -> None:
    assert [field.name for field in balances.key_fields] == ["account"]
    assert balances.key_of(Balance("alice", 1, 1)) == "alice"
    assert balances.key_for is None
    assert [field.name for field in dailies.key_fields] == ["account", "day"]
    assert dailies.key_of(Daily("alice", date(2024, 1, 2), 1)) == ("alice", date(2024, 1, 2))
    assert dailies.key_for is not None
    assert dailies.key_for("bob", Closed(date(2024, 1, 2))) == ("bob", date(2024, 1, 2))


def test_a_fold_may_take_more_events_than_the_source_writes_and_never_delete() -> None:
    class_of_all = Event | Balance
    assert define(Balance, folding(Balance, class_of_all, Balance)).name == "p"


@pytest.mark.parametrize("name", ["", "Balances", "1st", "a-b", "a" * 49, "eventcore_x", "sqlite_x", "pg_x", "a b"])
def test_a_name_must_be_a_table_s(name: str) -> None:
    with pytest.raises(NotSupported, match="its name names a table"):
        define(Balance, balance_row, name=name)


@pytest.mark.parametrize(
    ("row", "key", "problem"),
    [
        (Nothing, (), "has no fields; the first one holds the instance's id"),
        (Numbered, (), r"Numbered.number holds the instance's id, so it must be a str, not Int"),
        (Cased, (), "the fields account and Account, one name to SQL"),
        (System, (), "System.xmin cannot name a column"),
        (Listed, (), r"projection 'p': Listed.items: list\[int\] is not a type|write tuple"),
        (Balance, ("acount",), "has no field acount; its fields are account, balance, turns"),
        (Balance, ("account", "account"), "names a field twice"),
        (Balance, ("account", "balance"), "taken from the attribute balance of each event, and Deposited has none"),
        (Sometimes, ("account", "day"), "Sometimes.day cannot be part of a key, being Maybe"),
        (Sometimes, ("account", "ratio"), "Sometimes.ratio cannot be part of a key, being Float"),
        (Moment, ("account", "day"), "and Deposited has one that is Day; expected Instant"),
    ],
)
def test_a_row_that_cannot_be_kept_is_refused(row: type[Value], key: Sequence[str], problem: str) -> None:
    with pytest.raises(NotSupported, match=problem):
        define(row, folding(row), key)


def two(row: Balance | None, account: str) -> Balance | None:
    """Too few parameters."""
    del account
    return row


def unannotated() -> Callable[..., Any]:
    """A fold with an annotation for its id only."""
    fold = folding(Balance)
    fold.__annotations__ = {"account": str}
    return fold


@pytest.mark.parametrize(
    ("fold", "problem"),
    [
        (two, "fold takes 2 parameters"),
        (unannotated(), "fold needs an annotation for before, given, return"),
        (folding(Daily), r"first parameter must be `Balance \| None`"),
        (folding(Balance, returned=Daily | None), r"must return `Balance \| None`"),
        (folding(Balance, instance=bytes), "must be `str`"),
        (folding(Balance, event=Deposited | Withdrawn), "does not take Closed, which the source writes"),
        (folding(Balance, event="Nowhere"), "name 'Nowhere' is not defined.*at the top of a module"),
    ],
)
def test_a_fold_that_does_not_fit_is_refused(fold: Callable[..., Any], problem: str) -> None:
    with pytest.raises(NotSupported, match=problem):
        define(Balance, fold)


def test_a_row_that_may_not_be_absent_at_first_is_refused() -> None:
    fold = folding(Balance)
    fold.__annotations__["before"] = Balance
    with pytest.raises(NotSupported, match="there is no row at first"):
        define(Balance, fold)


def test_a_caller_s_key_is_checked_part_by_part() -> None:
    day = date(2024, 1, 2)
    assert balances.key_from("alice") == balances.key_from(("alice",)) == "alice"
    assert dailies.key_from(("alice", day)) == ("alice", day)
    for wrong in (7, ("a", day, 1), "a", ("a",), ("a", "b"), (1, day)):
        with pytest.raises(InvalidValue):
            dailies.key_from(wrong)
