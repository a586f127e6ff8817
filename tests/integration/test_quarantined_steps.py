"""A saga whose step waits behind a quarantined instance: stuck until an operator's order, then through or back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventcore.aggregate import Message
from eventcore.app import App, Embedded
from eventcore.app.audit import states_at
from eventcore.app.cuts import check_cut
from eventcore.avro.control import Control, Discard, Release
from eventcore.lane import backlog
from eventcore.lane.restore import read_to
from eventcore.log.port import Record
from eventcore.log.sqlite import SqliteLog
from eventcore.topics import partition_of
from sagas import routes
from tests.integration.cli import mended, pantry
from tests.integration.cli.pantry import Add, Drop, Jar, Move, few_enough, jars, moves


@pytest.fixture
def address(tmp_path: Path) -> str:
    """A log in which jar `b` fell, so that a move from `a` to it waits for its second step."""
    made = f"sqlite:{tmp_path / 'pantry.db'}"
    with pantry.app.open(made) as app:
        app.send(jars.to("a", Add(5)))
        assert app.send(jars.to("b", Drop())).reason == "raised"
        app.send(moves.to("m1", Move("a", "b", 2)))
        app.run_until_idle()
        assert stands(app) == ("stuck", [("take", "done"), ("add", "parked")])
    return made


def stands(app: Embedded) -> tuple[str, list[tuple[str, str]]]:
    """Where the move stands."""
    progress = app.saga(moves, "m1")
    assert progress is not None
    return progress.status, [(step.name, step.status) for step in progress.steps]


def ordered(app: Embedded, control: Control) -> str:
    """What becomes of an order for jar `b`, and of everything that follows from it."""
    message: Message[Any] = Message("jar", "b", control)
    kind = app.send(message).kind
    app.run_until_idle()
    return kind


def held(app: App, address: str) -> dict[str, int]:
    """What the jars hold, at a cut that is proved."""
    with app.open(address) as opened:
        cut = opened.cut()
    log = SqliteLog(address.removeprefix("sqlite:"))
    try:
        assert check_cut(log, app.wiring.topics(), cut) == []
        found: dict[str, Jar] = states_at(log, app.wiring.machine("jar"), cut)
    finally:
        log.close()
    return {jar: state.count for jar, state in found.items()}


def test_a_step_that_waited_is_done_after_the_release_and_its_saga_goes_through(address: str) -> None:
    with mended.app.open(address) as app:
        assert ordered(app, Release()) == "accepted"
        assert stands(app) == ("completed", [("take", "done"), ("add", "done")])
    assert held(mended.app, address) == {"a": 3, "b": 2}


def test_a_step_that_is_discarded_turns_its_saga_back(address: str) -> None:
    with pantry.app.open(address) as app:
        assert ordered(app, Discard()) == "accepted"
        assert stands(app) == ("compensated", [("take", "undone"), ("add", "refused")])
        assert app.audit(few_enough).holds
    assert held(pantry.app, address) == {"a": 5}


def test_a_release_that_fails_again_leaves_the_saga_stuck_and_the_next_brings_it_through(address: str) -> None:
    with pantry.app.open(address) as app:
        assert ordered(app, Release()) == "refused"
        assert stands(app)[0] == "stuck"
        assert ordered(app, Discard(first_only=True)) == "accepted"
        assert ordered(app, Release()) == "accepted"
        assert stands(app) == ("completed", [("take", "done"), ("add", "done")])


def test_who_sends_many_is_answered_for_each_of_its_own_though_others_are_decided_between(address: str) -> None:
    with mended.app.open(address) as app:
        message: Message[Any] = Message("jar", "b", Release())
        outcomes = list(app.send_all([(message, None), (jars.to("b", Add(1)), "mine"), (jars.to("b", Add(1)), "mine")]))
        assert [(o.kind, o.repeated, o.version) for o in outcomes] == [
            ("accepted", False, 1),
            ("accepted", False, 2),
            ("accepted", True, 2),
        ]


@pytest.mark.parametrize("full", ["jar", "move"], ids=["its step is not kept", "its answer is not kept"])
def test_a_saga_goes_through_though_there_was_no_room_for_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    """The backlog of a quarantined instance is full: the relay sends again until the operator has released it."""
    made = f"sqlite:{tmp_path / 'pantry.db'}"
    monkeypatch.setattr(backlog, "INSTANCE_MAX", 0 if full == "move" else 1)
    with pantry.app.open(made) as app:
        app.send(jars.to("a", Add(5)))
        if full == "jar":
            assert app.send(jars.to("b", Drop())).reason == "raised"
        app.send(moves.to("m1", Move("a", "b", 2)))
        if full == "move":
            app._lanes["pantry.move.commands", partition_of(b"m1", 4)].memory.quarantined[b"m1"] = "for the test"
        app.run_until_idle()
        assert stands(app)[0] == "running"
        app.run_until_idle()
        assert stands(app)[0] == "running"
    monkeypatch.setattr(routes, "AGAIN_MS", 0)
    with mended.app.open(made) as app:
        if full == "jar":
            assert ordered(app, Release()) == "accepted"
        app.run_until_idle()
        assert stands(app) == ("completed", [("take", "done"), ("add", "done")])
    assert held(mended.app, made) == {"a": 3, "b": 2}


def test_a_changed_copy_of_what_a_saga_asked_for_is_not_relayed(tmp_path: Path) -> None:
    made = f"sqlite:{tmp_path / 'pantry.db'}"
    with pantry.app.open(made) as app:
        app.send(jars.to("a", Add(5)))
        app.send(moves.to("m1", Move("a", "b", 2)))
        app.run_until_idle()
        assert stands(app)[0] == "completed"
    log = SqliteLog(made.removeprefix("sqlite:"))
    partition = partition_of(b"m1", log.partitions("pantry.move.events"))
    for topic, key in (("pantry.move.events", b"m2"), ("pantry.jar.outcomes", b"c")):
        for at in range(log.partitions(topic)):
            copies = [
                Record(key, r.value, r.envelope, r.time_ms)
                for records in read_to(log, topic, at, log.end(topic, at))
                for r in records
            ]
            if copies:
                log.append(topic, at, copies)
    log.close()
    with pantry.app.open(made) as app:
        app.run_until_idle()
        before = app.saga(moves, "m1")
    log = SqliteLog(made.removeprefix("sqlite:"))
    try:
        assert log.end("pantry.move.commands", partition) == 3  # its start and two answers
    finally:
        log.close()
    assert before is not None
    assert held(pantry.app, made) == {"a": 3, "b": 2}
