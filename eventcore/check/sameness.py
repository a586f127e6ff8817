"""Whether two values are the same, which is more than equal: 0, False and 0.0 are equal, and three different things."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID

from msgspec import Struct

from eventcore.value import Map

TOLD_BY_TEXT = frozenset({float, Decimal, date, datetime, timedelta, UUID})  # 0.0 equals -0.0, and 1 equals 1.0


def key_of(value: object) -> Hashable:
    """Equal for values that are the same, of one type at every depth, and for no others. They must live as long as it does.

    What is none of the things that fields hold is the same as itself alone.
    """
    cls: type[object] = value.__class__
    match value:
        case Struct():
            return cls, *(key_of(getattr(value, name)) for name in value.__struct_fields__)
        case enum.Enum():
            return cls, value.name
        case tuple() | list():
            return cls, *map(key_of, cast("tuple[object, ...] | list[object]", value))
        case frozenset():
            return cls, frozenset(map(key_of, cast("frozenset[object]", value)))
        case Map():
            items = cast("Map[object]", value).items()
            return cls, *((key, key_of(item)) for key, item in items)
        case None | bool() | int() | str() | bytes():
            return cls, value
        case _:
            return (cls, repr(value)) if cls in TOLD_BY_TEXT else (cls, id(value))
