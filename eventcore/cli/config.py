"""`config`: what holds, and where it comes from."""

from __future__ import annotations

import importlib.metadata
import platform

import typer

from eventcore.app.app import PARTITIONS
from eventcore.cli.call import Call, call_of
from eventcore.cli.output import Grid
from eventcore.cli.settings import NAMES, Name, Setting
from eventcore.errors import CallerError
from eventcore.log.address import masked, masked_in

UNSET = Setting("", "not set")


def version() -> str:
    """The version that is installed."""
    return importlib.metadata.version("eventcore-framework")


def config(context: typer.Context) -> None:
    """Show the settings that hold, and where each was set; passwords are masked.

    Set by --app, --log, --views and so on, else EVENTCORE_APP and so on, else [tool.eventcore] in ./pyproject.toml, else by
    default. Options of the Kafka client library stand in the file of --kafka-config and in EVENTCORE_KAFKA_* variables.
    """
    call = call_of(context)
    found: dict[Name, Setting] = {name: _effective(call, name) for name in NAMES}
    data: dict[str, object] = {
        name: {"value": _shown(name, setting.value) or None, "from": setting.origin} for name, setting in found.items()
    }
    options = [(name, masked_in(value), origin) for name, value, origin in call.client_options.shown()]
    data["kafka_options"] = [{"name": name, "value": value, "from": origin} for name, value, origin in options]
    data |= {"eventcore": version(), "python": platform.python_version()}
    rows: list[tuple[str, str, str]] = [
        (name, _shown(name, each.value) or "-", each.origin) for name, each in found.items()
    ]
    rows += [(f"kafka: {name}", value, origin) for name, value, origin in options]
    call.output.document(
        data,
        [Grid(("setting", "value", "from"), rows), f"\neventcore {version()}, Python {platform.python_version()}"],
    )


def _effective(call: Call, name: Name) -> Setting:
    """What is set, or the default; where that cannot be told, why."""
    if name in call.settings:
        return call.settings[name]
    try:
        match name:
            case "log":
                return call.log
            case "views":
                return call.views
            case "partitions":
                return Setting(str(PARTITIONS), "default for new topics")
            case "replication":
                return Setting("", "the cluster's default for new topics")
            case "kafka_config":
                return UNSET
            case "app":
                return UNSET
    except CallerError as why:
        return Setting("", f"not set: {why}")


def _shown(name: Name, value: str) -> str:
    return masked(value) if name in ("log", "views") else value
