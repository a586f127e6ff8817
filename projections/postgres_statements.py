"""The statements of the Postgres views: fixed ones on the framework's tables, made ones on a projection's.

Final rows are written in one statement whatever their number: arrays of columns through `unnest` (least latency), or, when
they are many, binary COPY into a temporary table and one INSERT … ON CONFLICT from it. Measured: 98 k rows/s against 88 k
at 1,000 rows, 77 k against 115 k at 10,000; SQLAlchemy's own upsert 44-50 k.
"""
# ruff: noqa: S608 - the names in these statements come from definitions and are quoted; values are bound

from __future__ import annotations

from typing import Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from eventcore.value import Value
from projections.models import Model

Row = TypeVar("Row", bound=Value)

DIALECT: Dialect = sa.make_url("postgresql+psycopg://").get_dialect()()

OTHER_TOPICS = "SELECT DISTINCT topic FROM eventcore_positions WHERE projection = %s AND topic <> %s"
TAKE_OVER = (
    "INSERT INTO eventcore_positions AS p (projection, topic, partition, next_offset, sequence, term, epoch) "
    "VALUES (%s, %s, %s, 0, 0, 0, 1) ON CONFLICT (projection, topic, partition) DO UPDATE SET epoch = p.epoch + 1 "
    "RETURNING epoch, next_offset, sequence, term"
)
STANDING = (
    "SELECT epoch, next_offset, sequence, term FROM eventcore_positions "
    "WHERE projection = %s AND topic = %s AND partition = %s"
)
ADVANCE = (
    "UPDATE eventcore_positions SET next_offset = %s, sequence = %s, term = %s "
    "WHERE projection = %s AND topic = %s AND partition = %s AND epoch = %s AND next_offset = %s"
)
POSITIONS = "SELECT topic, partition, next_offset FROM eventcore_positions WHERE projection = %s"
PARK = (
    "INSERT INTO eventcore_parked (projection, topic, partition, log_offset, category, reason, key, value, envelope) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (projection, topic, partition, log_offset) DO UPDATE SET "
    "category = excluded.category, reason = excluded.reason, key = excluded.key, value = excluded.value, "
    "envelope = excluded.envelope"
)
PARKED = (
    "SELECT topic, partition, log_offset, category, reason, key, value, envelope FROM eventcore_parked "
    "WHERE projection = %s ORDER BY topic, partition, log_offset LIMIT %s"
)


class Statements(Generic[Row]):
    """A model and the statements on its table."""

    def __init__(self, model: Model[Row]) -> None:
        self.model = model
        self.sent_as = [_sent(form.sql) for form in model.forms]
        table, load_table = DIALECT.identifier_preparer.format_table(model.table), _load_table(model.projection.name)
        names, keys = [_quote(name) for name in model.names], [_quote(name) for name in model.keys]
        given = [f"c{i}" for i in range(len(names))]
        casts = [
            f"CAST({c} AS {model.table.columns[name].type.compile(DIALECT)})" if form.sql == "json" else c
            for c, name, form in zip(given, model.names, model.forms, strict=True)
        ]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
        insert = f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(casts)} FROM "
        resolve = f" ON CONFLICT ({', '.join(keys)}) DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"
        arrays = ", ".join(f"%b::{sql}[]" for sql in self.sent_as)
        typed = ", ".join(f"{c} {sql}" for c, sql in zip(given, self.sent_as, strict=True))
        self.upsert = _query(f"{insert}unnest({arrays}) AS given ({', '.join(given)}){resolve}")
        self.create_load_table = _query(f"CREATE TEMPORARY TABLE {load_table} ({typed}) ON COMMIT DELETE ROWS")
        self.copy = _query(f"COPY {load_table} FROM STDIN (FORMAT BINARY)")
        self.upsert_loaded = _query(f"{insert}{load_table}{resolve}")

        key_types = [_sent(form.sql) for form in model.key_forms]
        columns = ", ".join(
            f"t.{name}::text" if form.sql == "json" else f"t.{name}"
            for name, form in zip(names, model.forms, strict=True)
        )
        key_arrays, aliases = (
            ", ".join(f"%b::{sql}[]" for sql in key_types),
            ", ".join(f"k{i}" for i in range(len(keys))),
        )
        wanted = f"unnest({key_arrays}) AS wanted ({aliases})"
        same = " AND ".join(f"t.{key} = wanted.k{i}" for i, key in enumerate(keys))
        self.delete = _query(f"DELETE FROM {table} AS t USING {wanted} WHERE {same}")
        self.read = _query(f"SELECT {columns} FROM {wanted} JOIN {table} AS t ON {same}")
        order = ", ".join(f"t.{key}{_collated(sql)}" for key, sql in zip(keys, key_types, strict=True))
        self.every = _query(f"SELECT {columns} FROM {table} AS t ORDER BY {order}")
        this = " AND ".join(f"t.{key} = %b::{sql}" for key, sql in zip(keys, key_types, strict=True))
        # One statement sees one snapshot: the row and the cut are of one moment, in one round trip.
        self.ask = _query(
            f"SELECT p.topics, p.partitions, p.offsets, t.{keys[0]} IS NOT NULL, {columns} FROM "
            "(SELECT array_agg(topic) AS topics, array_agg(partition) AS partitions, array_agg(next_offset) AS offsets "
            f"FROM eventcore_positions WHERE projection = %s) AS p LEFT JOIN {table} AS t ON {this}"
        )


def _query(text: str) -> bytes:
    return text.encode()  # the driver's types take a made statement as bytes only


def _load_table(projection: str) -> str:
    return _quote(f"eventcore_load_{projection}")  # at most the 63 bytes that an identifier may have


def _sent(sql: str) -> str:
    return "text" if sql == "json" else sql


def _collated(sql: str) -> str:
    return ' COLLATE "C"' if sql == "text" else ""


def _quote(name: str) -> str:
    return f'"{name}"'
