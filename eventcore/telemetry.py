"""Traces of what clients send and lanes decide, through OpenTelemetry's API; the SDK is the application's.

Where the API is not installed (the extra `telemetry`), or the process has set up no SDK, nothing is recorded, and nothing is
put on commands. A trace travels as the W3C's `traceparent` in `Options.trace`: from the client's span onto its command, from
there onto the command's events and outcome, and from those onto the commands that relays make of them.

- A client's span: `send <topic>`, from before the command is written until its outcome is known.
- A lane's transaction: `process <topic>`, from its first turn until its commit, with a link to each traced command.
- A turn of a command whose trace is sampled: `process <topic>` in that command's trace, with a link to its transaction.

Names and attributes are those of the semantic conventions for messaging.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from eventcore.avro.outcome import DETAILS_AT, KINDS, command_id_in
from eventcore.log.port import Log, Record

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)
LINKS_MAX = 128  # a span keeps no more by default
SAMPLED = 1


class Sending:
    """The span of one command that a client sends. Without a tracer it does nothing."""

    traceparent: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing was begun."""

    def sent(self, record: Record, partition: int) -> None:
        """Say which command it is, and where it goes."""

    def answered(self, kind: str) -> None:
        """Say what was decided."""


class _Traced(Sending):
    """A span that is recorded, or at least sampled elsewhere."""

    def __init__(self, span: Any) -> None:
        self._span = span
        self.traceparent = _traceparent(span.get_span_context())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(_api().StatusCode.ERROR, str(error))
            self._span.set_attribute("error.type", type(error).__qualname__)
        self._span.end()

    def sent(self, record: Record, partition: int) -> None:
        self._span.set_attribute("messaging.destination.partition.id", str(partition))
        if record.envelope is not None:
            self._span.set_attribute("messaging.message.id", str(UUID(bytes=record.envelope[10:26])))
            self._span.set_attribute("messaging.message.body.size", len(record.value or b""))

    def answered(self, kind: str) -> None:
        self._span.set_attribute("eventcore.outcome", kind)


_NOTHING = Sending()


def sending(topic: str, log: Log) -> Sending:
    """Begin the span of a command that is sent to `topic`; it ends with its `with` block."""
    if (api := _api()) is None:
        return _NOTHING
    span = _tracer().start_span(
        f"send {topic}", kind=api.SpanKind.PRODUCER, attributes=_attributes(topic, log, "send", "send")
    )
    return _Traced(span) if span.get_span_context().trace_flags & SAMPLED else _NOTHING


def recording() -> bool:
    """Whether what `decided` is told can go anywhere: the API is installed, and the process has set an SDK up by now.

    Asked once a commit, so that a lane that nobody traces spends 1 µs on it and not 15.
    """
    if (api := _api()) is None:
        return False
    proxy = type(_tracer()) is api.ProxyTracer  # asked for before an SDK was set up
    return not proxy or type(api.get_tracer_provider()) is not api.ProxyTracerProvider


def decided(
    topic: str, partition: int, log: Log, count: int, traced: Sequence[tuple[str, bytes]], began_ns: int, ended_ns: int
) -> None:
    """Record a lane's transaction of `count` turns, and those of its turns whose commands were traced.

    `traced` are their traces and their outcomes. Both times are Unix time in nanoseconds.
    """
    if (api := _api()) is None:
        return
    tracer = _tracer()
    contexts = [(context, outcome) for trace, outcome in traced if (context := _context(trace)) is not None]
    attributes = _attributes(topic, log, "process", "process") | {"messaging.destination.partition.id": str(partition)}
    batch = tracer.start_span(
        f"process {topic}",
        kind=api.SpanKind.CONSUMER,
        attributes=attributes | {"messaging.batch.message_count": count},
        links=[api.Link(context) for context, _ in contexts[:LINKS_MAX]],
        start_time=began_ns,
    )
    batch.end(ended_ns)
    links = [api.Link(batch.get_span_context())] if batch.get_span_context().is_valid else []
    for context, outcome in contexts:
        if context.trace_flags & SAMPLED:
            turn = tracer.start_span(
                f"process {topic}",
                context=api.set_span_in_context(api.NonRecordingSpan(context)),
                kind=api.SpanKind.CONSUMER,
                attributes=attributes
                | {
                    "messaging.message.id": str(UUID(bytes=command_id_in(outcome))),
                    "eventcore.outcome": KINDS[outcome[DETAILS_AT] >> 1],
                },
                links=links,
                start_time=began_ns,
            )
            turn.end(ended_ns)


def _attributes(topic: str, log: Log, name: str, kind: str) -> dict[str, str | int]:
    return {
        "messaging.system": type(log).__name__.removesuffix("Log").lower(),
        "messaging.destination.name": topic,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
    }


def _traceparent(context: Any) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _context(trace: str) -> Any:
    """The span that a command's trace names, or None: it comes from outside, and may be anything."""
    if (found := TRACEPARENT.fullmatch(trace)) is None:
        return None
    api = _api()
    flags = api.TraceFlags(int(found[3], 16))
    context = api.SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=flags)
    return context if context.is_valid else None


@functools.cache
def _api() -> Any:
    """OpenTelemetry's module of traces, or None where it is not installed."""
    try:
        from opentelemetry import trace  # an optional dependency
    except ImportError:
        return None
    return trace


@functools.cache
def _tracer() -> Any:
    """Our tracer: a proxy until the process sets an SDK up, which it may do at any time."""
    return _api().get_tracer("eventcore")
