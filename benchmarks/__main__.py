"""Print every benchmark as one table: `make bench`, or `python -m benchmarks --only commands,kafka` for some of them."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row, machine, pace_ns, runs

# Modules beside this one; each has `rows(full: bool) -> list[Row]`.
PARTS = ("commands", "kafka", "stages", "restore", "failover", "growth", "projection", "codec", "check")


def main(
    parts: Annotated[list[str] | None, typer.Argument(help="Which to run; all where none is named.")] = None,
    only: Annotated[str, typer.Option(help="The same, by commas.")] = "",
    *,
    full: Annotated[bool, typer.Option(help="Restore and growth in the sizes of the table: half an hour.")] = False,
) -> None:
    """Run benchmarks, printing each table as it is done. Nothing passes or fails."""
    console = Console()
    wanted = [*(parts or ()), *filter(None, only.split(","))] or list(PARTS)
    if unknown := [part for part in wanted if part not in PARTS]:
        console.print(f"no benchmark is named {', '.join(unknown)}; there are: {', '.join(PARTS)}")
        raise typer.Exit(2)
    console.print(f"{machine()}; medians of {runs()} runs. Raw twin: the same bytes in the same batches, same run.")
    console.print("Pace: what counting one up in Python takes; 40 ns on this kind of machine when nothing else runs.")
    for part in wanted:
        pace = pace_ns()
        rows: list[Row] = importlib.import_module(f"benchmarks.{part}").rows(full=full)
        table = Table(f"{part} (pace {(pace + pace_ns()) / 2:.0f} ns)", "ours", "raw twin", "ratio", "goal", "note")
        for row in rows:
            table.add_row(row.what, row.ours, row.twin, row.ratio, row.goal, row.note)
        console.print(table)


typer.run(main)
