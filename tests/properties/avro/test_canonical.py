"""Canonical form and fingerprint, against fastavro's and avro's, on derived schemas and on those of the specification."""

from __future__ import annotations

import json
from typing import Any, cast

import avro.schema
import fastavro.schema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventcore.avro.canonical import Json, canonical_form, fingerprint, schema_text
from eventcore.avro.derive import schema_of
from tests.strategies import value_classes

FOREIGN: list[Json] = [
    "int",
    {"type": "string", "logicalType": "uuid"},
    ["null", "long", {"type": "map", "values": "bytes"}],
    {"type": "fixed", "name": "Id", "namespace": "a.b", "size": 16, "aliases": ["Old"]},
    {"type": "enum", "name": "E", "doc": "d", "symbols": ["A", "B"], "default": "A"},
    {"type": "array", "items": {"type": "enum", "name": "x.E", "symbols": ["A"]}},
    {
        "type": "record",
        "name": "Tree",
        "namespace": "a",
        "doc": "d",
        "fields": [
            {"name": "left", "type": ["null", "Tree"], "default": None, "order": "ignore"},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "namespace": "b", "symbols": ["X"]}},
            {"name": "again", "type": "b.Kind", "doc": "d"},
            {
                "name": "inner",
                "type": {"type": "record", "name": "c.Inner", "fields": [{"name": "t", "type": "a.Tree"}]},
            },
        ],
    },
]


def agrees_with_oracles(schema: Json) -> None:
    """Hold our canonical form and fingerprint of `schema` against two libraries."""
    form = canonical_form(schema)
    assert form == fastavro.schema.to_parsing_canonical_form(cast("Any", schema))
    assert form == avro.schema.parse(form).canonical_form  # of the schema itself it keeps {"type": "string"}, a mistake
    assert fingerprint(schema).hex() == fastavro.schema.fingerprint(form, "CRC-64-AVRO")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_canonical_form_and_fingerprint_are_those_of_two_libraries(data: st.DataObject) -> None:
    schema = schema_of(data.draw(value_classes()), "shop.orders")
    agrees_with_oracles(schema)
    assert json.loads(schema_text(schema)) == schema
    assert fingerprint(json.loads(schema_text(schema))) == fingerprint(schema)


@pytest.mark.parametrize("schema", FOREIGN, ids=str)
def test_foreign_schemas_have_the_same_canonical_form_too(schema: Json) -> None:
    agrees_with_oracles(schema)


def test_the_fingerprint_stands_in_wire_order() -> None:
    assert fingerprint("int").hex() == "8f5c393f1ad57572"
