"""`redecide`: the recorded commands of a log through new code, and every decision that would be another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from eventcore.check.carry import Carry, carried
from eventcore.check.redecide import redecide
from eventcore.check.redecide_text import redecided_data, redecided_text
from eventcore.check.replay import Streams, Upcast, upcast_of
from eventcore.cli.call import call_of
from eventcore.cli.decisions import decisions_in
from eventcore.cli.faults import SYSTEM, report
from eventcore.cli.target import aggregate_of, function_named, target_named
from eventcore.errors import EventcoreError


def redecide_(
    context: typer.Context,
    of: Annotated[str, typer.Argument(metavar="OF", help="The aggregate or saga of the app whose log is read.")],
    *,
    new: Annotated[
        str | None,
        typer.Option("--by", metavar="MODULE:NAME", help="The new version; without it, the app's own code of today."),
    ] = None,
    events: Annotated[
        str | None, typer.Option(metavar="MODULE:NAME", help="Makes the new events of a recorded one: a list.")
    ] = None,
    commands: Annotated[
        str | None, typer.Option(metavar="MODULE:NAME", help="Makes the new command of a recorded one, or None.")
    ] = None,
) -> int:
    """Decide every recorded command again, at the state that it saw, and show each decision that would be another.

    The state is that of the recorded events, folded by the new code; the time and the id are those of the recorded
    decision. Decisions that differ in one way are one group, with its first example. Nothing is written.

    Ends with 0 where none differs, 1 where some do or where events do not fold, 2 where there was nothing to decide, 3
    where it could not run.
    """
    call = call_of(context)
    try:
        machine = call.wiring.machine(of)
        upcast: Upcast = _itself
        carry: Carry | None = None
        aggregate = machine.aggregate
        if new is not None:
            aggregate = aggregate_of(target_named(call, new))
            upcast = upcast_of(machine.aggregate, aggregate, function_named(events))
            carry, _ = carried(machine.aggregate.command_checks, aggregate.command_checks)
        with call.opened_log() as log, call.reporting() as progress:
            told = decisions_in(log, machine, progress)
            found = redecide(Streams(aggregate, upcast), told, function_named(commands) or carry)
        call.output.document({**redecided_data(found), "exit_code": found.exit_code}, [redecided_text(found)])
    except EventcoreError as error:
        report(error, as_json=call.output.json, debug=call.debug)
        return SYSTEM
    return found.exit_code


def _itself(event: Any) -> Sequence[Any]:
    return (event,)
