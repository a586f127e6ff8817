"""Connections to Postgres: handed out one to a thread, kept while they are sound, dropped when the server was away."""

from __future__ import annotations

import select
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from eventcore.errors import EventcoreError, NotSupported, ViewsUnavailable, WrongUse

CONNECT_S = 10  # a server that does not answer a connection for this long is away
STALLED_S = 10  # a commit needs 0.1 s; a process that sleeps in the middle of one for this long loses it
LOCKED_S = 15  # and whoever waits for its locks has them then
KEPT_MAX = 8  # idle connections kept: more threads than that may use more, and close them afterwards

Connection = psycopg.Connection[tuple[Any, ...]]


class Held:
    """A connection in autocommit mode, and the temporary tables that it is known to have."""

    def __init__(self, raw: Connection) -> None:
        self.raw = raw
        self.load_tables: set[bytes] = set()

    def sound(self) -> bool:
        """Whether it stands idle with nothing to be read: a server that went away has left an end of file there."""
        raw = self.raw
        if raw.closed or raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            return False
        poll = select.poll()
        poll.register(raw.fileno(), select.POLLIN)
        return not poll.poll(0)


class Pool:
    """The connections of one address. Any thread may use it."""

    def __init__(self, url: sa.URL) -> None:
        self.shown = f"{url.host or 'the local socket'}{f':{url.port}' if url.port else ''}/{url.database or ''}"
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._lock = threading.Lock()
        self._idle: list[Held] = []
        self._closed = False

    @contextmanager
    def held(self) -> Generator[Held, None, None]:
        """A connection for the block, its errors as ours. It is kept afterwards only if it is sound."""
        with self.translated():
            held = self._take()
            try:
                yield held
            finally:
                self._give_back(held)

    def _take(self) -> Held:
        while True:
            with self._lock:
                if self._closed:
                    raise WrongUse("these views were closed; open them again")
                held = self._idle.pop() if self._idle else None
            if held is None:
                break
            if held.sound():
                return held
            held.raw.close()
        raw = psycopg.connect(
            self._address, autocommit=True, connect_timeout=CONNECT_S, fallback_application_name="eventcore views"
        )
        raw.execute(
            f"SET TIME ZONE 'UTC'; SET idle_in_transaction_session_timeout = '{STALLED_S}s'; "
            f"SET lock_timeout = '{LOCKED_S}s'".encode()
        )
        return Held(raw)

    def _give_back(self, held: Held) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < KEPT_MAX and held.sound():
                self._idle.append(held)
                return
        held.raw.close()

    def close(self) -> None:
        """Close what is idle; what is handed out is closed when it comes back. Idempotent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for held in idle:
            held.raw.close()

    @contextmanager
    def translated(self) -> Generator[None, None, None]:
        """Turn the driver's errors into ours: what may pass, what is missing, what the database refuses."""
        try:
            yield
        except DBAPIError as wrapped:
            raise self._error_of(wrapped.orig) from wrapped
        except psycopg.Error as error:
            raise self._error_of(error) from error

    def _error_of(self, error: BaseException | None) -> EventcoreError:
        text = " ".join(str(error).split())
        if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn):
            if "eventcore_" in text:
                return WrongUse(
                    f"{self.shown} has no eventcore tables of this version; run `eventcore db upgrade` on it first."
                )
            return WrongUse(
                f"{text}: the read model's table is not there as declared; a worker creates it when it starts."
            )
        if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
            return NotSupported(
                f"Postgres refuses a row: {text}. A column of a table of your own is narrower than its field, or a key is too long."
            )
        if isinstance(error, psycopg.ProgrammingError | psycopg.NotSupportedError):
            return WrongUse(
                f"Postgres at {self.shown} refuses a statement: {text}. Check the rights of the user it names."
            )
        return ViewsUnavailable(f"Postgres at {self.shown} does not answer: {text}")
