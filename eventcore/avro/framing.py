"""Single-object encoding: two marker bytes, the schema's fingerprint in eight, then the body.

Source: Avro 1.12 specification, "Single-object encoding".
"""

from __future__ import annotations

from eventcore.errors import UnknownFraming

MARKER = b"\xc3\x01"
HEAD_BYTES = 10


def head_of(fingerprint: bytes) -> bytes:
    """The ten bytes that precede every body written with the schema of this fingerprint."""
    assert len(fingerprint) == HEAD_BYTES - len(MARKER), f"a fingerprint has 8 bytes, {fingerprint!r} has not"
    return MARKER + fingerprint


def frame(fingerprint: bytes, body: bytes) -> bytes:
    """The record that carries `body`."""
    return head_of(fingerprint) + body


def split(record: bytes) -> tuple[bytes, bytes]:
    """The fingerprint and the body of a record. Raises UnknownFraming where it does not begin as one."""
    if len(record) < HEAD_BYTES or not record.startswith(MARKER):
        raise UnknownFraming(record)
    return record[len(MARKER) : HEAD_BYTES], record[HEAD_BYTES:]
