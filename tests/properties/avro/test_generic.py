"""The generic reader, against fastavro: our own records, and data of schemas that no value class could have."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, cast

import fastavro
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventcore.avro.canonical import fingerprint
from eventcore.avro.codec import codec_for
from eventcore.avro.generic import GenericReader
from eventcore.errors import DecodeError
from eventcore.testing.strategies import values_of
from tests.properties.avro.oracle import is_a, write
from tests.properties.avro.test_codec import mutants
from tests.strategies import value_classes

GENERATED = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def fastavro_reads(schema: object, body: bytes) -> object:
    """What fastavro reads, records of unions with several marked as ours."""
    read = fastavro.schemaless_reader(
        io.BytesIO(body), cast("Any", schema), None, return_record_name=True, return_record_name_override=True
    )
    return marked(read)


def marked(x: Any) -> object:
    """Turn fastavro's (name, record) into our record with `$type`."""
    if is_a(tuple, x):
        name, record = x
        return {"$type": name.rpartition(".")[2], **cast("dict[str, Any]", marked(record))}
    if is_a(dict, x):
        return {key: marked(item) for key, item in x.items()}
    if is_a(list, x):
        return [marked(item) for item in x]
    return "NaN" if is_a(float, x) and math.isnan(x) else x


@GENERATED
@given(st.data())
def test_it_reads_our_records_as_fastavro_does(data: st.DataObject) -> None:
    cls = data.draw(value_classes())
    codec = codec_for(cls, "shop.orders")
    reader = GenericReader(codec.text)
    assert (reader.name, reader.fingerprint) == (codec.name, codec.fingerprint)
    body = codec.encode(data.draw(values_of(cls)))
    assert marked(reader.read(body)) == fastavro_reads(codec.schema, body)


@GENERATED
@given(st.data())
def test_it_reads_foreign_data_as_fastavro_does(data: st.DataObject) -> None:
    schema, values = data.draw(foreign())
    reader = GenericReader(json.dumps(schema))
    assert reader.fingerprint == fingerprint(schema)
    body = write(schema, data.draw(values))
    assert marked(reader.read(body)) == fastavro_reads(schema, body)


@GENERATED
@given(st.data())
def test_a_broken_body_is_a_decode_error_or_a_value(data: st.DataObject) -> None:
    schema, values = data.draw(foreign())
    reader = GenericReader(json.dumps(schema))
    body = write(schema, data.draw(values))
    for broken in data.draw(st.lists(mutants(body), min_size=5, max_size=5)):
        try:
            reader.read(broken)
        except DecodeError as error:
            assert error.schema == reader.name  # noqa: PT017 - most mutants are errors, and some are none


Foreign = tuple[Any, st.SearchStrategy[Any]]  # a schema, and values for fastavro to write


@st.composite
def foreign(draw: st.DrawFn) -> Foreign:
    """A record schema with kinds that value classes have not: int, float, fixed, times, unions of anything."""
    return _record(draw, map("R{}".format, count()), 2)


def _record(draw: st.DrawFn, names: Iterator[str], depth: int) -> Foreign:
    name = next(names)
    fields = {f"f{i}": _any(draw, names, depth) for i in range(draw(st.integers(1, 4)))}
    schema = {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, (t, _) in fields.items()]}
    return schema, st.fixed_dictionaries({n: values for n, (_, values) in fields.items()})


def _any(draw: st.DrawFn, names: Iterator[str], depth: int) -> Foreign:
    kinds = [_leaf, _leaf, _fixed, *((_array, _map, _union, _record) if depth else ())]
    kind: Callable[[st.DrawFn, Iterator[str], int], Foreign] = draw(st.sampled_from(kinds))
    return kind(draw, names, depth - 1)


def _leaf(draw: st.DrawFn, _names: Iterator[str], _depth: int) -> Foreign:
    day = st.times()
    millis = st.times().map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000))
    at = st.datetimes()
    leaves: list[Foreign] = [
        ("null", st.none()),
        ("int", st.integers(-(2**31), 2**31 - 1)),
        ("float", st.floats(width=32)),
        ("double", st.floats()),
        ({"type": "int", "logicalType": "time-millis"}, millis),
        ({"type": "long", "logicalType": "time-micros"}, day),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, at),
        ({"type": "string", "logicalType": "unheard-of"}, st.text()),
        ({"type": "string", "logicalType": "date"}, st.text()),
    ]
    return draw(st.sampled_from(leaves))


def _fixed(draw: st.DrawFn, names: Iterator[str], _depth: int) -> Foreign:
    size = draw(st.integers(1, 5))
    return {"type": "fixed", "name": next(names), "size": size}, st.binary(min_size=size, max_size=size)


def _array(draw: st.DrawFn, names: Iterator[str], depth: int) -> Foreign:
    schema, values = _item(draw, names, depth)
    return {"type": "array", "items": schema}, st.lists(values, max_size=3)


def _map(draw: st.DrawFn, names: Iterator[str], depth: int) -> Foreign:
    schema, values = _item(draw, names, depth)
    return {"type": "map", "values": schema}, st.dictionaries(st.text(), values, max_size=3)


def _item(draw: st.DrawFn, names: Iterator[str], depth: int) -> Foreign:
    """A type that takes at least one byte."""
    made = _any(draw, names, depth)
    return made if takes_bytes(made[0]) else ("int", st.integers(0, 9))


def takes_bytes(schema: Any) -> bool:
    """Whether every value of a schema has bytes."""
    if schema == "null":
        return False
    fields = schema.get("fields") if hasattr(schema, "get") else None
    return fields is None or any(takes_bytes(field["type"]) for field in fields)


def _union(draw: st.DrawFn, names: Iterator[str], depth: int) -> Foreign:
    first, second = _record(draw, names, depth), _record(draw, names, depth)
    tagged = [st.tuples(st.just(schema["name"]), values) for schema, values in (first, second)]
    options: list[Foreign] = [
        ([first[0], "null", second[0]], st.one_of(st.none(), *tagged)),
        (["string", "null", "long"], st.text() | st.none() | st.integers(-(2**63), 2**63 - 1)),
        (["bytes", first[0]], st.binary() | tagged[0]),
    ]
    return draw(st.sampled_from(options))
