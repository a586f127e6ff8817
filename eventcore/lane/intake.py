"""What a lane reads, in pieces that fit one transaction: bounded by count and by bytes, each with the group's standing.

The follower's own queue is bounded by its adapter, so a flood waits in the log and not in this process: that is all the
back-pressure that a lane needs. What one poll brought beyond a piece's bytes is held back for the next piece.

Commands that were deleted before they were read cannot be decided, and those after them can: the intake goes on there,
whether it finds that out at its start or later, and says which they were.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from eventcore.errors import DataError
from eventcore.log.port import Follower, Log, Recorded, Standing

logger = logging.getLogger(__name__)

# A transaction costs about 2 ms whatever it holds; beyond this, latency grows and throughput does not.
BATCH_TURNS_MAX = 1_000
BATCH_BYTES_MAX = 4_000_000  # of commands in one transaction; what is written for them is about twice as much

BATCH_DECIDE_S = 1.0  # how long the turns of one batch may take; far below the age at which a broker aborts them
BATCH_TURNS_FIRST = 8  # of a lane that does not know yet how long its turns take
BATCH_TURNS_GROW = 16  # times as many in the next batch at most: 8, 128, 1,000


class Pace:
    """How many turns fit into a batch, as the turns before took: a slow `decide` makes batches small, not late."""

    def __init__(self) -> None:
        self.most = min(BATCH_TURNS_FIRST, BATCH_TURNS_MAX)

    def note(self, turns: int, seconds: float) -> None:
        """So many turns took so long."""
        fitting = int(BATCH_DECIDE_S * turns / max(seconds, 1e-9))
        self.most = max(1, min(BATCH_TURNS_MAX, self.most * BATCH_TURNS_GROW, fitting))


class Intake:
    """Reads one partition of commands from `position` on. Belongs to one thread."""

    def __init__(
        self, log: Log, topic: str, partition: int, position: int, standing: Callable[[], Standing | None]
    ) -> None:
        self.position = position  # the next offset that `take` hands out
        self.standing: Standing | None = None  # what the group's member was entitled to before these were polled
        self._log = log
        self._topic = topic
        self._partition = partition
        self._standing_now = standing
        self._follower: Follower | None = None
        self._held: Sequence[Recorded] = ()
        self._mean_bytes = 1  # a record, as the last poll showed

    def take(self, most: int, most_bytes: int, timeout_s: float) -> tuple[Sequence[Recorded], int]:
        """Hand out at most `most` records and about `most_bytes` (one record at least), and how many bytes they have.

        Waits up to `timeout_s` for the first. Hands out none where it has just passed over commands that are gone.
        Raises DataError where the topic is not the one that was read before.
        """
        records = self._held
        if not records:
            try:
                records = self._poll(max(1, min(most, most_bytes // self._mean_bytes)), timeout_s)
            except DataError:
                if not self._pass_over_what_is_gone():
                    raise
            if not records:
                return records, 0
        return self._piece(records, most, most_bytes)

    def skip_to(self, position: int) -> None:
        """Go on at `position`: what is before it was taken in another way. Nothing may be held back."""
        assert not self._held, "whoever skips has taken everything before"
        self.position = position

    def close(self) -> None:
        """Stop reading. Idempotent."""
        self._held = ()
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def _poll(self, most: int, timeout_s: float) -> Sequence[Recorded]:
        follower = self._following()
        self.standing = self._standing_now()  # before the poll: taken later, it would let a former owner commit
        records = follower.poll(most, timeout_s).get(self._partition, ())
        self.position = follower.positions[self._partition]
        return records

    def _following(self) -> Follower:
        if self._follower is not None and self._follower.positions[self._partition] < self.position:
            self._follower.close()  # it stands before commands that were taken without reading them, or are gone
            self._follower = None
        if self._follower is None:
            self._pass_over_what_is_gone()
            self._follower = self._log.follow(self._topic, {self._partition: self.position})
        return self._follower

    def _pass_over_what_is_gone(self) -> bool:
        """Go on behind commands that were deleted; whether there were any."""
        first = self._log.beginning(self._topic, self._partition)
        if first <= self.position:
            return False
        logger.error(
            "%s[%d]: %d commands, @%d to @%d, were deleted before they were decided. Usual cause: for longer than the topic "
            "keeps them, no worker ran this lane, or it was that far behind. Who sent them had no outcome. The lane goes on "
            "at @%d. Where that may happen again, let the topic keep commands longer (retention.ms)",
            self._topic,
            self._partition,
            first - self.position,
            self.position,
            first - 1,
            first,
        )
        self.position = first
        return True

    def _piece(self, records: Sequence[Recorded], most: int, most_bytes: int) -> tuple[Sequence[Recorded], int]:
        sizes = [len(record.value or b"") for record in records]
        count, size = len(sizes), sum(sizes)
        self._mean_bytes = max(1, size // count)
        if count > most or size > most_bytes:
            count = size = 0
            for each in sizes[:most]:
                if count and size + each > most_bytes:
                    break
                count += 1
                size += each
        self._held = records[count:]
        if self._held:
            self.position = self._held[0].offset
        elif self._follower is not None:
            self.position = self._follower.positions[self._partition]
        return records[:count], size
