"""Whether a lane that works for long grows or slows: memory and processor time a turn after 1,000,000 turns and after ten times that.

The log in memory forgets what was decided, so that what is measured is the lane's own memory: states, the window of
decided ids, counters. `python -m benchmarks growth` takes a tenth of the turns, with `--full` all.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path

from benchmarks.job import ACCOUNTS, SMALL, TOPICS, commands, drain
from benchmarks.measure import Row
from eventcore.log.memory import MemoryLog

FULL, SCALED = 10_000_000, 1_000_000
PIECE = 20_000  # commands made, appended, decided and forgotten at a time
WINDOW = 200_000  # turns that a figure is the mean of; the window of decided ids is full long before


class ForgetfulLog(MemoryLog):
    """A log in memory that can drop what everybody has read."""

    def forget(self) -> None:
        """Drop every decided record."""
        with self._store.opened() as store:
            for partitions in store.topics.values():
                for place in partitions:
                    assert place.holder is None, "forget between transactions"
                    place.records.clear()
                    place.visible = 0


def rows(*, full: bool = False) -> list[Row]:
    """Two lines: memory, and time a turn."""
    total = FULL if full else SCALED
    log = ForgetfulLog()
    lane = SMALL.started(log)
    early = late = (0.0, 0.0)
    done, took, counted = 0, 0.0, 0
    while done < total:
        batch = commands(PIECE)
        log.append(TOPICS.commands, 0, batch)
        began = time.thread_time()
        drain(lane, PIECE)
        took += time.thread_time() - began
        counted += PIECE
        log.forget()
        done += PIECE
        if done in (total // 10, total):
            early, late = late, (took / counted, resident_mb())
        if counted >= WINDOW:
            took, counted = 0.0, 0
    lane.close()
    turns = f"after {total:,} turns, beside after {total // 10:,}, {ACCOUNTS:,} instances"
    return [
        Row(f"resident memory {turns}", f"{late[1]:.0f} MB", f"{early[1]:.0f} MB", f"{late[1] / early[1]:.2f}", "1.0"),
        Row(
            f"processor time of a turn {turns}",
            f"{late[0] * 1e6:.1f} µs",
            f"{early[0] * 1e6:.1f} µs",
            f"{late[0] / early[0]:.2f}",
            "1.0",
        ),
    ]


def resident_mb() -> float:
    """The memory of this process now."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1_024
