"""Records that no program of ours would write: mutants of real ones, and what other programs send. Seeded.

Each way takes a real record and the dice, and gives one back that is wrong somewhere, or by luck still right. Ways that
make megabytes are rare, so that ten thousand records stay a few dozen megabytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from msgspec.structs import replace

from eventcore.avro.varint import write_long
from eventcore.log.port import RECORD_BYTES_MAX, Record

Way = Callable[[random.Random, Record], Record]
RARE = 0.003  # of the records are as large as a log takes
ID_AT, ID_END = 10, 26  # the command's id in an envelope
SPARE_BYTES = 2_000  # beside the value of an oversized record: key, envelope, headers


def spoiled(dice: random.Random, record: Record) -> Record:
    """The record, spoiled in one way or another."""
    way = oversized if dice.random() < RARE else dice.choice(WAYS)
    return way(dice, as_new(dice, record))


def as_new(dice: random.Random, record: Record) -> Record:
    """The record, three times out of four with a command id that nobody has seen: what is known is not looked at."""
    envelope = record.envelope
    if envelope is None or len(envelope) < ID_END or dice.random() < 0.25:
        return record
    return replace(record, envelope=envelope[:ID_AT] + dice.randbytes(ID_END - ID_AT) + envelope[ID_END:])


def flipped(dice: random.Random, data: bytes | None, most: int = 4) -> bytes:
    """The bytes with one to `most` bits turned over."""
    spoiled_ = bytearray(data or b"\0")
    if not spoiled_:
        return b"\0"
    for _ in range(dice.randint(1, most)):
        spoiled_[dice.randrange(len(spoiled_))] ^= 1 << dice.randrange(8)
    return bytes(spoiled_)


def value_flipped(dice: random.Random, record: Record) -> Record:
    """Bits of the value turned over: perhaps another amount, perhaps a length of exabytes."""
    return replace(record, value=flipped(dice, record.value))


def envelope_flipped(dice: random.Random, record: Record) -> Record:
    """A bit of the envelope turned over: another id, another stamp, options that cannot be read."""
    return replace(record, envelope=flipped(dice, record.envelope, 1))


def value_cut(dice: random.Random, record: Record) -> Record:
    """The value ends too early."""
    value = record.value or b"\0"
    return replace(record, value=value[: dice.randrange(len(value) or 1)])


def envelope_cut(dice: random.Random, record: Record) -> Record:
    """The envelope ends too early."""
    envelope = record.envelope or b"\0"
    return replace(record, envelope=envelope[: dice.randrange(len(envelope) or 1)])


def lengthened(dice: random.Random, record: Record) -> Record:
    """Something follows the value, or the envelope."""
    more = dice.randbytes(dice.randint(1, 200))
    if dice.random() < 0.5 or record.envelope is None:
        return replace(record, value=(record.value or b"") + more)
    return replace(record, envelope=record.envelope + more)


def bare(dice: random.Random, record: Record) -> Record:
    """One part is missing: the envelope, the value, or the key."""
    part = dice.randrange(4)
    if part == 0:
        return replace(record, envelope=None)
    if part == 1:
        return replace(record, value=None)
    return replace(record, key=b"") if part == 2 else replace(record, envelope=b"", value=b"")


def key_spoiled(dice: random.Random, record: Record) -> Record:
    """A key that is no id, or another's: bytes that are no UTF-8, half a kilobyte, one that a lane uses for itself."""
    keys = (dice.randbytes(dice.randint(1, 40)), b"k" * dice.randint(256, 5_000), b"\xff", b"\xff lane", b"\0", b"\xc3")
    return replace(record, key=dice.choice(keys))


def headers_spoiled(dice: random.Random, record: Record) -> Record:
    """Headers of other programs, many or long."""
    count = dice.randint(1, 50)
    headers = tuple((f"x-{dice.randrange(9)}", dice.randbytes(dice.randint(0, 60))) for _ in range(count))
    return replace(record, headers=headers)


def other_framing(dice: random.Random, record: Record) -> Record:
    """What other programs put into topics: JSON, text, a schema registry's framing, protobuf, Avro's file magic."""
    body = (record.value or b"")[10:]
    values = (
        json.dumps({"type": "Deposit", "amount": dice.randint(-9, 9)}).encode(),
        b"hello, world\n" * dice.randint(1, 50),
        b"\0" + dice.randrange(2**31).to_bytes(4, "big") + body,
        b"\x0a\x05alice\x10" + write_long(dice.randrange(2**40)),
        b"Obj\x01" + dice.randbytes(60),
        b"\x1f\x8b\x08" + dice.randbytes(60),
        b"[" * dice.randint(1, 20_000),
    )
    return replace(record, value=dice.choice(values))


def noise(dice: random.Random, record: Record) -> Record:
    """Random bytes everywhere, or behind a right beginning."""
    kept = dice.choice((0, 2, 10, 26))
    value = (record.value or b"")[:kept] + dice.randbytes(dice.randint(0, 300))
    envelope = (record.envelope or b"")[:kept] + dice.randbytes(dice.randint(0, 100))
    return replace(record, value=value, envelope=envelope)


def claiming(dice: random.Random, record: Record) -> Record:
    """A right beginning, then lengths and counts that promise gigabytes, or integers that do not end."""
    value = record.value or b"\0"
    at = dice.randint(min(10, len(value)), len(value))
    claim = dice.choice((write_long(2**40), write_long(-(2**62)), write_long(2**31 - 1), b"\xff" * 40, b"\x80" * 11))
    if dice.random() < 0.5 or record.envelope is None:
        return replace(record, value=value[:at] + claim + value[at:])
    at = dice.randint(min(66, len(record.envelope)), len(record.envelope))
    return replace(record, envelope=record.envelope[:at] + claim)


def zeros(dice: random.Random, record: Record) -> Record:
    """A right head, then one byte over and over."""
    return replace(record, value=(record.value or b"")[:10] + bytes([dice.choice((0, 1, 2, 127, 128, 255))]) * 60)


def as_it_is(_: random.Random, record: Record) -> Record:
    """The very same record once more, or, in another topic than its own, a stranger."""
    return record


def oversized(dice: random.Random, record: Record) -> Record:
    """As large as a log takes: in the value, in the envelope, in the key, or in the headers."""
    spare = RECORD_BYTES_MAX - SPARE_BYTES - len(record.value or b"") - len(record.envelope or b"") - len(record.key)
    more = bytes(max(spare, 0))
    part = dice.randrange(4)
    if part == 0:
        return replace(record, value=(record.value or b"") + more)
    if part == 1:
        return replace(record, envelope=(record.envelope or b"") + more)
    return replace(record, key=b"k" + more) if part == 2 else replace(record, headers=(("x", more),))


WAYS: tuple[Way, ...] = (
    *(value_flipped, value_flipped, value_flipped, envelope_flipped, envelope_flipped, value_cut, envelope_cut),
    *(lengthened, bare, key_spoiled, headers_spoiled, other_framing, noise, noise, claiming, claiming, zeros, as_it_is),
)
