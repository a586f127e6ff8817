"""`cut`, `cut check` and `audit`: consistent moments of the whole app, proved, and judged."""

from __future__ import annotations

from typing import Annotated

import typer

from eventcore.app.audit import judge
from eventcore.app.cuts import capture, check_cut
from eventcore.cli.call import Call, call_of, check_reached, cut_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.values import plain
from eventcore.cut import Cut
from eventcore.errors import InvalidValue, UnknownName
from eventcore.lane.restore import Progress
from eventcore.log.port import Log

BREACHES_SHOWN = 20

verbs = typer.Typer(invoke_without_command=True)


@verbs.callback()
def cut(context: typer.Context) -> None:
    """Capture a consistent cut of all that is committed, without stopping anything; or `cut check` one.

    A cut is consistent when no effect is in it without its cause.
    """
    if context.invoked_subcommand is not None:
        return
    call = call_of(context)
    with call.opened_log() as log:
        captured = capture(log, call.wiring.topics())
    call.output.document({"cut": str(captured)}, [str(captured)])


@verbs.command("check")
def check(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="CUT", help="The cut, as `cut` or `send` prints it.")],
) -> int:
    """Prove that a cut is consistent by reading all that is in it, or list what is missing from it.

    Ends with 0 where it is consistent, with 1 where it is not.
    """
    call = call_of(context)
    given = cut_of(text)
    with call.opened_log() as log, call.reporting() as progress:
        check_reached(log, call.wiring, given)
        breaches = check_cut(log, call.wiring.topics(), given, progress)
    data = {
        "cut": str(given),
        "consistent": not breaches,
        "breaches": [{"at": str(b.at), "problem": b.problem} for b in breaches],
    }
    lines = [f"{breach.at}: {breach.problem}" for breach in breaches[:BREACHES_SHOWN]]
    if len(breaches) > BREACHES_SHOWN:
        lines.append(f"and {len(breaches) - BREACHES_SHOWN:,} more")
    call.output.document(data, [f"the cut is {'NOT consistent' if breaches else 'consistent'}", *lines])
    return ANSWER_IS_NO if breaches else DONE


def audit(
    context: typer.Context,
    invariant: Annotated[str | None, typer.Argument(help="A global invariant; all of the app's without it.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="CUT", help="Judge at this cut, which is proved first; without it, now.")
    ] = None,
) -> int:
    """Judge the app's global invariants at a consistent cut.

    Ends with 0 where all hold, with 1 where one is broken.
    """
    call = call_of(context)
    known = call.wiring.invariants
    if invariant is not None and invariant not in known:
        raise UnknownName("global invariant", invariant, list(known))
    chosen = list(known.values()) if invariant is None else [known[invariant]]
    with call.opened_log() as log, call.reporting() as progress:
        moment = capture(log, call.wiring.topics()) if at is None else _proved(call, log, cut_of(at), progress)
        verdicts = [judge(log, call.wiring, each, moment, progress) for each in chosen]
    data = {
        "cut": str(moment),
        "verdicts": [
            {"invariant": v.invariant, "holds": v.holds, "instances": v.instances, "summary": plain(v.summary)}
            for v in verdicts
        ],
    }
    lines = [
        f"{v.invariant} {'holds' if v.holds else 'is BROKEN'} over {v.instances:,} instances: {v.summary}"
        for v in verdicts
    ]
    call.output.document(data, [*(lines or [f"{call.app.name} has no global invariants"]), f"cut {moment}"])
    return DONE if all(verdict.holds for verdict in verdicts) else ANSWER_IS_NO


def _proved(call: Call, log: Log, given: Cut, progress: Progress) -> Cut:
    """The cut, once it is proved: at one that is not consistent a verdict means nothing."""
    check_reached(log, call.wiring, given)
    if breaches := check_cut(log, call.wiring.topics(), given, progress):
        first = f"{breaches[0].at}: {breaches[0].problem}"
        raise InvalidValue(
            "--at", f"the cut is not consistent, so nothing can be judged at it ({first}); see `cut check`"
        )
    return given
