"""Puts `migrations` into the wheel as `eventcore_migrations`, and into no editable install, where the copy would grow stale.

A plain `force-include` in pyproject.toml does both. So in a checkout there is no `eventcore_migrations`: the code finds the
folder `migrations` beside the packages.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MigrationsHook(BuildHookInterface[Any]):
    """The hook that hatchling calls before it collects a wheel's files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the migrations to a standard wheel."""
        if version == "standard":
            build_data["force_include"]["migrations"] = "eventcore_migrations"
