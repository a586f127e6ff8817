"""Snapshots: an instance's state at a version, the value of a record in `….snapshots` whose key is the instance's id.

The state is a framed record of its own, so that whoever reads it knows its schema. It is never the truth: what the events
fold to is.
"""

from __future__ import annotations

import struct

from eventcore.avro.canonical import fingerprint
from eventcore.avro.derive import schema_of
from eventcore.avro.envelope import NAMESPACE, with_fixed
from eventcore.avro.framing import head_of
from eventcore.avro.outcome import length_of
from eventcore.errors import DecodeError
from eventcore.value import Value


class _State(Value):
    state: bytes


FIXED_FIELDS = (("version", "U64", 8, "the instance's version: the number of its events that the state holds"),)
SNAPSHOT_SCHEMA = with_fixed("Snapshot", FIXED_FIELDS, schema_of(_State, NAMESPACE))
HEAD = head_of(fingerprint(SNAPSHOT_SCHEMA))
_FIXED = struct.Struct(">10sQ")
STATE_AT = _FIXED.size


def write_snapshot(version: int, state: bytes) -> bytes:
    """The record of a framed state at a version."""
    return _FIXED.pack(HEAD, version) + length_of(len(state)) + state


def read_snapshot(data: bytes) -> tuple[int, bytes]:
    """The version and the framed state. Raises DecodeError for anything else."""
    try:
        head, version = _FIXED.unpack_from(data)
        at, length, shift = STATE_AT, 0, 0
        while data[at] & 0x80:
            length |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
        length |= data[at] << shift
    except (struct.error, IndexError):
        raise DecodeError("eventcore.Snapshot", "", f"{len(data)} bytes are too few") from None
    if head != HEAD or length & 1 or len(data) != at + 1 + (length >> 1):
        raise DecodeError("eventcore.Snapshot", "", f"{data[:18].hex(' ')}…, {len(data)} bytes, is no snapshot")
    return version, data[at + 1 :]
