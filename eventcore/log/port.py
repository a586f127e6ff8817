"""What a log guarantees, whichever adapter keeps it; `tests/contracts` holds every adapter to it.

A log has topics; a topic has a fixed number of partitions; a partition is a sequence of records with growing offsets
(they may have gaps: aborted and control records). Three kinds of users:

- **Everybody** may `append` to topics that no lane owns the writing of (commands, schemas): durable when it returns,
  in the given order (others' records may stand between); when it fails, a prefix of them may have been written.
- **A lane** owns one partition of its aggregate. `own` fences every former owner; what is written through the `Writer`
  is one transaction from the first `append` to `commit`: all of it becomes visible, together with the consumed
  position, or none.
- **Readers** `follow` partitions and see committed records only, in offset order. A follower's position passes over
  gaps, so "position >= cut" is how one knows that everything below a cut was read.

The invariants that the contract suite cites:

L1  A record of an open or aborted transaction is never read.
L2  After `own` returns, no former owner's transaction can commit, and none is open: `end` is final for the past.
L3  A reader sees the records of one partition in offset order, each once, none missing.
L4  What `append` or `commit` returned from is there after the process was killed.
L5  The term is counted by the lane in its own log (Kafka hands out none), so a writer needs only fencing from here.
L6  Of the members of one group, at most one is told that a partition is its own before the one that had it was told
    that it is not, or was given up for dead. Whoever was given up cannot commit with a standing from then on.

Handles may be shared by threads; a `Follower` and a `Writer` belong to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from eventcore.topics import Topics

RECORD_BYTES_MAX = 1_000_000  # key, value and headers together: what a broker accepts by default, less its framing
POLL_BYTES_MAX = 16_000_000  # about; as a fetch of a broker has: 5,000 records of the largest size would be 5 GB
ENVELOPE_HEADER = "eventcore"
FILLER = "eventcore-filler"  # the only thing in a record that says nothing, an empty header: followers pass over it
KEEP_FOREVER = -1
REPLIES_KEPT_MS = 3_600_000  # whoever has not read a reply by then asks again
REPLIES_KEPT_BYTES = 256_000_000  # a partition: clients that nobody stops must not fill the cluster's disks
COMMANDS_KEPT_MS = 7 * 24 * 3_600_000  # at least the longest outage and the deduplication window


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record to be written. `envelope` travels as the record header ENVELOPE_HEADER.

    `time_ms` is Unix time; 0 lets the log stamp the record with its own clock.
    """

    key: bytes
    value: bytes | None
    envelope: bytes | None = None
    time_ms: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A record as it stands in its partition."""

    offset: int
    key: bytes | None
    value: bytes | None
    envelope: bytes | None
    time_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()


class Hanging(msgspec.Struct, frozen=True):
    """What stands undecided in a partition from `start` on: the records of the first transaction there.

    `behind` it stand later ones, decided or not: readers come to neither.
    """

    start: int
    records: Sequence[Recorded]
    behind: Sequence[Recorded] = ()


class TopicPlan(msgspec.Struct, frozen=True):
    """A topic as it should be: `kept_ms` is its retention, KEEP_FOREVER for the source of truth.

    Of a topic with `kept_bytes`, for posts only, each partition keeps about so much. A log that forgets nothing, as one
    in a file, does not make it.
    """

    name: str
    partitions: int
    cleanup: Literal["delete", "compact"] = "delete"
    kept_ms: int = KEEP_FOREVER
    kept_bytes: int | None = None


class Difference(msgspec.Struct, frozen=True):
    """How a topic that exists differs from its plan in one setting, what that does, and whether records would be lost."""

    topic: str
    setting: str
    found: str
    wanted: str
    means: str
    loses: bool

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.found}, planned is {self.wanted}: {self.means}"


class Standing(Protocol):
    """What a member of a group was entitled to at a moment: opaque, and given back with a commit."""


class Share(Protocol):
    """Whoever runs the lanes of the partitions that a member is given. Called in the thread that polls the member."""

    def assigned(self, partitions: Collection[int]) -> None:
        """These partitions are this process's from now on, beside those it has. Must return soon: restore elsewhere."""
        ...

    def revoked(self, partitions: Collection[int]) -> None:
        """These are to be given back: when this returns, their batches are committed or aborted, their lanes ended."""
        ...

    def lost(self, partitions: Collection[int]) -> None:
        """These belong to somebody else already: their lanes are dropped, what they have open cannot be committed."""
        ...


class Member(Protocol):
    """This process's part in the group whose members share the partitions of one commands topic."""

    def poll(self, timeout_s: float) -> None:
        """Take part for up to `timeout_s`: tells the share what changed. Must be called again and again, by one thread.

        Raises LogUnavailable when the log stays away.
        """
        ...

    def standing(self) -> Standing | None:
        """What this member is entitled to now. Taken *before* the poll whose records a commit consumes. Any thread."""
        ...

    def close(self) -> None:
        """Leave the group; what was assigned is revoked first."""
        ...


class Follower(Protocol):
    """A reader of committed records of one topic, from given offsets on."""

    @property
    def positions(self) -> Mapping[int, int]:
        """The next offset of each followed partition: every committed record below it was returned by `poll`."""
        ...

    def poll(self, most: int, timeout_s: float) -> Mapping[int, Sequence[Recorded]]:
        """Return at most `most` records by partition, waiting up to `timeout_s` for the first and not for more.

        They have about POLL_BYTES_MAX at most, in all, where they were not in memory already; one record is returned always.
        An empty answer means that the time passed, or that only gaps were passed over: `positions` tells.
        Raises LogUnavailable when the log stays away; the follower may be polled again.
        """
        ...

    def close(self) -> None:
        """Give back what this follower holds; it cannot be polled again."""
        ...


class Writer(Protocol):
    """The single writer of one lane's partition. One transaction at a time, begun by the first `append`.

    A commit may be under way while the next transaction is written: commits are decided one after the other all the
    same, and where one fails the transaction after it is of no use either.

    Any method raises Fenced when another owner took over, and LogUnavailable or OutcomeUnknown when the log failed:
    after any of these the writer is of no use, nothing undecided stays open once the lane is owned again.
    """

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Add records to this lane's partition of its events, outcomes or snapshots, in the open transaction.

        Raises InvalidValue above RECORD_BYTES_MAX, before any of `records` is added.
        """
        ...

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:
        """Begin to make the transaction visible and durable; the next `append` begins another one.

        `consumed` is the next offset of the commands partition. It is kept where `Log.saved` finds it, for the reader
        `<app>.<aggregate>`; without a transaction only that is written. `standing` is what the group's member was
        entitled to before the consumed commands were polled: where it is no longer, the commit is refused (Fenced).
        At most one commit is under way: WrongUse before `settle`.
        """
        ...

    def settle(self) -> Mapping[str, Sequence[int]]:
        """Wait for the commit that is under way; return the offsets of its records by topic, in order of appending.

        Without one, an empty answer.
        """
        ...

    def settled(self) -> bool:
        """Whether `settle` would return, or raise, without waiting."""
        ...

    def commit(self, consumed: int | None, standing: Standing | None = None) -> Mapping[str, Sequence[int]]:
        """`begin_commit` and `settle`."""
        ...

    def abort(self) -> None:
        """Drop the open transaction; nothing of it is ever read. Without one (a fenced writer has none), do nothing."""
        ...

    def close(self) -> None:
        """Abort what is open and give the ownership back."""
        ...


@runtime_checkable
class LocalWriter(Writer, Protocol):
    """A writer of an embedded log, whose command, event and outcome can share one commit."""

    def receive(self, records: Sequence[Record]) -> int:
        """Append commands to this lane's own commands partition in the open transaction; return the first's offset.

        Until `commit` or `abort` nobody else can append to that partition, so the offsets are certain.
        """
        ...


@runtime_checkable
class MendingWriter(Writer, Protocol):
    """A writer of a log whose servers may crash and leave a transaction without its end."""

    def hanging(self) -> Mapping[str, Hanging]:
        """What stands undecided in this lane's partition though every former owner was fenced, by topic.

        Asked of a writer that has written nothing yet.
        """
        ...

    def end_hanging(self, records: Mapping[str, Record], *, commit: bool) -> None:
        """End it in the topics of `records`, by transactions of which these are all there is."""
        ...


class Log(Protocol):
    """Partitioned topics with transactions. See the module's text for the guarantees."""

    def provision(self, plans: Sequence[TopicPlan]) -> None:
        """Create the topics that are missing. Idempotent.

        Raises NotSupported, naming each, where a topic exists with another number of partitions.
        """
        ...

    def differences(self, plans: Sequence[TopicPlan]) -> Sequence[Difference]:
        """How topics that exist differ from their plans; nothing about those that are missing. An embedded log: none."""
        ...

    def partitions(self, topic: str) -> int:
        """The number of partitions. Raises UnknownName where there is no such topic."""
        ...

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> Sequence[int]:
        """Write records outside any lane; return their offsets once they are durable and visible.

        Raises InvalidValue above RECORD_BYTES_MAX, LogUnavailable when nothing was written, OutcomeUnknown when it may
        have been.
        """
        ...

    def post(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Hand records over without waiting for anything: for replies, which nobody may count on.

        Never blocks and never raises for the log's sake: what cannot be taken or delivered is dropped, counted and
        logged. Raises UnknownName, InvalidValue as `append` does.
        """
        ...

    def follow(self, topic: str, starts: Mapping[int, int]) -> Follower:
        """Follow the given partitions from the given offsets.

        Raises DataError where a start is beyond the end, or before the beginning: then records would be missing.
        """
        ...

    def beginning(self, topic: str, partition: int) -> int:
        """The first offset that a reader may start at: above 0 once retention has deleted records."""
        ...

    def end(self, topic: str, partition: int) -> int:
        """The high watermark: the next offset to be written, undecided records counted."""
        ...

    def stable_end(self, topic: str, partition: int) -> int:
        """The next offset that a reader could not read yet: everything below is decided."""
        ...

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int:
        """The offset of the first committed record whose time is at least `time_ms`, or of a gap before it.

        Where there is none, the stable end. A reader that starts here misses no such record, and may see earlier ones
        (a broker stamps the gaps that it makes with its own clock).
        """
        ...

    def own(self, topics: Topics, partition: int) -> Writer:
        """Become the single writer of one partition of `topics`; every former owner is fenced (L2).

        Raises OwnedElsewhere where the log knows the owner to be alive and does not take over (embedded logs).
        """
        ...

    def join(self, topics: Topics, share: Share, group: str | None = None) -> Member:
        """Become a member of the group that shares the partitions of `topics.commands`; `share` hears which are ours.

        That is the group of the lanes, `<app>.<aggregate>`; where no lanes are run, `group` names another.

        An embedded log belongs to one process: its one member has all partitions, from its first poll on.
        """
        ...

    def owners(self, topics: Topics) -> Mapping[int, str]:
        """Who runs the lanes, in words, by partition; a partition that nobody runs is missing.

        As far as the log knows now: an owner that died is named until it is given up for dead.
        """
        ...

    def saved(self, reader: str, topic: str, partition: int) -> int | None:
        """The position that `reader` saved last, or None."""
        ...

    def save(self, reader: str, topic: str, positions: Mapping[int, int]) -> None:
        """Remember how far `reader` has come, by partition.

        For relays and displays: never the truth of a lane or a projection.
        """
        ...

    def close(self) -> None:
        """Close every writer and follower and give back what is held."""
        ...
