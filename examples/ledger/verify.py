"""Hold the read model to the bank: `python -m examples.ledger.verify --views ADDRESS`.

It reads two things only: the table `balances_by_day`, with plain SQL, and the balances that the bank printed. It knows
no amount and no event, and uses nothing of eventcore. For each account, day by day:

C1  There is a row for each day on which the bank printed a balance, and no other, with as many turns as balances.
C2  The sum of the movements up to the day meets one of the day's printed balances within TOLERANCE.
C3  That sum is exactly the row's balance.
C4  As many turns left a negative balance as the bank printed negative balances; see REORDERED.

A dropped event breaks C1, and C3 from its day on; a changed figure breaks the check that it takes part in. C3 and C4
speak of balances in the order of booking. Where a turn was booked after a later day (`backdated`), as when a transaction
was left out at first and sent afterwards, they cannot be compared with a statement, and are not: the report says for how
many accounts. C1 and C2 hold whatever the order.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from examples.ledger.bank_file import Printed, printed_balances

TOLERANCE = Decimal("0.70")  # the bank rounds each balance to 10 hellers; measured: the drift never exceeds this
SHOWN_MAX = 20  # accounts named on failure: the first says enough, more than a screenful nothing

# Within a day the file's order is not the bank's. Credits first is right for every account-day but these two, where it
# changes how many balances were negative (examples/ledger/data/README.md).
REORDERED: Mapping[tuple[str, date], int] = {("5740", date(1993, 6, 30)): 1, ("1539", date(1993, 9, 30)): -1}

QUERY = sa.text(
    "SELECT account, day, movement, balance, turns, below_zero, backdated FROM balances_by_day ORDER BY account, day"
)


class Day(NamedTuple):
    """A row of the table."""

    account: str
    day: date
    movement: Decimal
    balance: Decimal
    turns: int
    below_zero: int
    backdated: int


@dataclass
class Report:
    """What was found. `problems` has the first of each account; without any, all of it holds."""

    turns: int = 0
    days_met: int = 0
    negative_turns: int = 0
    negative_accounts: int = 0
    days_ending_below_zero: int = 0
    accounts_backdated: int = 0
    problems: list[str] = field(default_factory=list[str])

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts the bank."""
        return not self.problems

    def lines(self) -> Iterator[str]:
        """The report, for people."""
        yield f"{self.days_met:,} account-days met within {TOLERANCE} CZK"
        printed = "" if self.accounts_backdated or self.problems else " (as the bank printed them)"
        yield f"{self.negative_turns:,} negative running balances in {self.negative_accounts:,} accounts{printed}"
        yield f"{self.days_ending_below_zero:,} account-days ending below zero"
        if self.accounts_backdated:
            yield (
                f"{self.accounts_backdated:,} accounts had turns booked after a later day: their running balances, and how "
                "many were negative, follow the order of booking and are not compared with the bank's"
            )
        for problem in self.problems[:SHOWN_MAX]:
            yield f"WRONG: {problem}"
        if len(self.problems) > SHOWN_MAX:
            yield f"WRONG: and {len(self.problems) - SHOWN_MAX:,} more accounts"


def verify(views: str, printed: Printed) -> Report:
    """Hold the read model at the address `views` to what the bank printed."""
    return compare(read_days(views), printed)


def read_days(views: str) -> list[Day]:
    """Every row of the read model. Raises sqlalchemy.exc.SQLAlchemyError where it cannot be read."""
    engine = sa.create_engine(url_of(views), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [
            Day(account, date.fromisoformat(str(day)), Decimal(str(movement)), Decimal(str(balance)), *counts)
            for account, day, movement, balance, *counts in connection.execute(QUERY)
        ]


def url_of(views: str) -> str:
    """The SQLAlchemy URL of a views address; a file is opened for reading only, and never made."""
    scheme, _, rest = views.partition(":")
    if scheme == "sqlite":
        return f"sqlite:///file:{Path(rest).resolve()}?mode=ro&uri=true"
    return f"postgresql+psycopg:{rest}"


def compare(days: Sequence[Day], printed: Printed) -> Report:
    """Hold rows, in the order of account and day, to what the bank printed."""
    report = Report()
    expected: dict[str, set[date]] = {}
    for account, day in printed:
        expected.setdefault(account, set()).add(day)
    for account, group in groupby(days, lambda row: row.account):
        _compare_account(account, list(group), expected.pop(account, set()), printed, report)
    for account, missing in expected.items():
        report.problems.append(f"account {account}, {min(missing)}: no row; the bank knows {len(missing)} of its days")
    return report


def _compare_account(account: str, rows: list[Day], expected: set[date], printed: Printed, report: Report) -> None:
    problems = [(day, "no row, and the bank printed a balance") for day in expected - {row.day for row in rows}]
    out_of_order: list[tuple[date, str]] = []
    total = Decimal(0)
    for row in rows:
        total += row.movement
        balances = printed.get((account, row.day), ())
        off = min((abs(total - balance) for balance in balances), default=None)
        if off is None:
            problems.append((row.day, "a row, and the bank printed no balance"))
        elif row.turns != len(balances):
            problems.append((row.day, f"{row.turns} turns, and the bank printed {len(balances)} balances"))
        elif off > TOLERANCE:
            problems.append((row.day, f"the movements sum up to {total}, {off} away from the nearest printed balance"))
        else:
            report.days_met += 1
        negative = sum(balance < 0 for balance in balances) + REORDERED.get((account, row.day), 0)
        if row.balance != total:
            out_of_order.append((row.day, f"the balance is {row.balance}, and the movements sum up to {total}"))
        elif row.below_zero != negative:
            out_of_order.append((row.day, f"{row.below_zero} negative balances, and the bank had {negative}"))
        report.turns += row.turns
        report.negative_turns += row.below_zero
        report.days_ending_below_zero += total < 0
    report.negative_accounts += any(row.below_zero for row in rows)
    backdated = next((row for row in rows if row.backdated), None)
    if backdated is None:
        problems += out_of_order
    elif out_of_order:
        report.accounts_backdated += 1
    else:
        problems.append((backdated.day, "a turn is said to be booked after a later day, and no balance shows it"))
    if problems:
        day, problem = min(problems)
        report.problems.append(f"account {account}, {day}: {problem}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; 0 where all of it holds, 1 where something does not, 2 where the views cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m examples.ledger.verify", description="Hold the views to the bank.")
    parser.add_argument("--views", required=True, help="sqlite:PATH or postgresql://...")
    parser.add_argument("--until", type=date.fromisoformat, default=date.max, help="the last day that was sent")
    options = parser.parse_args(arguments)
    try:
        report = verify(options.views, printed_balances(options.until))
    except SQLAlchemyError as fault:
        print(f"verify: {fault}\nNext: replay the ledger into these views, python -m examples.ledger", file=sys.stderr)
        return 2
    for line in report.lines():
        print(line)
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
