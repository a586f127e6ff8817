"""Which instances are quarantined and what waits behind each.

The facts in a lane's snapshots tell it shortly, the outcomes tell more and take as long as there are outcomes; they are
read as a lane reads them when it restores. An instance that was stopped for its events alone (they do not fold, another
program wrote among them) shows once a command waits behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from eventcore.app.wiring import Machine
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.cli.values import key_text, stamp_text
from eventcore.cut import Position
from eventcore.errors import DataError
from eventcore.lane.backlog import Waiting
from eventcore.lane.facts import STOPPED, WAITING, learn
from eventcore.lane.memory import LaneMemory
from eventcore.lane.quarantine import found_in_events, recall
from eventcore.lane.restore import Progress, read_to
from eventcore.log.port import Log


@dataclass
class Stopped:
    """A quarantined instance: why, where and when it began, and how many of its commands wait.

    `version` is the instance's when the last command was parked; `detail` is a traceback, where its turn raised. Where
    only facts were read, where and when are "" and the version is 0.
    """

    id: str
    why: str
    at: str
    since: str
    version: int = 0
    parked: int = 0
    detail: str | None = None


@dataclass
class Kept:
    """A waiting command, and where and when it was sent."""

    waiting: Waiting
    at: str
    time: str


@dataclass
class Stops:
    """The quarantined instances of one machine, learnt from its outcomes one by one, each partition in its order."""

    _memory: LaneMemory = field(default_factory=LaneMemory)
    _stopped: dict[bytes, Stopped] = field(default_factory=dict[bytes, Stopped])
    _sent: dict[bytes, tuple[str, str]] = field(default_factory=dict[bytes, tuple[str, str]])

    def take(self, key: bytes, outcome: OutcomeRecord, at: str) -> None:
        """Note what one outcome tells of its instance, which the command at `at` concerned."""
        if outcome.details.repeated:
            return
        memory, time = self._memory, stamp_text(outcome.stamp)
        recall(memory, key, outcome)
        if key not in memory.quarantined:
            self._stopped.pop(key, None)
        else:
            stopped = self._stopped.setdefault(key, Stopped(key_text(key) or "", "", at, time))
            stopped.why, stopped.version = memory.quarantined[key], outcome.version
            if outcome.details.kind == "parked" and outcome.details.detail is not None:
                stopped.detail = outcome.details.detail
        if memory.waiting.get(outcome.command_id) is None:
            self._sent.pop(outcome.command_id, None)
        else:
            self._sent.setdefault(outcome.command_id, (at, time))

    def found(self) -> dict[str, Stopped]:
        """Those that are quarantined now, by id."""
        for key, stopped in self._stopped.items():
            stopped.parked = len(self._memory.waiting.of(key))
        return {stopped.id: stopped for stopped in self._stopped.values()}

    def behind(self, key: bytes) -> list[Kept]:
        """What waits behind an instance, first come first."""
        return [Kept(waiting, *self._sent[waiting.command_id]) for waiting in self._memory.waiting.of(key)]


def stops_in(log: Log, machine: Machine, progress: Progress, partitions: range | None = None) -> Stops:
    """Read the outcomes of a machine, or of some of its partitions, for what has stopped."""
    stops, topic = Stops(), machine.topics.outcomes
    for partition in range(log.partitions(topic)) if partitions is None else partitions:
        start, end = log.beginning(topic, partition), log.stable_end(topic, partition)
        for records in read_to(log, topic, partition, end, progress, start=start):
            for record in records:
                try:
                    outcome = read_outcome(record.value)
                except DataError:
                    continue  # no lane wrote it, so it stops nothing; `status --deep` counts it
                at = Position(machine.topics.commands, partition, outcome.cause)
                stops.take(record.key or b"", outcome, str(at))
    return stops


class Listed(NamedTuple):
    """A quarantined instance as the facts of its lane tell."""

    id: str
    why: str
    waiting: int

    def stopped(self) -> Stopped:
        """The same, with nothing of what facts do not tell."""
        return Stopped(self.id, self.why, at="", since="", parked=self.waiting)


def listed(log: Log, machine: Machine, progress: Progress) -> list[Listed]:
    """The quarantined instances of a machine, by partition and id. Raises DecodeError at a fact that is none."""
    found: list[Listed] = []
    for partition in range(log.partitions(machine.topics.snapshots)):
        memory = _by_facts(log, machine.topics.snapshots, partition, progress)
        for key in sorted({*memory.quarantined, *memory.unsound, *memory.foreign}):
            found_in_events(memory, key)
            found.append(Listed(key_text(key) or "", memory.quarantined[key], len(memory.waiting.of(key))))
    return found


def _by_facts(log: Log, topic: str, partition: int, progress: Progress) -> LaneMemory:
    """What the last fact of each key says of quarantines."""
    facts: dict[bytes, bytes] = {}
    start, end = log.beginning(topic, partition), log.stable_end(topic, partition)
    for records in read_to(log, topic, partition, end, progress, start=start):
        for record in records:
            if record.key is None or not record.key.startswith((STOPPED, WAITING)):
                continue
            if record.value is None:
                facts.pop(record.key, None)
            else:
                facts[record.key] = record.value
    memory = LaneMemory()
    for key, value in facts.items():
        learn(memory, key, value)
    return memory
