"""The turns of a topic as they happened: whose, by which command, from which state to which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eventcore.app.wiring import Machine
from eventcore.check.overlay import UNNAMED, Seen
from eventcore.cli.values import key_text
from eventcore.cut import Position
from eventcore.errors import BrokenLog, DataError, DecodeError
from eventcore.lane.lineage import BEFORE_ALL, Placed
from eventcore.lane.restore import Progress, read_to
from eventcore.lane.restore_events import own_envelope
from eventcore.log.port import Log, Recorded


def turns_in(log: Log, machine: Machine, progress: Progress) -> Iterator[Seen]:
    """Yield every turn that left events, partition by partition, in the order of each.

    The command's name is empty where its record is no longer kept. Foreign records are passed over. Raises BrokenLog at an
    event of ours that does not decode or fold.
    """
    for partition in range(log.partitions(machine.topics.events)):
        yield from _of_partition(log, machine, partition, progress)


def _of_partition(log: Log, machine: Machine, partition: int, progress: Progress) -> Iterator[Seen]:
    topic = machine.topics.events
    names = _commands(log, machine, partition, progress)
    states: dict[bytes, Any] = {}
    last: Placed = BEFORE_ALL
    before: Any = None
    for records in read_to(log, topic, partition, log.stable_end(topic, partition), progress):
        for record in records:
            at = Position(topic, partition, record.offset)
            try:
                last = envelope = own_envelope(record, at, last)
            except DecodeError:
                continue  # a record that no lane wrote changes nothing
            assert record.key is not None, "an event of ours has a key"
            state = states.get(record.key)
            state = machine.aggregate.initial() if state is None else state
            before = state if envelope.index == 0 else before
            states[record.key] = after = _folded(machine, at, record, state)
            if envelope.index + 1 == envelope.count:
                name = names.get(envelope.cause, UNNAMED)
                yield Seen(str(at), key_text(record.key) or "", before, name, after)


def _folded(machine: Machine, at: Position, record: Recorded, state: Any) -> Any:
    try:
        return machine.aggregate.evolve(state, machine.events.decode(record.value or b""))
    except Exception as fault:
        raise BrokenLog(str(at), f"the event does not fold: {type(fault).__name__}: {fault}") from fault


def _commands(log: Log, machine: Machine, partition: int, progress: Progress) -> dict[int, str]:
    """The name of the command at each offset that is still kept."""
    topic = machine.topics.commands
    names: dict[int, str] = {}
    end = log.stable_end(topic, partition)
    for records in read_to(log, topic, partition, end, progress, start=log.beginning(topic, partition)):
        for record in records:
            try:
                names[record.offset] = type(machine.commands.decode(record.value or b"")).__name__
            except DataError:
                continue  # a word from the operators to the lane, or what somebody else wrote
    return names
