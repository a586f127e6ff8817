"""A client: sends commands through their topic and waits for outcomes, wherever the lanes run.

It follows the outcomes of a partition from the high watermark taken before the command was written, so no outcome is
missed, and no consumer group is needed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from eventcore.aggregate import Message
from eventcore.app.app import App
from eventcore.app.awaited import Awaited
from eventcore.app.outcome import Outcome, command_record, outcome_of
from eventcore.app.wiring import Machine
from eventcore.cut import Cut
from eventcore.errors import LogUnavailable, OutcomeUnknown
from eventcore.lane.runner import wall_clock_ms
from eventcore.log.port import Log, Record
from eventcore.topics import partition_of

OUTCOME_S = 30.0  # a client's patience by default: a broker's restart and a lane's takeover fit in
IN_FLIGHT_MAX = 5_000  # commands sent and not answered: bounds the client's memory and a retry's size


class _Place(NamedTuple):
    """Where a command is decided: the machine and the partition."""

    machine: Machine
    partition: int


class Client:
    """Sends commands of an app to whichever worker runs its lanes, and awaits their outcomes. Threads may share it."""

    def __init__(self, app: App, log: Log) -> None:
        self._wiring = app.wiring
        self._log = log
        self._lock = threading.Lock()
        self._awaited: dict[tuple[str, int], Awaited] = {}

    def send(
        self,
        message: Message[Any],
        *,
        id: UUID | str | None = None,  # noqa: A002 - the field's word
        expected_version: int | None = None,
        expires_after: timedelta | None = None,
        timeout_s: float = OUTCOME_S,
    ) -> Outcome:
        """Send one command and return its outcome.

        With the same `id` it may be sent again: it is decided once. Raises InvalidValue before anything is sent,
        OutcomeUnknown where no outcome is seen within `timeout_s` (ask again with the same id), LogUnavailable.
        """
        machine = self._wiring.machine(message.to)
        record = command_record(
            machine, message, wall_clock_ms(), id=id, expected_version=expected_version, expires_after=expires_after
        )
        place = self._place_of(machine, record)
        deadline = time.monotonic() + timeout_s
        awaited = self._awaited_at(place)
        awaited.expect([_id_of(record)])
        try:
            self._log.append(machine.topics.commands, place.partition, [record])
            taken = awaited.take(_id_of(record), deadline)
        except BaseException:
            awaited.give_up([_id_of(record)])
            raise
        return outcome_of(taken, self._cut(place, awaited))

    def send_all(
        self, messages: Iterable[tuple[Message[Any], UUID | str | None]], *, timeout_s: float = OUTCOME_S
    ) -> Iterator[Outcome]:
        """Send (message, id) pairs in order, many in flight, and yield their outcomes in the same order.

        Commands of one instance are decided in the order given. `timeout_s` is the patience for each batch.
        """
        remaining = iter(messages)
        while batch := list(islice(remaining, IN_FLIGHT_MAX)):
            sent: list[tuple[_Place, Record]] = []
            for message, id in batch:  # noqa: A001 - the field's word
                machine = self._wiring.machine(message.to)
                record = command_record(machine, message, wall_clock_ms(), id=id)
                sent.append((self._place_of(machine, record), record))
            yield from self._send_together(sent, timeout_s)

    def _send_together(self, sent: list[tuple[_Place, Record]], timeout_s: float) -> Iterator[Outcome]:
        groups: dict[_Place, list[Record]] = {}
        for place, record in sent:
            groups.setdefault(place, []).append(record)
        awaited: dict[_Place, Awaited] = {}
        taken = 0
        try:
            for place, records in groups.items():
                at = self._awaited_at(place)
                at.expect(_id_of(record) for record in records)
                awaited[place] = at
            for place, records in groups.items():
                self._log.append(place.machine.topics.commands, place.partition, records)
            deadline = time.monotonic() + timeout_s
            for place, record in sent:
                outcome = awaited[place].take(_id_of(record), deadline)
                taken += 1
                yield outcome_of(outcome, self._cut(place, awaited[place]))
        finally:  # whoever stops in the middle leaves nothing that is waited for
            for place, record in sent[taken:]:
                if place in awaited:
                    awaited[place].give_up([_id_of(record)])

    def _place_of(self, machine: Machine, record: Record) -> _Place:
        return _Place(machine, partition_of(record.key, self._log.partitions(machine.topics.commands)))

    def _awaited_at(self, place: _Place) -> Awaited:
        topics, partition = place.machine.topics, place.partition
        with self._lock:
            if (awaited := self._awaited.get((topics.outcomes, partition))) is None:
                awaited = Awaited(self._log, topics.outcomes, topics.events, partition)
                self._awaited[topics.outcomes, partition] = awaited
            return awaited

    def _cut(self, place: _Place, awaited: Awaited) -> Cut:
        """A cut that holds the events of an outcome just seen: the end of the events that were written with it."""
        try:
            return Cut({(place.machine.topics.events, place.partition): awaited.end_of_events()})
        except LogUnavailable as away:
            raise OutcomeUnknown(
                f"the command was decided, and then the log went away: ask again with the same id. {away}"
            ) from away

    def close(self) -> None:
        """Stop following; the log stays open, it was given."""
        with self._lock:
            for awaited in self._awaited.values():
                awaited.close()
            self._awaited.clear()


def _id_of(record: Record) -> bytes:
    assert record.envelope is not None, "commands have envelopes"
    return record.envelope[10:26]
