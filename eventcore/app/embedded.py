"""The app embedded: worker and client in one process and one thread. Nothing runs unless it is asked to.

`send` decides at once, in the caller's thread (on an embedded log command, event and outcome share one commit). What
follows from it (saga steps, rows) happens when somebody asks for it: `ask` brings its projection up to the cut,
`run_until_idle` lets everything come to rest. This makes scripts and tests deterministic: no sleep, no thread.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from eventcore.aggregate import Aggregate, Message
from eventcore.app.audit import Verdict, judge, states_at
from eventcore.app.children import Child, lanes_of, projections_of, relays_of
from eventcore.app.cuts import capture
from eventcore.app.invariant import GlobalInvariant
from eventcore.app.outcome import Outcome, command_record, outcome_of
from eventcore.app.wiring import Machine, Wiring, provision
from eventcore.cut import Cut
from eventcore.errors import Fenced, LogUnavailable, OutcomeUnknown, TimedOut, UnknownName, WrongUse
from eventcore.lane.intake import BATCH_TURNS_MAX
from eventcore.lane.restore import Progress as Report
from eventcore.lane.restore import no_progress
from eventcore.lane.runner import LaneRunner, wall_clock_ms
from eventcore.log.address import open_log
from eventcore.log.port import Log, Record
from eventcore.topics import partition_of
from eventcore.value import Value
from projections import Answer, Projection, ProjectionRunner, Views, default_views_for, open_views
from sagas import Progress, Saga

Row = TypeVar("Row", bound=Value)
Data = TypeVar("Data", bound=Value)

IDLE_S = 60.0  # how long things may take to come to rest: an app that sends itself messages for ever is a bug
SETTLE_S = 0.005  # between two looks at whether a commit can be read: it takes a broker about as long
QUIET_POLL_S = 0.02  # how long one child may wait for records of a log that is not in this process


class Embedded:
    """An app that runs where it is called. Belongs to one thread."""

    def __init__(self, wiring: Wiring, log: Log, views: Views) -> None:
        self._wiring = wiring
        self._log = log
        self._views = views
        self._lanes = {(lane.topics.commands, lane.partition): lane for lane in lanes_of(wiring, log)}
        self._relays = relays_of(wiring, log)
        self._projections = {p.projection.name: p for p in projections_of(wiring, log, views)}
        self._failed: dict[str, BaseException] = {}  # children that must be started again before they go on
        self._closed = False

    def start(self, progress: Report = no_progress) -> None:
        """Own every lane and restore it, take over every projection. Raises OwnedElsewhere, LogUnavailable."""
        for lane in self._lanes.values():
            lane.start(progress)
        for relay in self._relays:
            relay.start()
        for projection in self._projections.values():
            projection.start()

    def _children(self) -> list[Child]:
        return [*self._lanes.values(), *self._relays, *self._projections.values()]

    def send(
        self,
        message: Message[Any],
        *,
        id: UUID | str | None = None,  # noqa: A002 - the field's word
        expected_version: int | None = None,
        expires_after: timedelta | None = None,
    ) -> Outcome:
        """Decide one command and return its outcome, durable. With the same `id` it is decided once, however often sent.

        Raises InvalidValue before anything is written.
        """
        machine = self._wiring.machine(message.to)
        record = command_record(
            machine, message, wall_clock_ms(), id=id, expected_version=expected_version, expires_after=expires_after
        )
        return self._decide(machine, self._partition_of(machine, record), [record])[0]

    def send_all(self, messages: Iterable[tuple[Message[Any], UUID | str | None]]) -> Iterator[Outcome]:
        """Decide (message, id) pairs in order, many in a commit, and yield their outcomes in the same order.

        Raises LogUnavailable where no command of a batch was decided, OutcomeUnknown where some may have been.
        """
        remaining = iter(messages)
        while batch := list(islice(remaining, BATCH_TURNS_MAX)):
            groups: dict[tuple[str, int], list[tuple[int, Record]]] = {}
            for number, (message, id) in enumerate(batch):  # noqa: A001 - the field's word
                machine = self._wiring.machine(message.to)
                record = command_record(machine, message, wall_clock_ms(), id=id)
                at = (machine.name, self._partition_of(machine, record))
                groups.setdefault(at, []).append((number, record))
            outcomes: dict[int, Outcome] = {}
            for (name, partition), numbered in groups.items():
                try:
                    decided = self._decide(self._wiring.machine(name), partition, [record for _, record in numbered])
                except LogUnavailable as away:
                    if not outcomes:
                        raise  # nothing of this batch was written
                    raise OutcomeUnknown(
                        f"{name}[{partition}] cannot be written, and {len(outcomes)} commands of the same batch were decided "
                        "before in other partitions. Ask again with the same ids"
                    ) from away
                outcomes |= {number: outcome for (number, _), outcome in zip(numbered, decided, strict=True)}
            yield from (outcomes[number] for number in range(len(batch)))

    def _partition_of(self, machine: Machine, record: Record) -> int:
        return partition_of(record.key, self._log.partitions(machine.topics.commands))

    def _decide(self, machine: Machine, partition: int, records: Sequence[Record]) -> list[Outcome]:
        lane = self._lane(machine, partition)
        with self._starting_again(lane):
            answers = lane.decide(records)
        events = machine.topics.events
        # A refusal was decided at, and a repeat answered from, what the log holds by now; asked for once, not for each.
        by_now = self._log.end(events, partition) if any(answer.last_event is None for answer in answers) else 0
        outcomes: list[Outcome] = []
        for answer in answers:
            end = by_now if answer.last_event is None else answer.last_event + 1
            outcomes.append(outcome_of(answer.outcome, Cut({(events, partition): end})))
        return outcomes

    def _lane(self, machine: Machine, partition: int) -> LaneRunner:
        if self._closed:
            raise WrongUse("this app was closed; open it again")
        return self._lanes[machine.topics.commands, partition]

    def ask(self, projection: Projection[Row, Any], key: object, *, at_least: Cut | None = None) -> Answer[Row]:
        """One read-model row and the cut that it was read at, which is `at_least` the one given.

        `key` is the instance's id, or a tuple of the row's key fields. Without a cut, everything written is in it.
        Raises TimedOut where the cut is not reached.
        """
        runner = self._runner(projection)
        topic = self._wiring.machine_of(projection.source).topics.events
        wanted = at_least.only(topic) if at_least is not None else self._ends(topic)
        deadline = time.monotonic() + IDLE_S
        while not wanted <= runner.position:
            if not self._step(runner, QUIET_POLL_S) and time.monotonic() > deadline:
                raise TimedOut(f"{projection.name} wants {wanted}, has {runner.position} after {IDLE_S:.0f} s")
        return self._views.ask(projection, key, at_least=wanted)

    def _runner(self, projection: Projection[Any, Any]) -> ProjectionRunner[Any]:
        if projection.name not in self._projections:
            raise UnknownName("projection", projection.name, list(self._projections))
        return self._projections[projection.name]

    def _ends(self, topic: str) -> Cut:
        return Cut({(topic, p): self._log.end(topic, p) for p in range(self._log.partitions(topic))})

    def run_until_idle(self, timeout_s: float = IDLE_S) -> None:
        """Run lanes, relays and projections until there is nothing left to do. Raises TimedOut."""
        deadline = time.monotonic() + timeout_s
        while self.step() or not self._at_rest():
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"the app did not come to rest within {timeout_s:.0f} s: something sends itself messages"
                )

    def step(self) -> int:
        """Let each lane, then each relay, then each projection do one batch; return how many records they had.

        A saga takes one step of its way a call: for whoever wants to look between them, as at a cut.
        """
        return sum(self._step(child, 0.0) for child in self._children())

    def _step(self, child: Child, timeout_s: float) -> int:
        with self._starting_again(child):
            return child.step(timeout_s)

    @contextmanager
    def _starting_again(self, child: Child) -> Generator[None]:
        """Let a child work; one that failed before is started again first, unless somebody else has its part now."""
        earlier = self._failed.get(child.name)
        if isinstance(earlier, Fenced):
            raise Fenced(f"{earlier}. Close this app, and open it again if it is to take over") from earlier
        try:
            if earlier is not None:
                child.start()
                del self._failed[child.name]
            yield
        except BaseException as fault:
            self._failed[child.name] = fault
            raise

    def _at_rest(self) -> bool:
        """Whether every child has read all there is; a child of a log elsewhere may wait a moment for its records."""
        for child in self._children():
            for (topic, partition), offset in self._reads(child).items():
                if offset < self._log.end(topic, partition):  # nothing is undecided: all lanes are here, and idle
                    self._step(child, QUIET_POLL_S)
                    return False
        return True

    def _reads(self, child: Child) -> dict[tuple[str, int], int]:
        """What a child reads and how far it is: every partition of its topics, those at 0 too."""
        if isinstance(child, LaneRunner):
            topic, partitions = child.topics.commands, [child.partition]
        else:
            topic = child.reads
            partitions = list(range(self._log.partitions(topic)))
        return {(topic, p): child.position[topic, p] for p in partitions}

    def saga(self, saga: Saga[Data], id: str) -> Progress[Data] | None:  # noqa: A002 - the field's word
        """How far a saga has come, or None where none of that id was started."""
        machine = self._wiring.machine_of(saga)
        key = id.encode()
        lane = self._lane(machine, partition_of(key, self._log.partitions(machine.topics.commands)))
        with self._starting_again(lane):
            held = lane.memory.instances.get(key)
        return None if held is None else held[0]

    def state(self, aggregate: Aggregate[Row, Any, Any], id: str, *, at: Cut | None = None) -> Row | None:  # noqa: A002
        """An instance's state now, or at a cut; None where it had no event."""
        machine = self._wiring.machine_of(aggregate)
        found: Row | None = states_at(self._log, machine, at if at is not None else self.cut()).get(id)
        return found

    def cut(self) -> Cut:
        """A consistent cut of everything that is committed.

        On a broker a commit becomes readable a moment after it returned, so that is waited for. Raises TimedOut.
        """
        self._settle()
        return capture(self._log, self._wiring.topics())

    def _settle(self) -> None:
        deadline = time.monotonic() + IDLE_S
        for topics in self._wiring.topics():
            for topic in (topics.events, topics.outcomes):
                for (_, partition), end in self._ends(topic).items():
                    while self._log.stable_end(topic, partition) < end:
                        if time.monotonic() > deadline:
                            raise TimedOut(f"{topic}[{partition}] is not readable to its end @{end} in {IDLE_S:.0f} s")
                        time.sleep(SETTLE_S)

    def audit(self, invariant: GlobalInvariant[Any], cut: Cut | None = None) -> Verdict:
        """Judge a global invariant at a cut; at a consistent one captured now where none is given."""
        return judge(self._log, self._wiring, invariant, cut if cut is not None else self.cut())

    def close(self) -> None:
        """Give back lanes, log and views. Idempotent."""
        if not self._closed:
            self._closed = True
            for child in self._children():
                child.close()
            self._views.close()
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_embedded(
    wiring: Wiring, log_address: str, views_address: str | None, partitions: int, progress: Report = no_progress
) -> Embedded:
    """Open log and views, make what is missing in them, and start. See `App.open`."""
    log = open_log(log_address)
    try:
        views = open_views(views_address or default_views_for(log_address))
        try:
            provision(log, wiring, partitions)
            views.upgrade()
            views.prepare(list(wiring.projections.values()))
            embedded = Embedded(wiring, log, views)
            embedded.start(progress)
        except BaseException:
            views.close()
            raise
    except BaseException:
        log.close()
        raise
    return embedded
