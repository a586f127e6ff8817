"""What a saga writes is plain Avro under its own namespace, and what is read is what was written."""

from __future__ import annotations

import io
import json

import fastavro
import pytest

from eventcore import Value
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.codec import codec_for
from sagas import Answered, UndoRequested
from tests.unit.sagas.trip import START, TURN_BACK, after, do, refused, trips, trips_and_more, undo

NAMESPACE = "tours.trip"
PARKED = [Answered("B", "do", "parked", "quarantined"), Answered("A", "undo", "parked", None)]
FAILED = Answered("A", "undo", "violated", "never_negative")
HISTORIES: list[list[Value]] = [
    [START, *do("A", "B", "C", "D")],
    [START, *do("A"), PARKED[0], refused("B"), PARKED[1], FAILED, *undo("A"), *do("A")],
    [START, *do("A"), TURN_BACK, *do("B"), *undo("B", "A")],
    [START, *do("A", "B", "C", "D"), refused("E", "closed")],
]


def test_the_histories_here_hold_every_event_of_a_ledger() -> None:
    seen = {type(event) for history in HISTORIES for event in after(trips_and_more, *history)[1]}
    assert seen == set(trips_and_more.event_checks)


@pytest.mark.parametrize("history", HISTORIES)
def test_every_event_of_a_ledger_survives_its_codec(history: list[Value]) -> None:
    events = Catalogue(tuple(trips_and_more.event_checks), NAMESPACE)
    _, ledger = after(trips_and_more, *history)
    assert [events.decode(events.encode(event)) for event in ledger] == ledger


@pytest.mark.parametrize("history", HISTORIES)
def test_every_command_of_an_inbox_survives_its_codec(history: list[Value]) -> None:
    commands = Catalogue(tuple(trips_and_more.command_checks), NAMESPACE)
    assert [commands.decode(commands.encode(command)) for command in history] == history


@pytest.mark.parametrize("history", HISTORIES)
def test_progress_survives_its_codec(history: list[Value]) -> None:
    progress, _ = after(trips_and_more, *history)
    codec = codec_for(trips_and_more.state_type, NAMESPACE)
    assert codec.decode(codec.encode(progress)) == progress


def test_a_ledger_is_read_by_another_avro_library() -> None:
    events = Catalogue(tuple(trips.event_checks), NAMESPACE)
    _, ledger = after(trips, START, *do("A"), refused("B", "full"))
    asked = ledger[-1]
    assert isinstance(asked, UndoRequested)
    written = events.encode(asked)
    schema = json.loads(events.schemas[written[2:10]])
    assert schema["name"] == "tours.trip.UndoRequested"
    assert fastavro.schemaless_reader(io.BytesIO(written[10:]), schema, None) == {
        "step": "A",
        "to": "booking",
        "id": "ann",
        "type": "Cancel",
        "command": asked.command,
    }
