"""Parsing canonical form and the CRC-64-AVRO fingerprint of a schema, and the one text form that we write schemas in.

The fingerprint names a byte layout, not a meaning: the canonical form drops defaults, logical types, precision, scale,
aliases and docs. Source: Avro 1.12 specification, "Parsing Canonical Form for Schemas" and "Schema Fingerprints".
"""

from __future__ import annotations

import json
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED = frozenset({"record", "error", "enum", "fixed"})
WRITTEN = (  # the order of attributes in a written schema
    *("name", "namespace", "aliases", "type", "doc", "fields", "symbols", "items", "values", "size"),
    *("logicalType", "precision", "scale", "unit", "default"),
)
CRC_EMPTY = 0xC15D213AA4D7A795


def full_name(schema: dict[str, Json], enclosing: str) -> str:
    """The full name of a named type, `enclosing` being the namespace around it."""
    name = str(schema["name"])
    if "." in name:
        return name
    namespace = schema.get("namespace")
    space = namespace if isinstance(namespace, str) else enclosing
    return f"{space}.{name}" if space else name


def space_of(name: str) -> str:
    """The namespace of a full name, empty where it has none."""
    return name.rpartition(".")[0]


def canonical_form(schema: Json) -> str:
    """The parsing canonical form of a schema that is well formed."""
    return json.dumps(_canonical(schema, ""), ensure_ascii=False, separators=(",", ":"))


def fingerprint(schema: Json) -> bytes:
    """The CRC-64-AVRO fingerprint of a schema: eight bytes, little-endian, as they stand on the wire."""
    return crc64(canonical_form(schema).encode()).to_bytes(8, "little")


def crc64(data: bytes) -> int:
    """CRC-64-AVRO of `data` as an unsigned number."""
    crc = CRC_EMPTY
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def schema_text(schema: Json) -> str:
    """The stable JSON text of a schema: attributes in a fixed order, two spaces of indent, a newline at the end."""
    return json.dumps(_ordered(schema), indent=2, ensure_ascii=False) + "\n"


def _canonical(schema: Json, enclosing: str) -> Json:
    if isinstance(schema, list):
        return [_canonical(branch, enclosing) for branch in schema]
    if isinstance(schema, str):
        return schema if schema in PRIMITIVES or "." in schema or not enclosing else f"{enclosing}.{schema}"
    if not isinstance(schema, dict):
        raise TypeError(f"{schema!r} is no Avro schema")
    kind = schema["type"]
    if not isinstance(kind, str):
        return _canonical(kind, enclosing)
    if kind in NAMED:
        name = full_name(schema, enclosing)
        kept: dict[str, Json] = {"name": name, "type": kind}
        if kind == "enum":
            kept["symbols"] = schema["symbols"]
        elif kind == "fixed":
            kept["size"] = int(str(schema["size"]))
        else:
            kept["fields"] = [_field(field, space_of(name)) for field in _listed(schema["fields"])]
        return kept
    if kind == "array":
        return {"type": kind, "items": _canonical(schema["items"], enclosing)}
    if kind == "map":
        return {"type": kind, "values": _canonical(schema["values"], enclosing)}
    return _canonical(kind, enclosing)


def _field(field: Json, enclosing: str) -> Json:
    assert isinstance(field, dict), f"{field!r} is no field"
    return {"name": field["name"], "type": _canonical(field["type"], enclosing)}


def _listed(fields: Json) -> list[Json]:
    assert isinstance(fields, list), f"{fields!r} is no list of fields"
    return fields


def _ordered(schema: Json) -> Json:
    if isinstance(schema, list):
        return [_ordered(part) for part in schema]
    if isinstance(schema, dict):
        keys = [key for key in WRITTEN if key in schema] + sorted(key for key in schema if key not in WRITTEN)
        return {key: schema[key] if key == "default" else _ordered(schema[key]) for key in keys}
    return schema


def _table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (CRC_EMPTY if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _table()
