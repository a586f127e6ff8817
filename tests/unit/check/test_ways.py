"""Claims about what can still happen and what must: on models whose answers are known, and in reports."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta

from eventcore import Aggregate, Refusal, Value, require
from eventcore.check import (
    Bounds,
    Checked,
    Scope,
    Step,
    always_step,
    check,
    eventually,
    leads_to,
    never_stuck,
    strong,
    weak,
)
from eventcore.check.properties import Property
from eventcore.check.render_json import data_of
from eventcore.check.render_pytest import pytest_of
from examples.models import (
    increment,
    leader_election,
    peterson,
    reservation,
    scheduling_allocator,
    simple_allocator,
    termination_detection,
    two_phase,
)
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


# Merz, *The specification language TLA+* (in: Logics of Specification Languages, 2008): that clients obtain what they wait
# for. The simple allocator needs strong fairness for it; the one with a line is content with weak fairness.


def waits_for_the_first(allocator: simple_allocator.Allocator | scheduling_allocator.Scheduler) -> bool:
    return 0 in allocator.clients[0].unsatisfied


def has_the_first(allocator: simple_allocator.Allocator | scheduling_allocator.Scheduler) -> bool:
    return 0 in allocator.clients[0].allocated


def by_client(command: simple_allocator.Allocate) -> int:
    return command.client


def test_who_waits_for_the_simple_allocator_obtains_what_it_wants_only_under_strong_fairness() -> None:
    returned, given = weak(simple_allocator.Return), simple_allocator.Allocate
    claims = {
        "strongly": [returned, strong(given, by=by_client)],
        "weakly": [returned, weak(given, by=by_client)],
        "never_returned": [strong(given, by=by_client)],
    }
    properties = [leads_to(waits_for_the_first, has_the_first, fair=fair, name=name) for name, fair in claims.items()]
    report = check(replace(simple_allocator.three_by_two, properties=properties), keep_going=True)
    assert [finding.name for finding in report.findings] == ["weakly", "never_returned"]
    for finding in report.findings:
        assert finding.trace is not None
        assert finding.trace.back is not None
        states = [finding.trace.initial, *(step.after for step in finding.trace.steps)]
        assert states[-1] == states[finding.trace.back]
        assert not any(has_the_first(state) for state in states[finding.trace.back :])


def test_who_waits_for_the_scheduling_allocator_obtains_what_it_wants_under_weak_fairness() -> None:
    fair = [
        weak(simple_allocator.Return),
        weak(simple_allocator.Allocate, by=by_client),
        weak(scheduling_allocator.Schedule, by=type),
    ]
    obtains = leads_to(waits_for_the_first, has_the_first, fair=fair)
    nobody_schedules = leads_to(waits_for_the_first, has_the_first, fair=fair[:2], name="nobody_schedules")
    checked = replace(scheduling_allocator.three_by_two, properties=[obtains, nobody_schedules])
    assert [finding.name for finding in check(checked, keep_going=True).findings] == ["nobody_schedules"]


def all_rest(ring: termination_detection.Ring) -> bool:
    return not any(node.active for node in ring.nodes)


def test_that_all_rest_is_detected_if_the_token_is_passed_on() -> None:
    # Dijkstra's EWD 840, module EWD840 of the TLA+ examples: liveness, under weak fairness of the system's own steps
    system = weak(termination_detection.StartProbe, termination_detection.PassToken, by=lambda _: "system")
    detected = leads_to(all_rest, termination_detection.concludes, fair=[system])
    unfair = leads_to(all_rest, termination_detection.concludes, name="unfair")
    always_ends = eventually(termination_detection.concludes, fair=[system, weak()], name="always_ends")
    for checked in (termination_detection.three, termination_detection.four):
        report = check(replace(checked, properties=[detected, unfair, always_ends]), keep_going=True)
        assert [finding.name for finding in report.findings] == ["unfair", "always_ends"]


def test_an_election_comes_to_an_end_if_messages_arrive() -> None:
    over = eventually(leader_election.is_over, fair=[weak()])
    only_begun = eventually(leader_election.is_over, fair=[weak(leader_election.Start)], name="only_begun")
    report = check(replace(leader_election.three, properties=[over, only_begun]), keep_going=True)
    assert [finding.name for finding in report.findings] == ["only_begun"]


@pytest.mark.parametrize("tombstone", [True, False])
@pytest.mark.parametrize("network", ["fifo", "bag", "dup"])
def test_a_saga_can_settle_from_everywhere_on_every_network(network: reservation.Network, tombstone: bool) -> None:
    checked = reservation.checked(network, tombstone=tombstone)
    settles = never_stuck(reservation.is_finished)
    assert check(replace(checked, properties=[settles])).verdict == "pass"


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
    report = check(Checked(walk_of(LOOP), properties=[out]))
    assert report.verdict == "pass"
    assert "out rests on strong fairness of all commands; whether that is so, no search can tell" in report.doubts


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


def test_where_memory_is_short_nothing_about_ways_is_judged_and_the_report_says_so() -> None:
    report = check(Checked(walk_of(LOOP), properties=[never_stuck(anything)]), bounds=Bounds(memory=1))
    assert (report.verdict, list(report.cut)) == ("inconclusive", ["memory"])
    assert "anything was not judged: it needs every state and step" in [reason.what for reason in report.reasons]


def test_an_interruption_while_ways_are_judged_is_told() -> None:
    def interrupted(_: At) -> bool:
        raise KeyboardInterrupt

    report = check(Checked(walk_of(LOOP), properties=[never_stuck(interrupted)]))
    assert (report.verdict, list(report.cut)) == ("inconclusive", ["interrupted"])


def test_a_premise_that_is_never_true_is_told() -> None:
    empty = leads_to(lambda at: at.place == 7, lambda at: at.place == 3, name="empty")
    report = check(Checked(walk_of(LOOP), properties=[empty]))
    assert (report.verdict, list(report.warnings)) == ("pass", ["the premise of empty is never true"])


class Told(Value):
    """Somebody was told."""

    command: Annotated[int, Meta(ge=0, lt=3)]


class Tell(Value):
    """Tell somebody; its field has the name that a label's command has."""

    command: Annotated[int, Meta(ge=0, lt=3)]


def tell(at: At, asked: Tell) -> list[Told]:
    require(at.place < 2, "far")
    return [Told(asked.command)]


def listen(at: At, _: Told) -> At:
    return At(at.place + 1)


def test_a_command_with_a_field_named_command_is_itself() -> None:
    def whole(step: Step) -> bool:
        return isinstance(step.command, Tell)

    arrives = eventually(lambda at: at.place == 2, fair=[weak(Tell)], name="arrives")
    report = check(Checked(Aggregate("told", At, tell, listen), properties=[always_step(whole), arrives]))
    assert report.verdict == "pass", report


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
