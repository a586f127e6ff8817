"""Every decision of a log in the order in which it was taken, before its events: what `redecide` decides again.

An outcome holds the command's bytes, its stamp and its id, and says by how many events the partition had come after it:
so events and outcomes of a partition are read side by side. An outcome that answers without deciding (a repeated command, a
conflict, an answer of the ledger of saga steps, one that waits) is no decision, and is said to be none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from eventcore.app.wiring import Machine
from eventcore.avro.control import is_control
from eventcore.avro.envelope import Envelope, SagaStep
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.check.redecide import Decision, PassedOver, Told, Turn
from eventcore.check.replay import Happened
from eventcore.cli.values import key_text
from eventcore.context import Context
from eventcore.cut import Position
from eventcore.errors import BrokenLog, DataError, DecodeError
from eventcore.lane.journal import RAISED
from eventcore.lane.lineage import BEFORE_ALL, Placed, standing_of_outcome
from eventcore.lane.memory import NOTHING_TO_UNDO, UNDONE
from eventcore.lane.restore import Progress, read_to
from eventcore.lane.restore_events import own_envelope
from eventcore.log.port import Log

Decode = Callable[[bytes], Any]
Numbered = tuple[int, Happened]


def decisions_in(log: Log, machine: Machine, progress: Progress) -> Iterator[Told]:
    """Yield what a log tells of a machine, partition by partition. Raises BrokenLog where records are missing or unreadable."""
    for partition in range(log.partitions(machine.topics.events)):
        yield from _of_partition(log, machine, partition, progress)


def events_in(log: Log, machine: Machine, progress: Progress) -> Iterator[Happened]:
    """Yield every event of a machine, partition by partition. Raises as `decisions_in` does."""
    for partition in range(log.partitions(machine.topics.events)):
        yield from (happened for _, happened in _events(log, machine, partition, progress))


def _of_partition(log: Log, machine: Machine, partition: int, progress: Progress) -> Iterator[Told]:
    events = _Ahead(_events(log, machine, partition, progress))
    ledger: set[SagaStep] = set()
    for at, key, outcome in _outcomes(log, machine, partition, progress):
        yield from events.up_to(outcome.events - _own_count(outcome))
        own = list(events.up_to(outcome.events))
        yield _told(machine, str(at), key, outcome, tuple(each.event for each in own), ledger)
        yield from own
    yield from events.rest()


def _own_count(outcome: OutcomeRecord) -> int:
    return 0 if outcome.details.repeated or outcome.details.kind != "accepted" else outcome.count


class _Ahead:
    """Events, taken as far as their number goes."""

    def __init__(self, events: Iterator[Numbered]) -> None:
        self._events = events
        self._next = next(events, None)

    def up_to(self, number: int) -> Iterator[Happened]:
        while self._next is not None and self._next[0] <= number:
            yield self._next[1]
            self._next = next(self._events, None)

    def rest(self) -> Iterator[Happened]:
        if self._next is not None:
            yield self._next[1]
            yield from (happened for _, happened in self._events)


def _events(log: Log, machine: Machine, partition: int, progress: Progress) -> Iterator[Numbered]:
    """The lane's own events with their numbers, foreign records passed over."""
    topic = machine.topics.events
    before: Placed = BEFORE_ALL
    for records in read_to(log, topic, partition, log.stable_end(topic, partition), progress):
        for record in records:
            at = Position(topic, partition, record.offset)
            try:
                before = envelope = own_envelope(record, at, before)
            except DecodeError:
                continue  # a record that no lane wrote changes nothing
            yield _event(machine, at, record.key, record.value, envelope)


def _event(machine: Machine, at: Position, key: bytes | None, value: bytes | None, envelope: Envelope) -> Numbered:
    try:
        event = machine.events.decode(value or b"")
    except DataError as bad:
        raise BrokenLog(str(at), f"the event cannot be read: {bad}") from bad
    last = envelope.index + 1 == envelope.count
    return envelope.sequence, Happened(str(at), key_text(key) or "", event, last)


def _outcomes(
    log: Log, machine: Machine, partition: int, progress: Progress
) -> Iterator[tuple[Position, str, OutcomeRecord]]:
    """The lane's own outcomes, from the first that is kept."""
    topic = machine.topics.outcomes
    before: Placed = BEFORE_ALL
    start, end = log.beginning(topic, partition), log.stable_end(topic, partition)
    for records in read_to(log, topic, partition, end, progress, start=start):
        for record in records:
            at = Position(topic, partition, record.offset)
            try:
                outcome = read_outcome(record.value)
            except DataError:
                continue  # no lane wrote it
            standing = standing_of_outcome(outcome, before)
            if standing == "foreign":
                continue
            if standing == "gap" and before is not BEFORE_ALL:
                missing = f"sequence {outcome.sequence} follows {before.sequence}: outcomes are missing between them"
                raise BrokenLog(str(at), missing)
            before = outcome
            yield at, key_text(record.key) or "", outcome


def _told(
    machine: Machine, at: str, key: str, outcome: OutcomeRecord, events: tuple[Any, ...], ledger: set[SagaStep]
) -> Told:
    details = outcome.details
    if (why := _no_decision(outcome, ledger)) is not None:
        return PassedOver(at, why)
    if details.step is not None:
        ledger.add(details.step)
    try:
        command = machine.commands.decode(details.command)
    except DataError as bad:
        return PassedOver(at, f"its command cannot be read: {bad}")
    match details.kind:
        case "accepted":
            was = Decision("accepted", events=events)
        case "refused":
            was = Decision("refused", details.reason or "")
        case "violated":
            was = Decision("violated", details.reason or "")
        case _:
            was = Decision("raised", details.message or "")
    return Turn(at, key, command, Context(outcome.stamp, outcome.command_id), was)


def _no_decision(outcome: OutcomeRecord, ledger: set[SagaStep]) -> str | None:
    """Why an outcome is none of the aggregate's decisions; None where it is one."""
    details = outcome.details
    if details.repeated:
        return "repeated: the answer to a command that was decided before"
    if is_control(details.command):
        return "an order of the operators'"
    if details.kind in ("conflict", "expired"):
        return f"{details.kind}: refused by its conditions"
    if details.kind == "parked" and details.reason != RAISED:
        return f"parked: {details.reason}"
    if details.step is not None and (
        details.step in ledger or details.reason == UNDONE or details.message == NOTHING_TO_UNDO
    ):
        return "answered by the ledger of saga steps"
    return None
