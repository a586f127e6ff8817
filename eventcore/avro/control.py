"""What an operator orders of a quarantined instance: records of the framework's own, sent where its commands are sent.

They stand in the commands topic among the app's commands, with the same envelope, and are told apart by their schemas'
fingerprints: `eventcore.Release` is another schema than any app's own `Release`. So an order has its place in the
instance's order, is decided once, and has an outcome in the log like every command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from eventcore.avro.codec import Codec, codec_for
from eventcore.avro.envelope import NAMESPACE
from eventcore.avro.framing import HEAD_BYTES
from eventcore.errors import NotSupported
from eventcore.value import Value


class Release(Value):
    """Decide what waits behind a quarantined instance, in order and with today's code, and let the instance go on.

    `foreign_below` says which records of other programs the operator has seen: those of the instance that lie below
    this offset of its events partition are passed over, as they change nothing. Others keep it stopped.
    """

    foreign_below: int = 0


class Discard(Value):
    """Drop what waits behind a quarantined instance, and let the instance go on.

    With `first_only` only the first command is dropped, and the others go on waiting.
    """

    first_only: bool = False


Control = Release | Discard

_release: Codec[Release] = codec_for(Release, NAMESPACE)
_discard: Codec[Discard] = codec_for(Discard, NAMESPACE)
HEADS = frozenset({_release.head, _discard.head})
CONTROL_SCHEMAS: Mapping[bytes, str] = MappingProxyType(
    {_release.fingerprint: _release.text, _discard.fingerprint: _discard.text}
)

CONTROL_TEXTS: Mapping[str, str] = MappingProxyType(
    {"eventcore/Release": _release.text, "eventcore/Discard": _discard.text}
)


def write_control(control: Control) -> bytes:
    """The framed record of an order."""
    return _release.write(control) if isinstance(control, Release) else _discard.write(control)


def is_control(value: bytes) -> bool:
    """Whether a command record claims to be an order of an operator."""
    return value[:HEAD_BYTES] in HEADS


def read_control(value: bytes) -> Control | None:
    """The order that a command record is, or None where it is no order. Raises DecodeError for a damaged one."""
    head = value[:HEAD_BYTES]
    if head == _release.head:
        return _release.decode(value, HEAD_BYTES)
    return _discard.decode(value, HEAD_BYTES) if head == _discard.head else None


def check_apart(names: Iterable[tuple[str, bytes]]) -> None:
    """Raise NotSupported where one of these command schemas (name, head) has the fingerprint of an order."""
    for name, head in names:
        if head in HEADS:
            raise NotSupported(
                f"the command {name} has the schema of an order of eventcore's own, and the two could not be told apart. "
                "Give the class another avro_name: ClassVar[str]."
            )
