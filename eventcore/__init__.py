"""eventcore: services as explicit state machines, their turns written as Avro events to a log."""

from eventcore.aggregate import Aggregate, Invariant, Message, require
from eventcore.context import Context
from eventcore.cut import Cut, Position
from eventcore.errors import EventcoreError, Refusal
from eventcore.turn import Accepted, Refused, Violated, take_turn
from eventcore.value import Digits, Map, Value

__all__ = [
    "Accepted",
    "Aggregate",
    "Context",
    "Cut",
    "Digits",
    "EventcoreError",
    "Invariant",
    "Map",
    "Message",
    "Position",
    "Refusal",
    "Refused",
    "Value",
    "Violated",
    "require",
    "take_turn",
]
