"""How a figure is taken: several runs of ours and of its raw twin in turn, medians, and the processor time of each.

Nothing here judges: a benchmark prints what it saw, beside the twin's figure from the same minutes, and never fails.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

RUNS = 5  # medians of at least this many; EVENTCORE_BENCH_RUNS asks for more
PACKAGES = ("msgspec", "fastavro", "confluent-kafka", "sqlalchemy", "psycopg")


@dataclass(frozen=True)
class Taken:
    """One run: how many things were done, the seconds it took, and the processor seconds of this process."""

    count: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Row:
    """One line of the table. `twin` is None where there is nothing raw to compare with."""

    what: str
    ours: str
    twin: str
    ratio: str
    goal: str
    note: str = ""


def runs() -> int:
    """How many runs each figure takes."""
    return max(RUNS, int(os.environ.get("EVENTCORE_BENCH_RUNS", RUNS)))


def timed(count: int, work: Callable[[], object]) -> Taken:
    """Run `work` once, which does `count` things."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Taken(count, time.perf_counter() - wall, time.process_time() - cpu)


def rate(taken: list[Taken]) -> float:
    """Things a second, the median of the runs."""
    return statistics.median(one.count / one.wall_s for one in taken)


def cpu_us(taken: list[Taken]) -> float:
    """Processor microseconds a thing, the median of the runs."""
    return statistics.median(one.cpu_s / one.count for one in taken) * 1e6


def in_turn(ours: Callable[[], Taken], twin: Callable[[], Taken]) -> tuple[list[Taken], list[Taken]]:
    """Take ours and the twin's runs one after the other, so that a drift of the machine hits both."""
    first: list[Taken] = []
    second: list[Taken] = []
    for _ in range(runs()):
        first.append(ours())
        second.append(twin())
    return first, second


def rates_row(what: str, unit: str, ours: list[Taken], twin: list[Taken] | None, goal: str) -> Row:
    """A line that compares two rates; more is better."""
    note = f"CPU {cpu_us(ours):.1f} µs each" + (f", twin {cpu_us(twin):.1f}" if twin else "")
    if twin is None:
        return Row(what, f"{rate(ours):,.0f} {unit}", "-", "-", goal, note)
    return Row(what, f"{rate(ours):,.0f} {unit}", f"{rate(twin):,.0f}", f"{rate(ours) / rate(twin):.2f}", goal, note)


def pace_ns() -> float:
    """Nanoseconds in which this machine, now, counts one up in a loop of Python: absolute figures are read beside it."""
    took: list[int] = []
    for _ in range(5):
        count, began = 0, time.perf_counter_ns()
        while count < 200_000:
            count += 1
        took.append(time.perf_counter_ns() - began)
    return statistics.median(took) / 200_000


def machine() -> str:
    """The machine and the versions that a figure belongs to."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}; CPython {platform.python_version()}; {packages}"
