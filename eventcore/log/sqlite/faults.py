"""The one table from SQLite's error codes to our errors."""

from __future__ import annotations

import sqlite3

from eventcore.errors import DataError, EventcoreError, LogUnavailable, OutcomeUnknown

BUSY_S = 5.0  # how long a transaction of another process or thread may hold the file: far longer than any commit
BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
UNDECIDED = frozenset(
    {sqlite3.SQLITE_IOERR}
)  # of a commit: whether the write-ahead log kept it shows when it is read again


def primary_code(raised: sqlite3.Error) -> int:
    """SQLite's error code without its details; 0 where the driver itself found the error."""
    code: int = getattr(raised, "sqlite_errorcode", 0)
    return code & 0xFF


def fault(raised: sqlite3.Error, doing: str, path: str, *, committing: bool = False) -> EventcoreError:
    """Our error for one of SQLite's: raise it from `raised`. `doing` says what failed, as "appending"."""
    code = primary_code(raised)
    if code in BUSY:
        return LogUnavailable(
            f"{doing} in {path}: another process has held its write lock for {BUSY_S:.0f} s. Nothing was written; try "
            "again, and look for a program that leaves a transaction open"
        )
    if code in DAMAGED:
        return DataError(
            f"{doing} in {path}: {raised}. It is not a log of ours, or it is damaged: restore it from a copy"
        )
    if committing and code in UNDECIDED:
        return OutcomeUnknown(f"{doing} in {path}: {raised}. It may have been written: open the log again and look")
    advice = {
        sqlite3.SQLITE_FULL: "the disk is full: make room",
        sqlite3.SQLITE_READONLY: "the file or its folder cannot be written: check their permissions",
        sqlite3.SQLITE_PERM: "the file cannot be used: check its permissions",
        sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: does its folder exist, and may this user write there?",
        sqlite3.SQLITE_IOERR: "the disk refused: is it full, or away?",
    }.get(code, "SQLite refused")
    return LogUnavailable(f"{doing} in {path}: {advice} ({raised}). Nothing was written; it can be tried again")
