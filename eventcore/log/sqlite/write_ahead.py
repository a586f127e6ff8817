"""Write-ahead logging of a SQLite file, so that its readers and its writer do not wait for each other.

SQLite answers "locked" at once, whatever the connection's timeout, to whoever changes the journal's mode while another
connection does the same or makes the file's first page. Two processes that open a new file together meet this, so it
is asked for again until one of them has done it.
"""

from __future__ import annotations

import sqlite3
import time

from eventcore.log.sqlite.faults import BUSY, BUSY_S, primary_code

AGAIN_S = 0.005  # the other one needs a millisecond


def turn_on_write_ahead(connection: sqlite3.Connection) -> str:
    """Turn it on and return the journal's mode: `wal`, or another where the file system has no shared memory for it.

    Raises sqlite3.Error; a locked file only after BUSY_S.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as raised:
            if primary_code(raised) not in BUSY or time.monotonic() > deadline:
                raise
            time.sleep(AGAIN_S)
        else:
            return str(mode)
