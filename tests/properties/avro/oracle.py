"""What fastavro makes of a value: the value as fastavro's dicts, written by fastavro with the same schema."""

from __future__ import annotations

import io
from typing import Any, cast

import fastavro

from eventcore.annotations import shape_of
from eventcore.avro.canonical import Json
from eventcore.avro.codec import codec_for
from eventcore.shape import Choice, Duration, Many, MapOf, Maybe, OneOf, Record, SetOf, Shape
from eventcore.value import Map, Value

Definitions = dict[str, dict[str, Any]]


def fastavro_bytes(cls: type[Value], value: Value, namespace: str) -> bytes:
    """The body that fastavro writes for `value`."""
    schema = codec_for(cls, namespace).schema
    return write(schema, plain(value, schema, definitions_in(schema)))


def write(schema: Json, datum: object) -> bytes:
    """The body that fastavro writes for its own kind of datum."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, cast("Any", schema), datum, strict=True)
    return out.getvalue()


def plain(value: Value, schema: Any, names: Definitions) -> dict[str, object]:
    """A value as the dict that fastavro takes, for the record schema `schema`."""
    definition = names[schema] if isinstance(schema, str) else schema
    types = {field["name"]: field["type"] for field in definition["fields"]}
    return {f.name: _plain(f.shape, getattr(value, f.name), types[f.name], names) for f in shape_of(type(value))}


def _plain(shape: Shape, x: Any, schema: Any, names: Definitions) -> object:
    match shape:
        case Maybe() if x is None:
            return None
        case Maybe(OneOf()) | Maybe(Record()):
            return _branch(x, schema[1:], names)
        case Maybe(of):
            return _plain(of, x, schema[1], names)
        case OneOf():
            return _branch(x, schema, names)
        case Record():
            return plain(x, schema, names)
        case Many(of):
            return [_plain(of, item, schema["items"], names) for item in x]
        case SetOf(of):
            items = [_plain(of, item, schema["items"], names) for item in x]
            return sorted(items, key=lambda item: write(standalone(schema["items"], names), item))
        case MapOf(of):
            pairs = cast("Map[object]", x)
            return {key: _plain(of, item, schema["values"], names) for key, item in sorted(pairs.items())}
        case Choice(_, symbols, members):
            return symbols[members.index(x)]
        case Duration():
            return (x.days * 86_400 + x.seconds) * 1_000_000 + x.microseconds
        case _:
            return x


def _branch(value: Value, branches: list[Any], names: Definitions) -> tuple[str, dict[str, object]]:
    for branch in branches:
        name = branch if isinstance(branch, str) else branch["name"]
        if name.rpartition(".")[2] == type(value).__name__:
            return name, plain(value, branch, names)
    raise AssertionError(f"{value!r} belongs to no branch of {branches}")


def definitions_in(schema: Any) -> Definitions:
    """The named types of a schema, by full name."""
    found: Definitions = {}

    def walk(part: Any) -> None:
        if is_a(list, part):
            for branch in part:
                walk(branch)
        elif is_a(dict, part):
            if "name" in part and part.get("type") in ("record", "enum", "fixed"):
                found[part["name"]] = part
            for key in ("type", "items", "values", "fields"):
                if isinstance(part.get(key), (dict, list)):
                    walk(part[key])

    walk(schema)
    return found


def is_a(kind: type, part: object) -> bool:
    """Whether this part of a schema is of that kind; checkers narrow nothing by it, so that it stays `Any`."""
    return isinstance(part, kind)


def standalone(schema: Any, names: Definitions) -> Any:
    """A part of a schema, made whole: what it only names is spelled out at its first use."""
    spelled: set[str] = set()

    def whole(part: Any) -> Any:
        if is_a(list, part):
            return [whole(branch) for branch in part]
        if isinstance(part, str):
            return whole(names[part]) if part in names and part not in spelled else part
        if "name" in part and "fields" not in part and "symbols" not in part:
            return {**part, "type": whole(part["type"])}
        if "name" in part:
            if part["name"] in spelled:
                return part["name"]
            spelled.add(part["name"])
        return {k: whole(v) if k in ("items", "values", "fields") else v for k, v in part.items()}

    return whole(schema)
