"""What stands in a log and its views, read without owning anything: how far everything is, and what has stopped.

Where a lane is, its last outcomes tell: each carries its command's offset and the lane's term. So a few records at the end
of each partition are read, not all of them. Where the lane consumed commands and had no outcome to write, its group's
position is ahead of them. Which instances are stopped, the outcomes tell with all that there is to it: they are read while
they are few. Beyond that what lanes keep of it beside their snapshots tells it as truly and more shortly. What takes long
(deep.py) is told when asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eventcore.app.wiring import Machine, Wiring
from eventcore.avro.outcome import read_outcome
from eventcore.cli.stopped import Stopped, listed, stops_in
from eventcore.cut import Cut
from eventcore.errors import DataError, SystemFault, TimedOut, UnknownName, WrongUse
from eventcore.lane.restore import Progress
from eventcore.log.checks import lane_reader
from eventcore.log.port import Log, Recorded
from eventcore.topics import Topics
from projections import Views

TAIL = 32  # records at the end of a partition that are looked at first; MORE times as many where none is an outcome
MORE = 32
SEARCHED_MOST = 20_000  # outcomes of a machine that are searched for what has stopped: about 0.15 s
FACTS_MOST = 300_000  # and records of its snapshots: about as many instances, unless the log was never compacted
POLL_MOST = 10_000
STALLED_S = 10.0


@dataclass
class PartitionStanding:
    """One partition of a machine: how far its lane is, and who runs it ("" where nobody does).

    `lag` is how many offsets of commands are not decided yet.
    """

    partition: int
    commands: int
    decided: int
    events: int
    outcomes: int
    term: int = 0
    owner: str = ""

    @property
    def lag(self) -> int:
        """Commands that wait, gaps counted."""
        return max(0, self.commands - self.decided)


@dataclass
class MachineStanding:
    """An aggregate or a saga: its partitions; where it has no topics yet, its problem says so."""

    name: str
    kind: str
    partitions: list[PartitionStanding] = field(default_factory=list[PartitionStanding])
    stopped: dict[str, Stopped] = field(default_factory=dict[str, Stopped])
    unread: int = 0  # snapshots that were not searched for what has stopped
    problem: str = ""

    @property
    def unowned(self) -> list[int]:
        """The partitions that nobody runs."""
        return [each.partition for each in self.partitions if not each.owner]


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
    owners = log.owners(topics)
    # Outcomes before commands: what is decided meanwhile shows as lag that is gone, never as a lane ahead of its commands.
    outcomes = {partition: log.stable_end(topics.outcomes, partition) for partition in range(count)}
    last = _last_outcomes(log, topics, outcomes)
    for partition in range(count):
        decided, term = last.get(partition, (0, 0))
        decided = max(decided, log.saved(lane_reader(topics), topics.commands, partition) or 0)
        commands = max(log.stable_end(topics.commands, partition), decided)
        events = log.stable_end(topics.events, partition)
        owner = owners.get(partition, "")
        standing.partitions.append(
            PartitionStanding(partition, commands, decided, events, outcomes[partition], term, owner)
        )
    if _kept(log, topics.outcomes) <= SEARCHED_MOST:
        standing.stopped = stops_in(log, machine, progress).found()
    elif (facts := _kept(log, topics.snapshots)) <= FACTS_MOST:
        standing.stopped = {each.id: each.stopped() for each in listed(log, machine, progress)}
    else:
        standing.unread = facts
    return standing


def _kept(log: Log, topic: str) -> int:
    return sum(log.stable_end(topic, p) - log.beginning(topic, p) for p in range(log.partitions(topic)))


def _last_outcomes(log: Log, topics: Topics, ends: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """By partition, the offset behind the last decided command and the lane's term; nothing where no outcome is left."""
    beginnings = {partition: log.beginning(topics.outcomes, partition) for partition in ends}
    found: dict[int, tuple[int, int]] = {}
    tail = TAIL
    while missing := {p: max(beginnings[p], end - tail) for p, end in ends.items() if p not in found}:
        wanted = {p: start for p, start in missing.items() if start < ends[p]}
        for partition, records in read_tails(log, topics.outcomes, wanted, ends).items():
            for record in records:
                try:
                    outcome = read_outcome(record.value)
                except DataError:
                    continue  # another program's: told by --deep
                decided, term = found.get(partition, (0, 0))
                found[partition] = max(decided, outcome.cause + 1), max(term, outcome.term)
        for partition, start in missing.items():
            if start == beginnings[partition] and partition not in found:
                found[partition] = 0, 0  # there is none
        tail *= MORE
    return found


def read_tails(log: Log, topic: str, starts: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, list[Recorded]]:
    """The records of each partition from its start to its end, read by one follower. Raises TimedOut where it stalls."""
    read: dict[int, list[Recorded]] = {partition: [] for partition in starts}
    if not starts:
        return read
    follower = log.follow(topic, starts)
    try:
        while behind := [p for p, at in follower.positions.items() if at < ends[p]]:
            before = dict(follower.positions)
            for partition, records in follower.poll(POLL_MOST, STALLED_S).items():
                read[partition] += [record for record in records if record.offset < ends[partition]]
            if dict(follower.positions) == before:
                at = ", ".join(f"{topic}[{p}]@{before[p]}" for p in behind)
                raise TimedOut(
                    f"{at} yields nothing for {STALLED_S:.0f} s. Usually a producer holds a transaction open there"
                )
    finally:
        follower.close()
    return read


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


def shortened(partitions: Sequence[int]) -> str:
    """Partition numbers, runs of them as first-last."""
    runs: list[list[int]] = []
    for number in partitions:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
