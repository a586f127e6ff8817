"""Who may own lanes: one process a file, by a lock of the operating system (S3).

The lock lies on a side file, `bank.db.lock`, because SQLite closes and opens the log itself as it likes. It ends with
the process that holds it, killed or not, and is never taken over. A lock on a network file system may not hold; the
term in the log then still lets one writer commit.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import sqlite3
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from eventcore.errors import LogUnavailable, OwnedElsewhere
from eventcore.log.sqlite.store import Store


class Lease:
    """The right of this process to own lanes of one file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = FileLock(f"{path}.lock", timeout=0, thread_local=False)

    def take(self, store: Store) -> None:
        """Take the lock, or keep it. Raises OwnedElsewhere, naming who holds it."""
        if self._lock.is_locked:
            return
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise OwnedElsewhere(
                f"the lanes of {self._path} are owned by {_owner(store)}. Send commands to it through the same "
                "file, or stop it first: its ownership ends with its process"
            ) from None
        except OSError as raised:
            raise LogUnavailable(
                f"{self._path}.lock cannot be locked: {raised}. May this user write there?"
            ) from raised

    def holder(self, store: Store) -> str | None:
        """Who holds the lock now, in words; None where nobody does.

        Asked without taking it from anybody who is about to: only where the process that signed last is alive, the lock is
        tried for an instant, shared.
        """
        rows = store.read("SELECT pid FROM owner")
        if self._lock.is_locked:
            return _owner(store)
        if not rows or not _alive(rows[0][0]) or not Path(f"{self._path}.lock").exists():
            return None
        with Path(f"{self._path}.lock").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _owner(store)
        return None

    def give_back(self) -> None:
        """Release the lock, if it is held."""
        self._lock.release()


def sign(connection: sqlite3.Connection) -> None:
    """Write who holds the lock into the log, in the open transaction."""
    program = Path(sys.argv[0]).name or "python"
    connection.execute(
        "INSERT INTO owner VALUES (0, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET pid = excluded.pid, "
        "program = excluded.program, since_ms = excluded.since_ms",
        (os.getpid(), program, time.time_ns() // 1_000_000),
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _owner(store: Store) -> str:
    if not (rows := store.read("SELECT pid, program, since_ms FROM owner")):
        return "another process, which has just begun"
    pid, program, since_ms = rows[0]
    since = dt.datetime.fromtimestamp(since_ms / 1_000, dt.UTC)
    return f"{program} (process {pid}) since {since:%Y-%m-%d %H:%M:%S} UTC"
