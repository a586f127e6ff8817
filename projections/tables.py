"""Tables of read models: a SQLAlchemy table derived from a row's shapes, or one of the user's own, checked against them.

A derived table is named for its projection, with a column a field; what has no SQL type of its own (nested values,
tuples, sets, maps, unions) is JSON. The types are the same to SQLAlchemy on every database, so a query written with the
table gives the row's own types back; SQLite keeps decimals as text, because its numbers are binary.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from eventcore.errors import NotSupported
from eventcore.shape import (
    Anything,
    Bool,
    Bytes,
    Choice,
    Day,
    Duration,
    Field,
    Float,
    Ident,
    Instant,
    Int,
    Many,
    MapOf,
    Maybe,
    Number,
    OneOf,
    Record,
    SetOf,
    Shape,
    Str,
)
from projections.projection import Projection

INT4 = 2**31


class Exact(TypeDecorator[Decimal]):
    """A decimal kept exactly: NUMERIC(precision, scale), and on SQLite its text with all digits of the scale."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(self.precision + 2))
        return dialect.type_descriptor(sa.Numeric(self.precision, self.scale))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """What the database is given."""
        return decimal_text(value, self.scale) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """What the caller gets."""
        return Decimal(value) if value is not None and dialect.name == "sqlite" else value


class Utc(TypeDecorator[datetime]):
    """An aware instant in UTC: TIMESTAMP WITH TIME ZONE, and on SQLite its text in UTC."""

    impl = sa.DateTime
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What the database is given: SQLite's text has no zone, so it is always UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What the caller gets: aware, in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def decimal_text(x: Decimal, scale: int) -> str:
    """All digits of the scale, so that equal decimals are equal texts."""
    return f"{x:.{scale}f}" if x else f"{Decimal(0):.{scale}f}"


def inner_of(shape: Shape) -> Shape:
    """The shape without its None."""
    return shape.of if isinstance(shape, Maybe) else shape


def table_of(projection: Projection[Any, Any]) -> sa.Table:
    """The table derived from a projection's row, in a collection of its own."""
    keys = {key.name for key in projection.key_fields}
    columns: list[sa.Column[Any]] = [
        sa.Column(
            field.name,
            _type(inner_of(field.shape), is_key=field.name in keys),
            nullable=isinstance(field.shape, Maybe),
        )
        for field in projection.fields
    ]
    primary = sa.PrimaryKeyConstraint(*(key.name for key in projection.key_fields))
    return sa.Table(projection.name, sa.MetaData(), *columns, primary, sqlite_with_rowid=False)


def _type(shape: Shape, *, is_key: bool) -> TypeEngine[Any]:
    match shape:
        case Str() | Choice():
            # Bytewise order and equality of keys, the same on every server whatever its locale.
            return sa.Text().with_variant(sa.Text(collation="C"), "postgresql") if is_key else sa.Text()
        case Bool():
            return sa.Boolean()
        case Int() | Duration():
            return sa.BigInteger()
        case Float():
            return sa.Double()
        case Number(precision, scale):
            return Exact(precision, scale)
        case Instant():
            return Utc()
        case Day():
            return sa.Date()
        case Ident():
            return sa.Uuid()
        case Bytes():
            return sa.LargeBinary()
        case Maybe() | Many() | SetOf() | MapOf() | Record() | OneOf() | Anything():
            return sa.JSON()


def check_bound(projection: Projection[Any, Any], table: sa.Table) -> None:
    """Raise NotSupported unless a table of the user's own can hold the rows of a projection, saying what differs."""
    where = f"projection {projection.name!r}: the table {table.name}"
    fields = {field.name: field for field in projection.fields}
    if missing := [name for name in fields if name not in table.columns]:
        raise NotSupported(f"{where} has no column {', '.join(missing)}; the row has a field of that name. Add it.")
    for column in table.columns:
        if column.name in fields:
            _check_column(fields[column.name], column, where)
        elif not column.nullable and column.server_default is None:
            raise NotSupported(
                f"{where} has the column {column.name}, and the row no such field: it must be nullable or have a server default."
            )
    keys, primary = [key.name for key in projection.key_fields], [column.name for column in table.primary_key]
    if set(keys) != set(primary):
        raise NotSupported(f"{where} has the primary key ({', '.join(primary)}); expected ({', '.join(keys)}).")


def _check_column(field: Field, column: sa.Column[Any], where: str) -> None:
    shape, kind = inner_of(field.shape), column.type
    if not _holds(shape, kind):
        derived = _type(shape, is_key=False)
        raise NotSupported(
            f"{where}: the column {column.name} of type {kind!r} cannot hold every {type(shape).__name__} of the row's "
            f"field exactly; use {derived!r}."
        )
    if isinstance(field.shape, Maybe) and not column.nullable:
        raise NotSupported(f"{where}: the column {column.name} must be nullable, because the row's field may be None.")


def _holds(shape: Shape, kind: TypeEngine[Any]) -> bool:
    match shape:
        case Str(_, most):
            return _is_text(kind, most)
        case Choice(_, symbols):
            return _is_text(kind, max(map(len, symbols)))
        case Bool():
            return isinstance(kind, sa.Boolean)
        case Int(low, high):
            small = low >= -INT4 and high < INT4
            return isinstance(kind, sa.BigInteger) or (small and type(kind) in (sa.Integer, sa.INTEGER))
        case Duration():
            return isinstance(kind, sa.BigInteger)
        case Float():
            return isinstance(kind, sa.Double)
        case Number(precision, scale):
            return isinstance(kind, Exact) and kind.scale >= scale and kind.precision - kind.scale >= precision - scale
        case Instant():
            return isinstance(kind, Utc)
        case Day():
            return isinstance(kind, sa.Date)
        case Ident():
            return isinstance(kind, sa.Uuid)
        case Bytes():
            return isinstance(kind, sa.LargeBinary)
        case Maybe() | Many() | SetOf() | MapOf() | Record() | OneOf() | Anything():
            return isinstance(kind, sa.JSON)


def _is_text(kind: TypeEngine[Any], most: int | None) -> bool:
    if not isinstance(kind, sa.String) or isinstance(kind, sa.Enum):
        return False
    return kind.length is None or (most is not None and most <= kind.length)


def check_existing(table: sa.Table, connection: sa.Connection) -> None:
    """Raise NotSupported, naming the difference, where the table in the database is not the declared one."""
    inspector = sa.inspect(connection)
    there = {column["name"]: column for column in inspector.get_columns(table.name, table.schema)}
    declared = {column.name: column for column in table.columns}
    differences = [f"{name} is missing" for name in declared if name not in there]
    differences += [
        f"{name} is not declared and must have a value"
        for name, column in there.items()
        if name not in declared and not column["nullable"] and column["default"] is None
    ]
    for name, column in declared.items():
        if name in there:
            differences += _differences(column, there[name]["type"], bool(there[name]["nullable"]), connection.dialect)
    primary = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    if set(primary) != {column.name for column in table.primary_key}:
        differences.append(f"its key is ({', '.join(primary)}), declared is ({_names(list(table.primary_key))})")
    if differences:
        raise NotSupported(
            f"the table {table.name} exists and differs from the row class: {'; '.join(differences)}. A changed row is a "
            "new read model: give the projection another name, or drop the table and its rows in eventcore_positions, "
            "and it is filled again from the log"
        )


def _differences(column: sa.Column[Any], found: TypeEngine[Any], nullable: bool, dialect: Dialect) -> list[str]:  # noqa: FBT001
    wanted, is_there = _kind(column.type, dialect), _kind(found, dialect)
    differences = [] if wanted == is_there else [f"{column.name} is {is_there}, declared is {wanted}"]
    if nullable != bool(column.nullable) and not column.primary_key:
        differences.append(f"{column.name} {'may' if nullable else 'may not'} be null")
    return differences


def _kind(kind: TypeEngine[Any], dialect: Dialect) -> str:
    """How the database spells a type, without a collation: two spellings of one type are compared as it says them."""
    text = kind.compile(dialect).partition(" COLLATE")[0].upper()
    return {"DOUBLE": "DOUBLE PRECISION", "FLOAT": "DOUBLE PRECISION"}.get(text, text)


def _names(columns: Sequence[sa.Column[Any]]) -> str:
    return ", ".join(column.name for column in columns)
