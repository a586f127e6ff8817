"""The statements of the SQLite views: fixed ones on the framework's tables, made ones on a projection's."""
# ruff: noqa: S608 - the names in these statements come from definitions and are quoted; values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Generic, TypeVar

from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from eventcore.value import Value
from projections.models import Model
from projections.projection import Key

Row = TypeVar("Row", bound=Value)

KEYS_MAX = 500  # keys of one look-up: below every build's limit of variables, with up to 8 key fields

POSITIONS = "SELECT topic, partition, next_offset FROM eventcore_positions WHERE projection = ?"
STANDING = "SELECT epoch, next_offset, sequence, term FROM eventcore_positions WHERE projection = ? AND topic = ? AND partition = ?"
OTHER_TOPICS = "SELECT DISTINCT topic FROM eventcore_positions WHERE projection = ? AND topic <> ?"
TAKE_OVER = (
    "INSERT INTO eventcore_positions (projection, topic, partition, next_offset, sequence, term, epoch) "
    "VALUES (?, ?, ?, 0, 0, 0, 1) ON CONFLICT (projection, topic, partition) DO UPDATE SET epoch = epoch + 1"
)
ADVANCE = (
    "UPDATE eventcore_positions SET next_offset = ?, sequence = ?, term = ? "
    "WHERE projection = ? AND topic = ? AND partition = ? AND epoch = ? AND next_offset = ?"
)
PARK = (
    "INSERT OR REPLACE INTO eventcore_parked "
    "(projection, topic, partition, log_offset, category, reason, key, value, envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
PARKED = (
    "SELECT topic, partition, log_offset, category, reason, key, value, envelope FROM eventcore_parked "
    "WHERE projection = ? ORDER BY topic, partition, log_offset LIMIT ?"
)


class Statements(Generic[Row]):
    """A model and the statements on its table."""

    def __init__(self, model: Model[Row]) -> None:
        self.model = model
        quoted = sqlite_dialect().identifier_preparer
        names, keys = [quoted.quote(name) for name in model.names], [quoted.quote(name) for name in model.keys]
        self._columns, self._keys, self._table = ", ".join(names), keys, quoted.format_table(model.table)
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
        self.upsert = (
            f"INSERT INTO {self._table} ({self._columns}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT ({', '.join(keys)}) DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"
        )
        self.delete = f"DELETE FROM {self._table} WHERE {' AND '.join(f'{key} = ?' for key in keys)}"
        self.every = f"SELECT {self._columns} FROM {self._table} ORDER BY {', '.join(keys)}"

    def read(self, db: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Row]:
        """The rows of these keys that exist."""
        model, found = self.model, dict[Key, Row]()
        for first in range(0, len(keys), KEYS_MAX):
            stored = [model.store_key(key) for key in keys[first : first + KEYS_MAX]]
            for values in db.execute(self._look_up(len(stored)), [part for key in stored for part in key]):
                row = model.load(values)
                found[model.projection.key_of(row)] = row
        return found

    def _look_up(self, count: int) -> str:
        wanted = ", ".join(f"k{i}" for i in range(len(self._keys)))
        places = ", ".join([f"({', '.join('?' * len(self._keys))})"] * count)
        same = " AND ".join(f"{key} = k{i}" for i, key in enumerate(self._keys))
        return (
            f"WITH wanted ({wanted}) AS (VALUES {places}) "
            f"SELECT {self._columns} FROM wanted CROSS JOIN {self._table} ON {same}"
        )
