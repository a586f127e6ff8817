"""A lane at work: own the partition, restore, then read commands, decide, write, commit; over and over.

The order of a takeover is the order of safety: fence every former owner, read to the end that is now final, take the
position of the next command from the lane's own outcomes (never from a consumer group's committed offset, which can be
lost or unreadable), and only then follow the commands topic from that explicit offset.

While one transaction is being committed, the next one is read, decided and written (`flow`). It takes in what comes
until the commit before it is decided, or until it is full or old: so transactions are as large as the log is slow, and a
lone command waits for nobody. When nothing more is at hand, the commit under way is waited for at once. Answers go out
after their commit, never before.

Whatever fails, there is one way out: forget everything, what was written on top of the failed transaction too, own the
partition again, restore. Whether the partition is still this process's to own is for the caller to know.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from eventcore import telemetry
from eventcore.aggregate import Aggregate
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.outcome import command_id_in
from eventcore.cut import Cut
from eventcore.errors import BrokenLog, EventcoreError, LogUnavailable, OutcomeUnknown, WrongUse
from eventcore.lane.checkpoint import CHECKPOINTING, Checkpointing
from eventcore.lane.committed import Answer, Committed, answers, apart
from eventcore.lane.hanging import mend
from eventcore.lane.intake import BATCH_BYTES_MAX, Intake, Pace
from eventcore.lane.journal import Batch
from eventcore.lane.lane import Lane
from eventcore.lane.measures import Measures
from eventcore.lane.memory import LaneMemory
from eventcore.lane.reply import Replies
from eventcore.lane.restore import Progress, no_progress, restore
from eventcore.log.checks import lane_reader
from eventcore.log.port import LocalWriter, Log, MendingWriter, Record, Recorded, Standing, Writer
from eventcore.topics import Topics

BATCH_AGE_S = 0.05  # how long a batch takes in more while the one before it is committed
MORE_S = 0.001  # how long it waits for more each time, before it looks whether that commit is decided


def wall_clock_ms() -> int:
    """Unix time in milliseconds: the only place of a lane that looks at a clock, once a batch."""
    return time.time_ns() // 1_000_000


def nobody() -> Standing | None:
    """The standing of a lane whose process takes part in no group."""
    return None


DECIDE_S = 30.0  # how long a caller waits for a lane that this same thread drives: a broker restart fits in


class LaneRunner:
    """Runs one lane on a log. Belongs to one thread. `start` first.

    Whatever `step`, `flow` or `decide` raises, the lane has forgotten everything and given the partition back: its
    memory was ahead of the log. `start` again, unless somebody else has the partition now.
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
        standing: Callable[[], Standing | None] = nobody,
        checkpoints: Checkpointing = CHECKPOINTING,
    ) -> None:
        self.topics = topics
        self.partition = partition
        self._log = log
        self._aggregate = aggregate
        self._checkpoints = checkpoints
        self._commands = commands
        self._events = events
        self._standing = standing
        self._writer: Writer | None = None
        self._local: LocalWriter | None = None  # the same writer, where it belongs to an embedded log
        self._intake: Intake | None = None
        self._pace = Pace()
        self._lane: Lane | None = None
        self._replies: Replies | None = None
        self._under_way: list[Batch] = []  # what the commit under way has written
        self._committing_since = 0.0
        self._since_ns = 0  # when the first turn of the commit under way was taken
        self.measures = Measures()
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
        return self._started()[0].memory

    @property
    def term(self) -> int:
        """The lane's term: one more than any that its log has seen."""
        return self._started()[0].term

    @property
    def beats(self) -> int:
        """A number that changes with each turn, also within a batch: whoever watches sees that it is slow, and alive.

        Any thread; nothing is counted for it.
        """
        lane = self._lane
        return 0 if lane is None else lane.memory.outcome_sequence

    @property
    def checkpoint_under_way(self) -> bool:
        """Whether there are snapshots still to be written, which is done while no command is at hand."""
        return self._started()[0].checkpoints.under_way

    def start(self, progress: Progress = no_progress) -> None:
        """Own the partition, restore, and stand ready at the next command.

        Raises Fenced or OwnedElsewhere, LogUnavailable, BrokenLog, TimedOut, and what `progress` raises.
        """
        self.own()
        self.restore(progress)

    def own(self) -> None:
        """The first half of `start`: fence every former owner. What they wrote is final from here."""
        self.close()
        self._writer = self._log.own(self.topics, self.partition)
        self._local = self._writer if isinstance(self._writer, LocalWriter) else None
        if isinstance(self._writer, MendingWriter):
            try:
                mend(self._log, self._writer, self.topics, self.partition)
            except BaseException as fault:
                self._forget(fault)
                raise

    def restore(self, progress: Progress = no_progress) -> None:
        """The second half of `start`: read what the lane knows. What it raises gives the partition back."""
        began = time.monotonic()
        try:
            memory = self._read_back(progress)
            partitions = self._log.partitions(self.topics.commands)
            end = self._log.end(self.topics.events, self.partition)
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
            pace=self._checkpoints,
        )
        self._replies = Replies(self._log, self.topics, self.partition, end)
        self._position = memory.next_command
        self.measures.restore_s = time.monotonic() - began
        self._intake = Intake(self._log, self.topics.commands, self.partition, self._position, self._standing)

    def _read_back(self, progress: Progress) -> LaneMemory:
        try:
            return restore(
                self._log, self._aggregate, self.topics, self.partition, self._events, progress, self._checkpoints
            )
        except BrokenLog:
            self._commit_the_saved_position()
            raise

    def _commit_the_saved_position(self) -> None:
        """Raise Fenced if somebody owns the lane by now, which a log that seems to be broken may come from.

        One topic is read after the other, and a successor may have written between the two. Who still owns the lane after
        reading has read what is final. The position is the one that stands there already, or the beginning: no lane goes by it.
        """
        saved = self._log.saved(lane_reader(self.topics), self.topics.commands, self.partition)
        if self._writer is not None:
            self._writer.commit(saved or 0)

    def step(self, timeout_s: float) -> int:
        """Decide and commit one batch of what stands in the commands topic; return how many commands it had.

        Waits up to `timeout_s` for the first, but not while a checkpoint is under way: then, if there is none at hand,
        some of its snapshots are written.
        """
        try:
            count = self._flow(timeout_s)
            self._settle()
        except BaseException as fault:
            self._forget(fault)
            raise
        return count

    def flow(self, timeout_s: float) -> int:
        """As `step`, but the commit may be under way on return: a later call waits for it, or `finish`.

        Does not wait for commands while a commit is under way. Returns how many commands were decided.
        """
        try:
            count = self._flow(timeout_s)
            if self._under_way and self._settled():
                self._settle()  # an embedded log has nothing under way
        except BaseException as fault:
            self._forget(fault)
            raise
        return count

    def finish(self) -> None:
        """Wait for the commit under way, and answer. Without one, or before `start`, do nothing."""
        try:
            self._settle()
        except BaseException as fault:
            self._forget(fault)
            raise

    def decide(self, commands: Sequence[Record]) -> list[Answer]:
        """Append commands of this lane's instances and decide them; return the answers in their order.

        On an embedded log command, event and outcome share one commit; on another the commands are appended first,
        then taken from their topic. What stood in the topic before is decided before. Raises as `step` does, and
        OutcomeUnknown where a log that is not embedded yields no outcome for DECIDE_S, or goes away when they are sent.
        """
        self._started()
        if not commands:
            return []
        try:
            self._settle()
            if self._local is not None:
                return self._decide_locally(self._local, commands)
            return self._decide_through_topic(commands)
        except BaseException as fault:
            self._forget(fault)
            raise

    def _decide_locally(self, writer: LocalWriter, commands: Sequence[Record]) -> list[Answer]:
        lane, intake = self._started()
        while (first := writer.receive(commands)) != intake.position:
            writer.abort()  # commands of other processes stand before ours: they come first
            self._flow(0.0)
            self._settle()
        received = [
            Recorded(first + i, c.key, c.value, c.envelope, c.time_ms, c.headers) for i, c in enumerate(commands)
        ]
        since_ns = time.time_ns()
        batch = self._write(lane, received)
        self._begin_commit([batch], self._standing(), since_ns)
        intake.skip_to(batch.consumed)
        self._position = batch.consumed
        return answers(self._settle())

    def _decide_through_topic(self, commands: Sequence[Record]) -> list[Answer]:
        wanted = [c.envelope[10:26] for c in commands if c.envelope is not None]
        self._log.append(self.topics.commands, self.partition, commands)
        try:
            return self._answers_to(wanted)
        except LogUnavailable as away:
            raise OutcomeUnknown(
                f"{self.name}: the log went away after the commands were sent. They may be decided: ask again with the same ids"
            ) from away

    def _answers_to(self, wanted: Sequence[bytes]) -> list[Answer]:
        """Decide what the topic holds until all of these are answered."""
        missing = Counter(wanted)
        found: dict[bytes, deque[Answer]] = {command_id: deque() for command_id in wanted}
        deadline = time.monotonic() + DECIDE_S
        while missing:
            if time.monotonic() > deadline:
                raise OutcomeUnknown(f"{self.name}: no outcome within {DECIDE_S:.0f} s; ask again with the same ids")
            committed = self._settle() if self._flow(1.0) else []
            for answer in answers(committed):
                if missing[command_id := command_id_in(answer.record)] > 0:
                    found[command_id].append(answer)
                    missing[command_id] -= 1
                    if not missing[command_id]:
                        del missing[command_id]
        return [found[command_id].popleft() for command_id in wanted]

    def _flow(self, timeout_s: float) -> int:
        lane, intake = self._started()
        most = self._pace.most
        busy = bool(self._under_way) or lane.checkpoints.under_way
        records, size = intake.take(most, BATCH_BYTES_MAX, 0.0 if busy else timeout_s)
        self._position = intake.position
        if not records:
            self._settle()
            if lane.checkpoints.under_way:
                self._write_on(lane)
            return 0
        standing = intake.standing
        since_ns = time.time_ns()
        batches = [self._write(lane, records)]
        count, began = len(records), time.monotonic()
        while (
            self._under_way
            and count < most
            and size < BATCH_BYTES_MAX
            and time.monotonic() < began + BATCH_AGE_S
            and not self._settled()
        ):
            more, more_size = intake.take(most - count, BATCH_BYTES_MAX - size, MORE_S)
            if more:
                batches.append(self._write(lane, more))
                count, size = count + len(more), size + more_size
        self._settle()
        self._begin_commit(batches, standing, since_ns)
        self._position = intake.position
        return count

    def _write(self, lane: Lane, records: Sequence[Recorded]) -> Batch:
        """Decide records and add what follows to the open transaction."""
        writer = self._owned()
        began = time.monotonic()
        batch = lane.take(records, wall_clock_ms())
        self._pace.note(len(batch.outcomes), time.monotonic() - began)  # a release decides many turns
        if batch.events:
            writer.append(self.topics.events, batch.events)
        writer.append(self.topics.outcomes, batch.outcomes)
        if batch.snapshots:
            writer.append(self.topics.snapshots, batch.snapshots)
        return batch

    def _write_on(self, lane: Lane) -> None:
        """Write more of the checkpoint under way while no command is at hand, in a transaction of its own."""
        batch = Batch(self._position)
        lane.checkpoints.write(batch, self._checkpoints.at_once)
        if batch.snapshots:
            writer = self._owned()
            writer.append(self.topics.snapshots, batch.snapshots)
            writer.commit(None)

    def _begin_commit(self, batches: list[Batch], standing: Standing | None, since_ns: int) -> None:
        self._since_ns = since_ns
        self._committing_since = time.monotonic()
        self._owned().begin_commit(batches[-1].consumed, standing)
        self._under_way = batches

    def _settled(self) -> bool:
        return self._owned().settled()

    def _settle(self) -> list[Committed]:
        """Wait for the commit under way, and tell who waits for it; return what it made visible, in order."""
        if not self._under_way:
            return []
        batches, self._under_way = self._under_way, []
        offsets = self._owned().settle()
        committed = apart(batches, offsets.get(self.topics.events, ()), offsets.get(self.topics.outcomes, ()))
        checkpoints = self._started()[0].checkpoints
        for each in committed:
            checkpoints.committed(each.batch, each.events, each.outcomes)
        self._tell(committed)
        return committed

    def _tell(self, committed: Sequence[Committed]) -> None:
        """Answer clients, and count."""
        assert self._replies is not None, "started lanes can reply"
        for batch, events, _ in committed:
            self._replies.post(batch, events)
        self.measures.committed([each.batch for each in committed], time.monotonic() - self._committing_since)
        if not telemetry.recording():
            return
        traced = [
            (trace, batch.outcomes[index].value or b"") for batch, _, _ in committed for trace, index in batch.traces
        ]
        count, ended_ns = sum(len(each.outcomes) for each in committed), time.time_ns()
        commands = self.topics.commands
        telemetry.decided(commands, self.partition, self._log, count, traced, self._since_ns, ended_ns)

    def _forget(self, fault: BaseException) -> None:
        """Drop a memory that may be ahead of the log, and what is open in the log."""
        try:
            self.close()
        except EventcoreError as worse:
            fault.add_note(f"giving {self.name} back failed as well: {worse}")

    def _started(self) -> tuple[Lane, Intake]:
        if self._lane is None or self._intake is None:
            raise WrongUse(f"the lane {self.name} is not started, or failed since: start it")
        return self._lane, self._intake

    def _owned(self) -> Writer:
        assert self._writer is not None, "started lanes have a writer"
        return self._writer

    def close(self) -> None:
        """Give the partition back and forget everything. Idempotent.

        A commit under way is not waited for: the log decides it, and who owns the partition next reads what it was.
        """
        intake, writer = self._intake, self._writer
        self._intake = self._writer = self._local = self._lane = None
        self._under_way = []
        try:
            if intake is not None:
                intake.close()
        finally:
            if writer is not None:
                writer.close()  # whatever became of the reader: nobody else can own the partition before
