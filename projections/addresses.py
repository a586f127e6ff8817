"""Opening views from the address that says where they are kept.

    memory:                        in this process, for tests
    sqlite:bank.views.db           one file, the default
    postgresql://user@host/bank    a database on a server

Adapters are imported when they are asked for, so that a bare installation needs no driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import sqlalchemy as sa
import sqlalchemy.exc

from eventcore.errors import InvalidValue, NotSupported, UnknownName
from eventcore.log.address import PORT_MOST, masked
from projections.projection import Projection
from projections.sqlite_views import MEMORY, SqliteViews
from projections.views import Views

SCHEMES = ("memory", "postgresql", "sqlite")
SPELLED = {"postgres": "postgresql", "postgresql+psycopg": "postgresql"}  # as libpq and SQLAlchemy take it


def open_views(address: str, tables: Mapping[Projection[Any, Any], sa.Table] | None = None) -> Views:
    """Open the views at an address. Nothing is created in a server: `upgrade` and `prepare` do that.

    `tables` binds tables of your own to projections. Raises UnknownName for a scheme that no adapter has, InvalidValue
    for a malformed address, NotSupported where the adapter's extra is not installed, and what the adapter raises.
    """
    scheme, colon, rest = address.partition(":")
    scheme = SPELLED.get(scheme, scheme)
    if not colon or scheme not in SCHEMES:
        raise UnknownName("views scheme", masked(scheme if colon else address), [f"{known}:" for known in SCHEMES])
    if scheme == "memory":
        if rest:
            raise InvalidValue(
                "views", f"{masked(address)} names a place, and views in memory have none; write memory:"
            )
        return SqliteViews(MEMORY, tables=tables)
    if scheme == "sqlite":
        if not rest or rest.startswith("//") or rest == MEMORY:
            raise InvalidValue(
                "views",
                f"{masked(address)} is not of the form sqlite:PATH, as sqlite:bank.views.db or "
                "sqlite:/var/lib/bank.views.db",
            )
        return SqliteViews(rest, tables=tables)
    if not rest.startswith("//"):
        raise InvalidValue("views", f"{masked(address)} is not of the form postgresql://USER@HOST/DATABASE")
    return _postgres(f"postgresql:{rest}", tables)


def default_views_for(log_address: str) -> str:
    """The views of an embedded log stand beside it: `sqlite:bank.views.db` for `sqlite:bank.db`.

    Raises NotSupported for a log on a server, whose views must be named.
    """
    scheme, _, rest = log_address.partition(":")
    if log_address == "memory:":
        return "memory:"
    if scheme == "sqlite" and rest:
        path = PurePath(rest)
        return f"sqlite:{path.with_suffix(f'.views{path.suffix}')}"
    raise NotSupported(
        f"a log at {masked(log_address)!r} has no views of its own; name a database, as --views postgresql://… ."
    )


def _postgres(url: str, tables: Mapping[Projection[Any, Any], sa.Table] | None) -> Views:
    try:
        from projections.postgres_views import PostgresViews  # needs psycopg, which is an extra
    except ImportError as missing:
        raise NotSupported(
            f"views on Postgres need psycopg ({missing}): pip install 'eventcore-framework[postgres]'"
        ) from missing
    return PostgresViews(_parsed(url), tables=tables)


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # it may repeat what it was given
        parsed = None
    port = 0 if parsed is None else PORT_MOST if parsed.port is None else parsed.port
    if parsed is None or "@" in (parsed.host or "") or not 0 < port <= PORT_MOST:
        raise InvalidValue(
            "views",
            f"{masked(url)} is not of the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE. A port is a number from 1 to "
            f"{PORT_MOST}, and in a password @ is written %40",
        )
    return parsed
