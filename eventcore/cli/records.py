"""Records of any topic, read with the schemas that the log carries: no class of the app's is needed.

What cannot be read is shown as what it is, with the reason: a topic may hold anybody's bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from eventcore.avro.envelope import read_envelope
from eventcore.avro.framing import split
from eventcore.avro.generic import GenericReader
from eventcore.avro.outcome import HEAD as OUTCOME_HEAD
from eventcore.avro.outcome import read_outcome
from eventcore.cli.values import data_of, key_text, plain, stamp_text, time_text
from eventcore.cut import Position
from eventcore.errors import DataError, UnknownName, UnknownSchema
from eventcore.lane.restore import read_to
from eventcore.log.port import Log, Recorded

RAW_BYTES_SHOWN = 64  # of what no schema explains


@dataclass(frozen=True)
class Schemas:
    """The schemas of one app, as its log carries them, by topic and fingerprint."""

    texts: dict[tuple[str, bytes], str]
    readers: dict[tuple[str, bytes], GenericReader] = field(default_factory=dict[tuple[str, bytes], GenericReader])

    def read(self, topic: str, value: bytes) -> tuple[str, object]:
        """The class's name and the value of a framed record. Raises DataError where no schema explains it."""
        fingerprint, body = split(value)
        at = (topic, fingerprint)
        if at not in self.readers:
            if at not in self.texts:
                raise UnknownSchema(fingerprint)
            self.readers[at] = GenericReader(self.texts[at])
        reader = self.readers[at]
        return reader.name.rpartition(".")[2], reader.read(body)


def schemas_in(log: Log, topic: str) -> Schemas:
    """The schemas that the topic of schemas holds; none where there is no such topic."""
    texts: dict[tuple[str, bytes], str] = {}
    try:
        end = log.stable_end(topic, 0)
    except UnknownName:
        return Schemas({})
    for records in read_to(log, topic, 0, end, start=log.beginning(topic, 0)):
        for record in records:
            stem, _, digits = (key_text(record.key) or "").rpartition("/")
            if record.value is not None and len(digits) == 16 and all(c in "0123456789abcdef" for c in digits):
                texts[stem, bytes.fromhex(digits)] = record.value.decode("utf-8", "replace")
    return Schemas(texts)


@dataclass(frozen=True)
class Read:
    """A record as it is shown: `type` is empty and `problem` says why where its value could not be read."""

    at: Position
    time: str
    key: str | None
    type: str = ""
    value: Any = None
    problem: str = ""
    envelope: dict[str, Any] | None = None

    def data(self) -> dict[str, object]:
        """For JSON."""
        return {
            "position": str(self.at),
            "topic": self.at.topic,
            "partition": self.at.partition,
            "offset": self.at.offset,
            "time": self.time,
            "key": self.key,
            "type": self.type or None,
            "value": self.value,
            "envelope": self.envelope,
            "problem": self.problem or None,
        }

    def line(self) -> str:
        """For people."""
        version = f"  v{self.envelope['version']}" if self.envelope is not None and self.envelope["version"] else ""
        key = "-" if self.key is None else self.key
        what = f"{self.type} {msgspec.json.encode(self.value).decode()}" if self.type else ""
        why = f"cannot be read: {self.problem}" if self.problem else ""
        return f"{self.at}  {self.time}  {key}{version}  {'  '.join(part for part in (what, why) if part)}"


def read_record(schemas: Schemas, topic: str, partition: int, record: Recorded) -> Read:
    """One record, read as far as it can be. Raises nothing, whatever the bytes."""
    at = Position(topic, partition, record.offset)
    time, key = time_text(record.time_ms), key_text(record.key)
    value = record.value
    if value is None:
        return Read(at, time, key, "tombstone")
    if topic.endswith(".schemas"):
        return Read(at, time, key, "schema", value.decode("utf-8", "replace"))
    try:
        if value[: len(OUTCOME_HEAD)] == OUTCOME_HEAD:
            return Read(at, time, key, "Outcome", _outcome(schemas, topic, value))
        envelope = _envelope(at, record)
        type_, found = schemas.read(topic, value)
    except DataError as problem:
        raw = value[:RAW_BYTES_SHOWN].hex(" ") + (" …" if len(value) > RAW_BYTES_SHOWN else "")
        return Read(at, time, key, "", raw, f"{str(problem).rstrip('.')}. {len(value)} bytes: {raw}")
    return Read(at, time, key, type_, plain(found), "", envelope)


def _envelope(at: Position, record: Recorded) -> dict[str, Any] | None:
    """What the envelope says, in words; None for a record that has none. Raises DecodeError for a damaged one."""
    if record.envelope is None:
        return None
    envelope = read_envelope(record.envelope)
    options = {name: value for name, value in data_of(envelope.options).items() if value is not None}
    said: dict[str, Any] = {"command_id": str(UUID(bytes=envelope.command_id)), "version": envelope.version}
    if envelope.term:  # a lane wrote it
        commands = f"{at.topic.rpartition('.')[0]}.commands"
        said |= {
            "index": envelope.index,
            "count": envelope.count,
            "term": envelope.term,
            "sequence": envelope.sequence,
            "stamp": stamp_text(envelope.stamp),
            "cause": str(Position(commands, at.partition, envelope.cause)),
        }
    return said | options


def _outcome(schemas: Schemas, topic: str, value: bytes) -> dict[str, Any]:
    outcome = read_outcome(value)
    details = {name: found for name, found in data_of(outcome.details).items() if found not in (None, False)}
    try:
        type_, command = schemas.read(topic, outcome.details.command)
        details["command"] = {"type": type_, "data": plain(command)}
    except DataError as problem:
        details["command"] = {"problem": str(problem)}
    return {
        "kind": details.pop("kind"),
        "command_id": str(UUID(bytes=outcome.command_id)),
        "version": outcome.version,
        "count": outcome.count,
        "term": outcome.term,
        "sequence": outcome.sequence,
        "stamp": stamp_text(outcome.stamp),
        "cause": outcome.cause,
        "events": outcome.events,
        **details,
    }
