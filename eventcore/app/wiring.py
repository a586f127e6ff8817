"""What an app becomes when it is built: a machine for each aggregate and saga, with its topics and codecs.

A saga is compiled to an aggregate here, so that lanes, replay and cuts know one kind of thing only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventcore.aggregate import Aggregate, Message
from eventcore.app.invariant import GlobalInvariant
from eventcore.avro.canonical import schema_text
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.control import CONTROL_SCHEMAS, check_apart
from eventcore.avro.envelope import ENVELOPE_SCHEMA
from eventcore.avro.envelope import HEAD as ENVELOPE_HEAD
from eventcore.avro.facts import FACT_SCHEMAS
from eventcore.avro.outcome import HEAD as OUTCOME_HEAD
from eventcore.avro.outcome import OUTCOME_SCHEMA
from eventcore.avro.snapshot import HEAD as SNAPSHOT_HEAD
from eventcore.avro.snapshot import SNAPSHOT_SCHEMA
from eventcore.errors import NotSupported, UnknownName
from eventcore.lane.checkpoint import state_codec
from eventcore.lane.restore import read_to
from eventcore.log.port import COMMANDS_KEPT_MS, REPLIES_KEPT_BYTES, REPLIES_KEPT_MS, Log, Record, TopicPlan
from eventcore.topics import NAME, Topics, replies_topic, schemas_topic
from projections import Projection
from sagas import Saga, compile_saga

REPLY_PARTITIONS = 8  # a client reads one of them whole: as many as it takes for each to be little


@dataclass(frozen=True, eq=False)
class Machine:
    """One state machine of an app: an aggregate, or what a saga compiles to, with its topics and codecs."""

    name: str
    aggregate: Aggregate[Any, Any, Any]
    topics: Topics
    commands: Catalogue
    events: Catalogue
    saga: Saga[Any] | None = None

    def schemas(self) -> dict[str, dict[bytes, str]]:
        """The text of every schema that this machine's records name, by topic and fingerprint."""
        envelope = {ENVELOPE_HEAD[2:]: schema_text(ENVELOPE_SCHEMA)}
        state = state_codec(self.aggregate, self.events)
        return {
            self.topics.commands: {**self.commands.schemas, **CONTROL_SCHEMAS, **envelope},
            self.topics.events: {**self.events.schemas, **envelope},
            self.topics.outcomes: {
                **self.commands.schemas,
                **CONTROL_SCHEMAS,
                OUTCOME_HEAD[2:]: schema_text(OUTCOME_SCHEMA),
            },
            self.topics.snapshots: {
                **({} if state is None else {state.fingerprint: state.text}),
                **FACT_SCHEMAS,
                SNAPSHOT_HEAD[2:]: schema_text(SNAPSHOT_SCHEMA),
            },
        }


@dataclass(frozen=True, eq=False)
class Wiring:
    """A built app: everything that a worker, a client or a command line needs to know of it."""

    name: str
    machines: Mapping[str, Machine]
    projections: Mapping[str, Projection[Any, Any]]
    invariants: Mapping[str, GlobalInvariant[Any]]

    def machine(self, name: str) -> Machine:
        """The machine of that name. Raises UnknownName, which lists those that exist."""
        if name not in self.machines:
            raise UnknownName("aggregate or saga", name, list(self.machines))
        return self.machines[name]

    def machine_of(self, definition: Aggregate[Any, Any, Any] | Saga[Any]) -> Machine:
        """The machine of an aggregate or saga of this app. Raises UnknownName where the app does not hold it."""
        for machine in self.machines.values():
            if machine.aggregate is definition or machine.saga is definition:
                return machine
        raise UnknownName("aggregate or saga", definition.name, list(self.machines))

    def projection(self, name: str) -> Projection[Any, Any]:
        """The projection of that name. Raises UnknownName, which lists those that exist."""
        if name not in self.projections:
            raise UnknownName("projection", name, list(self.projections))
        return self.projections[name]

    def topics(self) -> list[Topics]:
        """The topics of every machine."""
        return [machine.topics for machine in self.machines.values()]

    def plans(self, partitions: int) -> list[TopicPlan]:
        """The topics that this app needs, each machine's with `partitions` partitions."""
        plans = [
            TopicPlan(schemas_topic(self.name), 1, "compact"),
            TopicPlan(
                replies_topic(self.name), REPLY_PARTITIONS, kept_ms=REPLIES_KEPT_MS, kept_bytes=REPLIES_KEPT_BYTES
            ),
        ]
        for topics in self.topics():
            plans += [
                TopicPlan(topics.commands, partitions, "delete", COMMANDS_KEPT_MS),
                TopicPlan(topics.events, partitions),
                TopicPlan(topics.outcomes, partitions),
                TopicPlan(topics.snapshots, partitions, "compact"),
            ]
        return plans


def wire(
    name: str,
    aggregates: Sequence[Aggregate[Any, Any, Any]],
    projections: Sequence[Projection[Any, Any]],
    sagas: Sequence[Saga[Any]],
    invariants: Sequence[GlobalInvariant[Any]],
) -> Wiring:
    """Build an app: codecs for every class, sagas compiled. Raises NotSupported where names clash or parts are missing."""
    if not NAME.fullmatch(name):
        raise NotSupported(f"{name!r} cannot name an app: a letter, then letters, digits and _.")
    _distinct(name, "aggregate or saga", [*(a.name for a in aggregates), *(s.name for s in sagas)])
    _distinct(name, "projection", [p.name for p in projections])
    _distinct(name, "global invariant", [i.name for i in invariants])
    machines = {a.name: _machine(name, a, None) for a in aggregates}

    def encode(message: Message[Any]) -> bytes:
        if message.to not in machines:
            raise UnknownName("aggregate", message.to, [a.name for a in aggregates])
        return machines[message.to].commands.encode(message.command)

    compiled = {s.name: _machine(name, compile_saga(s, encode), s) for s in sagas}
    wiring = Wiring(name, {**machines, **compiled}, {p.name: p for p in projections}, {i.name: i for i in invariants})
    for projection in projections:
        wiring.machine_of(projection.source)
    for invariant in invariants:
        for part in invariant.parts:
            wiring.machine_of(part.of)
    return wiring


def _machine(app: str, aggregate: Aggregate[Any, Any, Any], saga: Saga[Any] | None) -> Machine:
    namespace = f"{app}.{aggregate.name}"
    commands = Catalogue(tuple(aggregate.command_checks), namespace)
    check_apart((codec.name, codec.head) for codec in commands.codecs)
    events = Catalogue(tuple(aggregate.event_checks), namespace)
    return Machine(aggregate.name, aggregate, Topics.of(app, aggregate.name), commands, events, saga)


def _distinct(app: str, kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise NotSupported(f"app {app!r}: two parts are the {kind} {name!r}; give each its own name.")
        seen.add(name)


def provision(log: Log, wiring: Wiring, partitions: int) -> None:
    """Create the app's topics where they are missing, and write every schema that its records will name into the log.

    Idempotent. An existing topic keeps its number of partitions: pass that of the first time, or NotSupported says so. It
    also names every topic whose settings would lose data.
    """
    plans = wiring.plans(partitions)
    log.provision(plans)
    if losing := [str(each) for each in log.differences(plans) if each.loses]:
        raise NotSupported(
            f"topics of {wiring.name} would lose data as they are set: {'; '.join(losing)}. Change their settings "
            "(`eventcore topics plan` shows how), or name another prefix in the log's address and begin with new ones"
        )
    topic = schemas_topic(wiring.name)
    known: set[bytes | None] = set()
    for records in read_to(log, topic, 0, log.stable_end(topic, 0)):
        known.update(record.key for record in records)
    missing = [
        Record(key, text.encode())
        for machine in wiring.machines.values()
        for stem, schemas in machine.schemas().items()
        for fingerprint, text in schemas.items()
        if (key := f"{stem}/{fingerprint.hex()}".encode()) not in known
    ]
    if missing:
        log.append(topic, 0, missing)
