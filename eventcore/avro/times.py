"""The Avro forms of instants, days and durations, fast.

A timestamp of these decades is eight bytes: 14 low bits in two, 14 middle bits in two, the high bits in four. The high
bytes change every 134 seconds, so their meaning is remembered: on writing the four bytes of `n >> 27`, on reading the
datetime of the four bytes. The lower halves are looked up in tables of timedeltas, and a datetime is two additions
(190 ns instead of 550). Dates are remembered by their three bytes. What is remembered is bounded and only ever derived
from the bytes, so that forgetting and racing do no harm.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from eventcore.avro.varint import LAST, MORE, Unusual, read_long, write_long
from eventcore.shape import LONG_MIN

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
MICROSECOND = timedelta(microseconds=1)
REMEMBERED_MAX = 4_096  # high bytes: six days of events; days: eleven years; each some 100 bytes

Read = Callable[[bytes, int], "tuple[object, int]"]


def microseconds(x: timedelta) -> int:
    """A timedelta as a whole number of microseconds."""
    return (x.days * 86_400 + x.seconds) * 1_000_000 + x.microseconds


def instant_writer() -> Callable[[datetime], bytes]:
    """A writer of microseconds since 1970; raises TypeError for a naive datetime."""
    high_bytes: dict[int, bytes] = {}

    def remember(n: int) -> bytes:
        high = n >> 27
        if high < 1:
            return write_long(n)
        if len(high_bytes) >= REMEMBERED_MAX:
            high_bytes.clear()
        high_bytes[high] = tail = _tail(high)
        return MORE[n << 1 & 16383] + MORE[n >> 13 & 16383] + tail

    def write(x: datetime) -> bytes:
        since = x - EPOCH
        n = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        try:
            return MORE[n << 1 & 16383] + MORE[n >> 13 & 16383] + high_bytes[n >> 27]
        except KeyError:
            return remember(n)

    return write


def _tail(u: int) -> bytes:
    """The bytes of a number above 0 without sign, seven bits each, that end an integer."""
    parts: list[bytes] = []
    while u >= 1 << 14:
        parts.append(MORE[u & 16383])
        u >>= 14
    return b"".join((*parts, LAST[u]))


class Instants(NamedTuple):
    """What a generated reader needs for an instant: `high[c] + middle[b] + low[a]` of `halves(d, p)`.

    A KeyError or struct.error there means another form: then `read` is asked, which also fills `high`.
    """

    halves: Callable[[bytes, int], tuple[int, int, int]]
    high: dict[int, datetime]
    middle: dict[int, timedelta]
    low: dict[int, timedelta]
    read: Read


@functools.cache
def instants() -> Instants:
    """The tables for reading instants: 24,576 timedeltas, 2 MB, made when the first class with an instant is."""
    low = {int.from_bytes(MORE[n << 1], "little"): MICROSECOND * n for n in range(1 << 13)}
    middle = {int.from_bytes(MORE[n], "little"): MICROSECOND * (n << 13) for n in range(1 << 14)}
    high: dict[int, datetime] = {}

    def read(d: bytes, p: int) -> tuple[object, int]:
        n, q = read_long(d, p)
        if q == p + 8 and n > 0 and len(MORE[0] * 2 + _tail(n >> 27)) == 8:
            if len(high) >= REMEMBERED_MAX:
                high.clear()
            high[int.from_bytes(d[p + 4 : q], "little")] = EPOCH + MICROSECOND * (n >> 27 << 27)
        return EPOCH + MICROSECOND * n, q

    return Instants(struct.Struct("<HHI").unpack_from, high, middle, low, read)


def write_day(x: date) -> bytes:
    """Days since 1970-01-01."""
    n = x.toordinal() - EPOCH_ORDINAL
    return MORE[n << 1 & 16383] + LAST[n >> 13] if n >= 1 << 13 else write_long(n)


def day_reader() -> Read:
    """A reader of days since 1970-01-01."""
    remembered: dict[bytes, date] = {}

    def read(d: bytes, p: int) -> tuple[object, int]:
        try:
            return remembered[d[p : p + 3]], p + 3
        except KeyError:
            n, q = read_long(d, p)
        day = date.fromordinal(EPOCH_ORDINAL + n)
        if q == p + 3:
            if len(remembered) >= REMEMBERED_MAX:
                remembered.clear()
            remembered[d[p:q]] = day
        return day, q

    return read


def write_duration(x: timedelta) -> bytes:
    """Microseconds, of either sign."""
    return write_long((x.days * 86_400 + x.seconds) * 1_000_000 + x.microseconds)


def read_duration(d: bytes, p: int) -> tuple[object, int]:
    """The timedelta of a count of microseconds."""
    n, p = read_long(d, p)
    if n == LONG_MIN:
        raise Unusual
    return MICROSECOND * n, p
