"""What relays carry between sagas and their targets: deterministic, and stopped by nothing that a stranger wrote."""

from __future__ import annotations

import contextlib
from typing import Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore import Position, Value
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import Envelope, Options, SagaStep, Source, read_envelope, write_envelope
from eventcore.avro.outcome import Details, Kind, OutcomeRecord, write_outcome
from eventcore.errors import UnknownName, UnknownSchema
from eventcore.log.port import Recorded
from eventcore.topics import Topics, partition_of
from sagas import Answered, Finished, StepRequested, UndoRequested, command_id
from sagas.routes import AGAIN_MS, answers_to, requests_of
from tests.unit.sagas.trip import ABCD, Trip, trips

PARTITIONS = 3
TOPICS = {name: Topics.of("travel", name) for name in ("booking", "trip")}
EVENTS = Catalogue(tuple(trips.event_checks), "travel.trip")
INBOX = Catalogue(tuple(trips.command_checks), "travel.trip")
requests = requests_of(ABCD, EVENTS, TOPICS, dict.fromkeys(TOPICS, PARTITIONS))
answers = answers_to({"trip": INBOX}, TOPICS, dict.fromkeys(TOPICS, PARTITIONS))

AT = Position("travel.trip.events", 1, 42)
OUT = Position("travel.booking.outcomes", 2, 17)
STAMP = 1_700_000_000_000 << 16
ENVELOPE = write_envelope(Envelope(bytes(16), 1, 0, 1, 1, 1, STAMP, 7, Options()))
ORDER = StepRequested("A", "booking", "ann", "Book", b"the framed command")


def ledger(event: Value, *, key: bytes = b"t1", envelope: bytes | None = ENVELOPE) -> Recorded:
    """An event of the trip `t1`."""
    return Recorded(AT.offset, key, EVENTS.encode(event), envelope, 1_000)


def outcome(step: SagaStep | None, kind: Kind = "accepted", reason: str | None = None) -> Recorded:
    """An outcome at the target."""
    details = Details(kind, repeated=False, command=b"", reason=reason, step=step)
    return Recorded(
        OUT.offset, b"ann", write_outcome(OutcomeRecord(bytes(16), 1, 1, 1, 1, STAMP, 0, 1, details)), None, 1_000
    )


UNDO = UndoRequested("A", "booking", "ann", "Cancel", b"the framed undo")


@pytest.mark.parametrize(("event", "action"), [(ORDER, "do"), (UNDO, "undo")])
def test_what_the_ledger_asks_for_becomes_its_targets_command(
    event: StepRequested | UndoRequested, action: Literal["do", "undo"]
) -> None:
    routed = requests(AT, ledger(event))
    assert routed is not None
    assert (routed.topic, routed.partition) == ("travel.booking.commands", partition_of(b"ann", PARTITIONS))
    assert (routed.record.key, routed.record.value, routed.record.time_ms) == (b"ann", event.command, 1_000)
    envelope = read_envelope(routed.record.envelope)
    assert envelope.command_id == command_id("trip", "t1", "A", action)
    assert envelope.stamp == STAMP
    assert envelope.options == Options(source=Source(*AT), step=SagaStep("trip", "t1", "A", action))


def test_a_request_that_is_read_again_is_the_same_command() -> None:
    assert requests(AT, ledger(ORDER)) == requests(AT, ledger(ORDER))


@pytest.mark.parametrize("event", [Trip("ann"), Finished("completed", None)])
def test_nothing_else_in_the_ledger_asks_for_anything(event: Value) -> None:
    assert requests(AT, ledger(event)) is None


@pytest.mark.parametrize(
    "record",
    [
        ledger(ORDER, envelope=None),
        ledger(ORDER, envelope=b"garbage"),
        ledger(ORDER, key=b"\xff"),
        ledger(StepRequested("A", "booking", "", "Book", b"x")),
        ledger(StepRequested("A", "booking", "x" * 256, "Book", b"x")),
        Recorded(AT.offset, b"t1", None, ENVELOPE, 1_000),
        Recorded(AT.offset, b"t1", b"garbage", ENVELOPE, 1_000),
        Recorded(AT.offset, b"t1", EVENTS.encode(ORDER)[:-1], ENVELOPE, 1_000),
    ],
)
def test_a_record_that_no_lane_wrote_asks_for_nothing(record: Recorded) -> None:
    assert requests(AT, record) is None


def test_an_event_of_newer_code_stops_the_relay_rather_than_being_passed_over() -> None:
    """Two releases run side by side: an order that this one cannot read must not be lost."""
    newer = Recorded(AT.offset, b"t1", b"\xc3\x01" + b"newer..." + b"body", ENVELOPE, 1_000)
    with pytest.raises(UnknownSchema) as told:
        requests(AT, newer)
    assert "travel.trip.events[1]@42 was written by other code" in told.value.__notes__[0]


def test_an_order_to_an_aggregate_that_the_app_no_longer_has_is_named() -> None:
    with pytest.raises(UnknownName, match=r"asked for by trip 't1' at travel.trip.events\[1\]@42.* booking, trip"):
        requests(AT, ledger(StepRequested("A", "gone", "ann", "Book", b"x")))


@pytest.mark.parametrize(("kind", "reason"), [("accepted", None), ("refused", "full"), ("parked", "raised")])
def test_an_outcome_of_a_step_becomes_an_answer_in_its_sagas_inbox(kind: Kind, reason: str | None) -> None:
    routed = answers(OUT, outcome(SagaStep("trip", "t1", "A", "do"), kind, reason))
    assert routed is not None
    assert (routed.topic, routed.partition) == ("travel.trip.commands", partition_of(b"t1", PARTITIONS))
    assert INBOX.decode(routed.record.value or b"") == Answered("A", "do", kind, reason)
    envelope = read_envelope(routed.record.envelope)
    assert envelope.options == Options(source=Source(*OUT))
    assert envelope.stamp == STAMP


@pytest.mark.parametrize("step", [None, SagaStep("trip", "t1", "A", "undo")])
def test_a_relayed_command_that_was_not_kept_goes_back_to_its_lane_later_and_to_no_saga(step: SagaStep | None) -> None:
    details = Details(
        "parked", repeated=False, command=b"framed", reason="backlog_full", source=Source(*AT), step=step, trace="t"
    )
    value = write_outcome(OutcomeRecord(b"i" * 16, 1, 0, 1, 1, STAMP, 0, 1, details))
    routed = answers(OUT, Recorded(OUT.offset, b"ann", value, None, 1_000))
    assert routed is not None
    assert (routed.topic, routed.partition) == ("travel.booking.commands", OUT.partition)
    assert (routed.record.key, routed.record.value) == (b"ann", b"framed")
    assert routed.due_ms == (STAMP >> 16) + AGAIN_MS
    envelope = read_envelope(routed.record.envelope)
    assert (envelope.command_id, envelope.stamp) == (b"i" * 16, STAMP)
    assert envelope.options == Options(source=Source(*OUT), step=step, trace="t")


def test_a_command_that_no_relay_sent_and_that_was_not_kept_is_its_senders_to_send_again() -> None:
    assert answers(OUT, outcome(SagaStep("trip", "t1", "A", "do"), "parked", "backlog_full")) is None


def test_an_answers_id_is_that_of_its_outcome_and_of_no_other() -> None:
    step = SagaStep("trip", "t1", "A", "do")

    def id_at(at: Position) -> UUID:
        routed = answers(at, outcome(step))
        assert routed is not None
        return UUID(bytes=read_envelope(routed.record.envelope).command_id)

    assert id_at(OUT) == id_at(OUT)
    others = [OUT._replace(offset=18), OUT._replace(partition=0), OUT._replace(topic="travel.other.outcomes")]
    assert len({id_at(at) for at in [OUT, *others]}) == 4


@pytest.mark.parametrize(
    "record",
    [
        outcome(None),
        outcome(SagaStep("other", "t1", "A", "do")),
        outcome(SagaStep("trip", "", "A", "do")),
        outcome(SagaStep("trip", "x" * 256, "A", "do")),
        Recorded(OUT.offset, b"ann", b"garbage", None, 1_000),
        Recorded(OUT.offset, b"ann", None, None, 1_000),
    ],
)
def test_an_outcome_that_no_saga_asked_for_answers_nobody(record: Recorded) -> None:
    """Also one that claims a saga's step: any client can write that into its envelope."""
    assert answers(OUT, record) is None


@given(st.binary(max_size=80), st.none() | st.binary(max_size=80), st.none() | st.binary(max_size=120))
def test_whatever_the_bytes_a_route_gives_nothing_or_stops_with_a_reason(
    key: bytes, value: bytes | None, envelope: bytes | None
) -> None:
    record = Recorded(0, key, value, envelope, 1_000)
    assert answers(OUT, record) is None
    assert requests(AT, record) is None
    with contextlib.suppress(UnknownSchema):
        assert requests(AT, Recorded(0, key, value, ENVELOPE, 1_000)) is None
