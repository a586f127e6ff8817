"""Telling a stranger's event from a lane's own after the fact, for readers that keep no account of sequences."""

from __future__ import annotations

from eventcore.avro.envelope import read_envelope
from eventcore.cut import Position
from eventcore.errors import DataError
from eventcore.lane.lineage import BEFORE_ALL, Placed, standing_of_event
from eventcore.lane.restore import read_to
from eventcore.log.port import Log


class Strangers:
    """Says of single records of one events topic whether a lane wrote them. Belongs to one thread.

    It reads the partition from its beginning up to the record, and goes on from there when it is asked again: for
    records at which a reader would have to stop otherwise, never for each.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._read: dict[int, tuple[int, Placed]] = {}

    def wrote(self, at: Position) -> bool:
        """Whether the record at `at` is not the lane's. Ask in the order of offsets."""
        start, last = self._read.get(at.partition, (self._log.beginning(self._topic, at.partition), BEFORE_ALL))
        foreign = False
        for records in read_to(self._log, self._topic, at.partition, at.offset + 1, start=start):
            for record in records:
                try:
                    envelope = read_envelope(record.envelope)
                    foreign = standing_of_event(envelope, last) == "foreign"
                except DataError:
                    foreign = True
                else:
                    last = last if foreign else envelope
        self._read[at.partition] = at.offset + 1, last
        return foreign
