"""`check` finds in the reference models what others found, and what a plain search finds."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

import examples.models
from eventcore.check import Checked, check
from examples.models import (
    alternating_bit,
    die_hard,
    increment,
    reservation,
)

README = Path(examples.models.__file__).with_name("README.md")
ROW = re.compile(r"^\| `(\w+):(\w+)` \| ([\d,]+) \| ([\d,]+) \| (\d+) \| (\w+) \| (\d*) \|$", re.MULTILINE)
ROWS: list[tuple[str, ...]] = ROW.findall(README.read_text())
LARGE = {("two_phase", "seven"), ("two_phase", "eight")}  # what takes a minute is measured by `make bench`


BROKEN: dict[str, tuple[Checked[Any, Any, Any], str, int]] = {
    "jugs": (die_hard.puzzle, "never_four", 7),
    "two threads": (increment.two, "counts_the_writers", 5),
    "three threads": (increment.three, "counts_the_writers", 5),
    "saga on bag": (reservation.bag_without_tombstone, "finished_means_settled", 5),
    "saga on dup": (reservation.dup_without_tombstone, "finished_means_settled", 5),
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}:{row[1]}")
def test_check_finds_what_the_table_of_models_says(row: tuple[str, ...]) -> None:
    module, name, *sizes, verdict, trace = row
    report = check(getattr(import_module(f"examples.models.{module}"), name), keep_going=True)
    assert [f"{size:,}" for size in (report.distinct, report.transitions, report.depth)] == sizes
    traces = [finding.trace.states for finding in report.findings if finding.trace is not None]
    assert (report.verdict, traces) == (verdict, [int(trace)] if trace else [])


def test_every_model_is_in_the_table() -> None:
    modules = [import_module(f"examples.models.{each.name}") for each in iter_modules(examples.models.__path__)]
    declared = {
        (module.__name__.rpartition(".")[2], name)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Checked)
    }
    assert {(row[0], row[1]) for row in ROWS} == declared - LARGE


@pytest.mark.parametrize("name", BROKEN)
def test_a_model_that_is_wrong_fails_with_a_shortest_trace(name: str) -> None:
    checked, claim, states = BROKEN[name]
    report = check(checked)
    assert report.verdict == "fail"
    (finding,) = report.findings
    assert finding.name == claim
    assert finding.trace is not None
    assert finding.trace.states == states


def test_queues_that_were_cut_short_leave_the_protocol_unproved() -> None:
    report = check(alternating_bit.protocol)
    assert (report.verdict, report.cut) == ("inconclusive", ["within"])
    assert (report.distinct, report.transitions, report.depth) == (240, 1_392, 10)
