"""Every shape of field comes back as it was, by every path: alone, in arrays, through COPY, and from tables of one's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from eventcore.aggregate import Aggregate
from eventcore.errors import NotSupported
from eventcore.testing.strategies import values_of
from eventcore.validate import validate
from eventcore.value import Digits, Map, Value
from projections import Projection, Views
from projections.postgres_views import PostgresViews
from projections.sqlite_views import SqliteViews
from projections.tables import Exact, Utc, check_bound, table_of
from tests.contracts.views.bank import Account, Close, Event, accounts
from tests.contracts.views.conftest import Place
from tests.contracts.views.test_rows import Writer
from tests.strategies import make_class, value_classes

ROWS_BY_COPY = 21
numbers = count()


@pytest.fixture(autouse=True, scope="module")
def copied_soon() -> Iterator[None]:
    """A batch need not be large to go through COPY; that large ones do is for tests that write some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projections.postgres_views.UNNEST_ROWS_MAX", ROWS_BY_COPY - 1)
        yield


class Colour(Enum):
    """An enum whose values are stored by name."""

    RED = 1
    GREEN = 2


class Point(Value):
    """A nested value."""

    x: int
    y: float


class Named(Value):
    """Another one, for a union."""

    name: str
    at: datetime


class Kinds(Value):
    """A field of every kind."""

    id: str
    flag: bool
    number: int
    ratio: float
    text: str
    raw: bytes
    money: Annotated[Decimal, Digits(40, 20)]
    whole: Annotated[Decimal, Digits(5, 0)]
    at: datetime
    day: date
    took: timedelta
    ident: UUID
    colour: Colour
    side: Literal["left", "right"]
    maybe_flag: bool | None
    maybe_number: int | None
    maybe_ratio: float | None
    maybe_text: str | None
    maybe_raw: bytes | None
    maybe_money: Annotated[Decimal, Digits(12, 2)] | None
    maybe_at: datetime | None
    maybe_day: date | None
    maybe_took: timedelta | None
    maybe_ident: UUID | None
    maybe_colour: Colour | None
    point: Point
    maybe_point: Point | None
    either: Point | Named
    points: tuple[Point, ...]
    tags: frozenset[str]
    by_name: Map[Annotated[Decimal, Digits(12, 2)]]


class Keyed(Value):
    """A key of every kind that a key may have."""

    id: str
    flag: bool
    number: int
    raw: bytes
    money: Annotated[Decimal, Digits(12, 2)]
    at: datetime
    day: date
    took: timedelta
    ident: UUID
    colour: Colour
    side: Literal["left", "right"]
    payload: str


class Moved(Value):
    """An event with every kind of attribute that a key may have."""

    flag: bool
    number: int
    raw: bytes
    money: Annotated[Decimal, Digits(12, 2)]
    at: datetime
    day: date
    took: timedelta
    ident: UUID
    colour: Colour
    side: Literal["left", "right"]


def unchanged(row: type[Value], event: object) -> Any:
    """A fold that leaves every row of a class as it is."""

    def fold(before: Any, account: str, given: Any) -> Any:
        del account, given
        return before

    fold.__annotations__ = {"before": row | None, "account": str, "given": event, "return": row | None}
    return fold


def no_moves(account: Account, command: Close) -> list[Moved]:
    """Decide nothing."""
    del account, command
    return []


def unmoved(account: Account, event: Moved) -> Account:
    """Leave the state."""
    del event
    return account


KEY = ("id", "flag", "number", "raw", "money", "at", "day", "took", "ident", "colour", "side")
kinds: Projection[Any, Any] = Projection("kinds", accounts, Kinds, unchanged(Kinds, Event))
keyed: Projection[Any, Any] = Projection(
    "keyed", Aggregate("account", Account, no_moves, unmoved), Keyed, unchanged(Keyed, Moved), key=KEY
)

on_one_database = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def check_round_trip(views: Views, projection: Projection[Any, Any], rows: list[Any]) -> None:
    """Write rows in a small and in a large batch, and read them by each of the three reads."""
    by_key = {projection.key_of(row): row for row in rows}
    padding = [
        msgspec.structs.replace(rows[0], **{projection.key_fields[0].name: f"padding {n}"}) for n in range(ROWS_BY_COPY)
    ]
    writer = Writer(views, projection)
    for batch in (rows, [*padding, *rows], rows):
        writer.commit(batch)
        found = views.read_rows(projection, list(by_key))
        assert found == by_key
        for row in found.values():
            validate(row)  # exact types, instants in UTC
        assert views.ask(projection, projection.key_of(rows[0])).row == rows[0]
    with views.rows(projection) as every:
        kept = list(every)
    assert len(kept) == len(padding) + len(rows)
    assert {projection.key_of(row): row for row in kept}.items() >= by_key.items()
    writer.commit(deleted=[projection.key_of(row) for row in kept])
    assert list(views.rows(projection)) == []


@on_one_database
@given(rows=st.lists(values_of(Kinds), min_size=1, max_size=3, unique_by=kinds.key_of))
def test_a_field_of_every_kind_comes_back(views: Views, rows: list[Kinds]) -> None:
    views.prepare([kinds])
    check_round_trip(views, kinds, rows)


@on_one_database
@given(rows=st.lists(values_of(Keyed), min_size=1, max_size=3, unique_by=keyed.key_of))
def test_a_key_of_every_kind_finds_its_row(views: Views, rows: list[Keyed]) -> None:
    views.prepare([keyed])
    check_round_trip(views, keyed, rows)


@on_one_database
@given(cls=value_classes(), data=st.data())
def test_rows_of_any_class_come_back(views: Views, cls: type[Value], data: st.DataObject) -> None:
    row = make_class("Row", {"id": str, **cls.__annotations__})
    projection: Projection[Any, Any] = Projection(f"generated{next(numbers)}", accounts, row, unchanged(row, Event))
    views.prepare([projection])
    views.prepare([projection])  # what was made is what is declared
    check_round_trip(
        views, projection, data.draw(st.lists(values_of(row), min_size=1, max_size=2, unique_by=projection.key_of))
    )


def own_table(changes: Mapping[str, sa.Column[Any] | None] | None = None) -> sa.Table:
    """A table as an application might have it: columns besides the row's, a narrower type where the row allows it."""
    columns: dict[str, sa.Column[Any] | None] = {
        "note": sa.Column("note", sa.Text),
        "turns": sa.Column("turns", sa.Integer, nullable=False),
        "balance": sa.Column("balance", sa.BigInteger, nullable=False),
        "made": sa.Column("made", sa.Text, server_default="by hand", nullable=False),
        "account": sa.Column("account", sa.Text, primary_key=True),
        **(changes or {}),
    }
    return sa.Table("my_balances", sa.MetaData(), *[column for column in columns.values() if column is not None])


class Small(Value):
    """A row whose bounds fit a narrower column."""

    account: str
    balance: int
    turns: Annotated[int, Meta(ge=0, le=1_000)]


small: Projection[Small, Any] = Projection("small", accounts, Small, unchanged(Small, Event))


def test_a_table_of_ones_own_is_filled(place: Place, adapter: type[SqliteViews | PostgresViews]) -> None:
    with contextlib.closing(adapter(place.address.removeprefix("sqlite:"), tables={small: own_table()})) as views:
        views.upgrade()
        views.prepare([small])
        rows = [Small(f"a{n}", n, n % 7) for n in range(1_500)]
        writer = Writer(views, small)
        writer.commit(rows[:3])
        writer.commit(rows)
        assert sorted(views.rows(small), key=lambda row: row.balance) == rows
        assert views.ask(small, "a7").row == rows[7]
        views.prepare([small])


@pytest.mark.parametrize(
    ("name", "column", "problem"),
    [
        ("turns", None, "has no column turns"),
        ("balance", sa.Column("balance", sa.Integer), r"column balance of type Integer\(\) cannot hold every Int"),
        ("account", sa.Column("account", sa.String(10), primary_key=True), "cannot hold every Str"),
        ("note", sa.Column("note", sa.Text, nullable=False), "must be nullable or have a server default"),
        (
            "turns",
            sa.Column("turns", sa.Integer, primary_key=True),
            r"primary key \(turns, account\); expected \(account\)",
        ),
    ],
)
def test_a_table_that_cannot_hold_every_row_is_refused(name: str, column: sa.Column[Any] | None, problem: str) -> None:
    with pytest.raises(NotSupported, match=problem):
        check_bound(small, own_table({name: column}))


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("ratio", sa.Numeric(10, 2)),
        ("money", sa.Numeric(40, 20)),
        ("money", Exact(40, 2)),
        ("at", sa.DateTime(timezone=True)),
        ("flag", sa.Integer()),
        ("colour", sa.String(3)),
        ("point", sa.Text()),
    ],
)
def test_a_column_that_would_lose_something_is_refused(field: str, kind: Any) -> None:
    table = table_of(kinds)
    table.columns[field].type = kind
    with pytest.raises(NotSupported, match=f"the column {field} of type"):
        check_bound(kinds, table)


def test_sqlalchemy_reads_a_derived_table_with_the_types_of_the_row(views: Views, place: Place) -> None:
    row = Keyed("a", True, 1, b"\0", Decimal("1.50"), datetime(2024, 2, 29, 12, tzinfo=UTC), date(2024, 2, 29),
                timedelta(seconds=1), UUID(int=5), Colour.RED, "left", "p")  # fmt: skip
    views.prepare([keyed])
    Writer(views, keyed).commit([row])
    address = place.address if place.kind == "postgres" else f"sqlite:///{place.address.removeprefix('sqlite:')}"
    with sa.create_engine(address, poolclass=sa.NullPool).connect() as connection:
        found = connection.execute(sa.select(table_of(keyed))).mappings().one()
    assert {name: found[name] for name in ("flag", "raw", "money", "at", "day", "ident")} == {
        "flag": True, "raw": b"\0", "money": Decimal("1.50"), "at": row.at, "day": row.day, "ident": row.ident,
    }  # fmt: skip
    assert found["at"].tzinfo is UTC
    assert (found["took"], found["colour"], found["side"]) == (1_000_000, "RED", "left")


def test_the_types_for_tables_of_ones_own_keep_none() -> None:
    dialect = sa.create_engine("sqlite://").dialect
    for kind in (Exact(12, 2), Utc()):
        assert kind.process_bind_param(None, dialect) is None
        assert kind.process_result_value(None, dialect) is None
