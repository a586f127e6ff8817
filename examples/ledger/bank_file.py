"""The bank's file, and the balances that the bank printed in it. Nothing of eventcore is needed to read either."""

from __future__ import annotations

import csv
import functools
import gzip
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

FILE = Path(__file__).parent / "data" / "trans.csv.gz"
IS_CREDIT = {"PRIJEM": True, "VYDAJ": False, "VYBER": False}

Line = dict[str, str]
"""A line of the file by the names in its header; data/README.md says what they mean."""

Printed = Mapping[tuple[str, date], Sequence[Decimal]]
"""The balances that the bank printed for each account and day."""


def lines(until: date = date.max) -> Iterator[Line]:
    """The lines of the file, in its order, up to and including the day `until`."""
    with gzip.open(FILE, "rt", encoding="ascii", newline="") as file:
        for line in csv.DictReader(file, delimiter=";"):
            if day_of(line) <= until:
                yield line


def day_of(line: Line) -> date:
    """The day that a line is about."""
    return _day(line["date"])


@functools.cache  # a million lines are about two thousand days
def _day(text: str) -> date:
    return datetime.strptime(text, "%y%m%d").date()  # noqa: DTZ007 - a day of the bank's, in no time zone


def printed_balances(until: date = date.max) -> Printed:
    """What the bank printed, up to and including the day `until`."""
    printed: dict[tuple[str, date], list[Decimal]] = {}
    for line in lines(until):
        printed.setdefault((line["account_id"], day_of(line)), []).append(Decimal(line["balance"]))
    return printed
