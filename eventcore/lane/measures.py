"""What a lane counts while it works: its decisions by kind, the sizes of its batches, the time of commits and restores.

The lane's thread writes, any thread may read: a number that is read a moment too early is a moment old.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from eventcore.avro.outcome import DETAILS_AT, KINDS
from eventcore.lane.journal import Batch

BATCH_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
SECONDS_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)

# An outcome's kind, and whether it repeats: what is counted, without reading the rest.
KIND = slice(DETAILS_AT, DETAILS_AT + 2)


class Histogram:
    """How many observations were at most each of `bounds`, how many there were, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)  # each of its own bucket alone; the last is above every bound
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus counts them, the last under `+Inf`."""
        total, buckets = 0, list[tuple[str, float]]()
        for bound, count in zip((*map(str, map(float, self.bounds)), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, total))
        return buckets


class Measures:
    """What one lane has done since its process was given the partition."""

    def __init__(self) -> None:
        self._said: dict[bytes, int] = {}  # outcomes by the two bytes that tell their kind and whether they repeat
        self.batch_turns = Histogram(BATCH_BOUNDS)
        self.commit_s = Histogram(SECONDS_BOUNDS)
        self.restore_s = 0.0

    @property
    def outcomes(self) -> Counter[str]:
        """The outcomes by kind; those that repeat an earlier decision under `repeated`."""
        outcomes: Counter[str] = Counter()
        for (kind, repeated), count in list(self._said.items()):
            outcomes["repeated" if repeated else KINDS[kind >> 1]] += count
        return outcomes

    def committed(self, batches: Sequence[Batch], seconds: float) -> None:
        """Count one transaction: the batches that shared it, and how long its commit was under way."""
        self.commit_s.observe(seconds)
        turns, said = 0, self._said
        for batch in batches:
            turns += len(batch.outcomes)
            for outcome in batch.outcomes:
                if (value := outcome.value) is not None:
                    kind = value[KIND]
                    said[kind] = said.get(kind, 0) + 1
        self.batch_turns.observe(turns)
