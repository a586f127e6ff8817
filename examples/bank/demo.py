"""The bank, told as a story: `make demo`, or `python -m examples.bank.demo`.

It runs on two SQLite files in a folder that is made anew each time, in one process and one thread. What it prints is
what happened: nothing here knows the outcome beforehand.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from eventcore.app import Embedded
from examples.bank.account import CEILING, Deposit, Withdraw, accounts
from examples.bank.app import app
from examples.bank.balances import balances
from examples.bank.conservation import Money, money_is_conserved
from examples.bank.transfer import RequestTransfer, transfers

FOLDER = Path(".eventcore/bank")
STEPS_MAX = 50  # a transfer takes about ten


def main() -> int:
    """Tell the story; 0 where money was conserved to the end."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    address = f"sqlite:{FOLDER / 'bank.db'}"
    print(f"A bank in {address}; an account may hold at most {CEILING:,} cents.")
    with app.open(address) as bank:
        paying_in_and_out(bank)
        conserved = a_transfer_that_completes(bank)
        a_transfer_that_breaks_the_ceiling(bank)
        read_model(bank)
        print("\nAt the end, with no transfer open:")
        conserved &= audit(bank)
    print(f"\nAsk it yourself:\n  .venv/bin/eventcore --app examples.bank.app:app --log {address} replay account alice")
    return 0 if conserved else 1


def paying_in_and_out(bank: Embedded) -> None:
    """Deposits, a withdrawal too many, and a command that is sent twice."""
    print("\nPaying in and out:")
    for owner, amount in [("alice", 50_000), ("bob", 20_000), ("carol", CEILING - 10_000)]:
        outcome = bank.send(accounts.to(owner, Deposit(amount)))
        print(f"  {owner} pays in {amount:,}: {outcome}")
    print(f"  bob takes out 30,000: {bank.send(accounts.to('bob', Withdraw(30_000)))}")
    for _ in range(2):
        outcome = bank.send(accounts.to("bob", Withdraw(5_000)), id="bob's cash machine, receipt 17")
        print(f"  bob takes out 5,000, receipt 17: {outcome}")


def a_transfer_that_completes(bank: Embedded) -> bool:
    """One transfer, looked at after each of its steps; return whether money was conserved at every cut."""
    print("\nA transfer of 15,000 from alice to bob, step by step:")
    bank.send(transfers.to("rent", RequestTransfer("alice", "bob", 15_000)))
    conserved, seen = True, ""
    for _ in range(STEPS_MAX):
        if (where := describe(bank, "rent")) != seen:
            seen = where
            print(f"  rent is {where}")
            conserved &= audit(bank)
        if (progress := bank.saga(transfers, "rent")) is None or not progress.open:
            return conserved
        bank.step()
    return False


def a_transfer_that_breaks_the_ceiling(bank: Embedded) -> None:
    """A credit that the target's invariant stops, so that the hold is undone."""
    print("\nA transfer of 20,000 from alice to carol, who may take only 10,000 more:")
    bank.send(transfers.to("gift", RequestTransfer("alice", "carol", 20_000)))
    bank.run_until_idle()
    print(f"  gift is {describe(bank, 'gift')}")


def read_model(bank: Embedded) -> None:
    """The balances, and the cut that they were read at."""
    print("\nThe read model:")
    for owner in ("alice", "bob", "carol"):
        answer = bank.ask(balances, owner)
        if answer.row is not None:
            print(f"  {owner:6}{answer.row.balance:>10,} to spend{answer.row.held:>8,} held   cut {answer.cut}")


def describe(bank: Embedded, transfer: str) -> str:
    """Where a transfer stands, in words."""
    progress = bank.saga(transfers, transfer)
    if progress is None:
        return "unknown"
    steps = [
        f"{step.name} {step.status}" + (f" ({step.verdict}: {step.reason})" if step.verdict else "")
        for step in progress.steps
    ]
    return f"{progress.status}: {', '.join(steps)}"


def audit(bank: Embedded) -> bool:
    """Judge that money is conserved at a cut taken now, and print the sums that it was judged by."""
    verdict = bank.audit(money_is_conserved)
    word = "money is conserved" if verdict.holds else "MONEY IS NOT CONSERVED"
    if isinstance(sums := verdict.summary, Money):
        print(
            f"    {word}: 0 <= {sums.in_flight:,} in flight <= {sums.held:,} held <= {sums.in_transfers:,} in transfers"
        )
    print(f"    at {verdict.cut}")
    return verdict.holds


if __name__ == "__main__":
    sys.exit(main())
