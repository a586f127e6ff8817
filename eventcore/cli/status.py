"""`status`: how far everything is, and what has stopped. Beside a running worker too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import typer

from eventcore.cli.call import Call, call_of
from eventcore.cli.faults import ended
from eventcore.cli.output import Grid, Shown
from eventcore.cli.settings import masked
from eventcore.cli.survey import (
    SHOWN_MAX,
    MachineStanding,
    ProjectionStanding,
    machine_standing,
    projection_standings,
)
from eventcore.errors import SystemFault, WrongUse
from eventcore.log.port import Log


def status(context: typer.Context) -> None:
    """Show how far lanes and projections are, which instances are stopped, and where sagas stand.

    It owns nothing and may run beside a worker. Outcomes are read from the beginning, so it takes a while on a large log.
    """
    call = call_of(context)
    with call.opened_log() as log, call.reporting() as progress:
        machines = [machine_standing(log, machine, progress) for machine in call.wiring.machines.values()]
        projections = _projections(call, log)
    data = {
        "app": call.app.name,
        "log": masked(call.log.value),
        "machines": [
            {
                **asdict(machine),
                "partitions": [{**asdict(each), "lag": each.lag} for each in machine.partitions],
                "stopped": [asdict(stopped) for stopped in machine.stopped.values()],
            }
            for machine in machines
        ],
        "projections": [{**asdict(each), "position": str(each.position)} for each in projections],
    }
    call.output.document(data, [f"{call.app.name}: log {masked(call.log.value)}", "", *_shown(machines, projections)])


def _projections(call: Call, log: Log) -> list[ProjectionStanding]:
    if not call.wiring.projections:
        return []
    try:
        with call.opened_views() as views:
            return projection_standings(log, call.wiring, views)
    except (WrongUse, SystemFault) as missing:  # what the log tells is shown all the same
        return [ProjectionStanding(name, problem=str(missing)) for name in call.wiring.projections]


def _shown(machines: Sequence[MachineStanding], projections: Sequence[ProjectionStanding]) -> Iterator[Shown]:
    heads = ("lane", "commands", "decided", "lag", "events", "outcomes", "term")
    yield Grid(heads, [row for machine in machines for row in _lane_rows(machine)])
    yield ""
    if projections:
        rows = [(p.name, f"{p.lag:,}", f"{p.parked:,}", str(p.position), p.problem) for p in projections]
        yield Grid(("projection", "lag", "parked", "position", ""), rows)
    for machine in machines:
        yield from _troubles(machine)


def _lane_rows(machine: MachineStanding) -> Iterator[tuple[str, ...]]:
    for each in machine.partitions:
        numbers = (each.commands, each.decided, each.lag, each.events, each.outcomes, each.term)
        yield (f"{machine.name}[{each.partition}]", *(f"{number:,}" for number in numbers))


def _troubles(machine: MachineStanding) -> Iterator[Shown]:
    """What people should look at, a sentence each."""
    if machine.problem:
        yield f"\n{machine.name}: {ended(machine.problem)}"
    if machine.sagas:
        yield f"\n{machine.name}: " + ", ".join(f"{count:,} {name}" for name, count in sorted(machine.sagas.items()))
    if machine.stuck:
        yield f"  stuck: {_some(machine.stuck)}"
    if machine.stopped:
        yield f"\n{machine.name}: {len(machine.stopped):,} instances are quarantined; their commands are parked"
        for stopped in list(machine.stopped.values())[:SHOWN_MAX]:
            yield f"  {stopped.id}: {stopped.parked:,} parked since {stopped.at}: {stopped.why}"
        if len(machine.stopped) > SHOWN_MAX:
            yield f"  and {len(machine.stopped) - SHOWN_MAX:,} more"
    if machine.set_aside_count:
        yield f"\n{machine.name}: {machine.set_aside_count:,} records were parked because they are no commands of this app"
        for aside in machine.set_aside:
            yield f"  {aside.at}: {aside.reason}: {aside.message}"
        if machine.set_aside_count > len(machine.set_aside):
            yield f"  and {machine.set_aside_count - len(machine.set_aside):,} more"
    if machine.foreign:
        yield f"\n{machine.name}: {machine.foreign:,} records among its outcomes were written by another program"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_MAX:,} more" if len(names) > SHOWN_MAX else ""
    return ", ".join(names[:SHOWN_MAX]) + more
