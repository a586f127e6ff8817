"""What fastavro makes of our own records, which begin with big-endian integers in `fixed` fields."""

from __future__ import annotations

import io
from typing import Any, cast

import fastavro

from eventcore.avro.canonical import Json
from eventcore.value import Value
from tests.properties.avro.oracle import definitions_in, plain, write

Layout = tuple[tuple[str, str, int, str], ...]


def written_by_fastavro(schema: Json, layout: Layout, record: Any, rest: Value) -> bytes:
    """The body that fastavro writes: fixed fields as bytes, then the fields of `rest`."""
    datum: dict[str, object] = {}
    for name, kind, size, _ in layout:
        given = getattr(record, name)
        datum[name] = given if kind == "Id" else given.to_bytes(size, "big")
    return write(schema, {**datum, **plain(rest, rest_of(schema, layout), definitions_in(schema))})


def read_by_fastavro(schema: Json, layout: Layout, body: bytes) -> dict[str, Any]:
    """What fastavro reads: fixed fields as integers again, everything else as it comes."""
    source = io.BytesIO(body)
    datum = cast("dict[str, Any]", fastavro.schemaless_reader(source, cast("Any", schema), None))
    assert not source.read(), "the body is longer than its schema says"
    for name, kind, _, _ in layout:
        if kind != "Id":
            datum[name] = int.from_bytes(datum[name], "big")
    return datum


def rest_of(schema: Json, layout: Layout) -> Json:
    """The schema without its fixed fields."""
    record = cast("dict[str, Any]", schema)
    return {**record, "fields": record["fields"][len(layout) :]}
