"""What the relays of an app with sagas carry: orders from the ledger to their targets, and answers back to the inbox.

Both routes give what they send a command id that is a function of what they read, and name that record as its source:
sent twice, it is decided once. The stamp travels along, so that an effect is always stamped after its cause.

A relayed command that its lane did not keep, because too many wait there, has nobody who would send it again but the
relay. So that answer goes to no saga: the command is sent again after a while, with its id, until it is kept or decided.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import Options, SagaStep, Source, command_envelope, read_envelope
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.context import COUNTER_BITS
from eventcore.cut import Position
from eventcore.errors import DataError, InvalidValue, UnknownName, UnknownSchema
from eventcore.lane.backlog import BACKLOG_FULL
from eventcore.log.port import Record, Recorded
from eventcore.relay import Route, Routed
from eventcore.topics import Topics, key_of, partition_of
from sagas.identity import command_id
from sagas.ledger import Answered, StepRequested, UndoRequested
from sagas.saga import Saga

# A command that was not kept comes again after this, and adds a record to its lane's commands and outcomes each time.
AGAIN_MS = 30_000


def requests_of(
    saga: Saga[Any], events: Catalogue, topics: Mapping[str, Topics], partitions: Mapping[str, int]
) -> Route:
    """The route from a saga's ledger to its targets: each requested step or undo becomes its target's command."""

    def route(at: Position, record: Recorded) -> Routed | None:
        try:
            envelope = read_envelope(record.envelope)
            event = events.decode(record.value or b"")
            saga_id, key = (record.key or b"").decode(), b""
            if isinstance(event, (StepRequested, UndoRequested)):
                key = key_of(event.id)
        except UnknownSchema as newer:
            newer.add_note(f"{at} was written by other code than runs here. Nothing is passed over: deploy that code.")
            raise
        except (DataError, InvalidValue, UnicodeDecodeError):
            return None  # no lane wrote it, so nothing is asked for by it
        if not isinstance(event, (StepRequested, UndoRequested)):
            return None
        if event.to not in topics:
            raise UnknownName(f"aggregate (asked for by {saga.name} {saga_id!r} at {at})", event.to, list(topics))
        step = SagaStep(saga.name, saga_id, event.step, "do" if isinstance(event, StepRequested) else "undo")
        source = Source(at.topic, at.partition, at.offset)
        options = Options(source=source, step=step, trace=envelope.options.trace)
        header = command_envelope(command_id(saga.name, saga_id, step.step, step.action), options, stamp=envelope.stamp)
        target = Record(key, event.command, header, record.time_ms)
        return Routed(topics[event.to].commands, partition_of(key, partitions[event.to]), target)

    return route


def answers_to(inboxes: Mapping[str, Catalogue], topics: Mapping[str, Topics], partitions: Mapping[str, int]) -> Route:
    """The route from a machine's outcomes to the inboxes of the sagas that asked; `inboxes` has a codec a saga.

    A relayed command that was not kept goes back to where it came from.
    """
    commands = {each.outcomes: each.commands for each in topics.values()}

    def route(at: Position, record: Recorded) -> Routed | None:
        try:
            outcome = read_outcome(record.value)
        except DataError:
            return None  # no lane wrote it, so it answers nobody
        if _not_kept(outcome):
            return _again(at, record, outcome, commands[at.topic])
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


def _not_kept(outcome: OutcomeRecord) -> bool:
    details = outcome.details
    return details.kind == "parked" and details.reason == BACKLOG_FULL


def _again(at: Position, record: Recorded, outcome: OutcomeRecord, commands: str) -> Routed | None:
    """The same command once more, later; nothing where no relay sent it, since then its sender was told to."""
    details = outcome.details
    if details.source is None:
        return None
    options = Options(
        expected_version=details.expected_version,
        source=Source(*at),
        step=details.step,
        expires=details.expires,
        code=details.code,
        trace=details.trace,
    )
    header = command_envelope(outcome.command_id, options, stamp=outcome.stamp)
    again = Record(record.key or b"", details.command, header, record.time_ms)
    return Routed(commands, at.partition, again, (outcome.stamp >> COUNTER_BITS) + AGAIN_MS)
