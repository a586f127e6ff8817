"""A place in a body of hostile bytes: what is taken from it is held against what remains, before it is made.

Shared by the exact reader of value classes and the generic reader of schemas.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from eventcore.avro.limits import ITEMS_MAX
from eventcore.avro.varint import Unusual, read_long
from eventcore.errors import DecodeError

SINGLE = struct.Struct("<f")
DOUBLE = struct.Struct("<d")


class Cursor:
    """A place in a body; takes bytes and integers from it and refuses to run past its end."""

    __slots__ = ("data", "place", "schema")

    def __init__(self, data: bytes, place: int, schema: str) -> None:
        self.data = data
        self.place = place
        self.schema = schema

    def broken(self, path: str, reason: str) -> DecodeError:
        """The error that says what is wrong at `path`."""
        return DecodeError(self.schema, path, reason)

    def remaining(self) -> int:
        """The bytes from here to the end."""
        return len(self.data) - self.place

    def take(self, size: int, path: str) -> bytes:
        """The next `size` bytes."""
        if not 0 <= size <= self.remaining():
            raise self.broken(path, f"{size} bytes are claimed and {self.remaining()} remain")
        begin, self.place = self.place, self.place + size
        return self.data[begin : self.place]

    def long(self, path: str) -> int:
        """The next integer."""
        try:
            n, self.place = read_long(self.data, self.place)
        except IndexError:
            raise self.broken(path, "the body ends within an integer") from None
        except Unusual:
            raise self.broken(path, "an integer has more than 64 bits") from None
        return n

    def index(self, count: int, what: str, path: str) -> int:
        """The next integer, which must be the index of one of `count` things."""
        if not 0 <= (index := self.long(path)) < count:
            raise self.broken(path, f"{index} is not the index of one of {count} {what}")
        return index

    def boolean(self, path: str) -> bool:
        """The next byte, which must be 0 or 1."""
        if (byte := self.take(1, path)[0]) > 1:
            raise self.broken(path, f"a boolean is the byte 0 or 1, not {byte}")
        return byte == 1

    def single(self, path: str) -> float:
        """The next four bytes as a single-precision number."""
        return float(SINGLE.unpack(self.take(4, path))[0])

    def double(self, path: str) -> float:
        """The next eight bytes as a double."""
        return float(DOUBLE.unpack(self.take(8, path))[0])

    def text(self, path: str) -> str:
        """The next length and as many bytes of UTF-8."""
        data = self.take(self.long(path), path)
        try:
            return data.decode()
        except UnicodeDecodeError as broken:
            raise self.broken(path, f"text that is not UTF-8: {broken}") from broken

    def items(self, size_min: int, path: str) -> Iterator[int]:
        """Yield the index of each item, in one block or several; the caller reads the item before it asks for the next.

        No item may take fewer than `size_min` bytes, at least one: counts are held against the bytes that remain.
        """
        total = 0
        while count := self.long(path):
            size = self.long(path) if count < 0 else None
            count = abs(count)
            if count > self.remaining() // size_min:
                raise self.broken(path, f"{count} items are claimed and {self.remaining()} bytes remain")
            if total + count > ITEMS_MAX:
                raise self.broken(path, f"{total + count} items are more than {ITEMS_MAX}")
            begin = self.place
            yield from range(total, total + count)
            total += count
            if size is not None and self.place - begin != size:
                raise self.broken(path, f"a block claims {size} bytes and its items take {self.place - begin}")
