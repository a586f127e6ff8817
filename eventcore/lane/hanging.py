"""Ending what a crash of the log left undecided, before the lane is read back.

A log may lose the end of a transaction (`MendingWriter`), in some topics of a lane and not in others. What is known then:

G1  A commit was begun only when the log had every record of the transaction. So one that lacks records was never
    acknowledged, and may be ended as aborted.
G2  A transaction goes on from what was decided before, and its last outcome counts the events up to there. So if the last
    outcome counts exactly the events there are, what hangs taken in, either all of it is there, or the part that is there
    is a whole turn after another: it may be ended as committed. Acknowledged or not, nobody was told anything else.
G3  Where its end is there in one topic and missing in the other, the other one counts what hangs if it was committed, and
    does not if it was aborted (refusals, which have no events, may take either). It may count more: the next transaction
    is written before the end of this one is seen, its commit begins when this one's was acknowledged, and it may have its
    end. So what hangs first in a topic is compared with all that there is in the other, what stands behind taken in.
G4  Snapshots cannot be judged so. They are ended as committed together with the removal of the checkpoint: the lane is
    read from events and outcomes then, and writes all facts anew.

The rest is a limit: of two that hang, one after the other, the second is ended as the first. If that was wrong the lane
is not served, since its outcomes count other events than there are; nothing is hidden by it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from eventcore.avro.outcome import OutcomeRecord
from eventcore.lane.facts import LANE
from eventcore.lane.lineage import BEFORE_ALL, Kind, Placed, placed_in, standing_of
from eventcore.lane.restore import read_to
from eventcore.log.port import FILLER, Hanging, Log, MendingWriter, Record, Recorded
from eventcore.topics import Topics

logger = logging.getLogger(__name__)

BACK = 1_000  # records before what hangs, in which the lane's last one is looked for at first
NOTHING = Record(b"", None, None, 0, ((FILLER, b""),))


def mend(log: Log, writer: MendingWriter, topics: Topics, partition: int) -> None:
    """End what a crash left undecided in a lane that was just owned. Raises what reading and writing raise."""
    hanging = writer.hanging()
    if not hanging:
        return
    where = ", ".join(f"{topic}[{partition}]@{each.start}" for topic, each in sorted(hanging.items()))
    if topics.snapshots in hanging:
        logger.warning("a crash of the log left a transaction without its end at %s: the checkpoint is given up", where)
        writer.end_hanging({topics.snapshots: Record(LANE, None)}, commit=True)
    told = {topic: NOTHING for topic in (topics.events, topics.outcomes) if topic in hanging}
    if told:
        commit = whole(log, topics, partition, hanging)
        logger.warning(
            "a crash of the log left a transaction without its end at %s: it is %s",
            where,
            "all there, and ended as committed" if commit else "not all there, so nobody was told of it: aborted",
        )
        writer.end_hanging(told, commit=commit)


def whole(log: Log, topics: Topics, partition: int, hanging: Mapping[str, Hanging]) -> bool:
    """Whether events and outcomes each count what hangs first in the other (G2, G3)."""
    events, outcomes = _Last("events"), _Last("outcomes")
    first: dict[str, int] = {}
    for topic, last in ((topics.events, events), (topics.outcomes, outcomes)):
        held = hanging.get(topic)
        end = log.stable_end(topic, partition) if held is None else held.start
        _read_last(log, topic, partition, end, last)
        if held is not None:
            last.take(held.records)
            first[topic] = last.count
            last.take(held.behind)
    return first.get(topics.events, 0) <= outcomes.count and first.get(topics.outcomes, 0) <= events.count


def _read_last(log: Log, topic: str, partition: int, end: int, last: _Last) -> None:
    """Read backwards, a longer piece each time, until one has a record of the lane's."""
    back, first = BACK, log.beginning(topic, partition)
    while not last.found:
        start = max(first, end - back)
        for records in read_to(log, topic, partition, end, start=start):
            last.take(records)
        if start == first:
            return
        back *= 10


class _Last:
    """The lane's last record of a topic, and how many events there are by it."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self._last: Placed = BEFORE_ALL
        self.found = False
        self.count = 0

    def take(self, records: Iterable[Recorded]) -> None:
        for record in records:
            if (placed := placed_in(record, self._kind)) is None:
                continue
            standing = standing_of(placed, self._last)
            if standing == "own" or (standing == "gap" and not self.found):
                self._last, self.found = placed, True
                self.count = placed.events if isinstance(placed, OutcomeRecord) else placed.sequence
