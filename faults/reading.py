"""Reads a machine's topics as any program could: a plain consumer, fastavro, and the schemas that the log itself holds.

The layout, said again so that the judge believes nobody. A record's value is an Avro record in single-object encoding
(c3 01, eight bytes of fingerprint, the body); the compacted topic `<app>.schemas` has its schema under the key
`<topic>/<fingerprint in hex>`. An event has its envelope, encoded likewise, in the header `eventcore`; an outcome has
everything in its body. Numbers are `fixed` fields, big-endian.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from faults.record import Decision, Event, Machine

SILENT_S = 30.0  # a broker that says nothing for so long has failed
HEAD_BYTES = 10
HEADER = "eventcore"
FILLER = "eventcore-filler"  # on a record without meaning, which ends what a broker's crash left undecided


class Unreadable(Exception):
    """The log could not be read: the judge has nothing to say."""


class Raw(NamedTuple):
    """A committed record as the broker gave it."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    envelope: bytes | None


class Schemas:
    """The schemas of an app, by topic and fingerprint."""

    def __init__(self, found: Mapping[str, bytes]) -> None:
        self._parsed: dict[str, Any] = {key: fastavro.parse_schema(json.loads(text)) for key, text in found.items()}

    def decode(self, topic: str, record: bytes) -> tuple[str, Mapping[str, Any]]:
        """The name, without its namespace, and the fields of a record of this topic."""
        key = f"{topic}/{record[2:HEAD_BYTES].hex()}"
        if key not in self._parsed:
            raise Unreadable(f"the log has no schema {key}")
        schema = self._parsed[key]
        fields: Any = fastavro.schemaless_reader(io.BytesIO(record[HEAD_BYTES:]), schema)
        return schema["name"].rpartition(".")[2], fields


def event_of(schemas: Schemas, topic: str, raw: Raw) -> Event:
    """An event record, decoded."""
    name, fields = schemas.decode(topic, raw.value)
    if raw.envelope is None:
        raise Unreadable(f"{topic}[{raw.partition}]@{raw.offset} has no envelope")
    _, told = schemas.decode(topic, raw.envelope)
    numbers: dict[str, Any] = {
        n: int.from_bytes(told[n], "big") for n in ("version", "index", "count", "term", "sequence", "cause")
    }
    return Event(raw.partition, raw.offset, raw.key.decode(), name, fields, told["command_id"], **numbers)


def decision_of(schemas: Schemas, topic: str, raw: Raw) -> Decision:
    """An outcome record, decoded."""
    _, told = schemas.decode(topic, raw.value)
    numbers: dict[str, Any] = {
        n: int.from_bytes(told[n], "big") for n in ("version", "count", "term", "sequence", "cause", "events")
    }
    said: dict[str, Any] = {name: told[name] for name in ("command_id", "kind", "reason", "repeated")}
    return Decision(raw.partition, raw.offset, raw.key.decode(), **said, **numbers)


class Topics:
    """The topics of an app on one cluster, below one prefix."""

    def __init__(self, bootstrap: str, prefix: str, app: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._app = app
        self.schemas = Schemas({raw.key.decode(): raw.value for raw in self.read(f"{app}.schemas")})

    def machine(self, name: str) -> Machine:
        """Everything that is committed of one machine."""
        events, outcomes = f"{self._app}.{name}.events", f"{self._app}.{name}.outcomes"
        return Machine(
            name,
            [event_of(self.schemas, events, raw) for raw in self.read(events)],
            [decision_of(self.schemas, outcomes, raw) for raw in self.read(outcomes)],
        )

    def aborted(self, name: str) -> int:
        """How many event records of a machine stand in the log that no reader may see."""
        topic = f"{self._app}.{name}.events"
        committed = sum(1 for _ in self.read(topic))
        return sum(1 for _ in self.read(topic, "read_uncommitted")) - committed

    def read(self, topic: str, isolation: str = "read_committed") -> Iterator[Raw]:
        """Every record of a topic up to its end: the partitions mixed, each in its own order."""
        consumer: Any = Consumer({
            "bootstrap.servers": self._bootstrap,
            "group.id": f"{self._prefix}judge",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        })  # fmt: skip
        name = self._prefix + topic
        try:
            left = set(consumer.list_topics(name, timeout=SILENT_S).topics[name].partitions)
            consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for partition in left])
            while left:
                message = consumer.poll(SILENT_S)
                if message is None:
                    raise Unreadable(f"{name}: {self._bootstrap} says nothing for {SILENT_S:.0f} s")
                if (error := message.error()) is None:
                    headers: dict[str, bytes] = dict(message.headers() or ())
                    if FILLER in headers:
                        continue
                    place = (message.partition(), message.offset())
                    yield Raw(*place, message.key(), message.value(), headers.get(HEADER))
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    left.discard(message.partition())
                else:
                    raise Unreadable(f"{name}: {error}")
        except KafkaException as failed:
            raise Unreadable(f"{name}: {failed}") from failed
        finally:
            consumer.close()
