"""Replay the bank's ledger and hold the result to the bank: `make ledger`, or `python -m examples.ledger`.

Each of the bank's transactions is sent as one command with an id of its own, so it may be run as often as one likes,
broken off and started again: what was decided before is answered from its outcome. To begin anew, remove the folder.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from eventcore import EventcoreError
from eventcore.app import Embedded
from eventcore.errors import BrokenLog, NotSupported
from examples.ledger.app import app
from examples.ledger.bank_file import printed_balances
from examples.ledger.missing import missing_events
from examples.ledger.progress import Progress
from examples.ledger.transactions import Transaction, transactions
from examples.ledger.verify import url_of, verify
from projections import default_views_for

FOLDER = Path(".eventcore/ledger")
SEED = 1993  # which transactions are left out: the same each time, spread over the whole file
SECRET = re.compile(r"(?<=:)[^:/@]+(?=@)")  # the password in an address, which is not printed
IDLE_S = 600.0  # how long the read model may take to catch up: the whole ledger takes seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Send, project, verify and print; 0 where everything meets the bank's figures, 1 where it does not, 2 on a fault."""
    options = _options(arguments)
    if options.log is None:
        FOLDER.mkdir(parents=True, exist_ok=True)
    log = options.log or f"sqlite:{FOLDER / 'ledger.db'}"
    try:
        views = options.views or default_views_for(log)
        if views == "memory:":
            raise NotSupported("views in memory cannot be read from outside; name a database, as --views sqlite:PATH")
        return _run(log, views, options.until, options.leave_out)
    except BrokenLog as broken:
        print(f"ledger: {broken}", file=sys.stderr)
        for line in missing_events(log, broken.position):
            print(f"WRONG: {line}")
        return 1
    except (EventcoreError, SQLAlchemyError) as fault:
        print(f"ledger: {fault}", file=sys.stderr)
        return 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.ledger", description="Replay a real bank's ledger.")
    parser.add_argument("--log", help=f"sqlite:PATH or kafka://HOST:PORT?prefix=NAME; by default in {FOLDER}")
    parser.add_argument("--views", help="sqlite:PATH or postgresql://USER@HOST/DATABASE; by default beside the log")
    parser.add_argument("--until", type=date.fromisoformat, default=date.max, help="send up to this day only")
    parser.add_argument("--leave-out", type=int, default=0, metavar="N", help="leave out N transactions, to send later")
    return parser.parse_args(arguments)


def _run(log: str, views: str, until: date, left_out: int) -> int:
    shown = SECRET.sub("***", views)
    print(f"log     {log}\nviews   {shown}")
    everything = transactions(until)
    sent = _without(everything, left_out)
    with app.open(log, views) as ledger:
        if not _send(ledger, sent):
            return 1
        before = _turns(views)
        started_s = time.monotonic()
        ledger.run_until_idle(IDLE_S)
        passed_s = time.monotonic() - started_s
    projected = _turns(views) - before
    print(f"rows    {projected:,} events projected" + (f", {projected / passed_s:,.0f}/s" if projected else ""))
    if left_out:
        print(f"        not held to the bank: {len(everything) - len(sent):,} transactions were left out")
        return 0
    report = verify(views, printed_balances(until))
    for number, line in enumerate(report.lines()):
        print(f"{'' if number else 'bank':8}{line}")
    return 0 if report.holds else 1


def _without(everything: list[Transaction], count: int) -> list[Transaction]:
    """All but `count` transactions, spread over the file and the same each time."""
    left_out = set(random.Random(SEED).sample(range(len(everything)), min(count, len(everything))))  # noqa: S311 - not a secret
    return [transaction for number, transaction in enumerate(everything) if number not in left_out]


def _send(ledger: Embedded, sent: list[Transaction]) -> bool:
    """Send everything and print what became of it; False where a command was not accepted."""
    progress = Progress("commands", len(sent))
    counts: Counter[str] = Counter()
    for transaction, outcome in zip(sent, ledger.send_all(sent), strict=True):
        if not outcome.accepted:
            progress.close()
            print(f"WRONG: {transaction.command_id} for account {transaction.message.id} was {outcome}")
            return False
        counts["answered" if outcome.repeated else "new"] += 1
        progress.add()
    progress.close()
    print(
        f"sent    {progress.done:,} commands, {progress.rate:,.0f}/s: "
        f"{counts['new']:,} new, {counts['answered']:,} answered from earlier outcomes"
    )
    return True


def _turns(views: str) -> int:
    """How many turns the read model holds."""
    engine = sa.create_engine(url_of(views), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT coalesce(sum(turns), 0) FROM balances_by_day")).scalar_one())


if __name__ == "__main__":
    sys.exit(main())
