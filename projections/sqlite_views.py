"""Views in SQLite: a file, or memory. The embedded default, and the adapter to read before writing another.

One connection writes and makes tables, one reads, each under its own lock; in memory they are the same. A write
transaction takes SQLite's write lock at its beginning, so the compare-and-set, read first, holds until COMMIT. The file
is in WAL mode with `synchronous=NORMAL`: a power cut may lose the last commits, rows and positions together (V1), and
they come again from the log.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from eventcore.cut import Cut, Position
from eventcore.errors import EventcoreError, NotSupported, ViewsUnavailable, WrongUse
from eventcore.log.sqlite.write_ahead import turn_on_write_ahead
from eventcore.value import Value
from projections import schema
from projections.models import model_of
from projections.projection import Key, Projection
from projections.sqlite_forms import sqlite_form
from projections.sqlite_statements import (
    ADVANCE,
    OTHER_TOPICS,
    PARK,
    PARKED,
    POSITIONS,
    STANDING,
    TAKE_OVER,
    Statements,
)
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

BUSY_S = 10.0  # how long a writer waits for another process's transaction: a commit of 10,000 rows takes 0.1 s
ITERATED = 1_000  # rows fetched at a time
MEMORY = ":memory:"


class SqliteViews:
    """Read models in one SQLite file, or in memory. `tables` binds tables of the user's own to projections."""

    def __init__(self, path: str, *, tables: Mapping[Projection[Any, Any], sa.Table] | None = None) -> None:
        self._path = path
        self._bound = dict(tables or {})
        self._models: dict[Projection[Any, Any], Statements[Any]] = {}
        self._closed = False
        self._writer = _Connection(path)
        self._reader = self._writer if path == MEMORY else _Connection(path)
        self._engine = sa.create_engine("sqlite://", creator=lambda: self._writer.raw, poolclass=sa.StaticPool)
        event.listen(self._engine, "begin", _begin)

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
            for projection in projections:
                table = self._statements(projection).model.table
                if sa.inspect(connection).has_table(table.name, table.schema):
                    check_existing(table, connection)
                else:
                    table.create(connection)

    def take_over(
        self, projection: Projection[Any, Any], topic: str, partitions: Iterable[int]
    ) -> Mapping[int, Standing]:
        """Raise the epoch of these partitions and tell where they stand."""
        name = projection.name
        with self._writing() as db:
            if others := [other for (other,) in db.execute(OTHER_TOPICS, (name, topic))]:
                raise NotSupported(mixed(name, topic, others))
            found: dict[int, Standing] = {}
            for partition in sorted(partitions):
                db.execute(TAKE_OVER, (name, topic, partition))
                found[partition] = Standing(*db.execute(STANDING, (name, topic, partition)).fetchone())
            return found

    def read_rows(self, projection: Projection[Row, Any], keys: Collection[Key]) -> Mapping[Key, Row]:
        """The rows of these keys that exist."""
        statements = self._statements(projection)
        with self._reading() as db:
            return statements.read(db, list(keys))

    def commit(self, projection: Projection[Row, Any], batch: Batch[Row]) -> None:
        """Write a batch in one transaction, its compare-and-set first."""
        statements = self._statements(projection)
        rows = [statements.model.store(row) for row in batch.rows]
        rows.sort(key=statements.model.stored_key_of)  # neighbours in the tree are written together
        deleted = [statements.model.store_key(key) for key in batch.deleted]
        with self._writing() as db:
            self._advance(db, projection.name, batch.topic, batch.advances)
            if rows:
                db.executemany(statements.upsert, rows)
            if deleted:
                db.executemany(statements.delete, deleted)
            if batch.parked:
                db.executemany(PARK, [_parking(projection.name, batch.topic, parked) for parked in batch.parked])

    def _advance(self, db: sqlite3.Connection, name: str, topic: str, advances: Sequence[Advance]) -> None:
        matched = 0
        for partition, before, next_offset, sequence, term in sorted(advances):
            moved = (next_offset, sequence, term, name, topic, partition, before.epoch, before.next_offset)
            matched += db.execute(ADVANCE, moved).rowcount
        if matched != len(advances):
            self._raise_fenced(db, name, topic, advances)

    def _raise_fenced(self, db: sqlite3.Connection, name: str, topic: str, advances: Sequence[Advance]) -> None:
        db.execute("ROLLBACK")
        found: dict[int, Standing] = {}
        for advance in advances:
            if (row := db.execute(STANDING, (name, topic, advance.partition)).fetchone()) is not None:
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
        wanted_key = projection.key_from(key)

        def look() -> Answer[Row]:
            with self._reading() as db:
                cut = _cut(db, projection.name)
                return Answer(statements.read(db, [wanted_key]).get(wanted_key), cut)

        return wait_for(projection.name, wanted_of(projection, at_least), look, timeout_s)

    def rows(self, projection: Projection[Row, Any]) -> Rows[Row]:
        """All rows in the order of their keys, and their cut. A file's are read as they are iterated."""
        statements = self._statements(projection)
        if self._path == MEMORY:
            with self._reading() as db:
                kept = [statements.model.load(row) for row in db.execute(statements.every)]
                return Rows(_cut(db, projection.name), iter(kept), lambda: None)
        own = _Connection(self._path)
        try:
            with _translated():
                own.raw.execute("BEGIN")
                cut = _cut(own.raw, projection.name)
                found = own.raw.execute(statements.every)
        except BaseException:
            own.close()
            raise
        return Rows(cut, map(statements.model.load, _fetched(found)), own.close)

    def position(self, projection: Projection[Any, Any]) -> Cut:
        """How far a projection has come."""
        with self._reading() as db:
            return _cut(db, projection.name)

    def parked(self, projection: Projection[Any, Any], most: int = 100) -> Sequence[tuple[Position, Parked]]:
        """The first `most` parked records."""
        with self._reading() as db:
            found = db.execute(PARKED, (projection.name, most)).fetchall()
        return [(Position(topic, *rest[:2]), Parked(*rest)) for topic, *rest in found]

    def close(self) -> None:
        """Close the file. Idempotent."""
        if not self._closed:
            self._closed = True
            self._engine.dispose()
            self._reader.close()
            self._writer.close()

    def _statements(self, projection: Projection[Row, Any]) -> Statements[Row]:
        found = self._models.get(projection)
        if found is None:
            found = Statements(model_of(projection, self._bound.get(projection), sqlite_form))
            self._models[projection] = found
        return cast("Statements[Row]", found)

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection, None, None]:
        with self._within(self._writer, "BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection, None, None]:
        with self._within(self._reader, "BEGIN") as db:
            yield db

    @contextmanager
    def _within(self, connection: _Connection, begin: str) -> Generator[sqlite3.Connection, None, None]:
        with connection.lock, _translated():
            self._check_open()
            db = connection.raw
            db.execute(begin)
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _schema(self) -> Generator[sa.Connection, None, None]:
        with self._writer.lock, _translated():
            self._check_open()
            with self._engine.begin() as connection:
                yield connection

    def _check_open(self) -> None:
        if self._closed:
            raise WrongUse("these views were closed; open them again")


class _Connection:
    """A connection that threads share under its lock."""

    def __init__(self, path: str) -> None:
        self.lock = threading.RLock()
        with _translated(path):
            self.raw = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                turn_on_write_ahead(self.raw)
                self.raw.execute("PRAGMA synchronous=NORMAL")
            except BaseException:
                self.raw.close()
                raise

    def close(self) -> None:
        with self.lock:
            self.raw.close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _cut(db: sqlite3.Connection, name: str) -> Cut:
    return Cut({(topic, partition): offset for topic, partition, offset in db.execute(POSITIONS, (name,))})


def _parking(name: str, topic: str, parked: Parked) -> tuple[Any, ...]:
    return (name, topic, *parked)


def _fetched(found: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    while some := found.fetchmany(ITERATED):
        yield from some


@contextmanager
def _translated(path: str = "") -> Generator[None, None, None]:
    """Turn SQLite's errors into ours: what may pass, what is missing, what the database refuses."""
    try:
        yield
    except DBAPIError as wrapped:
        raise _error_of(wrapped.orig, path) from wrapped
    except (sqlite3.Error, OverflowError) as error:
        raise _error_of(error, path) from error


def _error_of(error: BaseException | None, path: str) -> EventcoreError:
    text = str(error)
    if isinstance(error, sqlite3.OperationalError):
        if "no such table: eventcore_" in text:
            return WrongUse("this database has no eventcore tables yet; run `eventcore db upgrade` on it first.")
        if "no such table" in text or "no such column" in text:
            return WrongUse(
                f"{text}: the read model's table is not there as declared; a worker creates it when it starts."
            )
        where = f" at {path}" if path else ""
        return ViewsUnavailable(f"the SQLite views{where} do not answer: {text}. Is another process writing for long?")
    if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | sqlite3.InterfaceError | OverflowError):
        return NotSupported(
            f"SQLite refuses a row: {text}. A column of a table of your own is narrower than its field."
        )
    return WrongUse(f"SQLite cannot use this file for views: {text}. Is it a database, and still open?")
