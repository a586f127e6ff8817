"""The envelope: what the framework adds to a command or an event, as one Avro record at constant offsets.

The body of a record is the user's Avro record and nothing else; the envelope travels beside it in the record header
`eventcore`. It is an Avro record itself, so that any Avro reader can read it, but its first fields are `fixed` ones
that hold big-endian integers: they stand at constant offsets and are packed and read by one `struct` call (0.2 µs;
as Avro longs the same took 1-2). What is rarely there follows as `Options`, seven null bytes in the common case.

    c3 01 | fingerprint 8 | command_id 16 | version 8 | index 2 | count 2 | term 4 | sequence 8 | stamp 8 | cause 8 | options

A command's envelope has zeros in what only a lane can know (version to cause). The schema is frozen as
schemas/eventcore/Envelope.v1.avsc; another layout would be another record with another fingerprint.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from eventcore.avro.canonical import fingerprint
from eventcore.avro.codec import codec_for
from eventcore.avro.derive import JsonSchema, schema_of
from eventcore.avro.framing import head_of
from eventcore.cut import Position
from eventcore.errors import DecodeError
from eventcore.value import Value

NAMESPACE = "eventcore"
FIXED = struct.Struct(">16sQHHIQQQ")
FIXED_FIELDS = (
    ("command_id", "Id", 16, "the id of the command, the same in its events and outcome"),
    ("version", "U64", 8, "the instance's version after this event: the number of its events so far"),
    ("index", "U16", 2, "which event of its turn this is, from 0"),
    ("count", "U16", 2, "how many events its turn has"),
    ("term", "U32", 4, "the term of the lane that wrote this"),
    ("sequence", "U64", 8, "the number of this record among those that lanes wrote to this partition, from 1"),
    ("stamp", "U64", 8, "hybrid clock: 48 bits of Unix milliseconds, 16 bits that count within one"),
    ("cause", "U64", 8, "the offset of the command in the lane's commands partition"),
)


class Source(Value):
    """The record that a relay made this command from: what caused it, in another topic."""

    topic: str
    partition: int
    offset: int

    def position(self) -> Position:
        """The source as a position."""
        return Position(self.topic, self.partition, self.offset)


class SagaStep(Value):
    """The step of a saga that asked for this command."""

    saga: str
    id: str
    step: str
    action: Literal["do", "undo"]


class Options(Value):
    """The rare part of an envelope: each field absent unless it is needed. `expires` is Unix milliseconds."""

    expected_version: int | None = None
    source: Source | None = None
    step: SagaStep | None = None
    reply: str | None = None
    expires: int | None = None
    code: bytes | None = None
    trace: str | None = None


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A whole envelope. Of a command, only `command_id` and `options` have a meaning."""

    command_id: bytes
    version: int
    index: int
    count: int
    term: int
    sequence: int
    stamp: int
    cause: int
    options: Options


def with_fixed(name: str, fixed: tuple[tuple[str, str, int, str], ...], rest: JsonSchema) -> JsonSchema:
    """The schema of a record that begins with `fixed` fields and goes on with the fields of `rest`."""
    seen: set[str] = set()
    fields: list[JsonSchema] = []
    for field, kind, size, doc in fixed:
        spelled: object = {"type": "fixed", "name": kind, "size": size} if kind not in seen else kind
        seen.add(kind)
        fields.append({"name": field, "type": spelled, "doc": doc + ("" if kind == "Id" else "; big-endian")})
    return {"type": "record", "name": name, "namespace": NAMESPACE, "fields": [*fields, *rest["fields"]]}


_options = codec_for(Options, NAMESPACE)
ENVELOPE_SCHEMA = with_fixed("Envelope", FIXED_FIELDS, schema_of(Options, NAMESPACE))
HEAD = head_of(fingerprint(ENVELOPE_SCHEMA))
NO_OPTIONS = _options.encode(Options())
NOTHING = Options()
OPTIONS_AT = len(HEAD) + FIXED.size
EVENT_FIXED = struct.Struct(">10s16sQHHIQQQ")  # the same with the head, for the lane's loop


def command_envelope(command_id: bytes, options: Options = NOTHING, *, stamp: int = 0) -> bytes:
    """The envelope of a command that no lane has seen yet; `command_id` has 16 bytes.

    `stamp` is that of the record a relay made it from: the turn will come after it.
    """
    tail = NO_OPTIONS if options is NOTHING else _options.encode(options)
    return HEAD + FIXED.pack(command_id, 0, 0, 0, 0, 0, stamp, 0) + tail


def write_options(options: Options) -> bytes:
    """The bytes of the options alone, for whoever packs the fixed part."""
    return _options.encode(options)


def write_envelope(envelope: Envelope) -> bytes:
    """The bytes of an envelope, its head first."""
    return HEAD + FIXED.pack(*msgspec.structs.astuple(envelope)[:8]) + _options.encode(envelope.options)


def read_envelope(data: bytes | None) -> Envelope:
    """Read an envelope. Raises DecodeError for anything else, saying what is missing or wrong."""
    if data is None:
        raise DecodeError("eventcore.Envelope", "", "the record has no header named eventcore")
    if data[:10] != HEAD or len(data) < OPTIONS_AT + len(NO_OPTIONS):
        raise DecodeError(
            "eventcore.Envelope", "", f"the header begins with {data[:10].hex(' ')}, {len(data)} bytes long"
        )
    tail = data[OPTIONS_AT:]
    options = NOTHING if tail == NO_OPTIONS else _options.decode(tail)
    command_id, version, index, count, term, sequence, stamp, cause = FIXED.unpack_from(data, 10)
    return Envelope(command_id, version, index, count, term, sequence, stamp, cause, options)


def options_of(data: bytes) -> Options:
    """The options of an envelope whose head was already compared. Raises DecodeError."""
    tail = data[OPTIONS_AT:]
    return NOTHING if tail == NO_OPTIONS else _options.decode(tail)
