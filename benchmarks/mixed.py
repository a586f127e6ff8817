"""The same job with larger records: payments of eight mixed fields, to the same accounts in the same rotation."""

from __future__ import annotations

import enum
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from benchmarks.job import ACCOUNTS, Job
from eventcore import Aggregate, Value, require
from eventcore.avro.envelope import command_envelope
from eventcore.log.port import Record
from eventcore.value import Digits

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
BODIES = 1_000  # different ones, in rotation


class Kind(enum.Enum):
    """A choice of three."""

    CARD = "card"
    CASH = "cash"
    WIRE = "wire"


class Place(Value):
    """A nested value."""

    city: str
    till: int


class Paid(Value):
    """Eight fields: text, a bounded number, a flag, a choice, an optional text, a record, a time, a decimal."""

    account: str
    units: Annotated[int, Meta(ge=0, le=1_000_000)]
    settled: bool
    kind: Kind
    note: str | None
    place: Place
    at: datetime
    amount: Annotated[Decimal, Digits(12, 2)]


class Pay(Value):
    """Ask for it: the same fields."""

    account: str
    units: Annotated[int, Meta(ge=0, le=1_000_000)]
    settled: bool
    kind: Kind
    note: str | None
    place: Place
    at: datetime
    amount: Annotated[Decimal, Digits(12, 2)]


class Till(Value):
    """What came in."""

    units: int = 0
    last: datetime = BEGIN


def decide(till: Till, command: Pay) -> list[Paid]:
    """Take what has units."""
    del till
    require(command.units > 0, "nothing_to_pay")
    return [
        Paid(
            command.account,
            command.units,
            command.settled,
            command.kind,
            command.note,
            command.place,
            command.at,
            command.amount,
        )
    ]


def evolve(till: Till, event: Paid) -> Till:
    """The sum after an event."""
    return Till(till.units + event.units, event.at)


def never_negative(till: Till) -> bool:
    """What comes in does not go out."""
    return till.units >= 0


tills = Aggregate("till", Till, decide, evolve, invariants=[never_negative])


def pay(n: int) -> Pay:
    """The nth command; one in five is refused."""
    return Pay(
        f"account-{n:05}",
        0 if n % 5 == 4 else 1 + n * 37 % 8_000,
        settled=n % 2 == 0,
        kind=list(Kind)[n % 3],
        note=None if n % 2 else "a short note",
        place=Place(("Paris", "Zürich", "Porto")[n % 3], 1 + n % 40),
        at=BEGIN + timedelta(microseconds=n * 12_345_678),
        amount=Decimal(1 + n * 7_919 % 999_999).scaleb(-2),
    )


def commands(count: int) -> list[Record]:
    """`count` encoded commands with ids of their own."""
    bodies = [MIXED.commands.encode(pay(n)) for n in range(BODIES)]
    keys = [f"till-{number:04}".encode() for number in range(ACCOUNTS)]
    return [
        Record(keys[n % ACCOUNTS], bodies[(n // ACCOUNTS + n) % BODIES], command_envelope(os.urandom(16)), 1)
        for n in range(count)
    ]


MIXED = Job.of("8 mixed fields", tills, commands)
