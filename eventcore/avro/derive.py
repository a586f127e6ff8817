"""Avro schemas from value classes: one mapping, small and strict, the same in every version of Python.

    bool      boolean                     Enum, Literal   enum, without an enum default
    int       long, whatever its bounds   X | None        ["null", X]
    float     double                      A | B           [A, B]
    str       string                      A | B | None    ["null", A, B]
    bytes     bytes                       tuple[X, ...]   array
    Decimal   bytes, decimal              frozenset[X]    array, its items in the order of their encoded bytes
    datetime  long, timestamp-micros      Map[X]          map, its keys in order
    date      int, date                   Value           record, by its name where it occurs again
    timedelta long, "unit": "microseconds"
    UUID      string, uuid

Docstrings are not written: a sentence mended in the code must not change a frozen file. Names come from the
namespace and the class, never from a module's path, so that code may move.
"""

from __future__ import annotations

import math
import re
from typing import Any

from eventcore.annotations import shape_of
from eventcore.avro.canonical import Json
from eventcore.avro.limits import TYPE_DEPTH_MAX
from eventcore.errors import NotSupported
from eventcore.shape import (
    Anything,
    Bool,
    Bytes,
    Choice,
    Day,
    Duration,
    Field,
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
from eventcore.value import Map, Value

FULL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

JsonSchema = dict[str, Any]  # a parsed schema of a record; what JSON holds at each key is the specification's business
Named = dict[str, object]  # full name -> the class, or the symbols, that bears it in this schema


def schema_of(cls: type[Value], namespace: str) -> JsonSchema:
    """The Avro schema of a value class, its named types in `namespace`.

    Raises NotSupported where the class cannot be written: unsupported types, two types of one name, items of no bytes.
    """
    if not FULL_NAME.fullmatch(namespace):
        raise NotSupported(f"{namespace!r} is no Avro namespace: names of letters, digits and _, joined by points.")
    schema = _record(cls, namespace, {}, 1)
    assert isinstance(schema, dict), "the first use of a record is its definition"
    return schema


def avro_name(cls: type, namespace: str) -> str:
    """The full Avro name of a class: its own `avro_name: ClassVar[str]`, otherwise `<namespace>.<ClassName>`."""
    own = cls.__dict__.get("avro_name")
    if own is None:
        return f"{namespace}.{cls.__name__}"
    if not isinstance(own, str) or "." not in own or not FULL_NAME.fullmatch(own):
        raise NotSupported(
            f"{cls.__name__}.avro_name is {own!r}; write a full Avro name, as 'bank.accounts.Deposited'."
        )
    return own


def bytes_min(shape: Shape) -> int:
    """The fewest bytes that a value of this shape takes on the wire; a reader's bound on counts of items."""
    match shape:
        case Float():
            return 8
        case Number():
            return 2
        case Ident():
            return 37
        case Record(cls):
            return sum(bytes_min(field.shape) for field in shape_of(cls))
        case _:
            return 1


def _record(cls: type[Value], namespace: str, named: Named, depth: int) -> Json:
    name = avro_name(cls, namespace)
    if depth > TYPE_DEPTH_MAX:
        raise NotSupported(f"{name}: values nested more than {TYPE_DEPTH_MAX} deep; hold the ids of the inner ones.")
    if name in named:
        if named[name] is not cls:
            raise _clash(name, cls.__name__)
        return name
    named[name] = cls
    fields: list[Json] = [_field(cls, field, namespace, named, depth + 1) for field in shape_of(cls)]
    return {"name": name, "type": "record", "fields": fields}


def _field(cls: type[Value], field: Field, namespace: str, named: Named, depth: int) -> Json:
    where = f"{cls.__name__}.{field.name}"
    written: dict[str, Json] = {"name": field.name, "type": _type(field.shape, where, namespace, named, depth)}
    if (default := _default(field.shape, field.default)) is not _NONE_WRITTEN:
        written["default"] = default
    return written


def _type(shape: Shape, where: str, namespace: str, named: Named, depth: int) -> Json:
    match shape:
        case Bool():
            return "boolean"
        case Int():
            return "long"
        case Float():
            return "double"
        case Str():
            return "string"
        case Bytes() | Anything():
            return "bytes"
        case Number(precision, scale):
            return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
        case Instant():
            return {"type": "long", "logicalType": "timestamp-micros"}
        case Day():
            return {"type": "int", "logicalType": "date"}
        case Duration():
            return {"type": "long", "unit": "microseconds"}
        case Ident():
            return {"type": "string", "logicalType": "uuid"}
        case Choice():
            return _enum(shape, namespace, named)
        case Maybe(OneOf(classes)):
            return ["null", *(_record(cls, namespace, named, depth) for cls in classes)]
        case Maybe(of):
            return ["null", _type(of, where, namespace, named, depth)]
        case OneOf(classes):
            return [_record(cls, namespace, named, depth) for cls in classes]
        case Many(of) | SetOf(of):
            return {"type": "array", "items": _items(of, where, namespace, named, depth)}
        case MapOf(of):
            return {"type": "map", "values": _items(of, where, namespace, named, depth)}
        case Record(cls):
            return _record(cls, namespace, named, depth)


def _items(of: Shape, where: str, namespace: str, named: Named, depth: int) -> Json:
    if bytes_min(of) == 0:
        raise NotSupported(
            f"{where}: its items take no bytes, so that a few bytes could claim any number of them. "
            "Store their count as an int, or give the item a field."
        )
    if depth > TYPE_DEPTH_MAX:
        raise NotSupported(f"{where}: types nested more than {TYPE_DEPTH_MAX} deep.")
    return _type(of, where, namespace, named, depth + 1)


def _enum(choice: Choice, namespace: str, named: Named) -> Json:
    name = f"{namespace}.{choice.name}"
    if name in named:
        if named[name] != choice.symbols:
            raise _clash(name, choice.name)
        return name
    named[name] = choice.symbols
    return {"name": name, "type": "enum", "symbols": list(choice.symbols)}


def _clash(name: str, cls: str) -> NotSupported:
    return NotSupported(
        f"two different types of one schema bear the Avro name {name}. Rename one of them, "
        f"or give a class {cls} its own name: avro_name: ClassVar[str] = '{name}2'."
    )


EMPTY: tuple[object, object] = ((), frozenset[object]())
_NONE_WRITTEN: Json = "\0 no default"  # a mark compared by identity; None is a default


def _default(shape: Shape, default: object) -> Json:
    """The default to write: only where it is exact, fits the first branch, and libraries read it alike."""
    match shape:
        case Maybe() if default is None:
            return None
        case Bool() if type(default) is bool:
            return default
        case Int(low, high) if type(default) is int and low <= default <= high:
            return default
        case Float() if type(default) is float and math.isfinite(default):
            return default
        case Str() if type(default) is str and default.isascii():
            return default
        case Choice(_, symbols, members, cls) if type(default) is (cls or str) and default in members:
            return symbols[members.index(default)]
        case Many() | SetOf() if default in EMPTY:
            return []
        case MapOf() if type(default) is Map and not default:
            return {}
        case _:
            return _NONE_WRITTEN
