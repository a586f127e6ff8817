"""What the relays of an app with sagas carry: orders from the ledger to their targets, and answers back to the inbox.

Both routes give what they send a command id that is a function of what they read, and name that record as its source:
sent twice, it is decided once. The stamp travels along, so that an effect is always stamped after its cause.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import Options, SagaStep, Source, command_envelope, read_envelope
from eventcore.avro.outcome import read_outcome
from eventcore.cut import Position
from eventcore.errors import DataError, InvalidValue, UnknownName, UnknownSchema
from eventcore.log.port import Record, Recorded
from eventcore.relay import Route, Routed
from eventcore.topics import Topics, key_of, partition_of
from sagas.identity import command_id
from sagas.ledger import Answered, StepRequested, UndoRequested
from sagas.saga import Saga


def requests_of(
    saga: Saga[Any],
    events: Catalogue,
    topics: Mapping[str, Topics],
    partitions: Mapping[str, int],
    foreign: Callable[[Position], bool] = lambda _: False,
) -> Route:
    """The route from a saga's ledger to its targets: each requested step or undo becomes its target's command.

    `foreign` is asked of a record that would stop the relay: whether it is no lane's at all.
    """

    def route(at: Position, record: Recorded) -> Routed | None:
        try:
            envelope = read_envelope(record.envelope)
            event = events.decode(record.value or b"")
            saga_id, key = (record.key or b"").decode(), b""
            if isinstance(event, (StepRequested, UndoRequested)):
                key = key_of(event.id)
        except UnknownSchema as newer:
            if foreign(at):
                return None
            newer.add_note(f"{at} was written by other code than runs here. Nothing is passed over: deploy that code.")
            raise
        except (DataError, InvalidValue, UnicodeDecodeError):
            return None  # no lane wrote it, so nothing is asked for by it
        if not isinstance(event, (StepRequested, UndoRequested)):
            return None
        if event.to not in topics:
            if foreign(at):
                return None
            raise UnknownName(f"aggregate (asked for by {saga.name} {saga_id!r} at {at})", event.to, list(topics))
        step = SagaStep(saga.name, saga_id, event.step, "do" if isinstance(event, StepRequested) else "undo")
        source = Source(at.topic, at.partition, at.offset)
        options = Options(source=source, step=step, trace=envelope.options.trace)
        header = command_envelope(command_id(saga.name, saga_id, step.step, step.action), options, stamp=envelope.stamp)
        target = Record(key, event.command, header, record.time_ms)
        return Routed(topics[event.to].commands, partition_of(key, partitions[event.to]), target)

    return route


def answers_to(inboxes: Mapping[str, Catalogue], topics: Mapping[str, Topics], partitions: Mapping[str, int]) -> Route:
    """The route from an aggregate's outcomes to the inboxes of the sagas that asked; `inboxes` has a codec a saga."""

    def route(at: Position, record: Recorded) -> Routed | None:
        try:
            outcome = read_outcome(record.value)
        except DataError:
            return None  # no lane wrote it, so it answers nobody
        step = outcome.details.step
        if step is None or step.saga not in inboxes:
            return None
        try:
            key = key_of(step.id)
        except InvalidValue:
            return None  # no saga can have such an id: whoever sent that command was no saga
        answer = Answered(step.step, step.action, outcome.details.kind, outcome.details.reason)
        id_ = hashlib.blake2b(str(at).encode(), digest_size=16).digest()
        options = Options(source=Source(at.topic, at.partition, at.offset), trace=outcome.details.trace)
        header = command_envelope(id_, options, stamp=outcome.stamp)
        inbox = Record(key, inboxes[step.saga].encode(answer), header, record.time_ms)
        return Routed(topics[step.saga].commands, partition_of(key, partitions[step.saga]), inbox)

    return route
