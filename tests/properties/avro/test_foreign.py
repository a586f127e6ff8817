"""Bodies as other writers may write them: several blocks, negative counts with sizes, integers longer than need be."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventcore.annotations import shape_of
from eventcore.avro.codec import codec_for
from eventcore.avro.generic import GenericReader
from eventcore.avro.reference import read_exactly
from eventcore.shape import (
    Anything,
    Bool,
    Bytes,
    Choice,
    Day,
    Duration,
    Float,
    Ident,
    Instant,
    Int,
    Many,
    MapOf,
    Maybe,
    Number,
    OneOf,
    Record,
    SetOf,
    Shape,
    Str,
)
from eventcore.testing.strategies import values_of
from eventcore.value import Value
from tests.properties.avro.test_generic import fastavro_reads, marked
from tests.strategies import value_classes


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.integers(0, 2**32))
def test_every_form_that_avro_allows_reads_as_the_same_value(data: st.DataObject, seed: int) -> None:
    cls = data.draw(value_classes())
    codec = codec_for(cls, "shop.orders")
    value = data.draw(values_of(cls))
    body = Foreign(random.Random(seed)).record(value)
    assert codec.decode(body) == value
    assert read_exactly(cls, codec.name, body, 0) == value
    assert marked(GenericReader(codec.text).read(body)) == fastavro_reads(codec.schema, body)


class Foreign:
    """Another writer: everything valid, nothing as we write it."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice

    def record(self, value: Value) -> bytes:
        """A record's body."""
        return b"".join(self.write(f.shape, getattr(value, f.name)) for f in shape_of(type(value)))

    def write(self, shape: Shape, x: Any) -> bytes:
        """One value of a shape."""
        match shape:
            case Int():
                return self.long(x)
            case Str():
                return self.text(x)
            case Choice(_, _, members):
                return self.long(members.index(x))
            case Maybe(OneOf(classes)):
                return self.long(0) if x is None else self.long(1 + classes.index(type(x))) + self.record(x)
            case Maybe(of):
                return self.long(0) if x is None else self.long(1) + self.write(of, x)
            case OneOf(classes):
                return self.long(classes.index(type(x))) + self.record(x)
            case Record():
                return self.record(x)
            case Many(of):
                return self.blocks([self.write(of, item) for item in x])
            case SetOf(of):
                return self.blocks(self.shuffled(self.write(of, item) for item in x))
            case MapOf(of):
                return self.blocks(self.shuffled(self.text(k) + self.write(of, v) for k, v in x.items()))
            case Bool():
                return b"\1" if x else b"\0"
            case Float():
                return struct.pack("<d", x)
            case Bytes():
                return self.long(len(x)) + bytes(x)
            case Number(_, scale):
                units = int(Fraction(x) * 10**scale)
                size = units.bit_length() // 8 + 1
                return self.long(size) + units.to_bytes(size, "big", signed=True)
            case Instant():
                return self.long((x - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
            case Duration():
                return self.long(x // timedelta(microseconds=1))
            case Day():
                return self.long((x - date(1970, 1, 1)).days)
            case Ident():
                return self.text(str(x).upper())
            case Anything():
                packed = msgspec.msgpack.encode(x, enc_hook=dict)
                return self.long(len(packed)) + packed

    def long(self, n: int) -> bytes:
        """An integer, in up to three bytes more than it needs."""
        z = n << 1 if n >= 0 else ~(n << 1)
        groups = [z & 127]
        while z := z >> 7:
            groups.append(z & 127)
        groups += [0] * min(self.dice.choice([0, 0, 1, 3]), 10 - len(groups))
        return bytes(group | 128 for group in groups[:-1]) + bytes([groups[-1]])

    def text(self, x: str) -> bytes:
        """A string."""
        return self.long(len(x.encode())) + x.encode()

    def shuffled(self, items: Iterable[bytes]) -> list[bytes]:
        """The items in another order."""
        listed = list(items)
        self.dice.shuffle(listed)
        return listed

    def blocks(self, items: list[bytes]) -> bytes:
        """The items in one block or several, some of which say their size."""
        written = b""
        while items:
            size = self.dice.randint(1, len(items))
            block, items = b"".join(items[:size]), items[size:]
            sized = self.dice.random() < 0.5
            written += (self.long(-size) + self.long(len(block)) if sized else self.long(size)) + block
        return written + self.long(0)
