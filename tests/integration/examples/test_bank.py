"""The bank as a whole: its demonstration, its transfers, and money conserved at whatever moment one looks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventcore.app import Embedded
from examples.bank.account import CEILING, Credit, Deposit, Hold, accounts
from examples.bank.app import app
from examples.bank.balances import Balance, balances
from examples.bank.conservation import Money, money_is_conserved
from examples.bank.transfer import RequestTransfer, transfers

ROOT = Path(__file__).parents[3]
OWNERS = ("alice", "bob", "carol")


def demonstrate(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "examples.bank.demo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demonstration_tells_the_same_story_each_time(tmp_path: Path) -> None:
    story = demonstrate(tmp_path)
    for said in (
        "alice pays in 50,000: accepted",
        "bob takes out 30,000: refused: insufficient_funds",
        "receipt 17: accepted, as before",
        "rent is completed: hold done, credit done, settle done",
        "money is conserved: 0 <= 15,000 in flight <= 15,000 held <= 15,000 in transfers",
        "gift is compensated: hold undone, credit refused (violated: never_above_ceiling)",
        "bob       30,000 to spend       0 held   cut c1~~bank.account.events~",
        "money is conserved: 0 <= 0 in flight <= 0 held <= 0 in transfers",
    ):
        assert said in story
    assert demonstrate(tmp_path) == story


def status(bank: Embedded, transfer: str) -> str:
    progress = bank.saga(transfers, transfer)
    assert progress is not None
    return progress.status


def run_three_transfers(bank: Embedded) -> None:
    """One that completes, one that breaks the target's ceiling, one without funds; then the read model."""
    bank.send(accounts.to("alice", Deposit(500)))
    bank.send(accounts.to("carol", Deposit(CEILING - 100)))
    bank.send(transfers.to("completes", RequestTransfer("alice", "bob", 300)))
    bank.send(transfers.to("above", RequestTransfer("alice", "carol", 150)))
    bank.send(transfers.to("without", RequestTransfer("bob", "alice", 5_000)))
    bank.run_until_idle()
    assert [status(bank, name) for name in ("completes", "above", "without")] == [
        "completed",
        "compensated",
        "compensated",
    ]
    assert [bank.ask(balances, owner).row for owner in OWNERS] == [
        Balance("alice", 200),
        Balance("bob", 300),
        Balance("carol", CEILING - 100),
    ]
    verdict = bank.audit(money_is_conserved)
    assert verdict.holds
    assert verdict.summary == Money(credited=300, settled=300)


def test_transfers_complete_or_leave_no_trace() -> None:
    with app.open("memory:") as bank:
        run_three_transfers(bank)


def test_the_same_bank_runs_on_kafka_and_postgres(kafka: str, kafka_prefix: str, postgres_url: str) -> None:
    with app.open(f"kafka://{kafka}?prefix={kafka_prefix}", postgres_url, partitions=2) as bank:
        run_three_transfers(bank)


REQUESTS = st.builds(
    RequestTransfer,
    st.sampled_from(OWNERS),
    st.sampled_from(OWNERS),
    st.integers(1, 9) | st.integers(1, CEILING),
)


@settings(max_examples=30)
@given(st.lists(st.lists(REQUESTS, max_size=2), max_size=12))
def test_money_is_conserved_at_every_cut_while_transfers_run(rounds: list[list[RequestTransfer]]) -> None:
    with app.open("memory:", partitions=2) as bank:
        for owner, amount in zip(OWNERS, (100, CEILING // 2, CEILING - 5), strict=True):
            bank.send(accounts.to(owner, Deposit(amount)))
        requested = 0
        for requests in rounds:
            for request in requests:
                requested += bank.send(transfers.to(f"t{requested}", request)).accepted
            bank.step()
            verdict = bank.audit(money_is_conserved)
            assert verdict.holds, verdict
        bank.run_until_idle()
        assert {status(bank, f"t{number}") for number in range(requested)} <= {"completed", "compensated"}
        final = bank.audit(money_is_conserved).summary
        assert isinstance(final, Money)
        assert (final.in_flight, final.held, final.in_transfers) == (0, 0, 0)
        states = [bank.state(accounts, owner) for owner in OWNERS]
        assert sum(state.balance for state in states if state is not None) == 100 + CEILING // 2 + CEILING - 5


@pytest.mark.parametrize("stray", [Credit(7), Hold(7)])
def test_what_no_transfer_asked_for_is_found_by_the_audit(stray: Credit | Hold) -> None:
    with app.open("memory:") as bank:
        bank.send(accounts.to("alice", Deposit(10)))
        assert bank.audit(money_is_conserved).holds
        bank.send(accounts.to("alice", stray))
        assert not bank.audit(money_is_conserved).holds
