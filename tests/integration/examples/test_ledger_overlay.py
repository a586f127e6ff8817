"""The ledger over a naive model: each account that was ever overdrawn leaves it, at the position where it first was."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from eventcore.check.matrix import Matrix, matrix_of
from eventcore.check.overlay import overlay
from eventcore.cli.main import main as eventcore
from eventcore.cli.turns import turns_in
from eventcore.lane.restore import no_progress
from eventcore.log.address import open_log
from examples.ledger.__main__ import main as ledger
from examples.ledger.app import app
from examples.ledger.naive import naive
from examples.ledger.transactions import transactions


def overdrawn() -> dict[str, int]:
    """The accounts that ever were below zero, and after how many of their transactions first; told from the file alone."""
    balances: dict[str, Decimal] = defaultdict(Decimal)
    counts: dict[str, int] = defaultdict(int)
    found: dict[str, int] = {}
    for message, _ in transactions():
        amount = message.command.amount
        balances[message.id] += amount if type(message.command).__name__ == "Credit" else -amount
        counts[message.id] += 1
        if balances[message.id] < 0:
            found.setdefault(message.id, counts[message.id])
    return found


def laid_over(log: str) -> tuple[Matrix, dict[str, int]]:
    """The matrix with the log over it, and after how many of its turns each instance left the model."""
    opened = open_log(log)
    try:
        turns = list(turns_in(opened, app.wiring.machine("account"), no_progress))
    finally:
        opened.close()
    matrix = overlay(matrix_of(naive), turns)
    left = {escape.instance: escape.at for escape in matrix.escapes}
    counts: dict[str, int] = defaultdict(int)
    after: dict[str, int] = {}
    for turn in turns:
        counts[turn.instance] += 1
        if left.get(turn.instance) == turn.at:
            after[turn.instance] = counts[turn.instance]
    return matrix, after


def test_the_naive_model_passes_alone_and_knows_everything_of_itself() -> None:
    matrix = matrix_of(naive)
    assert (matrix.unknown, matrix.findings) == (0, [])
    assert ("<0",) not in matrix.depths


@pytest.mark.slow
def test_the_26_overdrawn_accounts_of_the_whole_ledger_are_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = f"sqlite:{tmp_path / 'ledger.db'}"
    assert ledger(["--log", log, "--views", f"sqlite:{tmp_path / 'views.db'}"]) == 0
    matrix, after = laid_over(log)
    assert len(after) == 26
    assert after == overdrawn()
    assert sum(cell.observed.count for _, _, cell in matrix.cells() if cell.observed is not None) == 46_997
    capsys.readouterr()
    called = ["--app", "examples.ledger.app:app", "--log", log, "check", "examples.ledger.naive:naive", "--overlay"]
    assert eventcore(called) == 1
    said = capsys.readouterr().out
    assert "26 instances left the model" in said
    assert all(f"{escape.at} " in said for escape in matrix.escapes)
