"""What the judge judges: records as they stand in the log, decoded; commands as they were sent; answers as they were given.

Plain values, made by `reading` from a broker, and by the judge's own tests from a log that they have doctored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Event:
    """An event and its envelope."""

    partition: int
    offset: int
    instance: str
    name: str
    fields: Mapping[str, Any]
    command_id: bytes
    version: int
    index: int
    count: int
    term: int
    sequence: int
    cause: int


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome."""

    partition: int
    offset: int
    instance: str
    command_id: bytes
    kind: str
    reason: str | None
    repeated: bool
    version: int
    count: int
    term: int
    sequence: int
    cause: int
    events: int


class Machine(NamedTuple):
    """The committed records of one aggregate or saga: each partition in its order."""

    name: str
    events: list[Event]
    decisions: list[Decision]


class Sent(NamedTuple):
    """A command as its client sent it; `amount` is what its event must say."""

    command_id: bytes
    machine: str
    instance: str
    command: str
    amount: int


class Answered(NamedTuple):
    """What a client was told of its command: the last of the answers, and how often it was told something else before."""

    kind: str
    version: int
    contradictions: int
