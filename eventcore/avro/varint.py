"""Avro's integers: zigzag, then seven bits a byte, least significant first.

Tables carry the common cases, since a table's entry costs 12 ns and a loop of shifts and masks 250:

- `SHORT[n]` is what -8,192 <= n < 8,192 is written as; Python's negative indices make one tuple serve both signs.
- `MORE[u]` is 14 bits in two bytes that both say "more follows"; `LAST[u]` is up to 14 bits that end an integer.
- `ZIGZAG[b]` for b < 128 is the integer of one byte, `ZIGZAG[b + (c << 7)]` of two (`b` has its high bit set).
"""

from __future__ import annotations

from eventcore.shape import LONG_MAX, LONG_MIN

SHORT_MIN, SHORT_MAX = -8192, 8191
BYTES_MAX = 10  # of one integer: nine hold 63 bits, the tenth holds the last


class Unusual(Exception):
    """Bytes that a generated reader does not take: broken, or valid in a form that we do not write."""


def _last(u: int) -> bytes:
    return bytes((u,)) if u < 128 else bytes((u & 127 | 128, u >> 7))


LAST = tuple(_last(u) for u in range(1 << 14))
MORE = tuple(bytes((u & 127 | 128, u >> 7 | 128)) for u in range(1 << 14))
SHORT = (*(LAST[n << 1] for n in range(1 << 13)), *(LAST[~(n << 1)] for n in range(-(1 << 13), 0)))
ZIGZAG = tuple(z >> 1 ^ -(z & 1) for z in (*range(1 << 7), *range(1 << 14)))


def write_long(n: int) -> bytes:
    """The bytes of any integer of 64 bits. Raises OverflowError beyond."""
    if not LONG_MIN <= n <= LONG_MAX:
        raise OverflowError(f"{n} does not fit into 64 bits")
    z = n << 1 if n >= 0 else ~(n << 1)
    if z < 1 << 14:
        return LAST[z]
    if z < 1 << 28:
        return MORE[z & 16383] + LAST[z >> 14]
    if z < 1 << 42:
        return MORE[z & 16383] + MORE[z >> 14 & 16383] + LAST[z >> 28]
    if z < 1 << 56:
        return MORE[z & 16383] + MORE[z >> 14 & 16383] + MORE[z >> 28 & 16383] + LAST[z >> 42]
    return MORE[z & 16383] + MORE[z >> 14 & 16383] + MORE[z >> 28 & 16383] + MORE[z >> 42 & 16383] + LAST[z >> 56]


def read_long(d: bytes, p: int) -> tuple[int, int]:
    """The integer that stands at `p`, and the place after it.

    Raises IndexError where the bytes end within it, Unusual where it has more than ten bytes or 64 bits.
    """
    b = d[p]
    if b < 128:
        return ZIGZAG[b], p + 1
    if (c := d[p + 1]) < 128:
        return ZIGZAG[b + (c << 7)], p + 2
    z = b + (c << 7) - 0x4080  # every byte that says "more" has brought its high bit
    if (b := d[p + 2]) < 128:
        z += b << 14
        return z >> 1 ^ -(z & 1), p + 3
    if (c := d[p + 3]) < 128:
        z += (b << 14) + (c << 21) - 0x200000
        return z >> 1 ^ -(z & 1), p + 4
    z += (b << 14) + (c << 21) - 0x10200000
    shift = 28
    for q in range(p + 4, p + BYTES_MAX):
        b = d[q]
        if b < 128:
            z += b << shift
            if z >> 64:
                break
            return z >> 1 ^ -(z & 1), q + 1
        z += (b & 127) << shift
        shift += 7
    raise Unusual("an integer of more than 64 bits")
