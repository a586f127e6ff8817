"""The file: how it is opened, recognised and laid out."""

from __future__ import annotations

import sqlite3

from eventcore.errors import DataError, LogUnavailable
from eventcore.log.sqlite.faults import BUSY_S, fault
from eventcore.log.sqlite.write_ahead import turn_on_write_ahead

APPLICATION_ID = 0x65766C67  # "evlg": what `file bank.db` shows as the application
LAYOUT = 1  # the version of what follows
SCHEMA = """
CREATE TABLE topics (
    name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, cleanup TEXT NOT NULL, kept_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each reader is. A lane is a reader of its commands, and its term fences its former owners.
CREATE TABLE positions (
    reader TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    position INTEGER, term INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (reader, topic, partition)
) WITHOUT ROWID;

-- Who holds the lock on the side file, for the message that others get.
CREATE TABLE owner (
    one INTEGER PRIMARY KEY CHECK (one = 0), pid INTEGER NOT NULL, program TEXT NOT NULL, since_ms INTEGER NOT NULL
);
"""
STATEMENTS_KEPT = 1_024  # prepared statements a connection: three a topic partition


class Table:
    """The statements of one topic partition: texts that are always the same, so that each is prepared once.

    Topic names are checked where they are provisioned: none holds a quote.
    """

    __slots__ = ("by_time", "create", "end", "insert", "next", "read", "valid")

    def __init__(self, topic: str, partition: int) -> None:
        name = f'"{topic}[{partition}]"'
        self.create = f"""CREATE TABLE {name} (
            "offset" INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL,
            "key" BLOB NOT NULL, value BLOB, envelope BLOB, headers BLOB)"""
        self.insert = f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - checked names
        self.end = f'SELECT max("offset") FROM {name}'  # noqa: S608
        self.read = f'SELECT * FROM {name} WHERE "offset" >= ? ORDER BY "offset" LIMIT ?'  # noqa: S608
        self.by_time = f'SELECT "offset" FROM {name} WHERE time_ms >= ? ORDER BY "offset" LIMIT 1'  # noqa: S608
        self.next = 0  # the next offset, as long as `valid` is the store's `valid`
        self.valid = -1


def connect(path: str) -> sqlite3.Connection:
    """A connection to the file in autocommit mode, with all durability on. Any thread may use it, one at a time."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_KEPT
    )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # where a plain fsync does not reach the disk
    return connection


def open_file(path: str) -> sqlite3.Connection:
    """Open the log's file, made if it is missing.

    Raises DataError for a file of another program or version (left as it was), LogUnavailable where it cannot be used.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = connect(path)
        if not _is_ours(connection, path):
            _write_ahead(connection, path)
            _lay_out(connection, path)
    except sqlite3.Error as raised:
        if connection is not None:
            connection.close()
        raise fault(raised, "opening the log", path) from raised
    except (DataError, LogUnavailable):
        if connection is not None:
            connection.close()
        raise
    return connection


def _is_ours(connection: sqlite3.Connection, path: str) -> bool:
    """Say whether the file is a log already; False for an empty one. Raises DataError for anything else."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID and layout == LAYOUT:
        return True
    if application == APPLICATION_ID:
        raise DataError(
            f"{path} is a log of layout {layout}, and this version reads layout {LAYOUT}. "
            "Use the version that wrote it, or one that says it can convert it"
        )
    if application or layout or tables:
        raise DataError(f"{path} belongs to another program ({tables} tables, none of a log). Choose another file")
    return False


def _write_ahead(connection: sqlite3.Connection, path: str) -> None:
    if (mode := turn_on_write_ahead(connection)) != "wal":
        raise LogUnavailable(f"{path} cannot have a write-ahead log ({mode}): a network file system has none")


def _lay_out(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if not _is_ours(connection, path):  # another process may have been faster
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {LAYOUT}")
    connection.execute("COMMIT")
