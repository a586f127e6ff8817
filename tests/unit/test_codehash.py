"""The hash of a function follows what it does: changed by whatever it reaches in user code, by nothing else."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventcore import Aggregate
from eventcore.codehash import code_hash, reached

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


FOLDING = """
import enum, functools, re
import shop.rules
from typing import ClassVar
from eventcore import Aggregate, Value

class Kind(enum.Enum):
    ONE = 1

    def weight(self):
        return self.value * 2

class Purse(Value):
    coins: int = 0

    def put(self, n):
        return Purse(self.coins + n * 3)

class Fee(Value):
    of: int = 4

class Rates:
    OF = {"eur": 5}

class Plain:
    def __init__(self, rate):
        self.rate = rate

class State(Value):
    FEES: ClassVar[tuple[Fee, ...]] = (Fee(6),)
    purse: Purse = Purse()
    kinds: tuple[Kind, ...] = ()

class Went(Value):
    n: int = 1

    def onto(self, state):
        return state.purse.put(self.n * 7)

class Go(Value):
    pass

PLAIN = Plain(8)
PATTERN = re.compile("nine")
BOUND = {"get": {"a": 10}.get}

@functools.cache
def cached(n):
    return n * 11

@functools.singledispatch
def chosen(thing):
    return 0

@chosen.register
def _(thing: int):
    return 12

def rules():
    return shop.rules

def decide(state: State, command: Go) -> list[Went]:
    return [Went()]

def evolve(state: State, event: Went) -> State:
    event.onto(state), Rates.OF["eur"], State.FEES[0].of, PLAIN.rate, PATTERN, BOUND, cached(1), chosen(1)
    shop.rules.fee(1), rules().other(1)
    return state

aggregate = Aggregate("account", State, decide, evolve)
"""
RULES = "def fee(n):\n    return n * 13\ndef other(n):\n    return n * 14\ndef unasked(n):\n    return n * 15\n"


def folding(source: str = FOLDING, rules: str = RULES) -> Aggregate[Any, Any, Any]:
    """The aggregate of a module with this source, beside a package `shop` with a module `rules`."""
    shop, module, folds = types.ModuleType("shop"), types.ModuleType("shop.rules"), types.ModuleType("folds")
    made = {"shop": shop, "shop.rules": module, "folds": folds}
    shop.rules = module  # type: ignore[attr-defined]
    exec(rules, module.__dict__)
    sys.modules.update(made)
    try:
        exec(compile(source, "folds", "exec", dont_inherit=True), folds.__dict__)
        found: Aggregate[Any, Any, Any] = folds.__dict__["aggregate"]
        reached(found.evolve)
    finally:
        for name in made:
            del sys.modules[name]
    return found


def hash_of_fold(aggregate: Aggregate[Any, Any, Any]) -> bytes:
    """What a checkpoint is trusted for."""
    return reached(aggregate.evolve, aggregate.initial, aggregate.state_type, *aggregate.event_checks).digest


REACHED = [
    ("value * 2", "value * 20"),  # a method of an enum that is a field of the state
    ("coins + n * 3", "coins + n * 30"),  # a method of a value that is a field of the state
    ("of: int = 4", "of: int = 40"),
    ('{"eur": 5}', '{"eur": 50}'),  # a container that is a class's attribute
    ("Fee(6)", "Fee(60)"),  # a ClassVar of values
    ("self.n * 7", "self.n * 70"),  # a method of the event, which evolve names by no global name
    ("Plain(8)", "Plain(80)"),
    ('"nine"', '"ninety"'),
    ('{"a": 10}', '{"a": 100}'),
    ("n * 11", "n * 110"),
    ("return 12", "return 120"),
]


@pytest.mark.parametrize(("old", "new"), REACHED)
def test_whatever_a_fold_reaches_changes_what_a_checkpoint_is_trusted_for(old: str, new: str) -> None:
    assert FOLDING.count(old) == 1
    assert hash_of_fold(folding()) == hash_of_fold(folding())
    assert hash_of_fold(folding(FOLDING.replace(old, new))) != hash_of_fold(folding())


@pytest.mark.parametrize("factor", [13, 14])
def test_what_is_reached_through_dotted_modules_counts(factor: int) -> None:
    assert hash_of_fold(folding(rules=RULES.replace(f"* {factor}", "* 0"))) != hash_of_fold(folding())


def test_what_nobody_asks_a_module_for_does_not_count() -> None:
    assert hash_of_fold(folding(rules=RULES.replace("* 15", "* 0"))) == hash_of_fold(folding())


def test_an_import_inside_a_function_is_not_followed_and_said() -> None:
    assert reached(folding().evolve).unseen is None
    inside = FOLDING.replace("    return state\n", "    from shop.rules import fee\n    return state\n")
    assert reached(folding(inside).evolve).unseen == "evolve imports while it runs"


def test_what_contains_itself_is_walked_to_its_end() -> None:
    source = (
        "def one(n): return TABLE['two'](n)\ndef two(n): return TABLE['one'](n) + 1\nTABLE = {'one': one, 'two': two}\n"
    )
    before = built(source + "def evolve(s, e): return one(s)\n")
    assert code_hash(before) != code_hash(built(source.replace("+ 1", "+ 2") + "def evolve(s, e): return one(s)\n"))


def test_an_app_that_is_an_installed_package_is_walked_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most apps are, where they run: as wheels in their image."""
    hashes = set[bytes]()
    for rate in (1, 10):
        place = tmp_path / str(rate) / "site-packages"
        place.mkdir(parents=True)
        place.joinpath("deployed_app.py").write_text(
            f"def fee(n):\n    return n * {rate}\ndef evolve(s, e):\n    return s + fee(e)\n"
        )
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(place))
            module = __import__("deployed_app")
            hashes.add(code_hash(module.evolve))
            del sys.modules["deployed_app"]
    assert len(hashes) == 2


def test_every_process_gives_the_same_hash_of_a_fold() -> None:
    program = "from tests.unit.test_codehash import folding, hash_of_fold; print(hash_of_fold(folding()).hex())"
    made = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(made) == 1
