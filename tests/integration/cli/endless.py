"""A machine without an end, which says on stderr that it is being searched."""

from __future__ import annotations

import sys

from eventcore import Aggregate, Value
from eventcore.check import Checked, always

BEGUN = "the search has begun"


class Counted(Value):
    """One more."""


class Count(Value):
    """Count one up."""


class Counter(Value):
    """How many there were."""

    count: int = 0


def decide(_: Counter, __: Count) -> list[Counted]:
    return [Counted()]


def evolve(counter: Counter, _: Counted) -> Counter:
    return Counter(counter.count + 1)


def says_so(counter: Counter) -> bool:
    if counter.count == 1_000:
        sys.stderr.write(f"{BEGUN}\n")
        sys.stderr.flush()
    return True


checked = Checked(Aggregate("counter", Counter, decide, evolve), properties=[always(says_so)])
