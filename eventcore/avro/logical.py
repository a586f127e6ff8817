"""Logical types, for the generic reader: what their Python values are.

Unknown ones are ignored, as are known ones on a wrong base or with wrong attributes: the value is that of the base type.
Source: Avro 1.12 specification, "Logical Types".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

from eventcore.avro.canonical import Json
from eventcore.avro.times import EPOCH, EPOCH_ORDINAL
from eventcore.shape import DIGITS_MAX

Convert = Callable[[Any], object]  # raises ValueError or OverflowError where a value of the base type has no meaning

LOCAL_EPOCH = EPOCH.replace(tzinfo=None)


def logical_type(schema: dict[str, Json], kind: str) -> Convert | None:
    """What makes the Python value from that of the base type `kind`; None where nothing does."""
    name = schema.get("logicalType")
    if name == "decimal" and kind in ("bytes", "fixed"):
        return _decimal(schema)
    if name == "uuid" and kind == "fixed":
        return _uuid_of_bytes if schema.get("size") == 16 else None
    return SIMPLE.get((kind, name)) if isinstance(name, str) else None


def _decimal(schema: dict[str, Json]) -> Convert | None:
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if (
        type(precision) is not int
        or type(scale) is not int
        or not 0 <= scale <= precision <= DIGITS_MAX
        or not precision
    ):
        return None
    limit, exact = 10**precision, Context(prec=precision)

    def convert(data: bytes) -> Decimal:
        if not 0 < len(data) <= max(limit.bit_length() // 8 + 1, _size(schema)):
            raise ValueError(f"{len(data)} bytes for a decimal of {precision} digits")
        units = int.from_bytes(data, "big", signed=True)
        if not -limit < units < limit:
            raise ValueError(f"more than {precision} digits")
        return Decimal(units).scaleb(-scale, exact)

    return convert


def _size(schema: dict[str, Json]) -> int:
    size = schema.get("size")
    return min(size, 2 * DIGITS_MAX) if type(size) is int else 0


def _uuid_of_bytes(data: bytes) -> UUID:
    return UUID(bytes=data)


def _date(days: int) -> date:
    return date.fromordinal(EPOCH_ORDINAL + days)


def _time(microseconds: int) -> time:
    if not 0 <= microseconds < 86_400_000_000:
        raise ValueError("outside the 24 hours of a day")
    return (LOCAL_EPOCH + timedelta(microseconds=microseconds)).time()


def _at(epoch: datetime, microseconds: int) -> Convert:
    unit = timedelta(microseconds=microseconds)
    return lambda n: epoch + unit * n


SIMPLE: dict[tuple[str, str], Convert] = {
    ("string", "uuid"): UUID,
    ("int", "date"): _date,
    ("int", "time-millis"): lambda n: _time(n * 1_000),
    ("long", "time-micros"): _time,
    ("long", "timestamp-millis"): _at(EPOCH, 1_000),
    ("long", "timestamp-micros"): _at(EPOCH, 1),
    ("long", "local-timestamp-millis"): _at(LOCAL_EPOCH, 1_000),
    ("long", "local-timestamp-micros"): _at(LOCAL_EPOCH, 1),
}
