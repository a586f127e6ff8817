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
from eventcore.log.sqlite import SqliteLog
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
