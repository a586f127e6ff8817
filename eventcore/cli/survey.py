"""What stands in a log and its views, read without owning anything: how far everything is, and what has stopped.

A lane's own outcomes tell what it decided and which instances it stopped; so that is what is read here, from the first
to the last of each partition. An instance that was stopped because somebody else wrote to its topic shows once a
command for it was parked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eventcore.app.audit import states_at
from eventcore.app.wiring import Machine, Wiring
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.cli.values import key_text
from eventcore.cut import Cut, Position
from eventcore.errors import DataError, SystemFault, UnknownName, WrongUse
from eventcore.lane.journal import QUARANTINED, RAISED
from eventcore.lane.restore import Progress, read_to
from eventcore.log.port import Log, Recorded
from projections import Views

SHOWN_MAX = 20  # of the records and sagas that are listed one by one; the counts tell of the others


@dataclass
class Stopped:
    """A quarantined instance: why, where it began, and how many of its commands are parked."""

    id: str
    why: str
    at: str
    parked: int = 0


@dataclass
class SetAside:
    """A command record that was parked because it could not be read or did not belong there."""

    at: str
    reason: str
    message: str


@dataclass
class PartitionStanding:
    """One partition of a machine. `lag` is how many offsets of commands are not decided yet."""

    partition: int
    commands: int
    decided: int
    events: int
    outcomes: int
    term: int = 0

    @property
    def lag(self) -> int:
        """Commands that wait, gaps counted."""
        return max(0, self.commands - self.decided)


@dataclass
class MachineStanding:
    """An aggregate or a saga: its partitions, what has stopped in it, and for a saga how many are where."""

    name: str
    kind: str
    partitions: list[PartitionStanding] = field(default_factory=list[PartitionStanding])
    stopped: dict[str, Stopped] = field(default_factory=dict[str, Stopped])
    set_aside: list[SetAside] = field(default_factory=list[SetAside])
    set_aside_count: int = 0
    foreign: int = 0
    sagas: dict[str, int] = field(default_factory=dict[str, int])
    stuck: list[str] = field(default_factory=list[str])
    problem: str = ""


@dataclass
class ProjectionStanding:
    """A projection: where it is, how far behind its topic, and how many records it parked (at most 100 are counted)."""

    name: str
    position: Cut = field(default_factory=Cut)
    lag: int = 0
    parked: int = 0
    problem: str = ""


def machine_standing(log: Log, machine: Machine, progress: Progress) -> MachineStanding:
    """How one machine stands; where its topics were not made yet, its problem says so."""
    standing = MachineStanding(machine.name, "saga" if machine.saga is not None else "aggregate")
    topics = machine.topics
    try:
        count = log.partitions(topics.outcomes)
    except UnknownName:
        standing.problem = "it has no topics in this log yet; `run` makes them"
        return standing
    for partition in range(count):
        ends = [log.stable_end(topic, partition) for topic in (topics.commands, topics.events, topics.outcomes)]
        each = PartitionStanding(partition, ends[0], 0, ends[1], ends[2])
        standing.partitions.append(each)
        for records in read_to(
            log, topics.outcomes, partition, ends[2], progress, start=log.beginning(topics.outcomes, partition)
        ):
            for record in records:
                _take(standing, each, topics.commands, record)
        # What was written meanwhile: a command whose outcome we have read was sent.
        each.commands = max(each.commands, each.decided)
    if machine.saga is not None:
        _count_sagas(log, machine, standing, progress)
    return standing


def _take(standing: MachineStanding, each: PartitionStanding, commands: str, record: Recorded) -> None:
    try:
        outcome = read_outcome(record.value)
    except DataError:
        standing.foreign += 1
        return
    each.decided = max(each.decided, outcome.cause + 1)
    each.term = max(each.term, outcome.term)
    if outcome.details.repeated:
        return
    _take_stop(standing, outcome, key_text(record.key) or "", str(Position(commands, each.partition, outcome.cause)))


def _take_stop(standing: MachineStanding, outcome: OutcomeRecord, id_: str, at: str) -> None:
    details = outcome.details
    why = details.message or details.reason or ""
    if details.kind == "violated" and details.detail == QUARANTINED:
        standing.stopped.setdefault(id_, Stopped(id_, f"violated {details.reason}", at))
    elif details.kind == "parked" and details.reason in {RAISED, QUARANTINED}:
        standing.stopped.setdefault(id_, Stopped(id_, why, at)).parked += 1
    elif details.kind == "parked":
        standing.set_aside_count += 1
        if len(standing.set_aside) < SHOWN_MAX:
            standing.set_aside.append(SetAside(at, details.reason or "", details.message or ""))


def _count_sagas(log: Log, machine: Machine, standing: MachineStanding, progress: Progress) -> None:
    topic = machine.topics.events
    ends = Cut({(topic, each.partition): each.events for each in standing.partitions})
    try:
        states = states_at(log, machine, ends, progress)
    except DataError as broken:
        standing.problem = f"its sagas cannot be counted: {broken}"
        return
    for id_, state in states.items():
        standing.sagas[state.status] = standing.sagas.get(state.status, 0) + 1
        if state.status == "stuck":
            standing.stuck.append(id_)


def projection_standings(log: Log, wiring: Wiring, views: Views) -> list[ProjectionStanding]:
    """How each projection stands; where the database has nothing of it, its problem says so."""
    found: list[ProjectionStanding] = []
    for projection in wiring.projections.values():
        standing = ProjectionStanding(projection.name)
        found.append(standing)
        topic = wiring.machine_of(projection.source).topics.events
        try:
            standing.position = views.position(projection)
            standing.parked = len(views.parked(projection))
            partitions = range(log.partitions(topic))
        except (WrongUse, UnknownName, SystemFault) as missing:
            standing.problem = str(missing)
            continue
        behind = (log.stable_end(topic, p) - standing.position[topic, p] for p in partitions)
        standing.lag = sum(max(0, each) for each in behind)
    return found
