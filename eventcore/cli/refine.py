"""`refine`: whether a new version of an aggregate only does what the old one could have done."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from eventcore.check import Bounds
from eventcore.check.refine import refine
from eventcore.check.refine_text import refinement_data, refinement_text
from eventcore.check.replay import Streams, replay, upcast_of
from eventcore.cli.call import Call, call_of
from eventcore.cli.decisions import events_in
from eventcore.cli.faults import ANSWER_IS_NO, SYSTEM, report
from eventcore.cli.target import Target, aggregate_of, function_named, target_named
from eventcore.cli.watch import watched
from eventcore.errors import EventcoreError

BROKEN_SHOWN = 12  # instances


def refine_(
    context: typer.Context,
    old: Annotated[str, typer.Argument(help="An aggregate of the app, or MODULE:NAME of an Aggregate or Checked.")],
    new: Annotated[str, typer.Argument(help="The same, of the new version.")],
    *,
    state_map: Annotated[
        str | None, typer.Option("--map", metavar="MODULE:NAME", help="Makes an old state of a new one.")
    ] = None,
    events: Annotated[
        str | None, typer.Option(metavar="MODULE:NAME", help="Makes the new events of an old one: a list.")
    ] = None,
    commands: Annotated[
        str | None, typer.Option(metavar="MODULE:NAME", help="Makes an old command of a new one, or None.")
    ] = None,
    states: Annotated[int, typer.Option(metavar="N", help="Stop at so many states.")] = Bounds().states,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Fold what the log holds by the new version as well, and compare.")
    ] = False,
) -> int:
    """Compare the new version of an aggregate with the old one, step by step, under a map of states.

    Every step of the new version must be a step of the old or change nothing that the old one knows; invariants of the old
    must hold; streams of the old must replay. What is refused now and was accepted, and the reverse, is listed. Without
    a map, classes of the same name and schema are the same.

    Ends with 0 for pass, 1 for fail, 2 for inconclusive (something was cut or sampled), 3 where it could not run.
    """
    call = call_of(context)
    try:
        one, two = target_named(call, old), target_named(call, new)
        to_old, upcast, to_command = function_named(state_map), function_named(events), function_named(commands)
        with watched(call) as progress:
            found = refine(
                one,
                two,
                to_old,
                event_map=upcast,
                command_map=to_command,
                bounds=Bounds(states),
                progress=progress,
            )
        data, shown, code = refinement_data(found), [refinement_text(found)], found.exit_code
        if recorded:
            streams = _recorded(call, one, two, to_old, upcast)
            data["recorded"] = _data(streams)
            shown.append("\n".join(_lines(streams)))
            code = ANSWER_IS_NO if streams.broken else code
        call.output.document({**data, "exit_code": code}, shown)
    except EventcoreError as error:
        report(error, as_json=call.output.json, debug=call.debug)
        return SYSTEM
    return code


def _recorded(call: Call, old: Target, new: Target, state_map: Any, upcast: Any) -> Streams:
    one, two = aggregate_of(old), aggregate_of(new)
    machine = call.wiring.machine(one.name)
    streams = Streams(two, upcast_of(machine.aggregate, two, upcast), machine.aggregate, state_map)
    with call.opened_log() as log, call.reporting() as progress:
        return replay(streams, events_in(log, machine, progress))


def _lines(streams: Streams) -> list[str]:
    lines = [
        "",
        f"Recorded: {streams.events:,} events of {streams.instances:,} instances, {len(streams.broken):,} broken",
    ]
    broken = list(streams.broken.values())
    lines += [f"  {each.at}, {each.instance}: {each.what}" for each in broken[:BROKEN_SHOWN]]
    if len(broken) > BROKEN_SHOWN:
        lines.append(f"  and {len(broken) - BROKEN_SHOWN:,} more; --json lists all")
    return lines


def _data(streams: Streams) -> dict[str, Any]:
    broken = [{"position": each.at, "instance": each.instance, "what": each.what} for each in streams.broken.values()]
    return {"events": streams.events, "instances": streams.instances, "broken": broken}
