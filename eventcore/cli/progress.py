"""How far long reading has come, on stderr: a bar with its rate and the time that remains, for people who wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from eventcore.lane.restore import Progress as Report
from eventcore.lane.restore import no_progress

PATIENCE_S = 0.5  # what is done sooner needs no bar


class Rate(ProgressColumn):
    """Records a second."""

    def render(self, task: Task) -> Text:
        """The rate, once it is known."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def reporting() -> Generator[Report]:
    """A callback that shows what it is told, on a terminal and after PATIENCE_S; elsewhere it does nothing."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}", markup=False),
        Rate(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    began = time.monotonic()
    current: dict[str, object] = {}

    def report(what: str, done: int, end: int) -> None:
        if time.monotonic() - began < PATIENCE_S:
            return
        if current.get("what") != what:
            bars.start()  # again and again is once
            for task in bars.task_ids:
                bars.remove_task(task)
            current["what"] = what
            bars.add_task(what, total=end)
        bars.update(bars.task_ids[0], completed=done, total=end)

    try:
        yield report
    finally:
        bars.stop()
