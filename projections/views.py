"""What a views database guarantees, whichever adapter keeps it; `tests/contracts/views` holds every adapter to it.

Theory of operation. A projection stands at a position in each partition of its source topic: a row of the table
`eventcore_positions` with the next offset, the last sequence and term seen there, and an epoch that whoever takes the
partition over raises. Rows and positions change together, in one transaction that begins with a compare-and-set on
(epoch, next offset). The invariants that the contract suite cites:

V1  Rows are the fold of the log up to the positions, always: at a kill, a cut connection, a second owner.
V2  After `take_over` returned, no former owner's commit succeeds: its compare-and-set matches no row (Fenced).
V3  `take_over` waits for a commit under way and then tells the position that came of it. So a commit whose answer was
    lost needs no guess: whoever takes over next, the same process too, is told whether it happened.
V4  `ask` and `rows` answer rows and their cut from one snapshot.
V5  A position never goes back, so "position >= cut" is final.

Any thread may use a `Views`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from eventcore.cut import Cut, Position
from eventcore.errors import Fenced, TimedOut
from eventcore.value import Value
from projections.projection import Key, Projection

Row = TypeVar("Row", bound=Value)

ASK_TIMEOUT_S = 10.0
POLL_FIRST_S, POLL_MOST_S, POLL_GROWTH = (
    0.005,
    0.05,
    1.5,
)  # a poll costs 0.1 ms of the database; waking 5 ms late is fine

Category = Literal["foreign"]
"""Why a record was parked. `foreign`: no lane can have written it."""


class Standing(NamedTuple):
    """Where a projection stands in a partition, and the epoch under which its owner may move it."""

    epoch: int
    next_offset: int
    sequence: int
    term: int


class Advance(NamedTuple):
    """A partition's step in a commit: from `before`, which must still hold, to the rest."""

    partition: int
    before: Standing
    next_offset: int
    sequence: int
    term: int

    def after(self) -> Standing:
        """Where the partition stands once this is committed."""
        return Standing(self.before.epoch, self.next_offset, self.sequence, self.term)


class Parked(NamedTuple):
    """A record that was set aside: where it stands, why, and its raw bytes."""

    partition: int
    offset: int
    category: Category
    reason: str
    key: bytes | None
    value: bytes | None
    envelope: bytes | None


@dataclass(frozen=True)
class Batch(Generic[Row]):
    """What one commit does, all of it or nothing. No key is in `rows` twice, or in both `rows` and `deleted`."""

    topic: str
    advances: Sequence[Advance]
    rows: Sequence[Row] = ()
    deleted: Sequence[Key] = ()
    parked: Sequence[Parked] = ()


@dataclass(frozen=True)
class Answer(Generic[Row]):
    """One row, or None where there is none at this cut, and the cut that it was read at."""

    row: Row | None
    cut: Cut


class Rows(Generic[Row]):
    """All rows in the order of their keys, and the cut that they are at, from one snapshot. Iterate it once, or close."""

    def __init__(self, cut: Cut, rows: Iterator[Row], close: Callable[[], None]) -> None:
        self.cut = cut
        self._rows = rows
        self._close = close

    def __iter__(self) -> Iterator[Row]:
        try:
            yield from self._rows
        finally:
            self._close()

    def __enter__(self) -> Rows[Row]:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def close(self) -> None:
        """Give the snapshot back. Idempotent."""
        self._close()


class Views(Protocol):
    """A database of read models. See the module's text for the guarantees.

    Every method raises ViewsUnavailable when the database cannot be reached or refuses for a reason that may pass, and
    WrongUse when its framework tables are missing or outdated: `upgrade` makes them.
    """

    def upgrade(self) -> None:
        """Bring the framework's own tables to this version. Idempotent; two processes may do it at once."""
        ...

    def current(self) -> str | None:
        """The version that the framework's tables have, or None where there are none."""
        ...

    def check(self) -> None:
        """Raise WrongUse, saying what to run, unless the framework's tables are of this version."""
        ...

    def prepare(self, projections: Sequence[Projection[Any, Any]]) -> None:
        """Create the read models' tables that are missing.

        Raises NotSupported, naming the difference, where a table exists with other columns than its row has.
        """
        ...

    def take_over(
        self, projection: Projection[Any, Any], topic: str, partitions: Iterable[int]
    ) -> Mapping[int, Standing]:
        """Become the owner of these partitions; every former owner is fenced (V2). Return where each stands (V3).

        Raises NotSupported where the projection was fed from another topic before: its rows are not this topic's.
        """
        ...

    def read_rows(self, projection: Projection[Row, Any], keys: Collection[Key]) -> Mapping[Key, Row]:
        """The rows of these keys that exist."""
        ...

    def commit(self, projection: Projection[Row, Any], batch: Batch[Row]) -> None:
        """Write rows, deletions, parked records and positions in one transaction.

        Raises Fenced when a partition is not where its owner left it: then nothing was written. Raises NotSupported
        when the database refuses a row. After ViewsUnavailable it may or may not have happened: take over again (V3).
        """
        ...

    def ask(
        self,
        projection: Projection[Row, Any],
        key: object,
        *,
        at_least: Cut | None = None,
        timeout_s: float = ASK_TIMEOUT_S,
    ) -> Answer[Row]:
        """One row and the cut it was read at, waiting until that holds what `at_least` says of the source's topic.

        `key` is the id, or a tuple of the row's key fields. Raises TimedOut with the lag when the wait was too short.
        """
        ...

    def rows(self, projection: Projection[Row, Any]) -> Rows[Row]:
        """All rows, in the order of their keys, and their cut."""
        ...

    def position(self, projection: Projection[Any, Any]) -> Cut:
        """How far a projection has come; the empty cut where nothing ran it yet."""
        ...

    def parked(self, projection: Projection[Any, Any], most: int = 100) -> Sequence[tuple[Position, Parked]]:
        """The first `most` parked records of a projection, in the order of their positions."""
        ...

    def close(self) -> None:
        """Give every connection back."""
        ...


def wanted_of(projection: Projection[Any, Any], at_least: Cut | None) -> Cut:
    """The part of a cut that a projection can reach: its source's events. Any other topic is none of its business."""
    ending = f".{projection.source.name}.events"
    return Cut({at: offset for at, offset in (at_least or Cut()).items() if at[0].endswith(ending)})


def wait_for(name: str, wanted: Cut, look: Callable[[], Answer[Row]], timeout_s: float) -> Answer[Row]:
    """Look until the answer's cut holds `wanted`. Raises TimedOut, telling how far it is and how fast it moves."""
    began = time.monotonic()
    first = answer = look()
    pause = POLL_FIRST_S
    while not wanted <= answer.cut:
        passed = time.monotonic() - began
        if passed >= timeout_s:
            raise TimedOut(_lag(name, wanted, first.cut, answer.cut, passed))
        time.sleep(min(pause, timeout_s - passed))
        pause = min(pause * POLL_GROWTH, POLL_MOST_S)
        answer = look()
    return answer


def _lag(name: str, wanted: Cut, first: Cut, now: Cut, passed_s: float) -> str:
    behind = [at for at, offset in wanted.items() if now[at] < offset]
    (topic, partition), *others = sorted(behind, key=lambda at: now[at] - wanted[at])
    more = f" ({len(others)} more partitions lag)" if others else ""
    rate = sum(now[at] - first[at] for at in now) / passed_s if passed_s else 0.0
    moving = f"moving at {rate:,.0f}/s" if rate else "not moving"
    advice = "ask again, or wait longer" if rate else "is a worker running this projection? See `eventcore status`"
    return (
        f"{name} wants {Position(topic, partition, wanted[topic, partition])}, "
        f"has {now[topic, partition]}{more}, {moving} after {passed_s:.1f} s: {advice}."
    )


def fenced(name: str, topic: str, advances: Sequence[Advance], found: Mapping[int, Standing]) -> Fenced:
    """The error of an owner whose compare-and-set matched fewer rows than it has partitions in the batch."""
    for advance in advances:
        ours, theirs = advance.before, found.get(advance.partition)
        at = Position(topic, advance.partition, ours.next_offset)
        if theirs is None:
            return Fenced(
                f"the position of projection {name} at {at} is gone. This process steps down; nothing was written."
            )
        if theirs.epoch != ours.epoch:
            return Fenced(
                f"projection {name} stands at {Position(topic, advance.partition, theirs.next_offset)}, but epoch "
                f"{theirs.epoch} belongs to another process (ours is {ours.epoch}). This process steps down; nothing "
                "was written. If it happens often, two workers run the same projection."
            )
        if theirs.next_offset != ours.next_offset:
            return Fenced(
                f"projection {name} stands at {Position(topic, advance.partition, theirs.next_offset)}, and this "
                f"process left it at {at} in the same epoch, {ours.epoch}. Somebody changed eventcore_positions by hand. "
                "This process steps down; nothing was written."
            )
    return Fenced(f"projection {name} moved between two looks. This process steps down; nothing was written.")


def mixed(name: str, topic: str, others: Iterable[str]) -> str:
    """The sentence for a projection that was fed from another topic before."""
    return (
        f"projection {name} was fed from {', '.join(sorted(others))} before, and now from {topic}: its rows are not a fold "
        "of this topic. Usual causes: two apps share a database and a projection's name, or a prefix was changed. "
        "Give it another name, or its own database"
    )
