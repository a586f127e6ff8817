"""The catalogue of a topic: which classes its records may hold, and how each is written and read.

A fingerprint is 64 bits of a CRC, so it is looked up in the catalogue of the topic being read, never in a global table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from eventcore.avro.codec import Codec, codec_for
from eventcore.avro.framing import HEAD_BYTES, split
from eventcore.errors import InvalidValue, NotSupported, UnknownSchema
from eventcore.value import Value


class Catalogue:
    """The codecs of the event classes, or of the command classes, of one topic.

    `encode(value)` gives the framed record of a valid value whose class is in the catalogue; InvalidValue otherwise.
    `decode(record)` gives the value; raises UnknownFraming, UnknownSchema or DecodeError, whatever the bytes, and
    nothing else. Both are plain functions, to be bound to a local name where speed matters.
    `codecs` are in the order of the classes; `schemas` are the schema texts by fingerprint, as the log carries them.
    """

    __slots__ = ("codecs", "decode", "encode", "namespace", "schemas")

    def __init__(self, classes: Iterable[type[Value]], namespace: str) -> None:
        self.namespace = namespace
        self.codecs: tuple[Codec[Value], ...] = tuple(codec_for(cls, namespace) for cls in classes)
        _check_unique(self.codecs)
        self.schemas: Mapping[bytes, str] = MappingProxyType({c.fingerprint: c.text for c in self.codecs})
        self.encode: Callable[[Value], bytes] = _encoder(self.codecs)
        self.decode: Callable[[bytes], Value] = _decoder(self.codecs)


def _check_unique(codecs: tuple[Codec[Value], ...]) -> None:
    names: dict[str, Codec[Value]] = {}
    heads: dict[bytes, Codec[Value]] = {}
    for codec in codecs:
        if (other := names.get(codec.name)) is not None:
            raise NotSupported(
                f"{other.cls.__qualname__} and {codec.cls.__qualname__} both bear the Avro name {codec.name}. "
                "List each class once; give one of two classes its own avro_name: ClassVar[str]."
            )
        if (other := heads.get(codec.head)) is not None:
            raise NotSupported(
                f"the schemas {other.name} and {codec.name} have one fingerprint, {codec.fingerprint.hex()}: "
                "records of the two could not be told apart. Give one of them another avro_name: ClassVar[str]."
            )
        names[codec.name] = heads[codec.head] = codec


def _encoder(codecs: tuple[Codec[Value], ...]) -> Callable[[Value], bytes]:
    writers = {codec.cls: codec.write for codec in codecs}

    def encode(value: Value) -> bytes:
        try:
            return writers[type(value)](value)
        except KeyError:  # of the dict: a writer raises InvalidValue only
            known = ", ".join(sorted(cls.__name__ for cls in writers)) or "none"
            raise InvalidValue(type(value).__name__, f"not in this topic's catalogue, which holds: {known}") from None

    return encode


def _decoder(codecs: tuple[Codec[Value], ...]) -> Callable[[bytes], Value]:
    readers = {codec.head: codec.decode for codec in codecs}

    def decode(record: bytes) -> Value:
        try:
            return readers[record[:HEAD_BYTES]](record, HEAD_BYTES)
        except KeyError:  # of the dict: a reader raises DecodeError only
            raise UnknownSchema(split(record)[0]) from None

    return decode
