"""Where the app is and where it runs: from flags, then the environment, then `[tool.eventcore]` in ./pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

from eventcore.errors import InvalidValue, UnknownName

Name = Literal["app", "log", "views", "partitions", "replication", "kafka_config"]
NAMES: tuple[Name, ...] = get_args(Name)
NUMBERS: dict[Name, int] = {"partitions": 10_000, "replication": 32}  # with the most that can be meant
PROJECT = "pyproject.toml"


class Setting(NamedTuple):
    """A value and where it comes from."""

    value: str
    origin: str


def settle(flags: Mapping[Name, str | None], environment: Mapping[str, str], folder: Path) -> dict[Name, Setting]:
    """What is set, each with its origin; an empty text sets nothing.

    Raises InvalidValue or UnknownName for a `[tool.eventcore]` that cannot be meant.
    """
    project = read_project(folder / PROJECT)
    settings: dict[Name, Setting] = {}
    for name in NAMES:
        variable = f"EVENTCORE_{name.upper()}"
        for value, origin in (
            (flags.get(name), f"--{name.replace('_', '-')}"),
            (environment.get(variable), variable),
            (project.get(name), PROJECT),
        ):
            if value:
                settings[name] = Setting(value, origin)
                break
    return settings


def read_project(path: Path) -> dict[Name, str]:
    """What `[tool.eventcore]` sets; nothing where there is no such file or table."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as broken:
        raise InvalidValue(str(path), f"cannot be read as TOML: {broken}") from broken
    table = cast("dict[str, Any]", tool.get("eventcore", {}) if isinstance(tool, dict) else {})
    if not isinstance(table, dict):
        raise InvalidValue(f"{path}: tool.eventcore", "is not a table; write [tool.eventcore]")
    found: dict[Name, str] = {}
    for key, value in table.items():
        if key not in NAMES:
            raise UnknownName(f"setting in {path} [tool.eventcore]", key, list(NAMES))
        name = NAMES[NAMES.index(key)]
        wanted = int if name in NUMBERS else str
        if type(value) is not wanted:
            raise InvalidValue(f"{path}: tool.eventcore.{name}", f"expected {wanted.__name__}, got {value!r}")
        found[name] = str(value)
    return found


def number_of(name: Name, setting: Setting) -> int:
    """The number that a setting of one of NUMBERS says. Raises InvalidValue."""
    most = NUMBERS[name]
    if not re.fullmatch(r"[0-9]{1,5}", setting.value) or not 1 <= int(setting.value) <= most:
        raise InvalidValue(f"{name} (from {setting.origin})", f"{setting.value!r} is no number from 1 to {most}")
    return int(setting.value)
