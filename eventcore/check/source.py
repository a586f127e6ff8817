"""Values as Python source: what reports show of them, and what a test that was written from a trace begins with."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID

from msgspec import Struct

from eventcore.value import Map

SHOWN_MAX = 600  # characters: some lines of a terminal


@dataclass
class Source:
    """Writes values as expressions, and remembers which names those need: `imports` maps a module to its names."""

    imports: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def of(self, value: object) -> str:
        """An expression that gives this value."""
        match value:
            case Struct():
                fields = ", ".join(f"{name}={self.of(getattr(value, name))}" for name in value.__struct_fields__)
                return f"{self._named(type(value))}({fields})"
            case enum.Enum():
                return f"{self._named(type(value))}.{value.name}"
            case tuple():
                items = cast("tuple[object, ...]", value)
                if hasattr(items, "_fields"):
                    return f"{self._named(items.__class__)}({', '.join(map(self.of, items))})"
                return f"({', '.join(map(self.of, items))}{',' * (len(items) == 1)})"
            case frozenset():
                members = cast("frozenset[object]", value)
                return f"frozenset({{{', '.join(sorted(map(self.of, members)))}}})" if members else "frozenset()"
            case Map():
                pairs = cast("Map[object]", value)
                inner = ", ".join(f"{key!r}: {self.of(item)}" for key, item in pairs.items())
                return f"{self._named(Map)}({{{inner}}})"
            case datetime():
                self._add("datetime", "UTC")
                return f"{self._named(datetime)}.fromisoformat({value.isoformat()!r}).astimezone(UTC)"
            case date():
                return f"{self._named(date)}.fromisoformat({value.isoformat()!r})"
            case timedelta():
                parts = f"{value.days}, {value.seconds}, {value.microseconds}"
                return f"{self._named(timedelta)}({parts})"
            case Decimal() | UUID():
                return f"{self._named(type(value))}({str(value)!r})"
            case _:
                return repr(value)

    def _named(self, cls: type) -> str:
        name = cls.__qualname__
        self._add(cls.__module__, name.partition(".")[0] if "<" not in name else name)
        return name

    def _add(self, module: str, name: str) -> None:
        self.imports.setdefault(module, set()).add(name)


def shown(value: object) -> str:
    """A value as people read it: its source, its middle left out where it is long."""
    text = Source().of(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX // 2]} … {text[-SHOWN_MAX // 2 :]}"


def listed(values: Iterable[object]) -> str:
    """Several values, with commas between them."""
    return ", ".join(map(shown, values))
