"""A process that stands still in the middle of a commit: after the rows were written, before COMMIT.

`python -m tests.integration.projections.child ADDRESS STALLED_S` prints `rows written` there, waits for a line, goes on, and
prints `committed` or the name of what stopped it. A server ends its transaction after STALLED_S.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import overload

from eventcore.errors import EventcoreError
from projections import open_views, postgres_pool
from projections.views import Advance, Batch, Parked
from tests.contracts.views.bank import TOPIC, Balance, balances

ROWS = 2_000  # enough for every path that a large batch takes
PARKED = Parked(0, 0, "foreign", "", None, None, None)


def say(word: str) -> None:
    """Tell the parent."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class Stalling(Sequence[Parked]):
    """Parked records that are asked for when the rows have been written, and take their time."""

    def __len__(self) -> int:
        return 1

    @overload
    def __getitem__(self, index: int) -> Parked: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Parked]: ...
    def __getitem__(self, index: int | slice) -> Parked | Sequence[Parked]:
        return [PARKED][index]

    def __iter__(self) -> Iterator[Parked]:
        say("rows written")
        sys.stdin.readline()
        yield PARKED


def main(address: str, stalled_s: int) -> None:
    """Take over, and commit slowly."""
    postgres_pool.STALLED_S = stalled_s
    views = open_views(address)
    step = Advance(0, views.take_over(balances, TOPIC, [0])[0], ROWS, ROWS, 1)
    rows = [Balance(f"a{n}", n, 1) for n in range(ROWS)]
    try:
        views.commit(balances, Batch(TOPIC, [step], rows, parked=Stalling()))
    except EventcoreError as stopped:
        say(type(stopped).__name__)
    else:
        say("committed")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
