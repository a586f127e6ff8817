"""Tables from code: the commands and the events of an aggregate, with what a search found out about each."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.annotations import shape_of
from eventcore.check.diagram import Walk
from eventcore.shape import (
    LONG_MAX,
    LONG_MIN,
    Anything,
    Bool,
    Bytes,
    Choice,
    Day,
    Duration,
    Float,
    Ident,
    Instant,
    Int,
    Many,
    MapOf,
    Maybe,
    Number,
    OneOf,
    Record,
    SetOf,
    Shape,
    Str,
)
from eventcore.value import Value

NONE = "-"


def command_table(aggregate: Aggregate[Any, Any, Any], found: Walk) -> str:
    """A Markdown table of commands: what each means, what it takes, which events follow, and why it may be refused."""
    rows = [
        (cls.__name__, _meaning(cls), _fields(cls), _of(found.events, cls), _of(found.refusals, cls))
        for cls in aggregate.command_checks
    ]
    return _table(("command", "means", "takes", "events", "refused"), rows) + _seen(found)


def event_table(aggregate: Aggregate[Any, Any, Any], found: Walk) -> str:
    """A Markdown table of events: what each means, what it holds, and which commands it follows from."""
    causes = {
        cls.__name__: sorted(command for command, events in found.events.items() if cls.__name__ in events)
        for cls in aggregate.event_checks
    }
    rows = [
        (cls.__name__, _meaning(cls), _fields(cls), _several(causes[cls.__name__])) for cls in aggregate.event_checks
    ]
    return _table(("event", "means", "holds", "follows from"), rows) + _seen(found)


def _seen(found: Walk) -> str:
    """What the table was made from, where that was not everything."""
    return f"\n*{found.caption}: what is not listed may happen there.*\n" if found.cut else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _meaning(cls: type[Value]) -> str:
    """The first sentence of the class's own docstring."""
    text = cls.__dict__.get("__doc__")
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split()) if text else NONE


def _fields(cls: type[Value]) -> str:
    return "<br>".join(f"`{field.name}`: {said(field.shape)}" for field in shape_of(cls)) or NONE


def _of(found: Mapping[str, Iterable[str]], cls: type[Value]) -> str:
    return _several(sorted(found.get(cls.__name__, ())))


def _several(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or NONE


def said(shape: Shape) -> str:
    """What a field may hold, in words."""
    match shape:
        case Int(low, high, step):
            return _int(low, high) + (f", a multiple of {step}" if step else "")
        case Choice(_, symbols, _, _):
            return " or ".join(symbols)
        case Maybe(of):
            return f"{said(of)}, or none"
        case Many(of):
            return f"list of ({said(of)})"
        case SetOf(of):
            return f"set of ({said(of)})"
        case MapOf(of):
            return f"map to ({said(of)})"
        case Record(cls):
            return cls.__name__
        case OneOf(classes):
            return " or ".join(cls.__name__ for cls in classes)
        case Number(precision, scale):
            return f"decimal({precision}, {scale})"
        case Bool() | Float() | Str() | Bytes() | Instant() | Day() | Duration() | Ident() | Anything():
            return WORDS[type(shape)]


WORDS: Mapping[type, str] = {
    Bool: "yes or no",
    Float: "float",
    Str: "text",
    Bytes: "bytes",
    Instant: "time",
    Day: "date",
    Duration: "duration",
    Ident: "UUID",
    Anything: "anything",
}


def _int(low: int, high: int) -> str:
    if low == LONG_MIN:
        return "int" if high == LONG_MAX else f"int, at most {high}"
    return f"int from {low}" if high == LONG_MAX else f"int from {low} to {high}"
