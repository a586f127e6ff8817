"""The turns of a log, as the overlay sees them: whole turns, with their command, on every kept record."""

from __future__ import annotations

from pathlib import Path

from eventcore import Aggregate, Value
from eventcore.app import App
from eventcore.cli.turns import turns_in
from eventcore.lane.restore import no_progress
from eventcore.log.address import open_log
from eventcore.log.port import Record


class Half(Value):
    """Half a step."""

    by: int


class Steps(Value):
    """How far it is."""

    at: int = 0


class Go(Value):
    """Take a step."""

    by: int


def decide(_: Steps, command: Go) -> list[Half]:
    """Two halves; none for a step of nothing."""
    return [Half(command.by), Half(command.by)] if command.by else []


def evolve(steps: Steps, event: Half) -> Steps:
    """Where it is after half a step."""
    return Steps(steps.at + event.by)


walkers = Aggregate("walker", Steps, decide, evolve)
app = App("walk", [walkers])


def test_a_turn_of_several_events_is_one_turn_with_its_command_and_foreign_records_are_passed_over(
    tmp_path: Path,
) -> None:
    address = f"sqlite:{tmp_path / 'walk.db'}"
    with app.open(address, partitions=1) as walk:
        for by in (1, 0, 2):
            walk.send(walkers.to("ann", Go(by)))
        walk.send(walkers.to("bob", Go(5)))
    log = open_log(address)
    try:
        machine = app.wiring.machine("walker")
        log.append(machine.topics.events, 0, [Record(b"ann", b"not ours")])
        turns = list(turns_in(log, machine, no_progress))
    finally:
        log.close()
    assert [(turn.instance, turn.command, turn.before, turn.after) for turn in turns] == [
        ("ann", "Go", Steps(0), Steps(2)),
        ("ann", "Go", Steps(2), Steps(6)),
        ("bob", "Go", Steps(0), Steps(10)),
    ]
    assert len({turn.at for turn in turns}) == 3
