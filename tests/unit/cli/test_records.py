"""Records are shown whatever their bytes."""

from hypothesis import given
from hypothesis import strategies as st

from eventcore.avro.envelope import HEAD as ENVELOPE_HEAD
from eventcore.avro.outcome import HEAD as OUTCOME_HEAD
from eventcore.cli.records import Schemas, read_record
from eventcore.log.port import Recorded
from tests.integration.cli.pantry import Added, app

EVENTS = app.wiring.machine("jar").events
TOPIC = "pantry.jar.events"
SCHEMAS = Schemas({(TOPIC, fingerprint): text for fingerprint, text in EVENTS.schemas.items()})
BAD = Schemas({(TOPIC, bytes(8)): '{"type": "nothing"}'})
HEADS = [b"", OUTCOME_HEAD, EVENTS.encode(Added("tea", 1))[:10], b"\xc3\x01" + bytes(8)]

RECORDS = st.builds(
    Recorded,
    offset=st.integers(0, 2**40),
    key=st.none() | st.binary(max_size=9),
    value=st.none() | st.builds(bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=90)),
    envelope=st.none() | st.builds(bytes.__add__, st.sampled_from([b"", ENVELOPE_HEAD]), st.binary(max_size=90)),
    time_ms=st.integers(-(2**63), 2**63 - 1),
)


@given(RECORDS, st.sampled_from([SCHEMAS, BAD]), st.sampled_from([TOPIC, "pantry.schemas", "another"]))
def test_every_record_has_a_line_and_says_its_type_or_its_problem(
    record: Recorded, schemas: Schemas, topic: str
) -> None:
    read = read_record(schemas, topic, 0, record)
    assert read.line().startswith(f"{topic}[0]@{record.offset}  ")
    assert bool(read.type) != bool(read.problem)
    assert read.data()["position"] == f"{topic}[0]@{record.offset}"


def test_an_event_is_read_with_the_schema_alone() -> None:
    read = read_record(SCHEMAS, TOPIC, 0, Recorded(7, b"a", EVENTS.encode(Added("rice", 3)), None, 0))
    assert read.line() == f'{TOPIC}[0]@7  1970-01-01T00:00:00.000Z  a  Added {{"kind":"rice","count":3}}'
