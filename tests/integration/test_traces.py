"""Traces, as an application's SDK sees them: from the client over the lane and a saga's relays to every turn."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from eventcore import telemetry
from eventcore.app import Client
from eventcore.app.wiring import provision
from eventcore.avro.envelope import Options, read_envelope
from eventcore.avro.outcome import read_outcome
from eventcore.errors import OutcomeUnknown
from eventcore.log.memory import MemoryLog
from examples.bank.account import Deposit, accounts
from examples.bank.app import app
from examples.bank.balances import balances
from examples.bank.transfer import RequestTransfer, transfers
from projections import Views, open_views
from tests.bank import everything
from tests.running import running, wait_until


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What our tracer records, as long as the test runs."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", lambda: provider.get_tracer("eventcore"))
    return exporter


@pytest.fixture
def views() -> Generator[Views]:
    """Views in memory."""
    views = open_views("memory:")
    views.upgrade()
    views.prepare([balances])
    yield views
    views.close()


def named(spans: InMemorySpanExporter, name: str, **attributes: object) -> list[ReadableSpan]:
    """The finished spans of this name that have these attributes, written with underscores."""
    wanted = {key.replace("__", "."): value for key, value in attributes.items()}
    found: Sequence[ReadableSpan] = spans.get_finished_spans()
    return [
        span
        for span in found
        if span.name == name and all((span.attributes or {}).get(key) == value for key, value in wanted.items())
    ]


def traces_of(spans: Sequence[ReadableSpan]) -> set[int]:
    """Which traces these spans belong to."""
    return {span.context.trace_id for span in spans if span.context is not None}


def test_a_turn_stands_in_the_trace_of_whoever_sent_its_command(spans: InMemorySpanExporter, views: Views) -> None:
    log = MemoryLog()
    provision(log, app.wiring, 1)
    with running(app, log, views):
        client = Client(app, log)
        outcome = client.send(accounts.to("alice", Deposit(5)))
        client.close()
    (sent,) = named(spans, "send bank.account.commands")
    (turn,) = named(spans, "process bank.account.commands", messaging__message__id=str(outcome.command_id))
    (batch,) = named(spans, "process bank.account.commands", messaging__batch__message_count=1)
    assert sent.context is not None
    assert turn.parent is not None
    assert turn.parent.span_id == sent.context.span_id
    assert traces_of([turn]) == traces_of([sent]) != traces_of([batch])
    assert [link.context.span_id for link in batch.links] == [sent.context.span_id]
    assert [link.context for link in turn.links] == [batch.context]
    for span, kind in ((sent, trace.SpanKind.PRODUCER), (turn, trace.SpanKind.CONSUMER)):
        attributes = dict(span.attributes or {})
        assert span.kind is kind
        assert attributes["messaging.system"] == "memory"
        assert attributes["messaging.destination.name"] == "bank.account.commands"
        assert attributes["messaging.destination.partition.id"] == "0"
        assert attributes["messaging.message.id"] == str(outcome.command_id)
        assert attributes["eventcore.outcome"] == "accepted"


def test_a_trace_goes_through_events_outcomes_and_every_step_of_a_saga(
    spans: InMemorySpanExporter, views: Views
) -> None:
    log = MemoryLog()
    provision(log, app.wiring, 1)
    with running(app, log, views):
        client = Client(app, log)
        turns = "process bank.account.commands"
        client.send(accounts.to("alice", Deposit(500)))
        # A lane answers before it records.
        wait_until(lambda: len(named(spans, turns, eventcore__outcome="accepted")) == 1, "the deposit to be recorded")
        spans.clear()
        client.send(transfers.to("rent", RequestTransfer("alice", "bob", 300)))
        client.close()
        wait_until(lambda: len(named(spans, turns, eventcore__outcome="accepted")) == 3, "hold, credit and settle")
    (sent,) = named(spans, "send bank.transfer.commands")
    assert traces_of(named(spans, turns, eventcore__outcome="accepted")) == traces_of([sent])
    assert sent.context is not None
    shown = f"{sent.context.trace_id:032x}"
    for topic in ("bank.transfer.events", "bank.account.events"):
        traced = [read_envelope(record.envelope).options.trace or "" for record in everything(log, topic)]
        assert any(shown in each for each in traced)
    outcomes = [read_outcome(record.value).details.trace or "" for record in everything(log, "bank.account.outcomes")]
    assert sum(shown in each for each in outcomes) == 3


def test_a_send_that_fails_says_so_in_its_span(spans: InMemorySpanExporter) -> None:
    log = MemoryLog()
    provision(log, app.wiring, 1)
    client = Client(app, log)
    with pytest.raises(OutcomeUnknown):
        client.send(accounts.to("alice", Deposit(5)), timeout_s=0.1)
    client.close()
    (sent,) = named(spans, "send bank.account.commands")
    assert sent.status.status_code is trace.StatusCode.ERROR
    assert (sent.attributes or {})["error.type"] == "OutcomeUnknown"


def test_without_an_sdk_nothing_is_put_on_a_command() -> None:
    log = MemoryLog()
    provision(log, app.wiring, 1)
    client = Client(app, log)
    with pytest.raises(OutcomeUnknown):
        client.send(accounts.to("alice", Deposit(5)), timeout_s=0.1)
    client.close()
    (sent, *_) = everything(log, "bank.account.commands")
    options = read_envelope(sent.envelope).options
    assert options == Options(reply=options.reply)


@pytest.mark.parametrize(
    "hostile",
    ["", "x" * 4_000, "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff-abc", "00-" + "g" * 32 + "-1-1", "\ud7ff"],
)
def test_a_trace_that_is_none_is_passed_over(spans: InMemorySpanExporter, hostile: str) -> None:
    telemetry.decided("bank.account.commands", 0, MemoryLog(), 1, [(hostile, bytes(100))], 0, 1)
    assert [len(span.links) for span in spans.get_finished_spans()] == [0]


def test_a_lane_asks_whether_an_sdk_is_there_at_each_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be set up at any time: a proxy's own provider is looked at anew."""
    assert not telemetry.recording()
    monkeypatch.setattr(trace, "get_tracer_provider", TracerProvider)
    assert telemetry.recording()
