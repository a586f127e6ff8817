"""Generates the function that reads values of one class: straight to the value, no dict between, everything checked.

The generated reader takes bodies in the form that our encoders write. Whatever it does not expect (a broken body, or
one in another form that Avro allows) raises something inside it, and the exact reader (`reference.py`) is asked: it
returns the value, or says what is wrong and where. So the fast path carries no messages, and its checks cost little:

1. A body that ends early is found by an IndexError, or at the end, where the place must be the length of the body.
   A slice beyond the end takes no memory; nothing is made from a length or a count before it is checked.
2. Bounds of every field are tested where it is read: what comes out satisfies the validator of its class.
3. Where the generated reader returns a value, the exact reader returns an equal one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from eventcore.annotations import shape_of
from eventcore.avro import anything, times
from eventcore.avro.derive import bytes_min
from eventcore.avro.framing import HEAD_BYTES
from eventcore.avro.limits import BODY_BYTES_MAX, ITEMS_MAX
from eventcore.avro.reference import read_exactly
from eventcore.avro.scalars import UUID_PREFIX, numbers, unpack_uuid
from eventcore.avro.source import Source, constraint, is_small
from eventcore.avro.varint import ZIGZAG, Unusual, read_long
from eventcore.errors import DecodeError
from eventcore.shape import (
    LONG_MAX,
    LONG_MIN,
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
from eventcore.value import Map, Value


def decoder_source(cls: type[Value], schema: str) -> Source:
    """A module with `decode(body, start=0)`: the value, or DecodeError."""

    def exactly(data: bytes, start: int) -> Value:
        return read_exactly(cls, schema, data, start)

    def large(size: int) -> DecodeError:
        return DecodeError(schema, "", f"a body of {size} bytes is larger than {BODY_BYTES_MAX}")

    source = Source(
        Z=ZIGZAG,
        r=read_long,
        Unusual=Unusual,
        rl=_read_length,
        ud=struct.Struct("<d").unpack_from,
        exactly=exactly,
        large=large,
        Map=Map,
        fb=int.from_bytes,
        Unseen=(KeyError, struct.error),
    )
    readers: dict[type[Value], str] = {}
    body = _Body(source, readers)
    made = body.record(cls, 2)
    source.add(0, "def decode(d, start=0):")
    if not is_small(cls):
        source.add(1, f"if len(d) > {HEAD_BYTES + BODY_BYTES_MAX}: raise large(len(d) - start)")
    source.add(1, "p = start", "try:")
    source.lines += body.lines
    source.add(2, "if p == len(d):", f"    return {made}")
    source.add(1, "except KeyboardInterrupt:", "    raise")
    source.add(1, "except BaseException:", "    pass", "return exactly(d, start)")  # a __post_init__ may raise anything
    return source


def _read_length(d: bytes, p: int) -> tuple[int, int]:
    """A length or count of more than one byte, held against what remains."""
    n, p = read_long(d, p)
    if not 0 <= n <= len(d) - p:
        raise Unusual
    return n, p


class _Body:
    """The statements of one reader. They read from `d` at `p`; `b`, `c` and `n` are scratch."""

    def __init__(self, source: Source, readers: dict[type[Value], str]) -> None:
        self.source = source
        self.readers = readers
        self.lines: list[str] = []

    def add(self, indent: int, *lines: str) -> None:
        self.lines.extend("    " * indent + line for line in lines)

    def record(self, cls: type[Value], indent: int) -> str:
        """Read every field; the expression that makes the value from them."""
        positional = frozenset[str](cls.__match_args__)
        arguments: list[str] = []
        for field in shape_of(cls):
            x = self.source.fresh("x")
            self.read(field.shape, x, indent)
            arguments.append(x if field.name in positional else f"{field.name}={x}")
        return f"{self.source.bind(cls, 'cls')}({', '.join(arguments)})"

    def reader(self, cls: type[Value]) -> str:
        """The name of the function that reads a nested class, made at its first use."""
        if cls not in self.readers:
            self.readers[cls] = name = self.source.fresh("record")
            body = _Body(self.source, self.readers)
            made = body.record(cls, 1)
            self.source.add(0, f"def {name}(d, p):")
            self.source.lines += body.lines
            self.source.add(1, f"return {made}, p")
        return self.readers[cls]

    def read(self, shape: Shape, x: str, indent: int) -> None:
        """Read a value of this shape into the name `x`, all its bounds checked."""
        self._read(shape, x, indent)
        if (holds := constraint(shape, x, self.source)) is not None:
            self.add(indent, f"if not ({holds}): raise Unusual")

    def _read(self, shape: Shape, x: str, indent: int) -> None:
        match shape:
            case Bool():
                self.add(indent, f"{x} = {self.source.bind((False, True), 'bools')}[d[p]]", "p += 1")
            case Int(low, high):
                self._int(low, high, x, indent)
            case Float():
                self.add(indent, f"({x},) = ud(d, p)", "p += 8")
            case Str():
                self._sized(f"{x} = d[p:n].decode()", indent)
            case Bytes():
                self._sized(f"{x} = d[p:n]", indent)
            case Anything():
                self._sized(f"{x} = {self.source.bind(anything.unpack, 'anything')}(d[p:n])", indent)
            case Number(precision, scale):
                self._number(precision, scale, x, indent)
            case Instant():
                self._instant(x, indent)
            case Day():
                self._call(times.day_reader(), "day", x, indent)
            case Duration():
                self._call(times.read_duration, "duration", x, indent)
            case Ident():
                prefix, unpack = self.source.bind(UUID_PREFIX), self.source.bind(unpack_uuid, "unpack")
                self.add(indent, "if d[p] != 72: raise Unusual", "n = p + 37")
                self.add(indent, f"{x} = {unpack}({prefix} + d[p + 1 : n])", "p = n")
            case Choice(_, _, members):
                table = {index << 1: member for index, member in enumerate(members[:64])}
                self.add(indent, f"{x} = {self.source.bind(table, 'members')}[d[p]]", "p += 1")
            case Maybe(OneOf(classes)):
                self.add(indent, "if d[p] == 0:", f"    {x} = None", "    p += 1", "else:")
                self._one_of(classes, 1, x, indent + 1)
            case Maybe(of):
                self.add(indent, "b = d[p]", "p += 1", "if b == 0:", f"    {x} = None", "elif b == 2:")
                self.read(of, x, indent + 1)
                self.add(indent, "else:", "    raise Unusual")
            case OneOf(classes):
                self._one_of(classes, 0, x, indent)
            case Many(of):
                self._block(x, "()", indent, of)
            case SetOf(of):
                self._block(x, "frozenset()", indent, of)
            case MapOf(of):
                self._map(x, indent, of)
            case Record(cls):
                self.add(indent, f"{x}, p = {self.reader(cls)}(d, p)")

    def _int(self, low: int, high: int, x: str, indent: int) -> None:
        self.add(
            indent,
            "b = d[p]",
            "if b < 128:",
            f"    {x} = Z[b]",
            "    p += 1",
            "elif (c := d[p + 1]) < 128:",
            f"    {x} = Z[b + (c << 7)]",
            "    p += 2",
            "else:",
            f"    {x}, p = r(d, p)",
        )
        if (low, high) != (LONG_MIN, LONG_MAX):
            self.add(indent, f"if not {low} <= {x} <= {high}: raise Unusual")

    def _length(self, indent: int) -> None:
        """Read a length or a count into `n`: one byte, even, below 128; or the slow way."""
        self.add(indent, "n = d[p]", "if n & 129:", "    n, p = rl(d, p)", "else:", "    n >>= 1", "    p += 1")

    def _sized(self, take: str, indent: int) -> None:
        self._length(indent)
        self.add(indent, "n += p", take, "p = n")

    def _number(self, precision: int, scale: int, x: str, indent: int) -> None:
        parts = numbers(precision, scale)
        limit, multiply, unit = (self.source.bind(part, name) for part, name in zip(parts, parts._fields, strict=True))
        self.add(
            indent,
            "b = d[p]",
            "p += 1",
            "n = p + (b >> 1)",
            f'{x} = fb(d[p:n], "big", signed=True)',
            f"if not -{limit} < {x} < {limit} or b & 129 or not b: raise Unusual",
            f"{x} = {multiply}({x}, {unit})",
            "p = n",
        )

    def _instant(self, x: str, indent: int) -> None:
        parts = times.instants()
        halves, high, middle, low, read = (
            self.source.bind(part, name) for part, name in zip(parts, parts._fields, strict=True)
        )
        self.add(
            indent,
            "try:",
            f"    b, c, n = {halves}(d, p)",
            f"    {x} = {high}[n] + {middle}[c] + {low}[b]",
            "    p += 8",
            "except Unseen:",
            f"    {x}, p = {read}(d, p)",
        )

    def _call(self, read: Callable[[bytes, int], tuple[object, int]], stem: str, x: str, indent: int) -> None:
        self.add(indent, f"{x}, p = {self.source.bind(read, stem)}(d, p)")

    def _one_of(self, classes: tuple[type[Value], ...], first: int, x: str, indent: int) -> None:
        branches = [f"{index << 1}: {self.reader(cls)}" for index, cls in enumerate(classes, first) if index < 64]
        table = self.source.fresh("branches")
        self.source.add(0, f"{table} = {{{', '.join(branches)}}}")
        self.add(indent, f"{x}, p = {table}[d[p]](d, p + 1)")

    def _count(self, size_min: int, indent: int) -> None:
        self._length(indent)
        self.add(indent, f"if n * {size_min} > len(d) - p or n > {ITEMS_MAX}: raise Unusual")

    def _block(self, x: str, empty: str, indent: int, of: Shape) -> None:
        """One block of items, then the empty block. More blocks, or counts below zero, are for the exact reader."""
        items, item = self.source.fresh("items"), self.source.fresh("i")
        kind = empty.removesuffix("()") or "tuple"
        self._count(bytes_min(of), indent)
        self.add(indent, "if n:", f"    {items} = []", "    for _ in range(n):")
        self.read(of, item, indent + 2)
        self.add(indent + 2, f"{items}.append({item})")
        self.add(indent + 1, "if d[p]: raise Unusual", "p += 1", f"{x} = {kind}({items})")
        if kind == "frozenset":
            self.add(indent + 1, f"if len({x}) != len({items}): raise Unusual")
        self.add(indent, "else:", f"    {x} = {empty}")

    def _map(self, x: str, indent: int, of: Shape) -> None:
        items, key, item = self.source.fresh("items"), self.source.fresh("k"), self.source.fresh("i")
        count = self.source.fresh("n")
        self._count(1 + bytes_min(of), indent)
        self.add(indent, f"{count} = n", f"{items} = {{}}", f"for _ in range({count}):")
        self.read(Str(), key, indent + 1)
        self.read(of, item, indent + 1)
        self.add(indent + 1, f"{items}[{key}] = {item}")
        self.add(
            indent,
            f"if {count}:",
            f"    if d[p] or len({items}) != {count}: raise Unusual",
            "    p += 1",
            f"{x} = Map({items})",
        )
