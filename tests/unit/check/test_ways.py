"""Claims about what can still happen and what must: on models whose answers are known, and in reports."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from eventcore import Refusal
from eventcore.check import Bounds, Checked, Scope, check, eventually, leads_to, never_stuck, strong, weak
from eventcore.check.properties import Property
from eventcore.check.render_json import data_of
from eventcore.check.render_pytest import pytest_of
from examples.models import increment, peterson, two_phase
from examples.models.peterson import Line, Peterson
from examples.models.two_phase import all_decided
from tests.unit.check.machines import At, Map, anything, walk_of

all_end = never_stuck(all_decided)
LOOP: Map = {(0, 0): 1, (1, 0): 2, (2, 0): 1, (2, 1): 3}


def with_claims(checked: Checked[peterson.Peterson, peterson.Step, peterson.Event], *claims: Property) -> list[str]:
    """Which claims are not true."""
    return [finding.name for finding in check(replace(checked, properties=claims), keep_going=True).findings]


@pytest.mark.parametrize("checked", [two_phase.three, two_phase.five])
def test_in_two_phase_commit_all_can_decide_from_everywhere(
    checked: Checked[two_phase.TwoPhase, two_phase.Command, two_phase.Event],
) -> None:
    report = check(replace(checked, properties=[all_end], finished=None))
    assert (report.verdict, report.distinct) == ("pass", 288 if checked is two_phase.three else 8_832)


def test_without_the_coordinators_abort_30_of_72_states_are_stuck() -> None:
    def no_abort(state: two_phase.TwoPhase, command: two_phase.Command) -> list[two_phase.Event]:
        if isinstance(command, two_phase.DecideToAbort):
            raise Refusal("never")
        return two_phase.decide(state, command)

    mutant = replace(two_phase.three.aggregate, decide=no_abort)
    report = check(Checked(mutant, two_phase.three.scope, [all_end]))
    assert (report.verdict, report.distinct, report.transitions) == ("fail", 72, 218)
    (finding,) = report.findings
    assert finding.message == "from 30 of 72 states no way leads to all_decided; this is the nearest of them"
    assert finding.trace is not None
    assert (finding.trace.states, finding.trace.back) == (3, None)  # one gave up, another prepared: it waits for ever


def test_two_phase_commit_ends_only_if_its_steps_are_taken() -> None:
    ends = eventually(all_decided, fair=[weak()], name="ends")
    rests = eventually(all_decided, name="rests")
    report = check(replace(two_phase.three, properties=[ends, rests]), keep_going=True)
    assert [(finding.kind, finding.name) for finding in report.findings] == [("eventually", "rests")]
    trace = report.findings[0].trace
    assert trace is not None
    assert (trace.states, trace.back) == (1, 0)


def test_threads_end_if_each_of_their_steps_is_taken() -> None:
    ended = eventually(increment.all_have_written, fair=[weak()])
    assert check(replace(increment.locked_two, properties=[ended])).verdict == "pass"
    only_reads = eventually(increment.all_have_written, fair=[weak(increment.Read)])
    assert check(replace(increment.locked_two, properties=[only_reads])).verdict == "fail"


def waits(state: Peterson) -> bool:
    return state.lines[0] is Line.WAIT


def enters(state: Peterson) -> bool:
    return state.lines[0] is Line.CRITICAL


def test_in_petersons_algorithm_who_waits_enters_as_long_as_steps_are_taken() -> None:
    each = leads_to(waits, enters, fair=[weak(by=lambda step: step.process)])
    either = leads_to(waits, enters, fair=[weak(by=type)], name="either")  # nobody is overtaken twice
    neither = leads_to(waits, enters, name="neither")
    assert with_claims(peterson.checked, each, either, neither) == ["neither"]


def test_a_lasso_is_shown_with_its_cycle() -> None:
    out = eventually(lambda at: at.place == 3, fair=[weak()], name="out")
    report = check(Checked(walk_of(LOOP), properties=[out]))
    (finding,) = report.findings
    assert finding.trace is not None
    assert [step.after for step in finding.trace.steps] == [At(1), At(2), At(1)]
    assert finding.trace.back == 1
    assert "as it was at 2, and so on for ever" in str(report)
    assert "weak fairness of all commands allows it" in str(report)
    assert data_of(report)["findings"][0]["trace"]["back"] == 1
    out = eventually(lambda at: at.place == 3, fair=[strong()], name="out")
    assert check(Checked(walk_of(LOOP), properties=[out])).verdict == "pass"


def test_an_end_that_never_changes_is_shown_as_one() -> None:
    out = eventually(lambda at: at.place == 7, fair=[weak()], name="out")
    report = check(Checked(walk_of({(0, 0): 1}), properties=[out]))
    assert "and nothing more, for ever" in str(report)


def test_a_search_that_is_cut_judges_nothing_about_ways_and_says_so() -> None:
    report = check(Checked(walk_of(LOOP), properties=[never_stuck(anything)]), bounds=Bounds(states=2))
    assert report.verdict == "inconclusive"
    assert "anything was not judged: it needs every state and step" in [reason.what for reason in report.reasons]
    within = Scope(within=lambda at: at.place < 3)
    report = check(Checked(walk_of(LOOP), within, [never_stuck(anything)]))
    assert report.verdict == "inconclusive"


def test_a_premise_that_is_never_true_is_told() -> None:
    empty = leads_to(lambda at: at.place == 7, lambda at: at.place == 3, name="empty")
    report = check(Checked(walk_of(LOOP), properties=[empty]))
    assert (report.verdict, list(report.warnings)) == ("pass", ["the premise of empty is never true"])


def test_the_hash_of_a_verdict_changes_with_what_is_assumed() -> None:
    hashes = {
        check(Checked(walk_of(LOOP), properties=[eventually(anything, fair=fair)])).code_hash
        for fair in ([], [weak()], [strong()], [weak(), strong()], [weak(by=type)], [weak(by=lambda _: 0)])
    }
    assert len(hashes) == 6


def test_a_test_that_is_written_of_it_fails_until_it_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def claim(name: str, fair: str) -> str:
        return (
            "from eventcore.check import Checked, eventually, weak, strong\n"
            "from tests.unit.check.machines import walk_of\n"
            "out = eventually(lambda at: at.place == 3, name='out', fair=[" + fair + "])\n"
            f"{name} = Checked(walk_of({LOOP}), properties=[out])\n"
        )

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "claimed_of_ways.py").write_text(claim("checked", "weak()") + claim("mended", "strong()"))
    written = pytest_of(check(import_module("claimed_of_ways").checked), "claimed_of_ways:checked")
    held: dict[str, Callable[[], None]] = {}
    exec(written, held)
    with pytest.raises(AssertionError):
        held["test_out"]()
    exec(re.sub(r"\bchecked\b", "mended", written), held)
    held["test_out"]()
