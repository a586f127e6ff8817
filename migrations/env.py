"""Alembic's environment for the framework's own tables. Always run by `projections.schema`, which hands in the connection.

The version is kept in `eventcore_alembic_version`, so that an Alembic of the application's own is not disturbed.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    message = "these migrations are run by `eventcore db upgrade`, not by `alembic` itself"
    raise SystemExit(message)

context.configure(connection=connection, version_table="eventcore_alembic_version")
context.run_migrations()
