"""Telling strangers' records from a lane's own in a topic that is read on and on, as relays do (`lineage` says how).

A reader that starts again needs no account of sequences: where it saves the position right behind the last record of
the lane's own, that record is found again and says where the lane stood.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from eventcore.avro.envelope import Envelope
from eventcore.avro.outcome import OutcomeRecord
from eventcore.cut import Position
from eventcore.errors import BrokenLog, TimedOut
from eventcore.lane.lineage import BEFORE_ALL, Kind, Placed, placed_in, standing_of
from eventcore.lane.restore import STALLED_S, read_to
from eventcore.log.port import Log, Recorded


class _Gap(NamedTuple):
    """A record that seems to follow others that are missing, and where it is."""

    at: Position
    placed: Envelope | OutcomeRecord


class Strangers:
    """Passes over what no lane wrote in one topic of events or of outcomes. Belongs to one thread; `stand` first."""

    def __init__(self, log: Log, topic: str, kind: Kind) -> None:
        self._log = log
        self._topic = topic
        self._kind: Kind = kind
        self._last: dict[int, Placed | None] = {}  # None: the log has forgotten it, so the next record is believed
        self._gaps: dict[int, _Gap] = {}  # the last record since then that seems to leave others out

    def stand(self, positions: Mapping[int, int]) -> None:
        """Go on at these positions, each right behind a record of the lane's own; where it is not, all before is read.

        Raises LogUnavailable, TimedOut.
        """
        beginnings = {p: self._log.beginning(self._topic, p) for p in positions}
        self._gaps = {}
        self._last = {p: BEFORE_ALL if beginning == 0 else None for p, beginning in beginnings.items()}
        behind = {p: at - 1 for p, at in positions.items() if at > beginnings[p]}
        for partition, record in self._at(behind).items():
            if (placed := placed_in(record, self._kind)) is not None:
                self._last[partition] = placed
                del behind[partition]
        for partition in behind:
            start, end = beginnings[partition], positions[partition]
            for records in read_to(self._log, self._topic, partition, end, start=start):
                self.without(partition, records)

    def _at(self, offsets: Mapping[int, int]) -> dict[int, Recorded]:
        """The records at these offsets, one of each partition, read by one follower; without those that are not there."""
        found: dict[int, Recorded] = {}
        if not offsets:
            return found
        follower = self._log.follow(self._topic, offsets)
        try:
            while missing := [p for p, at in offsets.items() if follower.positions[p] <= at]:
                before = dict(follower.positions)
                for partition, records in follower.poll(len(missing), STALLED_S).items():
                    if records and records[0].offset == offsets[partition]:
                        found[partition] = records[0]
                if dict(follower.positions) == before:
                    at = ", ".join(str(Position(self._topic, p, offsets[p])) for p in missing)
                    raise TimedOut(f"{at} was read before, and yields nothing for {STALLED_S:.0f} s")
        finally:
            follower.close()
        return found

    def in_doubt(self, partition: int) -> bool:
        """Whether the next record is to tell if the last one was a stranger's."""
        return partition in self._gaps

    def without(self, partition: int, records: Collection[Recorded]) -> list[Recorded]:
        """The lane's own among the records that follow. Raises BrokenLog where some of them are missing.

        A record that seems to follow others which are missing may be a stranger's: it is passed over until the next tells.
        One that follows it shows that it was the lane's; one that follows the last before it, that nothing is missing.
        """
        last, gap, own = self._last[partition], self._gaps.get(partition), list[Recorded]()
        for record in records:
            if (placed := placed_in(record, self._kind)) is None:
                continue
            standing = "own" if last is None else standing_of(placed, last)
            if standing == "own":
                own.append(record)
                last, gap = placed, None
            elif last is not None and standing == "gap":
                if gap is not None and standing_of(placed, gap.placed) == "own":
                    missing = f"sequence {gap.placed.sequence} follows {last.sequence}"
                    raise BrokenLog(str(gap.at), f"{missing}: {self._kind} are missing between them")
                gap = _Gap(Position(self._topic, partition, record.offset), placed)
        self._last[partition] = last
        if gap is None:
            self._gaps.pop(partition, None)
        else:
            self._gaps[partition] = gap
        return own
