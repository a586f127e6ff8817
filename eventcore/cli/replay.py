"""`replay`: one instance's past, event by event, with the state before and after each."""

from __future__ import annotations

from typing import Annotated

import typer

from eventcore.cli.call import call_of, check_reached, cut_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.history import Happened, history
from eventcore.cli.output import Output
from eventcore.cli.values import data_of, json_of, shown, time_text


def replay(
    context: typer.Context,
    of: Annotated[str, typer.Argument(metavar="OF", help="The aggregate or saga.")],
    instance: Annotated[str, typer.Argument(metavar="ID", help="The id of the instance.")],
    at: Annotated[str | None, typer.Option(metavar="CUT", help="Up to this cut; to the end without it.")] = None,
) -> int:
    """Print each event of one instance: its position, version, time, and the state before and after it.

    Ends with 0, or with 1 where the instance has no event.
    """
    call = call_of(context)
    machine = call.wiring.machine(of)
    with call.opened_log() as log, call.reporting() as progress:
        cut = cut_of(at) if at is not None else None
        if cut is not None:
            check_reached(log, call.wiring, cut)
        count = 0
        for happened in history(log, machine, instance, cut, progress):
            count += 1
            print_happened(call.output, happened)
    if not count:
        call.output.note(f"{of} {instance} has no event {'at this cut' if at is not None else 'yet'}")
    return DONE if count else ANSWER_IS_NO


def print_happened(output: Output, happened: Happened) -> None:
    """Print one event, or a foreign record."""
    time = time_text(happened.time_ms)
    if happened.envelope is None:
        entry: dict[str, object] = {"position": str(happened.at), "time": time, "foreign": happened.foreign}
        output.entry(entry, f"{happened.at}  {time}  foreign, changes nothing: {happened.foreign}")
        return
    version, envelope = happened.envelope.version, happened.envelope
    data: dict[str, object] = {
        "position": str(happened.at),
        "version": version,
        "time": time,
        "command_id": happened.command_id,
        "event": {"type": type(happened.event).__name__, "data": data_of(happened.event)},
        "turn": {"index": envelope.index, "count": envelope.count},
        "before": data_of(happened.before),
        "after": data_of(happened.after),
    }
    turn = f"  ({envelope.index + 1} of {envelope.count} in its turn)" if envelope.count > 1 else ""
    first = f"{happened.at}  v{version}  {time}  {shown(happened.event)}{turn}"
    output.entry(data, f"{first}\n    {json_of(happened.before)} -> {json_of(happened.after)}")
