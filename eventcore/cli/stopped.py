"""Which instances are quarantined, as their lanes' outcomes tell.

An instance that was stopped because somebody else wrote to its topic shows once a command for it was parked.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventcore.avro.outcome import OutcomeRecord
from eventcore.lane.journal import QUARANTINED, RAISED


@dataclass
class Stopped:
    """A quarantined instance: why, where it began, and how many of its commands are parked."""

    id: str
    why: str
    at: str
    parked: int = 0


def take_stop(stopped: dict[str, Stopped], outcome: OutcomeRecord, id_: str, at: str) -> None:
    """Note what one outcome tells of its instance, which the command at `at` concerned."""
    details = outcome.details
    if details.kind == "violated" and details.detail == QUARANTINED:
        stopped.setdefault(id_, Stopped(id_, f"violated {details.reason}", at))
    elif details.kind == "parked" and details.reason in {RAISED, QUARANTINED}:
        stopped.setdefault(id_, Stopped(id_, details.message or details.reason or "", at)).parked += 1
