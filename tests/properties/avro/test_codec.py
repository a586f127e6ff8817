"""Generated codecs, over generated classes and values: fastavro's bytes, and back to the value."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventcore.annotations import shape_of
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.codec import Codec, codec_for
from eventcore.avro.reference import read_exactly
from eventcore.errors import DecodeError, InvalidValue
from eventcore.testing.strategies import values_of
from eventcore.validate import validate
from eventcore.value import Value
from tests.properties.avro.oracle import fastavro_bytes
from tests.properties.values.test_validators import STRANGERS
from tests.strategies import value_classes

NAMESPACE = "shop.orders"
GENERATED = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@GENERATED
@given(st.data())
def test_a_body_is_what_fastavro_writes_and_reads_back_as_the_value(data: st.DataObject) -> None:
    cls = data.draw(value_classes())
    codec = codec_for(cls, NAMESPACE)
    for value in data.draw(st.lists(values_of(cls), min_size=1, max_size=3)):
        validate(value)
        body = codec.encode(value)
        assert body == fastavro_bytes(cls, value, NAMESPACE)
        assert codec.write(value) == codec.head + body
        decoded = codec.decode(body)
        assert decoded == value
        validate(decoded)
        assert read_exactly(cls, codec.name, body, 0) == value


@GENERATED
@given(st.data())
def test_a_broken_body_is_a_decode_error_or_another_valid_value(data: st.DataObject) -> None:
    cls = data.draw(value_classes())
    codec = codec_for(cls, NAMESPACE)
    body = codec.encode(data.draw(values_of(cls)))
    for broken in data.draw(st.lists(mutants(body), min_size=5, max_size=5)):
        value = decoded(codec, broken)
        assert value == read_exactly_or_none(codec, broken)
        if value is not None:
            validate(value)
            assert codec.decode(codec.encode(value)) == value


def decoded(codec: Codec[Value], body: bytes) -> Value | None:
    """What the generated reader makes of `body`; None where it refuses. Any other exception fails the test."""
    try:
        return codec.decode(body)
    except DecodeError:
        return None


def read_exactly_or_none(codec: Codec[Value], body: bytes) -> Value | None:
    """The same, of the exact reader."""
    try:
        return read_exactly(codec.cls, codec.name, body, 0)
    except DecodeError:
        return None


def mutants(body: bytes) -> st.SearchStrategy[bytes]:
    """Bodies one step from `body`: cut, lengthened, a byte or a bit changed, bytes put in or taken out."""
    places = st.integers(0, len(body))
    junk = st.binary(max_size=3) | st.sampled_from([b"\xff" * 10, b"\x80" * 9 + b"\x01", b"\xfe\xff\xff\xff\x0f"])

    def put(at: int, taken: int, given_: bytes) -> bytes:
        return body[:at] + given_ + body[at + taken :]

    def flip(bit: int) -> bytes:
        at = bit // 8
        return body[:at] + bytes([body[at] ^ 1 << bit % 8]) + body[at + 1 :]

    steps = st.builds(put, places, st.integers(0, 2), junk) | places.map(lambda at: body[:at])
    return steps | st.integers(0, len(body) * 8 - 1).map(flip) if body else steps


@GENERATED
@given(st.data())
def test_a_catalogue_reads_what_it_writes(data: st.DataObject) -> None:
    cls = data.draw(value_classes())
    value = data.draw(values_of(cls))
    catalogue = Catalogue([cls], NAMESPACE)
    assert catalogue.decode(catalogue.encode(value)) == value


@GENERATED
@given(st.data())
def test_what_is_written_can_be_read_whatever_the_value(data: st.DataObject) -> None:
    cls = data.draw(value_classes())
    codec = codec_for(cls, NAMESPACE)
    value = data.draw(values_of(cls))
    fields: dict[str, Any] = {field.name: getattr(value, field.name) for field in shape_of(cls)}
    for name in fields:
        for stranger in data.draw(st.lists(st.sampled_from(STRANGERS), min_size=4, max_size=4)):
            try:
                body = codec.encode(cls(**{**fields, name: stranger}))
            except InvalidValue:
                continue
            validate(codec.decode(body))
