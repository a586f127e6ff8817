"""`check` finds in the reference models what others found, and what a plain search finds."""

from __future__ import annotations

from typing import Any

import pytest

from eventcore.check import Checked, check
from examples.models import (
    alternating_bit,
    die_hard,
    increment,
    reservation,
    scheduling_allocator,
    simple_allocator,
    t_commit,
)

WHOLE: dict[str, tuple[Checked[Any, Any, Any], tuple[int, int, int]]] = {
    "one": (t_commit.one, (4, 5, 3)),
    "two": (t_commit.two, (12, 23, 5)),
    "three": (t_commit.three, (34, 94, 7)),
    "four": (t_commit.four, (96, 357, 9)),
    "five": (t_commit.five, (274, 1_296, 11)),
    "six": (t_commit.six, (792, 4_567, 13)),
    "simple allocator, two resources": (simple_allocator.three_by_two, (400, 1_633, 6)),
    "simple allocator, three resources": (simple_allocator.three_by_three, (8_000, 45_697, 7)),
    "scheduling allocator": (scheduling_allocator.three_by_two, (1_690, 5_854, 7)),
    "link": (alternating_bit.abstract, (20, 36, 3)),
    "increment with a lock": (increment.locked_two, (17, 17, 9)),
    "saga on fifo": (reservation.fifo, (51, 85, 10)),
    "saga on bag": (reservation.bag, (75, 141, 10)),
    "saga on dup": (reservation.dup, (91, 169, 11)),
}

BROKEN: dict[str, tuple[Checked[Any, Any, Any], str, int]] = {
    "jugs": (die_hard.puzzle, "never_four", 7),
    "two threads": (increment.two, "counts_the_writers", 5),
    "three threads": (increment.three, "counts_the_writers", 5),
    "saga on bag": (reservation.bag_without_tombstone, "finished_means_settled", 5),
    "saga on dup": (reservation.dup_without_tombstone, "finished_means_settled", 5),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_model_that_is_right_passes_with_its_size(name: str) -> None:
    checked, counts = WHOLE[name]
    report = check(checked)
    assert (report.verdict, (report.distinct, report.transitions, report.depth)) == ("pass", counts), str(report)


@pytest.mark.parametrize("name", BROKEN)
def test_a_model_that_is_wrong_fails_with_a_shortest_trace(name: str) -> None:
    checked, claim, states = BROKEN[name]
    report = check(checked)
    assert report.verdict == "fail"
    (finding,) = report.findings
    assert finding.name == claim
    assert finding.trace is not None
    assert finding.trace.states == states


def test_a_search_that_goes_on_after_a_finding_has_the_whole_size() -> None:
    jugs = check(die_hard.puzzle, keep_going=True)
    assert (jugs.distinct, jugs.transitions, jugs.depth) == (16, 97, 8)
    three = check(increment.three, keep_going=True)
    assert (three.distinct, three.transitions, three.depth) == (84, 112, 7)
    assert check(reservation.bag_without_tombstone, keep_going=True).distinct == 83
    assert check(reservation.dup_without_tombstone, keep_going=True).distinct == 91


def test_a_saga_without_tombstones_is_right_as_long_as_nothing_overtakes() -> None:
    report = check(reservation.fifo_without_tombstone)
    assert (report.verdict, report.distinct) == ("pass", 51)


def test_queues_that_were_cut_short_leave_the_protocol_unproved() -> None:
    report = check(alternating_bit.protocol)
    assert (report.verdict, report.cut) == ("inconclusive", ["within"])
    assert (report.distinct, report.transitions, report.depth) == (240, 1_392, 10)
