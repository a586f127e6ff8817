"""What a client learns of its command: the decision, and the cut at which it can be seen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from eventcore.aggregate import Message
from eventcore.app.wiring import Machine
from eventcore.avro.control import Discard, Release, write_control
from eventcore.avro.envelope import NOTHING, Options, command_envelope
from eventcore.avro.outcome import Kind, OutcomeRecord
from eventcore.cut import Cut
from eventcore.errors import InvalidValue
from eventcore.lane.journal import COMMAND_BYTES_MAX
from eventcore.log.port import Record
from eventcore.topics import key_of

TEXT_IDS = UUID("6a8e2f7e-6f0b-5d5e-9f57-0d9c8f3f1f5e")  # the namespace of command ids that are given as text


@dataclass(frozen=True)
class Outcome:
    """The decision on one command. `cut` holds its events: ask a read model at least there to see them.

    `kind` is accepted, refused, violated, conflict, parked or expired; `reason` is the refusal's stable name, or the
    invariant's. `repeated` says that the command was decided before, and this is that decision.
    """

    command_id: UUID
    kind: Kind
    version: int
    cut: Cut
    reason: str | None = None
    message: str | None = None
    repeated: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the command took effect."""
        return self.kind == "accepted"

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        more = f" ({self.message})" if self.message else ""
        return f"{self.kind}{why}{more}{', as before' if self.repeated else ''}"


def outcome_of(record: OutcomeRecord, cut: Cut) -> Outcome:
    """What a client is told of an outcome record."""
    details = record.details
    return Outcome(
        UUID(bytes=record.command_id),
        details.kind,
        record.version,
        cut,
        details.reason,
        details.message,
        details.repeated,
    )


def command_id_of(given: UUID | str | None, message: Message[Any]) -> bytes:
    """The 16 bytes of a command's id: a new random one, a UUID's, or those that a text always gives.

    A text is an id within its instance: `receipt 17` of alice and of bob are two commands, wherever the two live. A
    UUID is taken as it is, and must be one command's own.
    """
    if given is None:
        return os.urandom(16)
    if isinstance(given, UUID):
        return given.bytes
    try:
        return UUID(given).bytes
    except ValueError:
        return uuid5(TEXT_IDS, f"{message.to}/{len(message.id)}/{message.id}/{given}").bytes


def command_record(
    machine: Machine,
    message: Message[Any],
    now_ms: int,
    *,
    id: UUID | str | None = None,  # noqa: A002 - the field's word
    expected_version: int | None = None,
    expires_after: timedelta | None = None,
    reply: str | None = None,
    trace: str | None = None,
) -> Record:
    """The record that carries a message, or an operator's order, to its lane. Raises InvalidValue where it is too large."""
    command = message.command
    value = write_control(command) if isinstance(command, Release | Discard) else machine.commands.encode(command)
    if len(value) > COMMAND_BYTES_MAX:
        raise InvalidValue(
            type(message.command).__name__, f"{len(value)} bytes; a command may have {COMMAND_BYTES_MAX}"
        )
    options = NOTHING
    if any(given is not None for given in (expected_version, expires_after, reply, trace)):
        expires = None if expires_after is None else now_ms + expires_after // timedelta(milliseconds=1)
        options = Options(expected_version=expected_version, expires=expires, reply=reply, trace=trace)
    return Record(key_of(message.id), value, command_envelope(command_id_of(id, message), options), now_ms)
