"""A client: sends commands through their topic and waits for outcomes, wherever the lanes run.

Its commands bear an address at which it listens (`listening`), from before they are sent: so no outcome is missed, and no
consumer group is needed. A reply is told once and kept by nobody; half-way through its patience a client that has heard
nothing asks once more, with the same id, and is answered from the log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from eventcore import telemetry
from eventcore.aggregate import Message
from eventcore.app.app import App
from eventcore.app.awaited import Awaited, Heard
from eventcore.app.listening import Listening, Place
from eventcore.app.outcome import Outcome, command_record, outcome_of
from eventcore.errors import LogUnavailable, OutcomeUnknown, SystemFault
from eventcore.lane.runner import wall_clock_ms
from eventcore.log.port import Log, Record
from eventcore.topics import partition_of

logger = logging.getLogger("eventcore.client")

OUTCOME_S = 30.0  # a client's patience by default: a broker's restart and a lane's takeover fit in
IN_FLIGHT_MAX = 5_000  # commands sent and not answered: bounds the client's memory and a retry's size


class Client:
    """Sends commands of an app to whichever worker runs its lanes, and awaits their outcomes. Threads may share it."""

    def __init__(self, app: App, log: Log) -> None:
        self._wiring = app.wiring
        self._log = log
        self.listening = Listening(app.wiring, log)

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
        with telemetry.sending(self._wiring.machine(message.to).topics.commands, self._log) as span:
            place, record = self.addressed(
                message, id=id, expected_version=expected_version, expires_after=expires_after, trace=span.traceparent
            )
            span.sent(record, place.partition)
            began = time.monotonic()
            awaited = self.listening.at(place)
            awaited.expect([id_of(record)])
            try:
                self._append(place, [record])
                heard = self._take(awaited, [(place, record)], 0, began, timeout_s)
            except BaseException:
                awaited.give_up([id_of(record)])
                raise
            outcome = outcome_of(heard.outcome, self.listening.cut(place, heard))
            span.answered(outcome.kind)
            return outcome

    def addressed(
        self,
        message: Message[Any],
        *,
        id: UUID | str | None = None,  # noqa: A002 - the field's word
        expected_version: int | None = None,
        expires_after: timedelta | None = None,
        trace: str | None = None,
    ) -> tuple[Place, Record]:
        """The record that carries a message, with this client's address on it, and where it is to be decided."""
        machine = self._wiring.machine(message.to)
        record = command_record(
            machine,
            message,
            wall_clock_ms(),
            id=id,
            expected_version=expected_version,
            expires_after=expires_after,
            reply=self.listening.reply,
            trace=trace,
        )
        return Place(machine, partition_of(record.key, self._log.partitions(machine.topics.commands))), record

    def send_all(
        self, messages: Iterable[tuple[Message[Any], UUID | str | None]], *, timeout_s: float = OUTCOME_S
    ) -> Iterator[Outcome]:
        """Send (message, id) pairs in order, many in flight, and yield their outcomes in the same order.

        Commands of one instance are decided in the order given. `timeout_s` is the patience for each batch. Raises as `send`
        does; LogUnavailable where no command of a batch was sent, OutcomeUnknown where some of them were.
        """
        remaining = iter(messages)
        while batch := list(islice(remaining, IN_FLIGHT_MAX)):
            sent = [self.addressed(message, id=id) for message, id in batch]  # noqa: A001 - the field's word
            yield from self._send_together(sent, timeout_s)

    def _send_together(self, sent: list[tuple[Place, Record]], timeout_s: float) -> Iterator[Outcome]:
        groups: dict[Place, list[Record]] = {}
        for place, record in sent:
            groups.setdefault(place, []).append(record)
        awaited: dict[Place, Awaited] = {}
        taken = 0
        try:
            for place, records in groups.items():
                at = self.listening.at(place)
                at.expect(id_of(record) for record in records)
                awaited[place] = at
            self._append_all(groups)
            began = time.monotonic()
            for place, _ in sent:
                heard = self._take(awaited[place], sent, taken, began, timeout_s)
                taken += 1
                yield outcome_of(heard.outcome, self.listening.cut(place, heard))
        finally:  # whoever stops in the middle leaves nothing that is waited for
            for place, record in sent[taken:]:
                if place in awaited:
                    awaited[place].give_up([id_of(record)])

    def _take(
        self, awaited: Awaited, sent: Sequence[tuple[Place, Record]], at: int, began: float, timeout_s: float
    ) -> Heard:
        """Wait for the outcome of the command `at` this place among those sent.

        Half-way through, where replies may be lost, everything that is not answered yet is sent once more: a worker that
        stops between its commit and its replies leaves a whole batch without them.
        """
        command_id = id_of(sent[at][1])
        if (heard := awaited.next(command_id)) is not None:
            return heard
        if awaited.lossy and (half := began + timeout_s / 2) > time.monotonic():
            try:
                return awaited.take(command_id, half)
            except OutcomeUnknown:
                self.listening.doubt(awaited)
                if awaited.broken is None:
                    self._ask_again(awaited, sent[at:])
        return awaited.take(command_id, began + timeout_s)

    def _ask_again(self, awaited: Awaited, sent: Sequence[tuple[Place, Record]]) -> None:
        heard = set(awaited.found())
        groups: dict[Place, list[Record]] = {}
        for place, record in sent:
            if id_of(record) not in heard:
                groups.setdefault(place, []).append(record)
        try:
            for place, records in groups.items():
                self._append(place, records)
        except SystemFault as away:  # the first is sent all the same, and may yet be answered
            logger.info("commands could not be asked for again: %s", away)

    def _append_all(self, groups: Mapping[Place, Sequence[Record]]) -> None:
        for number, (place, records) in enumerate(groups.items()):
            try:
                self._append(place, records)
            except LogUnavailable as away:
                if not number:
                    raise  # nothing of this batch was written
                raise OutcomeUnknown(
                    f"{place.machine.topics.commands}[{place.partition}] cannot be written, and commands of the same batch "
                    f"were sent to {number} other partitions before: they may be decided. Ask again with the same ids"
                ) from away

    def _append(self, place: Place, records: Sequence[Record]) -> None:
        self._log.append(place.machine.topics.commands, place.partition, records)

    def close(self) -> None:
        """Stop listening; the log stays open, it was given."""
        self.listening.close()


def id_of(record: Record) -> bytes:
    """The id of a command, in its record."""
    assert record.envelope is not None, "commands have envelopes"
    return record.envelope[10:26]
