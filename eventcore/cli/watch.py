"""How far a search has come, on stderr where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from eventcore.check.search import Pulse
from eventcore.cli.call import Call


@contextmanager
def watched(call: Call, what: str = "comparing") -> Generator[Callable[[Pulse], None]]:
    """A callback that shows a search's pulse; elsewhere than on a terminal it does nothing."""
    if call.output.json or not sys.stderr.isatty():
        yield lambda _: None
        return
    with Status(what, console=Console(file=sys.stderr)) as status:

        def show(pulse: Pulse) -> None:
            status.update(f"{what}: {pulse.distinct:,} states, {pulse.transitions:,} steps, {pulse.waiting:,} waiting")

        yield show
