"""Which account's event a broken log lacks: outcomes say what was decided, events what of it is still there.

A lane that finds its log broken names a position. For a bank that is half an answer; this is the other half.
"""

from __future__ import annotations

from eventcore.avro.envelope import read_envelope
from eventcore.avro.outcome import read_outcome
from eventcore.cut import Position
from eventcore.lane.restore import read_to
from eventcore.log.address import open_log
from examples.ledger.account import Credit, Debit
from examples.ledger.app import app


def missing_events(log_address: str, position: str) -> list[str]:
    """A line for each accepted command of the partition of `position` whose event is not in the log."""
    machine = app.wiring.machine("account")
    partition = Position.parse(position).partition
    log = open_log(log_address)
    try:
        events, outcomes = machine.topics.events, machine.topics.outcomes
        there = {
            read_envelope(record.envelope).command_id
            for records in read_to(log, events, partition, log.stable_end(events, partition))
            for record in records
        }
        lines: list[str] = []
        for records in read_to(log, outcomes, partition, log.stable_end(outcomes, partition)):
            for record in records:
                outcome = read_outcome(record.value)
                if outcome.count and outcome.command_id not in there:
                    command = machine.commands.decode(outcome.details.command)
                    assert isinstance(command, (Credit, Debit)), "an account takes no other command"
                    lines.append(f"account {(record.key or b'').decode()}, {command.day}: the event is missing")
        return lines
    finally:
        log.close()
