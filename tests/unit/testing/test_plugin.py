"""The plug-in explains values that differ and opens apps; it is used here as users have it, in a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from eventcore.app import App
from eventcore.pytest_plugin import OpenApp
from examples.bank.account import Deposit, accounts
from examples.bank.balances import Balance, balances

app = App("bank", [accounts], projections=[balances])

FAILING = """
from eventcore import Value

class Account(Value):
    balance: int = 0
    held: int = 0

def test_values() -> None:
    assert Account(5) == Account(3)

def test_other_classes() -> None:
    assert Account(5) == 5
"""


def test_open_app_opens_an_app_in_memory(open_app: OpenApp) -> None:
    bank = open_app(app)
    paid = bank.send(accounts.to("alice", Deposit(5)))
    assert bank.ask(balances, "alice", at_least=paid.cut).row == Balance("alice", 5)


def test_open_app_opens_an_app_where_it_is_told(open_app: OpenApp, tmp_path: Path) -> None:
    address = f"sqlite:{tmp_path / 'bank.db'}"
    open_app(app, address).send(accounts.to("alice", Deposit(5)))
    assert (tmp_path / "bank.db").exists()


def test_pytest_finds_the_plug_in_by_itself() -> None:
    assert {each.value for each in entry_points(group="pytest11", name="eventcore")} == {"eventcore.pytest_plugin"}


def test_values_that_differ_are_explained_by_field(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING)
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "pytest", "-p", "eventcore.pytest_plugin", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=60, check=False)
    assert "Account(balance=5, held=0) == Account(balance=3, held=0)" in ran.stdout, ran.stdout
    assert "balance: 5 != 3" in ran.stdout
    assert "held: " not in ran.stdout
    assert "2 failed" in ran.stdout
