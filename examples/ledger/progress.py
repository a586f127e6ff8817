"""Progress of long work: how much is done, how fast, and how long it still takes. Written to stderr, results are not."""

from __future__ import annotations

import sys
import time

TERMINAL_S, FILE_S = 0.1, 10.0  # between two lines: a terminal rewrites its own, a file keeps each


class Progress:
    """Counts what is done of `total` things called `what`."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._started_s = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._every_s = TERMINAL_S if self._terminal else FILE_S
        self._shown_s = self._started_s
        self.done = 0

    @property
    def rate(self) -> float:
        """How many a second since the start."""
        return self.done / max(time.monotonic() - self._started_s, 1e-9)

    def add(self, count: int = 1) -> None:
        """Count some more, and show it from time to time."""
        self.done += count
        now_s = time.monotonic()
        if now_s - self._shown_s >= self._every_s:
            self._shown_s = now_s
            self._show()

    def _show(self) -> None:
        left_s = (self._total - self.done) / self.rate if self.done else float("inf")
        line = f"{self.done:,} of {self._total:,} {self._what}, {self.rate:,.0f}/s, {left_s:,.0f} s left"
        print(
            f"\r\x1b[K{line}" if self._terminal else line,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Clear the line on a terminal."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
