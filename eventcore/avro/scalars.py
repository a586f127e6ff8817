"""The Avro forms of decimals, times and ids: one pair of functions a kind, or a maker of one where digits matter.

Writers return bytes and raise where a value cannot be written; readers take (bytes, place) and return (value, place
after it), raising Unusual, IndexError or ValueError where the generated reader must hand over to the exact one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from uuid import UUID

import msgspec

from eventcore.avro.varint import SHORT, SHORT_MAX, Unusual, read_long, write_long
from eventcore.shape import LONG_MIN

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
MICROSECOND = timedelta(microseconds=1)
UUID_CHARS = 36
UUID_PREFIX = b"\xd9\x24"  # MessagePack's "a string of 36 bytes": msgspec writes and reads ids at C speed in that form

Read = Callable[[bytes, int], "tuple[object, int]"]

_pack_uuid = msgspec.msgpack.Encoder(uuid_format="canonical").encode
_unpack_uuid = msgspec.msgpack.Decoder(UUID).decode


def number_writer(precision: int, scale: int) -> Callable[[Decimal], bytes]:
    """A writer of decimals as a length and a two's complement number of units of 10 ** -scale.

    The length is `bit_length // 8 + 1`, as fastavro writes it: -128 takes two bytes.
    """
    exact = Context(prec=precision, traps=[Inexact, InvalidOperation, Overflow])
    one = Decimal(1)

    def write(x: Decimal) -> bytes:
        n = int(x.scaleb(scale, exact).quantize(one, None, exact))
        size = n.bit_length() // 8 + 1
        return (SHORT[size] if size <= SHORT_MAX else write_long(size)) + n.to_bytes(size, "big", signed=True)

    return write


def number_reader(precision: int, scale: int) -> Read:
    """The reader of what `number_writer` writes; refuses more digits than `precision`."""
    limit = 10**precision
    size_max = limit.bit_length() // 8 + 1
    multiply = Context(prec=precision, traps=[Inexact, InvalidOperation, Overflow]).multiply
    unit = Decimal(1).scaleb(-scale)

    def read(d: bytes, p: int) -> tuple[object, int]:
        size, p = read_long(d, p)
        if not 0 < size <= size_max:
            raise Unusual
        q = p + size
        n = int.from_bytes(d[p:q], "big", signed=True)
        if not -limit < n < limit:
            raise Unusual
        return multiply(Decimal(n), unit), q

    return read


def write_instant(x: datetime) -> bytes:
    """Microseconds since 1970 in UTC. Raises TypeError for a naive datetime."""
    since = x - EPOCH
    return write_long((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def read_instant(d: bytes, p: int) -> tuple[object, int]:
    """The datetime in UTC of a count of microseconds."""
    n, p = read_long(d, p)
    return EPOCH + MICROSECOND * n, p


def write_day(x: date) -> bytes:
    """Days since 1970-01-01."""
    return write_long(x.toordinal() - EPOCH_ORDINAL)


def read_day(d: bytes, p: int) -> tuple[object, int]:
    """The date of a count of days."""
    n, p = read_long(d, p)
    return date.fromordinal(n + EPOCH_ORDINAL), p


def write_duration(x: timedelta) -> bytes:
    """Microseconds, of either sign."""
    return write_long((x.days * 86_400 + x.seconds) * 1_000_000 + x.microseconds)


def read_duration(d: bytes, p: int) -> tuple[object, int]:
    """The timedelta of a count of microseconds."""
    n, p = read_long(d, p)
    if n == LONG_MIN:
        raise Unusual
    return MICROSECOND * n, p


def write_ident(x: UUID) -> bytes:
    """The 36 lower-case characters of RFC 4122, and their length."""
    return b"H" + _pack_uuid(x)[2:]


def read_ident(d: bytes, p: int) -> tuple[object, int]:
    """The UUID of 36 characters."""
    if d[p] != UUID_CHARS << 1:
        raise Unusual
    return _unpack_uuid(UUID_PREFIX + d[p + 1 : p + 37]), p + 37
