"""`ask`: one row of a read model, and the cut that it was read at."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from eventcore.cli.call import Call, call_of, check_reached, cut_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.values import data_of, field_of, shown
from eventcore.errors import InvalidValue
from projections import Answer, Projection
from projections.views import ASK_TIMEOUT_S


def ask(
    context: typer.Context,
    projection: Annotated[str, typer.Argument(help="The projection.")],
    key: Annotated[list[str], typer.Argument(help="The row's key: the instance's id, then what else the key has.")],
    at_least: Annotated[
        str | None, typer.Option(metavar="CUT", help="Wait until the rows hold this cut, as `send` prints it.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Seconds to wait for a worker to reach the cut.")
    ] = ASK_TIMEOUT_S,
) -> int:
    """Print one row of a read model and the cut that it was read at.

    Where the log is a file and no worker runs, the rows are brought up to all that is in the log first.

    Ends with 0 where there is a row, with 1 where there is none.
    """
    call = call_of(context)
    wanted = cut_of(at_least) if at_least is not None else None
    definition = call.wiring.projection(projection)
    row_key = key_of(definition, key)
    if call.embedded:
        if wanted is not None:
            with call.opened_log() as log:
                check_reached(log, call.wiring, wanted)
        with call.opened_app(new=False) as app:
            if app is not None:
                app.run_until_idle()
                return answer(call, definition, key, app.ask(definition, row_key, at_least=wanted))
    with call.opened_views() as views:
        return answer(call, definition, key, views.ask(definition, row_key, at_least=wanted, timeout_s=timeout))


def key_of(projection: Projection[Any, Any], given: list[str]) -> object:
    """The key that the arguments say. Raises InvalidValue."""
    names = [field.name for field in projection.key_fields]
    if len(given) != len(names):
        raise InvalidValue(
            projection.name, f"a key of this read model has the parts {', '.join(names)}; {len(given)} were given"
        )
    parts = tuple(field_of(projection.row, name, text) for name, text in zip(names, given, strict=True))
    return parts[0] if len(parts) == 1 else parts


def answer(call: Call, projection: Projection[Any, Any], key: list[str], found: Answer[Any]) -> int:
    """Print an answer; the exit code."""
    row = None if found.row is None else data_of(found.row)
    text = f"{projection.name} has no row {' '.join(key)}" if found.row is None else shown(found.row)
    call.output.document({"projection": projection.name, "row": row, "cut": str(found.cut)}, [text, f"cut {found.cut}"])
    return ANSWER_IS_NO if found.row is None else DONE
