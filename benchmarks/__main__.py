"""Print every benchmark as one table: `make bench`, or `python -m benchmarks commands kafka` for some of them."""

from __future__ import annotations

import importlib
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row, machine, runs

PARTS = ("commands", "kafka", "projection", "codec")  # modules beside this one; each has `rows() -> list[Row]`


def main(parts: list[str]) -> int:
    """Run the named parts, all of them where none is named, printing each table as it is done."""
    console = Console()
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        console.print(f"no benchmark is named {', '.join(unknown)}; there are: {', '.join(PARTS)}")
        return 2
    console.print(f"{machine()}; medians of {runs()} runs. Raw twin: the same bytes in the same batches, same run.")
    for part in parts or PARTS:
        rows: list[Row] = importlib.import_module(f"benchmarks.{part}").rows()
        table = Table(part, "ours", "raw twin", "ratio", "goal", "note")
        for row in rows:
            table.add_row(row.what, row.ours, row.twin, row.ratio, row.goal, row.note)
        console.print(table)
    return 0


sys.exit(main(sys.argv[1:]))
