"""`status`: how far everything is, who runs it, and what has stopped. Beside running workers too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from eventcore.cli.call import Call, call_of
from eventcore.cli.deep import SHOWN_MAX, Depths, depths
from eventcore.cli.faults import ended
from eventcore.cli.output import Grid, Shown
from eventcore.cli.stopped import Stopped
from eventcore.cli.survey import (
    MachineStanding,
    ProjectionStanding,
    machine_standing,
    projection_standings,
    shortened,
)
from eventcore.errors import CallerError, SystemFault
from eventcore.log.address import masked
from eventcore.log.port import Log

NOBODY = "nobody"


def status(
    context: typer.Context,
    *,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Read every outcome and the sagas too: what is stopped, what was set aside, where sagas stand.",
        ),
    ] = False,
) -> None:
    """Show who runs the lanes, how far lanes and projections are, and what has stopped.

    It owns nothing and may run beside workers. A few records at the end of each partition are read, so it is as quick on a
    long log; with --deep everything is. What is stopped is read from the outcomes where they are few, otherwise from what
    lanes keep beside their snapshots, which says not since when. On Kafka the owner of a lane is the group's member that has
    its partition: one that died is shown until the group has given it up.
    """
    call = call_of(context)
    found: dict[str, Depths] = {}
    with call.opened_log() as log, call.reporting() as progress:
        machines = [machine_standing(log, machine, progress) for machine in call.wiring.machines.values()]
        if deep:
            found = {each.name: depths(log, call.wiring.machine(each.name), each, progress) for each in machines}
        projections = _projections(call, log)
    data = {
        "app": call.app.name,
        "log": masked(call.log.value),
        "machines": [_data(machine, found.get(machine.name)) for machine in machines],
        "projections": [{**asdict(each), "position": str(each.position)} for each in projections],
    }
    shown = _shown(machines, projections, found)
    call.output.document(data, [f"{call.app.name}: log {masked(call.log.value)}", "", *shown])


def _data(machine: MachineStanding, found: Depths | None) -> dict[str, object]:
    data: dict[str, object] = {
        **asdict(machine),
        "partitions": [{**asdict(each), "lag": each.lag, "owner": each.owner or None} for each in machine.partitions],
    }
    data["stopped"] = [asdict(each) for each in machine.stopped.values()]
    if found is not None:
        problem = machine.problem or found.problem
        data |= {
            **asdict(found),
            "stopped": [asdict(each) for each in found.stopped.values()],
            "problem": problem,
            "unread": 0,
        }
    return data


def _projections(call: Call, log: Log) -> list[ProjectionStanding]:
    if not call.wiring.projections:
        return []
    try:
        with call.opened_views() as views:
            return projection_standings(log, call.wiring, views)
    except (CallerError, SystemFault) as missing:  # what the log tells is shown all the same
        return [ProjectionStanding(name, problem=str(missing)) for name in call.wiring.projections]


def _shown(
    machines: Sequence[MachineStanding], projections: Sequence[ProjectionStanding], found: Mapping[str, Depths]
) -> Iterator[Shown]:
    heads = ("lane", "commands", "decided", "lag", "events", "outcomes", "term", "owner")
    yield Grid(heads, [row for machine in machines for row in _lane_rows(machine)])
    yield ""
    if projections:
        rows = [(p.name, f"{p.lag:,}", f"{p.parked:,}", str(p.position), p.problem) for p in projections]
        yield Grid(("projection", "lag", "parked", "position", ""), rows)
    for machine in machines:
        yield from _troubles(machine)
        if machine.name in found:
            yield from _stopped(machine.name, found[machine.name].stopped)
            yield from _deep_troubles(machine, found[machine.name])
        else:
            yield from _stopped(machine.name, machine.stopped)
            if machine.unread:
                yield (
                    f"\n{machine.name}: {machine.unread:,} snapshots were not searched for quarantined instances; "
                    "`status --deep` and `quarantine list` search them"
                )


def _lane_rows(machine: MachineStanding) -> Iterator[tuple[str, ...]]:
    for each in machine.partitions:
        numbers = (each.commands, each.decided, each.lag, each.events, each.outcomes, each.term)
        yield (f"{machine.name}[{each.partition}]", *(f"{number:,}" for number in numbers), each.owner or NOBODY)


def _troubles(machine: MachineStanding) -> Iterator[Shown]:
    """What people should look at, a sentence each."""
    if machine.problem:
        yield f"\n{machine.name}: {ended(machine.problem)}"
    waiting = [each.partition for each in machine.partitions if each.lag and not each.owner]
    if waiting:
        yield f"\n{machine.name}: commands wait in partitions that nobody runs: {shortened(waiting)}. Is a worker running?"


def _stopped(name: str, stopped: Mapping[str, Stopped]) -> Iterator[Shown]:
    if stopped:
        yield f"\n{name}: {len(stopped):,} instances are quarantined; their commands are parked"
        for each in list(stopped.values())[:SHOWN_MAX]:
            since = f" since {each.at}" if each.at else ""
            yield f"  {each.id}: {each.parked:,} parked{since}: {each.why}"
        if len(stopped) > SHOWN_MAX:
            yield f"  and {len(stopped) - SHOWN_MAX:,} more"


def _deep_troubles(machine: MachineStanding, found: Depths) -> Iterator[Shown]:
    if found.problem:
        yield f"\n{machine.name}: {ended(found.problem)}"
    if found.sagas:
        yield f"\n{machine.name}: " + ", ".join(f"{count:,} {name}" for name, count in sorted(found.sagas.items()))
    if found.stuck:
        yield f"  stuck: {_some(found.stuck)}"
    if found.set_aside_count:
        yield f"\n{machine.name}: {found.set_aside_count:,} records were parked because they are no commands of this app"
        for aside in found.set_aside:
            yield f"  {aside.at}: {aside.reason}: {aside.message}"
        if found.set_aside_count > len(found.set_aside):
            yield f"  and {found.set_aside_count - len(found.set_aside):,} more"
    if found.foreign:
        yield f"\n{machine.name}: {found.foreign:,} records among its outcomes were written by another program"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_MAX:,} more" if len(names) > SHOWN_MAX else ""
    return ", ".join(names[:SHOWN_MAX]) + more
