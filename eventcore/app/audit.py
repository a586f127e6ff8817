"""Audits: states folded from the log up to a cut, and global invariants judged on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

from eventcore.aggregate import Aggregate
from eventcore.app.invariant import GlobalInvariant, Part
from eventcore.app.wiring import Machine, Wiring
from eventcore.cut import Cut, Position
from eventcore.errors import BrokenLog
from eventcore.lane.restore import Progress, no_progress, read_to
from eventcore.lane.strangers import Strangers
from eventcore.log.port import Log
from sagas import Saga, open_data

Summary = TypeVar("Summary")


@dataclass(frozen=True)
class Verdict:
    """What became of a global invariant at a cut. `summary` is None where no instance existed."""

    invariant: str
    cut: Cut
    holds: bool
    summary: object
    instances: int

    def __str__(self) -> str:
        word = "holds" if self.holds else "is BROKEN"
        return f"{self.invariant} {word} over {self.instances} instances at {self.cut}: {self.summary}"


def states_at(log: Log, machine: Machine, cut: Cut, progress: Progress = no_progress) -> dict[str, Any]:
    """The state of every instance of a machine at a cut, by id.

    Foreign records are nobody's events, as they are to a lane. Raises BrokenLog where an event is missing, or does not
    decode or fold: then no state at all can be told. Whether some are missing before the very last record of the log, or
    that is a stranger's, nobody can tell: it is passed over.
    """
    states: dict[str, Any] = {}
    for partition in range(log.partitions(machine.topics.events)):
        _fold_partition(log, machine, partition, cut, states, progress)
    return states


def _fold_partition(
    log: Log, machine: Machine, partition: int, cut: Cut, states: dict[str, Any], progress: Progress
) -> None:
    aggregate, topic = machine.aggregate, machine.topics.events
    strangers = Strangers(log, topic, "events")
    strangers.stand({partition: 0})
    for records in read_to(log, topic, partition, cut[topic, partition], progress):
        for record in strangers.without(partition, records):
            id_ = (record.key or b"").decode(errors="backslashreplace")
            try:
                event = machine.events.decode(record.value or b"")
                states[id_] = aggregate.evolve(states[id_] if id_ in states else aggregate.initial(), event)
            except Exception as fault:
                where = Position(topic, partition, record.offset)
                raise BrokenLog(str(where), f"the event does not fold: {type(fault).__name__}: {fault}") from fault
    if strangers.in_doubt(partition):  # what follows tells, though it is not in the cut
        for records in read_to(log, topic, partition, log.stable_end(topic, partition), start=cut[topic, partition]):
            strangers.without(partition, records)
            if not strangers.in_doubt(partition):
                break


def judge(
    log: Log, wiring: Wiring, invariant: GlobalInvariant[Summary], cut: Cut, progress: Progress = no_progress
) -> Verdict:
    """Judge a global invariant at a cut, which must be consistent for the verdict to mean anything."""
    summaries: list[Summary] = []
    for part in invariant.parts:
        states = states_at(log, wiring.machine_of(part.of), cut, progress)
        summaries += _summaries(part, list(states.values()))
    if not summaries:
        return Verdict(invariant.name, cut, holds=True, summary=None, instances=0)
    total = reduce(invariant.combine, summaries)
    return Verdict(invariant.name, cut, bool(invariant.holds(total)), total, len(summaries))


def _summaries(part: Part[Any, Summary], states: list[Any]) -> list[Summary]:
    if isinstance(part.of, Aggregate):
        return [part.summarise(state) for state in states]
    assert isinstance(part.of, Saga), "a part is of an aggregate or a saga"
    return [part.summarise(data) for state in states if (data := open_data(state)) is not None]
