"""How much memory this process has, and how much more it may take before the machine suffers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STATM, MEMINFO, GROUP = Path("/proc/self/statm"), Path("/proc/meminfo"), Path("/sys/fs/cgroup")
SHARE = 0.75  # of what is free: the rest is for others, and for what a report needs


def used_bytes() -> int:
    """What this process holds in memory now; on systems that do not say, the most that it ever held; 0 where unknown."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        return 0
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def limit_bytes() -> int | None:
    """The size up to which this process may grow: what it has, and SHARE of what is free. None where nobody says."""
    free = [each for each in (_of_machine(), _of_group()) if each is not None]
    return used_bytes() + int(SHARE * min(free)) if free else None


def _of_machine() -> int | None:
    if not MEMINFO.exists():
        return None
    lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


def _of_group() -> int | None:
    """What the process's control group has left, where it has a limit."""
    limit, current = GROUP / "memory.max", GROUP / "memory.current"
    if not limit.exists() or not current.exists() or (text := limit.read_text().strip()) == "max":
        return None
    return max(0, int(text) - int(current.read_text()))
