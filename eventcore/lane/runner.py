"""A lane at work: own the partition, restore, then read commands, decide, write, commit; over and over.

The order of a takeover is the order of safety: fence every former owner, read to the end that is now final, take the
position of the next command from the lane's own outcomes (never from a consumer group's committed offset, which can be
lost or unreadable), and only then follow the commands topic from that explicit offset.

Whatever fails, there is one way out: forget everything, own the partition again, restore. `Fenced` is different: the
partition belongs to somebody else, and this lane ends.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.outcome import OutcomeRecord, command_id_in, event_count_in, read_outcome
from eventcore.cut import Cut
from eventcore.errors import EventcoreError, OutcomeUnknown, WrongUse
from eventcore.lane.journal import Batch
from eventcore.lane.lane import Lane
from eventcore.lane.memory import LaneMemory
from eventcore.lane.restore import Progress, no_progress, restore
from eventcore.log.port import Follower, LocalWriter, Log, Record, Recorded, Writer
from eventcore.topics import Topics

# A transaction costs about 2 ms whatever it holds; beyond this, latency grows and throughput does not.
BATCH_TURNS_MAX = 1_000


def wall_clock_ms() -> int:
    """Unix time in milliseconds: the only place of a lane that looks at a clock, once a batch."""
    return time.time_ns() // 1_000_000


DECIDE_S = 30.0  # how long a caller waits for a lane that this same thread drives: a broker restart fits in


class Answer(NamedTuple):
    """The outcome record of a command, and the offset of its last event; None where it has no events."""

    record: bytes
    last_event: int | None

    @property
    def outcome(self) -> OutcomeRecord:
        """The record, read: not everybody who decides looks at every outcome, and reading one takes microseconds."""
        return read_outcome(self.record)


class LaneRunner:
    """Runs one lane on a log. Belongs to one thread. `start` first.

    Whatever `step` or `decide` raises, the lane has forgotten everything and given the partition back: its memory was
    ahead of the log. `start` again, unless it was fenced.
    """

    def __init__(
        self,
        log: Log,
        aggregate: Aggregate[Any, Any, Any],
        topics: Topics,
        partition: int,
        *,
        commands: Catalogue,
        events: Catalogue,
    ) -> None:
        self.topics = topics
        self.partition = partition
        self._log = log
        self._aggregate = aggregate
        self._commands = commands
        self._events = events
        self._writer: Writer | None = None
        self._local: LocalWriter | None = None  # the same writer, where it belongs to an embedded log
        self._follower: Follower | None = None
        self._lane: Lane | None = None
        self._position = 0

    @property
    def name(self) -> str:
        """Which lane this is, as it is shown: `bank.account[3]`."""
        return f"{self.topics.commands.removesuffix('.commands')}[{self.partition}]"

    @property
    def position(self) -> Cut:
        """How far this lane has read its commands."""
        return Cut({(self.topics.commands, self.partition): self._position})

    @property
    def memory(self) -> LaneMemory:
        """What the lane knows. Raises WrongUse before `start`."""
        return self._started().memory

    @property
    def term(self) -> int:
        """The lane's term: one more than any that its log has seen."""
        return self._started().term

    def start(self, progress: Progress = no_progress) -> None:
        """Own the partition, restore, and stand ready at the next command.

        Raises Fenced or OwnedElsewhere, LogUnavailable, BrokenLog, TimedOut.
        """
        self.close()
        writer = self._writer = self._log.own(self.topics, self.partition)
        self._local = writer if isinstance(writer, LocalWriter) else None
        try:
            memory = restore(self._log, self._aggregate, self.topics, self.partition, self._events, progress)
            partitions = self._log.partitions(self.topics.commands)
        except BaseException as fault:
            self._forget(fault)
            raise
        self._lane = Lane(
            self._aggregate,
            self.topics,
            self.partition,
            partitions,
            commands=self._commands,
            events=self._events,
            memory=memory,
        )
        self._position = memory.next_command

    def step(self, timeout_s: float) -> int:
        """Decide and commit one batch of what stands in the commands topic; return how many commands it had.

        Waits up to `timeout_s` for the first.
        """
        try:
            batch, _ = self._step(timeout_s)
        except BaseException as fault:
            self._forget(fault)
            raise
        return 0 if batch is None else len(batch.outcomes)

    def decide(self, commands: Sequence[Record]) -> list[Answer]:
        """Append commands of this lane's instances and decide them; return the answers in their order.

        On an embedded log command, event and outcome share one commit; on another the commands are appended first,
        then taken from their topic. What stood in the topic before is decided before. Raises as `step` does, and
        OutcomeUnknown where a log that is not embedded yields no outcome for DECIDE_S.
        """
        lane = self._started()
        if not commands:
            return []
        try:
            if self._local is not None:
                return self._decide_locally(lane, self._local, commands)
            return self._decide_through_topic(commands)
        except BaseException as fault:
            self._forget(fault)
            raise

    def _decide_locally(self, lane: Lane, writer: LocalWriter, commands: Sequence[Record]) -> list[Answer]:
        while (first := writer.receive(commands)) != self._position:
            writer.abort()  # commands of other processes stand before ours: they come first
            self._step(0.0)
        received = [
            Recorded(first + i, c.key, c.value, c.envelope, c.time_ms, c.headers) for i, c in enumerate(commands)
        ]
        batch = lane.take(received, wall_clock_ms())
        offsets = self._write(batch)
        self._position = batch.consumed
        return _answers(batch, offsets)

    def _decide_through_topic(self, commands: Sequence[Record]) -> list[Answer]:
        wanted = [c.envelope[10:26] for c in commands if c.envelope is not None]
        missing = Counter(wanted)
        found: dict[bytes, deque[Answer]] = {command_id: deque() for command_id in wanted}
        self._log.append(self.topics.commands, self.partition, commands)
        deadline = time.monotonic() + DECIDE_S
        while missing:
            if time.monotonic() > deadline:
                raise OutcomeUnknown(f"{self.name}: no outcome within {DECIDE_S:.0f} s; ask again with the same ids")
            batch, offsets = self._step(1.0)
            for answer in () if batch is None else _answers(batch, offsets):
                if missing[command_id := command_id_in(answer.record)] > 0:
                    found[command_id].append(answer)
                    missing[command_id] -= 1
                    if not missing[command_id]:
                        del missing[command_id]
        return [found[command_id].popleft() for command_id in wanted]

    def _step(self, timeout_s: float) -> tuple[Batch | None, Sequence[int]]:
        lane = self._started()
        if self._follower is not None and self._follower.positions[self.partition] < self._position:
            self._follower.close()  # it stands before commands that `decide` took without reading them
            self._follower = None
        if self._follower is None:
            self._follower = self._log.follow(self.topics.commands, {self.partition: self._position})
        records = self._follower.poll(BATCH_TURNS_MAX, timeout_s).get(self.partition, ())
        self._position = self._follower.positions[self.partition]
        if not records:
            return None, ()
        batch = lane.take(records, wall_clock_ms())
        return batch, self._write(batch)

    def _write(self, batch: Batch) -> Sequence[int]:
        """Commit a batch; return the offsets of its events."""
        writer = self._writer
        assert writer is not None, "started lanes have a writer"
        if batch.events:
            writer.append(self.topics.events, batch.events)
        writer.append(self.topics.outcomes, batch.outcomes)
        return writer.commit(batch.consumed).get(self.topics.events, ())

    def _forget(self, fault: BaseException) -> None:
        """Drop a memory that may be ahead of the log, and what is open in the log."""
        try:
            self.close()
        except EventcoreError as worse:
            fault.add_note(f"giving {self.name} back failed as well: {worse}")

    def _started(self) -> Lane:
        if self._lane is None:
            raise WrongUse(f"the lane {self.name} is not started, or failed since: start it")
        return self._lane

    def close(self) -> None:
        """Give the partition back and forget everything. Idempotent."""
        follower, writer = self._follower, self._writer
        self._follower = self._writer = self._local = self._lane = None
        if follower is not None:
            follower.close()
        if writer is not None:
            writer.close()


def _answers(batch: Batch, offsets: Sequence[int]) -> list[Answer]:
    """Each outcome of a committed batch with the offset of its last event."""
    answers: list[Answer] = []
    events = 0
    for record in batch.outcomes:
        value = record.value
        assert value is not None, "a lane's outcomes have values"
        count = event_count_in(value)
        events += count
        answers.append(Answer(value, offsets[events - 1] if count else None))
    return answers
