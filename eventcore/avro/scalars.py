"""The Avro forms of decimals and ids, fast.

A decimal's digits are most quickly had as text (225 ns; by `scaleb` and `quantize` 400); a UUID's text by msgspec, which
writes and reads it at C speed (105 and 150 ns; `str(x)` 660, `UUID(text)` 1,030).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import NamedTuple
from uuid import UUID

import msgspec

from eventcore.avro.varint import SHORT, SHORT_MAX, Unusual, write_long

UUID_CHARS = 36
UUID_PREFIX = b"\xd9\x24"  # what MessagePack begins a string of 36 bytes with

pack_uuid = msgspec.msgpack.Encoder(uuid_format="canonical").encode
unpack_uuid = msgspec.msgpack.Decoder(UUID).decode


def exact_context(precision: int) -> Context:
    """A decimal context that raises where a result would have more than `precision` digits."""
    return Context(prec=precision, traps=[Inexact, InvalidOperation, Overflow])


def decimal_bytes_max(precision: int) -> int:
    """The most bytes that a decimal of so many digits takes, its length not counted."""
    return int(10**precision).bit_length() // 8 + 1


def number_writer(precision: int, scale: int) -> Callable[[Decimal], bytes]:
    """A writer of decimals as a length and a two's complement number of units of 10 ** -scale.

    The length is `bit_length // 8 + 1`, as fastavro writes it: -128 takes two bytes.
    """
    limit, exact, one, point = 10**precision, exact_context(precision), Decimal(1), -scale - 1

    def units(x: Decimal) -> int:
        return int(x.scaleb(scale, exact).quantize(one, None, exact))

    def write(x: Decimal) -> bytes:
        text = str(x)
        try:  # exactly `scale` digits after the point, no exponent: the digits are the units
            n = int(text.replace(".", "")) if text[point] == "." else units(x)
        except (IndexError, ValueError):
            n = units(x)
        if not -limit < n < limit:
            raise Unusual
        size = (n.bit_length() >> 3) + 1
        return (SHORT[size] if size <= SHORT_MAX else write_long(size)) + n.to_bytes(size, "big", signed=True)

    return write


class Numbers(NamedTuple):
    """What a generated reader needs for a decimal: `multiply(n, unit)` of units -limit < n < limit."""

    limit: int
    multiply: Callable[[int, Decimal], Decimal]
    unit: Decimal


def numbers(precision: int, scale: int) -> Numbers:
    """The parts of a reader of what `number_writer` writes."""
    return Numbers(10**precision, exact_context(precision).multiply, Decimal(1).scaleb(-scale))
