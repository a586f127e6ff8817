"""Our codecs beside fastavro on four shapes, values in and values out: `python -m benchmarks codec`.

Each figure is a median over runs through the same 1,000 different values, in nanoseconds a record. *ours* writes and
reads a framed record, checks bounds and the consumption of the whole body; *fastavro* writes and reads the body alone
(through hand-written conversions from and to the value, as a user of fastavro would write them); *dicts* is fastavro
without those conversions, which no user of values can have.
"""

from __future__ import annotations

import enum
import io
import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import fastavro
import msgspec
from msgspec import Meta

from benchmarks.measure import Row, runs
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.codec import codec_for
from eventcore.avro.envelope import ENVELOPE_SCHEMA, EVENT_FIXED, HEAD, NO_OPTIONS, NOTHING, Envelope, read_envelope
from eventcore.value import Digits, Value

RECORDS = 1_000
NAMESPACE = "bench.codec"
SMALL, MIXED = (">= 8x", ">= 3x"), (">= 3x", ">= 1.7x")  # goals: encode, decode


class Deposit(Value):
    """One field."""

    amount: Annotated[int, Meta(ge=0, le=1_000_000)]


class Reading(Value):
    """Ten plain fields."""

    station: str
    sensor: str
    count: int
    total: int
    low: float
    high: float
    valid: bool
    retried: bool
    note: str
    checksum: bytes


class Kind(enum.Enum):
    """A choice of three."""

    CARD = "card"
    CASH = "cash"
    WIRE = "wire"


class Place(Value):
    """A nested value."""

    city: str
    till: int


class Payment(Value):
    """Eight mixed fields with logical types."""

    account: str
    units: Annotated[int, Meta(ge=0, le=1_000_000)]
    settled: bool
    kind: Kind
    note: str | None
    place: Place
    at: datetime
    amount: Annotated[Decimal, Digits(12, 2)]


class Ways(NamedTuple):
    """One shape: its values, and how each contestant writes and reads them."""

    name: str
    values: Sequence[Any]
    schema: Any
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    to_dict: Callable[[Any], dict[str, Any]]
    from_dict: Callable[[dict[str, Any]], Any]
    goals: tuple[str, str] = ("", "")


def rows(*, full: bool = False) -> list[Row]:  # noqa: ARG001 - of one size only
    """Measure every shape in both directions."""
    return [row for ways in (_small(), _plain(), _mixed(), _envelope()) for row in _measure(ways)]


def _measure(ways: Ways) -> list[Row]:
    schema = fastavro.parse_schema(ways.schema)
    records = [ways.write(value) for value in ways.values]
    dicts = [ways.to_dict(value) for value in ways.values]
    bodies = [_fast_write(schema, one) for one in dicts]
    assert [record[10:] for record in records] == bodies, "the two must write the same bytes"
    assert [ways.read(record) for record in records] == list(ways.values), "what is read must be what was written"
    assert [ways.from_dict(_fast_read(schema, body)) for body in bodies] == list(ways.values)
    size = round(statistics.mean(map(len, bodies)))
    to_dict, from_dict = ways.to_dict, ways.from_dict
    writing = _medians(
        (ways.write, ways.values),
        (lambda value: _fast_write(schema, to_dict(value)), ways.values),
        (lambda one: _fast_write(schema, one), dicts),
    )
    reading = _medians(
        (ways.read, records),
        (lambda body: from_dict(_fast_read(schema, body)), bodies),
        (lambda body: _fast_read(schema, body), bodies),
    )
    return [
        _row(f"{ways.name} ({size} bytes), encode", writing, ways.goals[0]),
        _row(f"{ways.name} ({size} bytes), decode", reading, ways.goals[1]),
    ]


def _row(what: str, medians: list[float], goal: str) -> Row:
    ours, twin, dicts = medians
    note = f"fastavro from and to dicts: {dicts:,.0f} ns, {dicts / ours:.1f}x"
    return Row(what, f"{ours:,.0f} ns", f"{twin:,.0f} ns", f"{twin / ours:.1f}x", goal, note)


def _fast_write(schema: Any, datum: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, datum)
    return out.getvalue()


def _fast_read(schema: Any, body: bytes) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(body), schema, None)


def _medians(*jobs: tuple[Callable[[Any], object], Sequence[Any]]) -> list[float]:
    """Nanoseconds a call of each job, the jobs taking turns so that a busy moment hits all of them."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(runs()):
        for number, (call, arguments) in enumerate(jobs):
            begin = time.perf_counter_ns()
            for argument in arguments:
                call(argument)
            times[number].append((time.perf_counter_ns() - begin) / len(arguments))
    return [statistics.median(runs) for runs in times]


def _small() -> Ways:
    dice = random.Random(1)
    codec = codec_for(Deposit, NAMESPACE)
    values = [Deposit(dice.randint(64, 8_000)) for _ in range(RECORDS)]
    return _ways(
        "one field", values, codec.schema, lambda v: {"amount": v.amount}, lambda d: Deposit(d["amount"]), SMALL
    )


def _plain() -> Ways:
    dice = random.Random(2)
    codec = codec_for(Reading, NAMESPACE)
    values = [
        Reading(
            f"station-{dice.randint(1, 99)}",
            f"s{dice.randint(1, 9)}",
            dice.randint(0, 60),
            dice.randint(0, 5_000_000),
            dice.random(),
            dice.random() * 100,
            valid=dice.random() < 0.9,
            retried=dice.random() < 0.1,
            note="as usual",
            checksum=dice.randbytes(4),
        )
        for _ in range(RECORDS)
    ]
    return _ways("ten plain", values, codec.schema, msgspec.structs.asdict, lambda d: Reading(**d))


def _mixed() -> Ways:
    dice = random.Random(3)
    codec = codec_for(Payment, NAMESPACE)
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    values = [
        Payment(
            f"account-{dice.randint(1, 99_999)}",
            dice.randint(0, 8_000),
            dice.random() < 0.5,
            dice.choice(list(Kind)),
            dice.choice([None, "a short note"]),
            Place(dice.choice(["Paris", "Zürich", "Porto"]), dice.randint(1, 40)),
            begin + timedelta(seconds=number * 0.01, microseconds=dice.randint(0, 9_999)),
            Decimal(dice.randint(1, 999_999)).scaleb(-2),
        )
        for number in range(RECORDS)
    ]

    def to_dict(v: Payment) -> dict[str, Any]:
        return {
            "account": v.account,
            "units": v.units,
            "settled": v.settled,
            "kind": v.kind.value,
            "note": v.note,
            "place": {"city": v.place.city, "till": v.place.till},
            "at": v.at,
            "amount": v.amount,
        }

    def from_dict(d: dict[str, Any]) -> Payment:
        return Payment(
            d["account"],
            d["units"],
            d["settled"],
            Kind(d["kind"]),
            d["note"],
            Place(d["place"]["city"], d["place"]["till"]),
            d["at"],
            d["amount"],
        )

    return _ways("eight mixed", values, codec.schema, to_dict, from_dict, MIXED)


def _ways(
    name: str,
    values: Sequence[Value],
    schema: Any,
    to_dict: Callable[[Any], dict[str, Any]],
    from_dict: Callable[[dict[str, Any]], Any],
    goals: tuple[str, str] = ("", ""),
) -> Ways:
    catalogue = Catalogue([type(values[0])], NAMESPACE)
    return Ways(name, values, schema, catalogue.encode, catalogue.decode, to_dict, from_dict, goals)


def _envelope() -> Ways:
    dice = random.Random(4)
    values = [Envelope(dice.randbytes(16), n, 0, 1, 3, n, 2**57 + n, n, NOTHING) for n in range(1, RECORDS + 1)]
    widths = [(field["name"], field["type"]) for field in ENVELOPE_SCHEMA["fields"]]
    sizes = {"U16": 2, "U32": 4, "U64": 8}
    options = [name for name, kind in widths if isinstance(kind, list)]
    numbers = [(name, sizes[kind if isinstance(kind, str) else kind["name"]]) for name, kind in widths[1:8]]

    def to_dict(v: Envelope) -> dict[str, Any]:
        found: dict[str, Any] = {"command_id": v.command_id}
        for (name, size), number in zip(numbers, msgspec.structs.astuple(v)[1:8], strict=True):
            found[name] = number.to_bytes(size, "big")
        return found | dict.fromkeys(options)

    made: Any = Envelope

    def from_dict(d: dict[str, Any]) -> Any:
        return made(d["command_id"], *(int.from_bytes(d[name], "big") for name, _ in numbers), NOTHING)

    def write(v: Envelope) -> bytes:
        """As the lane's loop does it."""
        fixed = EVENT_FIXED.pack(HEAD, v.command_id, v.version, v.index, v.count, v.term, v.sequence, v.stamp, v.cause)
        return fixed + NO_OPTIONS

    return Ways("our envelope", values, ENVELOPE_SCHEMA, write, read_envelope, to_dict, from_dict)
