"""A client: sends commands through their topic and waits for outcomes, wherever the lanes run.

It follows the outcomes of a partition from the high watermark taken before the command was written, so no outcome is
missed, and no consumer group is needed. Whoever waits polls for everybody who waits on that partition: an outcome that
belongs to another waiter is put where that one looks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from eventcore.aggregate import Message
from eventcore.app.app import App
from eventcore.app.outcome import Outcome, command_id_of, command_record, outcome_of
from eventcore.app.wiring import Machine
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.cut import Cut
from eventcore.errors import DataError, OutcomeUnknown
from eventcore.lane.runner import wall_clock_ms
from eventcore.log.port import Follower, Log, Record
from eventcore.topics import partition_of

OUTCOME_S = 30.0  # a client's patience by default: a broker's restart and a lane's takeover fit in
IN_FLIGHT_MAX = 5_000  # commands sent and not answered: bounds the client's memory and a retry's size
POLL_S = 0.1  # how long one waiter polls for all before it looks whether it is done


@dataclass
class _Partition:
    """One followed partition of outcomes, and what was found for whoever waits.

    `end` is an end of the events, asked for when `finds` was what stands beside it: it holds the events of every outcome
    that had been found by then. So a batch of outcomes costs one question, not one each.
    """

    follower: Follower
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: set[bytes] = field(default_factory=set[bytes])
    found: dict[bytes, OutcomeRecord] = field(default_factory=dict[bytes, OutcomeRecord])
    finds: int = 0
    end: tuple[int, int] = (-1, 0)


class Client:
    """Sends commands of an app to whichever worker runs its lanes, and awaits their outcomes. Threads may share it."""

    def __init__(self, app: App, log: Log) -> None:
        self._wiring = app.wiring
        self._log = log
        self._lock = threading.Lock()
        self._partitions: dict[tuple[str, int], _Partition] = {}

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
        partition = self._partition_of(machine, record)
        waited = self._wait_on(machine, partition, [record])
        self._log.append(machine.topics.commands, partition, [record])
        return self._outcome(machine, partition, waited, record, time.monotonic() + timeout_s)

    def send_all(
        self, messages: Iterable[tuple[Message[Any], UUID | str | None]], *, timeout_s: float = OUTCOME_S
    ) -> Iterator[Outcome]:
        """Send (message, id) pairs in order, many in flight, and yield their outcomes in the same order.

        Commands of one instance are decided in the order given. `timeout_s` is the patience for each batch.
        """
        remaining = iter(messages)
        while batch := list(islice(remaining, IN_FLIGHT_MAX)):
            sent: list[tuple[Machine, int, Record]] = []
            groups: dict[tuple[str, int], list[Record]] = {}
            for message, id in batch:  # noqa: A001 - the field's word
                machine = self._wiring.machine(message.to)
                record = command_record(machine, message, wall_clock_ms(), id=command_id(id))
                partition = self._partition_of(machine, record)
                sent.append((machine, partition, record))
                groups.setdefault((machine.name, partition), []).append(record)
            waits = {
                (name, partition): self._wait_on(self._wiring.machine(name), partition, records)
                for (name, partition), records in groups.items()
            }
            for (name, partition), records in groups.items():
                self._log.append(self._wiring.machine(name).topics.commands, partition, records)
            deadline = time.monotonic() + timeout_s
            for machine, partition, record in sent:
                yield self._outcome(machine, partition, waits[machine.name, partition], record, deadline)

    def _partition_of(self, machine: Machine, record: Record) -> int:
        return partition_of(record.key, self._log.partitions(machine.topics.commands))

    def _wait_on(self, machine: Machine, partition: int, records: list[Record]) -> _Partition:
        """Note what is waited for, following the outcomes from a high watermark that is taken before it is sent."""
        at = (machine.topics.outcomes, partition)
        with self._lock:
            if at not in self._partitions:
                start = {partition: self._log.end(*at)}
                self._partitions[at] = _Partition(self._log.follow(at[0], start))
            waited = self._partitions[at]
        waited.waiting.update(_id_of(record) for record in records)
        return waited

    def _outcome(
        self, machine: Machine, partition: int, waited: _Partition, record: Record, deadline: float
    ) -> Outcome:
        command_id = _id_of(record)
        try:
            while command_id not in waited.found:
                if time.monotonic() > deadline:
                    raise OutcomeUnknown(
                        f"no outcome yet for command {UUID(bytes=command_id)} in {machine.topics.outcomes}[{partition}]. "
                        "It is sent and may yet be decided: ask again with the same id. Usually no worker runs its lane."
                    )
                if waited.lock.acquire(timeout=POLL_S):
                    try:
                        if command_id not in waited.found:
                            _poll(waited, partition)
                    finally:
                        waited.lock.release()
        finally:
            waited.waiting.discard(command_id)
        return outcome_of(waited.found.pop(command_id), self._cut(machine, partition, waited))

    def _cut(self, machine: Machine, partition: int, waited: _Partition) -> Cut:
        """A cut that holds the events of an outcome just seen: the end of the events that were written with it."""
        events = machine.topics.events
        finds, end = waited.finds, waited.end
        if end[0] != finds:
            waited.end = end = (finds, self._log.end(events, partition))
        return Cut({(events, partition): end[1]})

    def close(self) -> None:
        """Stop following; the log stays open, it was given."""
        with self._lock:
            for waited in self._partitions.values():
                waited.follower.close()
            self._partitions.clear()


def _poll(waited: _Partition, partition: int) -> None:
    records = waited.follower.poll(IN_FLIGHT_MAX, POLL_S).get(partition, ())
    waited.finds += bool(records)  # before anything is found: an end that was asked for earlier may not hold its events
    for record in records:
        try:
            outcome = read_outcome(record.value)
        except DataError:
            continue  # not an outcome, so nobody waits for it; lanes and `log show` report foreign records
        if outcome.command_id in waited.waiting:
            waited.found[outcome.command_id] = outcome


def _id_of(record: Record) -> bytes:
    assert record.envelope is not None, "commands have envelopes"
    return record.envelope[10:26]


def command_id(given: UUID | str | None) -> UUID:
    """The id of a command as a UUID: a new random one where none is given."""
    return UUID(bytes=command_id_of(given))
