"""Outcomes: every decision of a lane with its command, as one Avro record whose first fields stand at constant offsets.

The value of a record in `….outcomes` is a single-object encoded `eventcore.Outcome`; its key is the instance's id. It
carries the framed command itself: the commands topic forgets after its retention, the outcomes are the audit, and what
recorded commands are decided anew from. `repeated` marks the answer to a command that was decided before: it gives
the first decision again, and nothing was decided.
"""

from __future__ import annotations

import struct
from typing import Literal, get_args

import msgspec

from eventcore.avro.canonical import fingerprint
from eventcore.avro.codec import codec_for
from eventcore.avro.derive import schema_of
from eventcore.avro.envelope import NAMESPACE, SagaStep, Source, with_fixed
from eventcore.avro.framing import head_of
from eventcore.errors import DecodeError
from eventcore.value import Value

Kind = Literal["accepted", "refused", "violated", "conflict", "parked", "expired"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FIXED = struct.Struct(">16sQHIQQQQ")
FIXED_FIELDS = (
    ("command_id", "Id", 16, "the id of the command"),
    ("version", "U64", 8, "the instance's version after the decision"),
    ("count", "U16", 2, "how many events the decision has"),
    ("term", "U32", 4, "the term of the lane that wrote this"),
    ("sequence", "U64", 8, "the number of this outcome among those of this partition, from 1"),
    ("stamp", "U64", 8, "hybrid clock at the turn: 48 bits of Unix milliseconds, 16 bits that count within one"),
    ("cause", "U64", 8, "the offset of the command in the lane's commands partition"),
    ("events", "U64", 8, "the sequence of the partition's last event after the decision"),
)


class Details(Value):
    """The part of an outcome that has no constant size. `detail` is for operators: a traceback, a position."""

    kind: Kind
    repeated: bool
    command: bytes
    reason: str | None = None
    message: str | None = None
    detail: str | None = None
    expected_version: int | None = None
    source: Source | None = None
    step: SagaStep | None = None
    code: bytes | None = None
    trace: str | None = None
    expires: int | None = None


class OutcomeRecord(msgspec.Struct, frozen=True, gc=False):
    """A whole outcome, as it is written and read."""

    command_id: bytes
    version: int
    count: int
    term: int
    sequence: int
    stamp: int
    cause: int
    events: int
    details: Details


_details = codec_for(Details, NAMESPACE)
OUTCOME_SCHEMA = with_fixed("Outcome", FIXED_FIELDS, schema_of(Details, NAMESPACE))
HEAD = head_of(fingerprint(OUTCOME_SCHEMA))
OUTCOME_FIXED = struct.Struct(">10s16sQHIQQQQ")  # the same with the head, for the lane's loop
DETAILS_AT = len(HEAD) + FIXED.size


def write_details(details: Details) -> bytes:
    """The bytes of the details alone, for whoever packs the fixed part."""
    return _details.encode(details)


def write_outcome(outcome: OutcomeRecord) -> bytes:
    """The bytes of an outcome, its head first."""
    return HEAD + FIXED.pack(*msgspec.structs.astuple(outcome)[:8]) + _details.encode(outcome.details)


def command_id_in(data: bytes) -> bytes:
    """The command's id in an outcome that a lane just wrote, at its constant offset."""
    return data[10:26]


def event_count_in(data: bytes) -> int:
    """The number of events in an outcome that a lane just wrote, at its constant offset."""
    return data[34] << 8 | data[35]


def read_outcome(data: bytes | None) -> OutcomeRecord:
    """Read an outcome. Raises DecodeError for anything else."""
    if data is None or data[:10] != HEAD or len(data) <= DETAILS_AT:
        shown = "nothing" if data is None else f"{data[:10].hex(' ')}, {len(data)} bytes"
        raise DecodeError(
            "eventcore.Outcome", "", f"the record is {shown}; expected an outcome. Another program writes here."
        )
    command_id, version, count, term, sequence, stamp, cause, events = FIXED.unpack_from(data, 10)
    details = _details.decode(data[DETAILS_AT:])
    return OutcomeRecord(command_id, version, count, term, sequence, stamp, cause, events, details)


def length_of(count: int) -> bytes:
    """An Avro long that is not negative: zigzag, then seven bits a byte, lowest first."""
    rest = count << 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_LENGTHS = tuple(length_of(count) for count in range(8_192))  # longer commands are rare enough to be counted out
_NONE, _SOME = b"\x00", b"\x02"  # the branches of an optional field
_OPTIONAL = sum(field.default is None for field in msgspec.structs.fields(Details))
_ACCEPTED = _details.encode(Details("accepted", repeated=False, command=b""))[:2]
_REFUSED = _details.encode(Details("refused", repeated=False, command=b""))[:2]
_ALL_NONE, _REST_NONE = _NONE * _OPTIONAL, _NONE * (_OPTIONAL - 2)


def plain_acceptance(command: bytes) -> bytes:
    """The details of an accepted command without anything to add: what most outcomes are, so written without a codec.

    `tests/unit/avro/test_outcome.py` holds it to what `write_details` gives.
    """
    size = len(command)
    return _ACCEPTED + (_LENGTHS[size] if size < 8_192 else length_of(size)) + command + _ALL_NONE


def plain_refusal(command: bytes, reason: str, message: str) -> bytes:
    """The details of a refused command with nothing but its reason and perhaps a message; an empty one is none.

    Both are ASCII of fewer than 8,192 characters. Held to `write_details` as the acceptance is.
    """
    size = len(command)
    return b"".join(
        (
            _REFUSED,
            _LENGTHS[size] if size < 8_192 else length_of(size),
            command,
            _SOME,
            _LENGTHS[len(reason)],
            reason.encode(),
            _SOME + _LENGTHS[len(message)] + message.encode() if message else _NONE,
            _REST_NONE,
        )
    )
