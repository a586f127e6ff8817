"""`redecide`: a recorded bank through its second version lists exactly the decisions that changed, on any log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventcore.app import Embedded
from examples.bank.account import CEILING, Credit, Deposit, Hold, Release, Withdraw, accounts
from examples.bank.app import app as bank_app
from examples.bank.transfer import RequestTransfer, transfers
from tests.integration.cli.conftest import APP, Program

MENDED = "tests.integration.cli.mended:app"
BANK = "examples.bank.app:app"
POTS = "tests.unit.check.conserved:app"
BY = ("--by", "examples.bank.versions.closable:accounts")


def record(bank: Embedded) -> None:
    """Commands of every kind of end. Of these, the second version decides four otherwise."""
    for owner, amount in [("alice", 900_000), ("bob", 600_000), ("carol", CEILING)]:
        bank.send(accounts.to(owner, Deposit(amount)))
    bank.send(accounts.to("alice", Withdraw(600_000)))  # changed: accepted -> refused
    bank.send(accounts.to("bob", Withdraw(500_000)))  # the limit itself
    bank.send(accounts.to("bob", Withdraw(600_000)))  # changed: refused for another reason
    bank.send(accounts.to("carol", Deposit(1)))  # violates the ceiling, then as now
    bank.send(accounts.to("carol", Hold(CEILING)))  # changed
    bank.send(accounts.to("carol", Release(CEILING + 1)))  # refused, then as now
    for _ in range(2):
        bank.send(accounts.to("bob", Credit(10)), id="twice")  # one decision
    bank.send(transfers.to("rent", RequestTransfer("alice", "bob", 1_000)))
    bank.send(transfers.to("gift", RequestTransfer("alice", "carol", 1_000)))  # stopped by the ceiling and undone
    bank.run_until_idle()
    bank.send(accounts.to("carol", Withdraw(CEILING)))  # refused for want of money: changed as bob's was


def check_groups(data: dict[str, Any]) -> None:
    groups = {(group["command"], group["was"], group["now"]): group["count"] for group in data["groups"]}
    assert groups == {
        ("Withdraw", "accepted: Withdrawn", "refused: too_much_at_once"): 1,
        ("Withdraw", "refused: insufficient_funds", "refused: too_much_at_once"): 2,
        ("Hold", "accepted: Held", "refused: too_much_at_once"): 1,
    }
    assert (data["differing"], data["broken"], data["lost"]) == (4, [], 0)
    example = next(group["example"] for group in data["groups"] if group["was"] == "accepted: Withdrawn")
    assert example["instance"] == "alice"
    assert example["before"].startswith("Account(balance=900000, held=0")
    assert example["was"] == "accepted: Withdrawn(amount=600000)"
    assert example["position"].startswith("bank.account.outcomes[")


def test_exactly_the_changed_decisions_of_a_recorded_bank_are_listed(program: Program) -> None:
    with bank_app.open("sqlite:bank.db") as bank:
        record(bank)
    ran = program("redecide", "account", *BY, "--json", app=BANK)
    assert (ran.code, ran.err) == (1, "")
    check_groups(ran.data)
    shown = program("redecide", "account", *BY, app=BANK).out
    assert shown.startswith(f"account: {ran.data['turns']:,} recorded commands decided again, 4 differ\n")
    assert "Withdraw, 2 times: refused: insufficient_funds -> refused: too_much_at_once" in shown


@pytest.mark.parametrize("of", ["account", "transfer"])
def test_the_code_that_recorded_a_log_decides_all_of_it_the_same_again(program: Program, of: str) -> None:
    with bank_app.open("sqlite:bank.db") as bank:
        record(bank)
    ran = program("redecide", of, "--json", app=BANK)
    assert (ran.code, ran.data["differing"], ran.data["broken"]) == (0, 0, [])
    assert ran.data["turns"] > 0


def test_a_log_on_kafka_is_decided_again_as_one_on_sqlite(
    program: Program, kafka: str, kafka_prefix: str, tmp_path: Path
) -> None:
    log, views = f"kafka://{kafka}?prefix={kafka_prefix}", f"sqlite:{tmp_path / 'views.db'}"
    with bank_app.open(log, views, partitions=2) as bank:
        record(bank)
    ran = program("--log", log, "--views", views, "redecide", "account", *BY, "--json", app=BANK)
    assert ran.code == 1
    check_groups(ran.data)


def test_turns_that_raised_repeats_orders_and_waiting_commands_are_told_apart(program: Program) -> None:
    program("send", "jar", "a", "Add", '{"count": 5}', "--expect-version", "9", app=APP)
    program("send", "jar", "a", "Add", '{"count": 5}', "--id", "one", app=APP)
    program("send", "jar", "a", "Drop", "{}", app=APP)
    program("send", "jar", "a", "Take", '{"count": 1}', app=APP)
    ran = program("redecide", "jar", "--json", app=APP)
    assert (ran.code, ran.data["differing"]) == (0, 0)
    assert ran.data["turns"] == 2
    assert ran.data["passed_over"] == {
        "conflict: refused by its conditions": 1,
        "parked: instance_quarantined": 1,
    }


def test_commands_that_waited_are_decided_again_as_they_were_after_their_release(program: Program) -> None:
    program("send", "jar", "a", "Add", '{"count": 5}')
    program("send", "jar", "a", "Drop")
    program("send", "jar", "a", "Add", '{"count": 2}')
    program("send", "jar", "a", "Take", '{"count": 9}')
    assert program("quarantine", "release", "jar", "a", app=MENDED).code == 0
    mended = program("redecide", "jar", "--json", app=MENDED).data
    changes = [(group["command"], group["was"], group["now"], group["count"]) for group in mended["groups"]]
    assert changes == [("Drop", "raised: ZeroDivisionError", "accepted: no events", 1)]
    assert mended["turns"] == 5, "one added, one raised, and three after the release"
    assert mended["passed_over"] == {"an order of the operators'": 1, "parked: instance_quarantined": 2}
    raising = program("redecide", "jar", "--json").data
    changes = [(group["command"], group["was"], group["now"], group["count"]) for group in raising["groups"]]
    assert changes == [("Drop", "accepted: no events", "raised: ZeroDivisionError", 1)]


def test_a_turn_whose_middle_breaks_an_invariant_folds_as_it_did(program: Program) -> None:
    for _ in range(3):
        program("send", "pots", "a", "Move", app=POTS)
    ran = program("redecide", "pots", "--json", app=POTS)
    assert (ran.code, ran.data["turns"], ran.data["events"], ran.data["broken"]) == (0, 3, 4, [])
    same = "tests.unit.check.conserved:pots"
    assert "Recorded: 4 events of 1 instances, 0 broken" in program("refine", same, same, "--recorded", app=POTS).out


def test_without_a_decision_there_is_no_answer(program: Program) -> None:
    program("send", "account", "alice", "Deposit", '{"amount": 5}', app=BANK)
    ran = program("redecide", "transfer", app=BANK)
    assert ran.code == 2
    assert "transfer: 0 recorded commands decided again, none differs" in ran.out


def test_what_could_not_run_ends_with_3(program: Program) -> None:
    missing = program("redecide", "account", *BY, app=BANK)
    assert (missing.code, "there is no log at sqlite:bank.db yet" in missing.err) == (3, True)
    assert program("redecide", "nobody", app=BANK).code == 3
    assert program("redecide", app=BANK).code == 3
