"""Views in Postgres, through psycopg for what is hot and SQLAlchemy for what makes tables.

A commit is one transaction: the positions first, each by compare-and-set and in the order of the partitions, so that a
second owner blocks before it has worked and then matches no row; then rows, deletions and parked records. When the
connection is lost at COMMIT nobody knows whether it happened: the error is ViewsUnavailable, and `take_over`, whose
update waits for the row's lock, tells (V3). See `postgres_statements` for how rows are written.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa

from eventcore.cut import Cut, Position
from eventcore.errors import NotSupported
from eventcore.value import Value
from projections import schema
from projections.models import Stored, model_of
from projections.postgres_forms import postgres_form
from projections.postgres_pool import Connection, Held, Pool
from projections.postgres_statements import (
    ADVANCE,
    OTHER_TOPICS,
    PARK,
    PARKED,
    POSITIONS,
    STANDING,
    TAKE_OVER,
    Statements,
)
from projections.projection import Key, Projection
from projections.tables import check_existing
from projections.views import (
    ASK_TIMEOUT_S,
    Advance,
    Answer,
    Batch,
    Parked,
    Rows,
    Standing,
    fenced,
    mixed,
    wait_for,
    wanted_of,
)

Row = TypeVar("Row", bound=Value)

UNNEST_ROWS_MAX = 1_000  # more rows than this go through COPY; the two are equal at about this number
FETCH = b"FETCH 1000 FROM eventcore_rows"


class PostgresViews:
    """Read models in one Postgres database. `tables` binds tables of the user's own to projections."""

    def __init__(self, url: str | sa.URL, *, tables: Mapping[Projection[Any, Any], sa.Table] | None = None) -> None:
        address = sa.make_url(url).set(drivername="postgresql+psycopg")
        self._bound = dict(tables or {})
        self._statements_of: dict[Projection[Any, Any], Statements[Any]] = {}
        self._pool = Pool(address)
        self._engine = sa.create_engine(address, poolclass=sa.NullPool)

    def upgrade(self) -> None:
        """Bring the framework's own tables to this version."""
        with self._schema() as connection:
            schema.upgrade(connection)

    def current(self) -> str | None:
        """The version of the framework's tables, or None."""
        with self._schema() as connection:
            return schema.current(connection)

    def check(self) -> None:
        """Raise WrongUse unless the framework's tables are of this version."""
        schema.check(self.current())

    def prepare(self, projections: Sequence[Projection[Any, Any]]) -> None:
        """Create the read models' tables that are missing. Raises NotSupported where one differs."""
        with self._schema() as connection:
            schema.take_turns(connection)
            for projection in projections:
                table = self._statements(projection).model.table
                if sa.inspect(connection).has_table(table.name, table.schema):
                    check_existing(table, connection)
                else:
                    table.create(connection)

    def take_over(
        self, projection: Projection[Any, Any], topic: str, partitions: Iterable[int]
    ) -> Mapping[int, Standing]:
        """Raise the epoch of these partitions and tell where they stand; waits for a commit under way."""
        name = projection.name
        with self._pool.held() as held, held.raw.transaction():
            if others := [other for (other,) in held.raw.execute(OTHER_TOPICS, (name, topic))]:
                raise NotSupported(mixed(name, topic, others))
            found: dict[int, Standing] = {}
            for partition in sorted(partitions):
                row = held.raw.execute(TAKE_OVER, (name, topic, partition)).fetchone()
                assert row is not None, "an upsert returns its row"
                found[partition] = Standing(*row)
        return found

    def read_rows(self, projection: Projection[Row, Any], keys: Collection[Key]) -> Mapping[Key, Row]:
        """The rows of these keys that exist."""
        statements = self._statements(projection)
        model = statements.model
        wanted = _columns([model.store_key(key) for key in keys], len(model.keys))
        with self._pool.held() as held:
            found = _binary(held.raw).execute(statements.read, wanted).fetchall()
        rows = [model.load(values) for values in found]
        return {projection.key_of(row): row for row in rows}

    def commit(self, projection: Projection[Row, Any], batch: Batch[Row]) -> None:
        """Write a batch in one transaction, its compare-and-set first."""
        statements = self._statements(projection)
        model = statements.model
        rows = [model.store(row) for row in batch.rows]
        rows.sort(key=model.stored_key_of)  # neighbours in the index are written together
        deleted = [model.store_key(key) for key in batch.deleted]
        with self._pool.held() as held:
            with held.raw.transaction():
                cursor = held.raw.cursor()
                self._advance(cursor, projection.name, batch.topic, batch.advances)
                if rows:
                    _write(held, cursor, statements, rows)
                if deleted:
                    cursor.execute(statements.delete, _columns(deleted, len(model.keys)))
                if batch.parked:
                    cursor.executemany(PARK, [(projection.name, batch.topic, *parked) for parked in batch.parked])
            if len(rows) > UNNEST_ROWS_MAX:
                held.load_tables.add(statements.create_load_table)

    def _advance(self, cursor: psycopg.Cursor[Any], name: str, topic: str, advances: Sequence[Advance]) -> None:
        moves = [
            (next_offset, sequence, term, name, topic, partition, before.epoch, before.next_offset)
            for partition, before, next_offset, sequence, term in sorted(advances)
        ]
        cursor.executemany(ADVANCE, moves)
        if cursor.rowcount != len(moves):
            found: dict[int, Standing] = {}
            for advance in advances:
                row = cursor.execute(STANDING, (name, topic, advance.partition)).fetchone()
                if row is not None:
                    found[advance.partition] = Standing(*row)
            raise fenced(name, topic, advances, found)

    def ask(
        self,
        projection: Projection[Row, Any],
        key: object,
        *,
        at_least: Cut | None = None,
        timeout_s: float = ASK_TIMEOUT_S,
    ) -> Answer[Row]:
        """One row and its cut, waiting for `at_least`."""
        statements = self._statements(projection)
        wanted = (projection.name, *statements.model.store_key(projection.key_from(key)))

        def look() -> Answer[Row]:
            with self._pool.held() as held:
                found = _binary(held.raw).execute(statements.ask, wanted).fetchone()
            assert found is not None, "an aggregate without groups gives a row"
            topics, partitions, offsets, exists, *values = found
            cut = Cut(dict(zip(zip(topics or (), partitions or (), strict=True), offsets or (), strict=True)))
            return Answer(statements.model.load(tuple(values)) if exists else None, cut)

        return wait_for(projection.name, wanted_of(projection, at_least), look, timeout_s)

    def rows(self, projection: Projection[Row, Any]) -> Rows[Row]:
        """All rows in the order of their keys, and their cut, read as they are iterated."""
        statements = self._statements(projection)
        with ExitStack() as stack:
            held = stack.enter_context(self._pool.held())
            raw = held.raw
            raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            stack.callback(_end, raw)
            raw.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # its reader may take all day over a row
            cut = _cut(raw, projection.name)
            raw.execute(b"DECLARE eventcore_rows NO SCROLL CURSOR FOR " + statements.every)
            kept = stack.pop_all()
        return Rows(cut, map(statements.model.load, self._fetched(raw)), kept.close)

    def _fetched(self, raw: Connection) -> Iterator[Stored]:
        with self._pool.translated():
            cursor = _binary(raw)
            while some := cursor.execute(FETCH).fetchall():
                yield from some

    def position(self, projection: Projection[Any, Any]) -> Cut:
        """How far a projection has come."""
        with self._pool.held() as held:
            return _cut(held.raw, projection.name)

    def parked(self, projection: Projection[Any, Any], most: int = 100) -> Sequence[tuple[Position, Parked]]:
        """The first `most` parked records."""
        with self._pool.held() as held:
            found = held.raw.execute(PARKED, (projection.name, most)).fetchall()
        return [(Position(topic, *rest[:2]), Parked(*rest)) for topic, *rest in found]

    def close(self) -> None:
        """Close every connection. Idempotent."""
        self._pool.close()
        self._engine.dispose()

    def _statements(self, projection: Projection[Row, Any]) -> Statements[Row]:
        found = self._statements_of.get(projection)
        if found is None:
            found = Statements(model_of(projection, self._bound.get(projection), postgres_form))
            self._statements_of[projection] = found
        return cast("Statements[Row]", found)

    @contextmanager
    def _schema(self) -> Generator[sa.Connection, None, None]:
        with self._pool.translated(), self._engine.begin() as connection:
            yield connection


def _write(held: Held, cursor: psycopg.Cursor[Any], statements: Statements[Any], rows: list[Stored]) -> None:
    if len(rows) <= UNNEST_ROWS_MAX:
        cursor.execute(statements.upsert, _columns(rows, len(statements.sent_as)))
        return
    if statements.create_load_table not in held.load_tables:
        cursor.execute(statements.create_load_table)
    with cursor.copy(statements.copy) as copy:
        copy.set_types(statements.sent_as)
        write_row = copy.write_row
        for row in rows:
            write_row(row)
    cursor.execute(statements.upsert_loaded)


def _columns(rows: Sequence[Stored], count: int) -> list[list[Any]]:
    """The same values, one list a column."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


def _binary(raw: Connection) -> psycopg.Cursor[tuple[Any, ...]]:
    return raw.cursor(binary=True)


def _cut(raw: Connection, name: str) -> Cut:
    return Cut({(topic, partition): offset for topic, partition, offset in raw.execute(POSITIONS, (name,))})


def _end(raw: Connection) -> None:
    if not raw.closed:
        raw.execute("ROLLBACK")
