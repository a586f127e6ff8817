"""What takes a whole reading to tell: every record that was set aside, every foreign one, and where sagas stand.

Outcomes are read from the first to the last of each partition, and the sagas' events too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eventcore.app.audit import states_at
from eventcore.app.wiring import Machine
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.cli.stopped import Stopped, Stops
from eventcore.cli.survey import MachineStanding
from eventcore.cut import Cut, Position
from eventcore.errors import DataError
from eventcore.lane.backlog import BACKLOG_FULL, DISCARDED
from eventcore.lane.journal import QUARANTINED, RAISED
from eventcore.lane.restore import Progress, read_to
from eventcore.log.port import Log

BEHIND = frozenset({RAISED, QUARANTINED, BACKLOG_FULL, DISCARDED})  # parked for a quarantine, not set aside
SHOWN_MAX = 20  # of the records and sagas that are listed one by one; the counts tell of the others


@dataclass
class SetAside:
    """A command record that was parked because it could not be read or did not belong there."""

    at: str
    reason: str
    message: str


@dataclass
class Depths:
    """What a whole reading of one machine found."""

    stopped: dict[str, Stopped] = field(default_factory=dict[str, Stopped])
    set_aside: list[SetAside] = field(default_factory=list[SetAside])
    set_aside_count: int = 0
    foreign: int = 0
    sagas: dict[str, int] = field(default_factory=dict[str, int])
    stuck: list[str] = field(default_factory=list[str])
    problem: str = ""


def depths(log: Log, machine: Machine, standing: MachineStanding, progress: Progress) -> Depths:
    """Read one machine's outcomes, and a saga's events, up to where `standing` found them to end."""
    found, stops = Depths(), Stops()
    topic = machine.topics.outcomes
    for each in standing.partitions:
        start = log.beginning(topic, each.partition)
        for records in read_to(log, topic, each.partition, each.outcomes, progress, start=start):
            for record in records:
                try:
                    outcome = read_outcome(record.value)
                except DataError:
                    found.foreign += 1
                else:
                    at = str(Position(machine.topics.commands, each.partition, outcome.cause))
                    stops.take(record.key or b"", outcome, at)
                    _take(found, outcome, at)
    found.stopped = stops.found()
    if machine.saga is not None and standing.partitions:
        _count_sagas(log, machine, standing, found, progress)
    return found


def _take(found: Depths, outcome: OutcomeRecord, at: str) -> None:
    details = outcome.details
    if details.repeated or details.kind != "parked" or details.reason in BEHIND:
        return
    found.set_aside_count += 1
    if len(found.set_aside) < SHOWN_MAX:
        found.set_aside.append(SetAside(at, details.reason or "", details.message or ""))


def _count_sagas(log: Log, machine: Machine, standing: MachineStanding, found: Depths, progress: Progress) -> None:
    topic = machine.topics.events
    ends = Cut({(topic, each.partition): each.events for each in standing.partitions})
    try:
        states = states_at(log, machine, ends, progress)
    except DataError as broken:
        found.problem = f"its sagas cannot be counted: {broken}"
        return
    for id_, state in states.items():
        found.sagas[state.status] = found.sagas.get(state.status, 0) + 1
        if state.status == "stuck":
            found.stuck.append(id_)
