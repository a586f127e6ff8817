"""`check`: search every state that an aggregate can reach, and say what is wrong, what is right, and what is unknown."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from eventcore.check import Bounds, check
from eventcore.check.link import follow as trace_of
from eventcore.check.render_json import trace_data
from eventcore.check.render_pytest import pytest_of
from eventcore.check.render_text import trace_lines
from eventcore.check.run import report_of, searched
from eventcore.check.search import Pulse
from eventcore.check.trace import Trace
from eventcore.cli.call import Call, call_of
from eventcore.cli.faults import DONE, SYSTEM, report
from eventcore.cli.known import FORMATS, Wanted, tell
from eventcore.cli.target import Target, aggregate_of, target_named
from eventcore.errors import EventcoreError, InvalidValue, NotSupported

SIZE = re.compile(r"(\d+)\s*([KMG])(?:i?B)?", re.IGNORECASE)
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
COULD_NOT_RUN = SYSTEM


def check_(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="An aggregate of the app, or MODULE:NAME of an Aggregate or Checked.")],
    *,
    states: Annotated[int, typer.Option(metavar="N", help="Stop at so many states.")] = Bounds().states,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Stop when this process holds so much: 500M, 2G.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Report one trace for each claim that is broken, not only the first.")
    ] = False,
    symmetric: Annotated[
        bool,
        typer.Option(
            "--symmetric", help="Take states for one that differ only in which instance is which, as declared."
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Search with so many processes; without it, with this one.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep a search that is cut in FILE, and go on from it where it is there."),
    ] = None,
    pytest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is found as tests, which fail until it is mended.")
    ] = None,
    matrix: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT", help="Show what is known of each kind of state and command: " + ", ".join(FORMATS)
        ),
    ] = None,
    inductive: Annotated[
        bool, typer.Option("--inductive", help="Take a turn from every typed state that satisfies the invariants.")
    ] = False,
    ratchet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Fail where less is known than FILE says; else write FILE.")
    ] = None,
    grade: Annotated[
        bool, typer.Option("--grade", help="Change the code in small ways, and say what no claim notices.")
    ] = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Lay the log's turns over the matrix, and name those outside the model.")
    ] = False,
    follow: Annotated[
        str | None, typer.Option("--follow", metavar="LINK", help="Search nothing; show the trace of this link.")
    ] = None,
) -> int:
    """Search every state that an aggregate can reach in its scope, and judge its invariants and properties.

    An aggregate of the app is searched as a Checked in the module of its functions says, where there is one, and
    otherwise in the scope of its types. Ctrl-C ends the search with a report of what was found so far.

    The matrix, the ratchet and the overlay speak of rows of states: of what the types tell apart, or what the Checked's
    abstraction declares. They look at all states, so the search does not stop at a finding. `--overlay` reads the events of
    the app's aggregate of the same name.

    `--resume` is for what takes long: Ctrl-C or a bound ends a search, and the same command goes on with it. FILE is
    removed when the search is done.

    Each finding with a trace names a link, for a ticket: `--follow` shows its trace to whoever has the same code.

    `--symmetric` needs a Checked that declares its symmetry, and leaves claims about what happens in the end unjudged.

    Ends with 0 for pass, 1 for fail, 2 for inconclusive (something was cut or sampled), 3 where it could not run.
    """
    call = call_of(context)
    try:
        wanted = Wanted(matrix, inductive, ratchet, grade, overlay)
        found = target_named(call, target)
        if follow is not None:
            return _shown(call, trace_of(found, follow))
        bounds = Bounds(states, None if memory is None else _bytes(memory))
        with _watched(call) as progress:
            if symmetric:
                answer = check(
                    found,
                    bounds=bounds,
                    keep_going=keep_going,
                    symmetric=True,
                    workers=workers,
                    resume=resume,
                    progress=progress,
                )
                made = searched(found, bounds=bounds, keep_going=True, progress=progress) if wanted.of_rows else None
            else:
                made = searched(
                    found,
                    bounds=bounds,
                    keep_going=keep_going or wanted.of_rows,
                    workers=workers,
                    resume=resume,
                    progress=progress,
                )
                answer = report_of(made)
        if pytest is not None and answer.findings:
            pytest.write_text(pytest_of(answer, _place(found, target)), encoding="utf-8")
            call.output.note(f"written: {pytest}")
        return tell(call, found, answer, wanted, bounds, made)
    except EventcoreError as error:
        report(error, as_json=call.output.json, debug=call.debug)
        return COULD_NOT_RUN


def _shown(call: Call, trace: Trace) -> int:
    call.output.document(trace_data(trace), ["\n".join(trace_lines(trace))])
    return DONE


def _place(found: Target, target: str) -> str:
    """Where a test finds what was checked, as MODULE:NAME."""
    if ":" in target:
        return target
    aggregate = aggregate_of(found)
    module = sys.modules.get(getattr(aggregate.decide, "__module__", ""))
    names = [] if module is None else [name for name, value in vars(module).items() if value is found]
    if module is None or not names:
        raise NotSupported(
            f"no test can be written for {target}: it is not in the module of its decide. Name it as MODULE:NAME."
        )
    return f"{module.__name__}:{names[0]}"


def _bytes(text: str) -> int:
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidValue("--memory", f"{text!r} is no size; write it as 500M or 2G")
    return int(match[1]) * UNITS[match[2].upper()]


@contextmanager
def _watched(call: Call) -> Generator[Callable[[Pulse], None]]:
    """Progress on stderr where that is a terminal."""
    if call.output.json or not sys.stderr.isatty():
        yield lambda _: None
        return
    with Status("searching", console=Console(file=sys.stderr)) as status:

        def show(pulse: Pulse) -> None:
            rate = pulse.transitions / pulse.seconds if pulse.seconds else 0
            status.update(
                f"{pulse.distinct:,} states, {pulse.transitions:,} transitions ({rate:,.0f}/s), "
                f"level {pulse.depth}, {pulse.waiting:,} waiting"
            )

        yield show
