"""The version of the framework's own tables in a database: told, checked, and raised by Alembic.

`HEAD` is written down so that opening a database that is up to date does not load Alembic (0.2 s); a test holds it to
the newest file in `migrations/versions`. The migrations stand beside this package: as `migrations` in a checkout, as
`eventcore_migrations` where a wheel was installed.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from eventcore.errors import WrongUse

HEAD = "0001"
VERSION_TABLE = "eventcore_alembic_version"
PLACES = ("eventcore_migrations", "migrations")
LOCK = 0x65766E74636F7265  # "evntcore": processes that make tables in one Postgres database at once take turns


def current(connection: sa.Connection) -> str | None:
    """The version of the framework's tables, or None where there are none."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return found


def take_turns(connection: sa.Connection) -> None:
    """Wait until no other process makes tables in this database; held to the end of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def upgrade(connection: sa.Connection) -> None:
    """Bring the framework's tables to `HEAD` in the connection's transaction. Idempotent.

    Raises WrongUse where they are of a version that this code does not know.
    """
    take_turns(connection)
    found = current(connection)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise WrongUse(newer(found))
    from alembic import command  # slow to import, and needed once in a database's life
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def check(found: str | None) -> None:
    """Raise WrongUse, saying what to run, unless the version is `HEAD`."""
    if found is None:
        raise WrongUse("this database has no eventcore tables yet; run `eventcore db upgrade` on it first.")
    if found > HEAD:
        raise WrongUse(newer(found))
    if found != HEAD:
        raise WrongUse(
            f"the eventcore tables in this database are of version {found}, this code wants {HEAD}; run `eventcore db upgrade`."
        )


def newer(found: str) -> str:
    """The sentence for a database that a later eventcore has upgraded."""
    return (
        f"the eventcore tables in this database are of version {found}, and this code knows only up to {HEAD}: a newer "
        "eventcore has upgraded it. Install that version here, or use another database."
    )


def scripts() -> Path:
    """The folder of the migrations. Raises WrongUse where they were not installed."""
    beside = Path(__file__).resolve().parent.parent
    for place in PLACES:
        if (beside / place / "env.py").is_file() and (
            beside / place / "versions" / "0001_positions_and_parked.py"
        ).is_file():
            return beside / place
    raise WrongUse(
        f"no migrations stand beside {beside}/projections; the installation is damaged: install eventcore again."
    )
