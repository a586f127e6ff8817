"""The hash of a function follows what it does: changed by whatever it reaches in user code, by nothing else."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from eventcore.codehash import code_hash

SOURCE = '''
import enum
from eventcore import Value
import other

FEE = 1
TABLE = {"a": 1, "b": frozenset({"x", "y"})}

class Colour(enum.Enum):
    RED = "red"

class State(Value):
    """A state."""
    balance: int = 0

    def more(self, amount):
        return State(self.balance + amount)

def cents(amount):
    """Count."""
    return amount * 100

def made(rate):
    def inner(x):
        return x * rate
    return inner

rated = made(3)

def unrelated():
    return 1

def evolve(state, event):
    """Fold."""
    total = cents(event) - FEE + rated(event) + other.part(1) + len(TABLE)
    return state.more(total) if Colour.RED else State(*[{} for _ in "ab"])
'''
OTHER = "def part(x):\n    return x + 1\ndef elsewhere(x):\n    return x\n"


def built(source: str = SOURCE, other: str = OTHER) -> Callable[..., Any]:
    """The `evolve` of a module with this source."""
    helper, module = types.ModuleType("other"), types.ModuleType("domain")
    exec(other, helper.__dict__)
    sys.modules["other"] = helper
    try:
        exec(source, module.__dict__)
    finally:
        del sys.modules["other"]
    found: Callable[..., Any] = module.__dict__["evolve"]
    return found


SAME = [
    ("\nFEE", "\n# a comment\n\n\nFEE"),
    ('"""Fold."""', '"""Fold the events, one after the other."""'),
    ('    """Count."""\n', ""),
    ('    """A state."""\n', '    """A state, said otherwise."""\n'),
    ("total", "sum_"),
    ("return 1\n\ndef evolve", "return 2\n\ndef evolve"),
]
OTHERS = [
    ("FEE = 1", "FEE = 2"),
    ("amount * 100", "amount * 1000"),
    ("made(3)", "made(4)"),
    ("x * rate", "x + rate"),
    ('"y"})', '"z"})'),
    ('"red"', '"blue"'),
    ("self.balance + amount", "self.balance - amount"),
    ("balance: int = 0", "balance: int = 1"),
    ("balance: int = 0", "balance: float = 0"),
    ("cents(event) - FEE", "FEE - cents(event)"),
    ('in "ab"', 'in "abc"'),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_what_changes_no_result_changes_no_hash(old: str, new: str) -> None:
    assert old in SOURCE
    assert code_hash(built(SOURCE.replace(old, new))) == code_hash(built())


@pytest.mark.parametrize(("old", "new"), OTHERS)
def test_whatever_evolve_reaches_changes_its_hash(old: str, new: str) -> None:
    assert old in SOURCE
    assert code_hash(built(SOURCE.replace(old, new))) != code_hash(built())


def test_a_function_that_is_reached_through_a_module_counts() -> None:
    assert code_hash(built(other=OTHER.replace("x + 1", "x + 2"))) != code_hash(built())
    assert code_hash(built(other=OTHER.replace("return x\n", "return -x\n"))) == code_hash(built())


def test_every_process_gives_the_same_hash() -> None:
    program = "from tests.bank import evolve; from eventcore.codehash import code_hash; print(code_hash(evolve).hex())"
    made = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(made) == 1
