"""`db upgrade` and `db current`: the tables of the views database."""

from __future__ import annotations

import typer

from eventcore.cli.call import call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.log.address import masked
from projections import open_views
from projections.schema import HEAD

verbs = typer.Typer(help="The views database: its tables.", no_args_is_help=True)


@verbs.command("upgrade")
def upgrade(context: typer.Context) -> None:
    """Bring the framework's tables to this version, and make the read models' tables that are missing.

    May be repeated, and run by two at once.
    """
    call = call_of(context)
    views = open_views(call.views.value)
    try:
        before = views.current()
        views.upgrade()
        views.prepare(list(call.wiring.projections.values()))
        after = views.current()
    finally:
        views.close()
    shown = masked(call.views.value)
    said = f"was at {after} already" if before == after else f"is at {after} (before: {before or 'no tables'})"
    call.output.document({"views": shown, "before": before, "version": after}, [f"{shown} {said}"])


@verbs.command("current")
def current(context: typer.Context) -> int:
    """Show the version of the framework's tables, and the one that this program wants.

    Ends with 0 where they are the same, with 1 otherwise.
    """
    call = call_of(context)
    with call.opened_views() as views:
        found = views.current()
    shown = masked(call.views.value)
    wants = "" if found == HEAD else f"; this program wants {HEAD}: run `eventcore db upgrade`"
    call.output.document(
        {"views": shown, "version": found, "wanted": HEAD},
        [f"{shown} is at {found}{wants}" if found else f"{shown} has no eventcore tables{wants}"],
    )
    return DONE if found == HEAD else ANSWER_IS_NO
