"""The table: a row a fault, what was promised, and what was seen."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from faults.catalogue import Fault
from faults.scene import Report

COLUMNS = (
    "fault",
    "injected",
    "sent",
    "asked again",
    "answered",
    "lost",
    "doubled",
    "reordered",
    "other",
    "resumed in, median",
    "at most",
)
WIDTH = 132  # also where the output is no terminal
FINDINGS_MAX = 10  # the first say enough


def table(reports: list[tuple[Fault, Report]]) -> Table:
    """All rows."""
    made = Table(*COLUMNS)
    for fault, report in reports:
        found = report.verdict
        made.add_row(
            fault.name,
            str(report.injected),
            f"{report.sent:,}",
            f"{report.retries:,}",
            f"{found.answered:,}",
            *(str(found.count(kind)) for kind in ("lost", "doubled", "reordered", "wrong")),
            *resumed(report),
        )
    return made


def resumed(report: Report) -> tuple[str, str]:
    """The median and the longest time until every client was answered again."""
    if not report.resumes:
        return "-", "-"
    return f"{statistics.median(report.resumes):.1f} s", f"{max(report.resumes):.1f} s"


def seen(report: Report) -> str:
    """What was looked at, in words."""
    found = report.verdict
    noted = "".join(f"; {what}: {count}" for what, count in report.noted.items())
    words = "So it was" if not found.findings else "NOT SO"
    return (
        f"{words}: {found.events:,} events, {found.outcomes:,} decisions, {found.repeats:,} repeats, "
        f"term {found.term}, {report.seconds:.0f} s{noted}"
    )


def findings(fault: Fault, report: Report) -> Iterator[str]:
    """What must not be, line by line."""
    all_of_them = report.verdict.findings
    for finding in all_of_them[:FINDINGS_MAX]:
        yield f"{fault.name}: {finding}"
    if len(all_of_them) > FINDINGS_MAX:
        yield f"{fault.name}: and {len(all_of_them) - FINDINGS_MAX} more"
    if all_of_them:
        yield f"{fault.name}: what the workers said is in {report.folder}"


def show(reports: list[tuple[Fault, Report]]) -> None:
    """Print the table and the findings."""
    console = Console(width=WIDTH)
    console.print(table(reports))
    for fault, report in reports:
        console.print(f"{fault.name}: promised: {fault.promise}. {seen(report)}", markup=False, highlight=False)
    for fault, report in reports:
        for line in findings(fault, report):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
