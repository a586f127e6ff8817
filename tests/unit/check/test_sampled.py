"""What nothing does is not claimed where commands were left out: it is open. What something does is a finding all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from msgspec import Meta
from msgspec.structs import replace as with_

from eventcore import Aggregate, Context, Value, require
from eventcore.check import (
    Bounds,
    Checked,
    Scope,
    always,
    check,
    eventually,
    leads_to,
    never_stuck,
    sometimes,
    strong,
    weak,
)
from eventcore.check.fairness import Fairness
from eventcore.check.properties import Property
from tests.unit.check.machines import anything

PRICE = 50


class Bill(Value):
    """Whether it was paid, and whether it was ever looked at."""

    paid: bool = False
    seen: bool = False


class Pay(Value):
    """Pay it: the price, and nothing else."""

    amount: int


class Look(Value):
    """Look at it, and look away."""


class Paid(Value):
    """It was paid."""


class Looked(Value):
    """It was looked at, or no longer."""


def decide(bill: Bill, command: Pay | Look) -> list[Paid | Looked]:
    if isinstance(command, Look):
        require(not bill.paid, "paid")
        return [Looked()]
    require(command.amount == PRICE, "another_price")
    return [Paid()]


def evolve(bill: Bill, event: Paid | Looked) -> Bill:
    return with_(bill, paid=True) if isinstance(event, Paid) else with_(bill, seen=not bill.seen)


def evolve_once(bill: Bill, event: Paid | Looked) -> Bill:
    return with_(bill, paid=True) if isinstance(event, Paid) else with_(bill, seen=True)


def paid(bill: Bill) -> bool:
    return bill.paid


def seen(bill: Bill) -> bool:
    return bill.seen


def not_seen(bill: Bill) -> bool:
    return not bill.seen


bills = Aggregate("bill", Bill, decide, evolve)
once = Aggregate("bill", Bill, decide, evolve_once)
WITH_PRICE = Scope(domains={"amount": (1, PRICE)})
OPEN: dict[str, dict[str, Any]] = {
    "sometimes": {"properties": [sometimes(paid)]},
    "never stuck": {"properties": [never_stuck(paid)]},
    "weak by class": {"properties": [eventually(paid, fair=[weak(by=type)])]},
    "strong": {"properties": [eventually(paid, fair=[strong()])]},
    "weak of two": {"properties": [eventually(paid, fair=[weak(Look), weak(Pay)])]},
    "leads to": {"properties": [leads_to(anything, paid, fair=[strong(Pay, by=type)])]},
    "finished": {"finished": paid},
}


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("claimed", OPEN)
def test_what_no_sample_does_is_open_until_all_is_declared(claimed: str, workers: int | None) -> None:
    checked = Checked(once, **OPEN[claimed])
    report = check(checked, workers=workers)
    assert (report.verdict, report.findings) == ("inconclusive", []), str(report)
    assert any("as far as commands were tried" in reason.what for reason in report.reasons), str(report)
    assert report.witnesses == {}
    assert check(replace(checked, scope=WITH_PRICE), workers=workers).verdict == "pass"
    without = replace(checked, scope=Scope(domains={"amount": (1, 2)}))
    assert check(without, workers=workers).verdict == "fail", "all is declared, and none of it pays"


NOBODY: tuple[Fairness, ...] = ()


@pytest.mark.parametrize("claim", [eventually(paid, fair=NOBODY), eventually(paid, fair=[strong(Look)])])
def test_a_way_that_no_other_command_makes_unfair_is_a_finding(claim: Property) -> None:
    report = check(Checked(bills, properties=[claim]))
    assert (report.verdict, [each.kind for each in report.findings]) == ("fail", ["eventually"])


def test_a_way_that_takes_a_class_is_fair_to_the_class_whatever_else_is_in_it() -> None:
    def rate(bill: Bill, command: Pay | Look) -> list[Paid | Looked]:
        """Any amount but the price is looked at, and no more."""
        return [Looked()] if isinstance(command, Pay) and command.amount != PRICE else decide(bill, command)

    rated = Aggregate("bill", Bill, rate, evolve)
    for fair in ([weak(by=type)], [strong(by=type)], [weak(Pay, by=type), strong(Look)]):
        for claim in (eventually(paid, fair=fair), leads_to(seen, paid, fair=fair)):
            (finding,) = check(Checked(rated, properties=[claim])).findings
            assert finding.kind == claim.kind
            assert finding.trace is not None
            assert any(isinstance(step.command, Pay) for step in finding.trace.steps)
    report = check(Checked(rated, properties=[eventually(paid, fair=[weak()])]))
    assert (report.verdict, report.findings) == ("inconclusive", []), "the price alone is a group of its own"


def test_a_finding_behind_what_seems_an_end_is_found() -> None:
    def never_paid(bill: Bill) -> bool:
        return not bill.paid

    def late(bill: Bill, command: Pay | Look) -> list[Paid | Looked]:
        return [Paid()] if bill.seen and command == Pay(2) else decide(bill, command)

    stays = Aggregate("bill", Bill, late, evolve_once, invariants=[never_paid])
    for workers in (None, 2):
        report = check(Checked(stays, finished=paid), workers=workers)
        assert (report.verdict, [each.name for each in report.findings]) == ("fail", ["never_paid"])


class Count(Value):
    """A number; from 99 on, it is too far."""

    number: Annotated[int, Meta(ge=0, le=99)] = 0


class To(Value):
    """Go there."""

    number: int


class Went(Value):
    """One went there."""

    number: Annotated[int, Meta(ge=0, le=99)]


def by_one_or_too_far(count: Count, to: To) -> list[Went]:
    require(count.number < 90 and to.number in (1, 2), "no_way")
    return [Went(count.number + 1 if to.number == 1 else 99)]


def went(_: Count, event: Went) -> Count:
    return Count(event.number)


def test_what_seems_an_end_is_told_after_a_search_in_pieces(tmp_path: Path) -> None:
    counts = Aggregate("count", Count, by_one_or_too_far, went)
    checked = Checked(counts, finished=lambda count: count.number == 90)
    file = tmp_path / "count.search"
    check(checked, bounds=Bounds(states=20), resume=file)
    assert file.exists()
    report = check(checked, resume=file)
    assert any("from Count(number=99), which is not finished" in reason.what for reason in report.reasons)
    assert report.reasons == check(checked).reasons


def test_a_claim_that_raises_is_a_finding_of_a_sample_too() -> None:
    def raising(bill: Bill) -> bool:
        raise LookupError(bill)

    claims = [sometimes(raising, name="one"), never_stuck(raising, name="two"), eventually(raising, name="three")]
    report = check(Checked(bills, properties=claims, finished=raising), keep_going=True)
    assert {(each.kind, each.name) for each in report.findings} == {
        ("raises", name) for name in ("one", "two", "three")
    }
    report = check(Checked(once, finished=raising))
    assert [(each.kind, each.name) for each in report.findings] == [("raises", "finished")]


def test_a_time_that_was_not_tried_is_as_an_argument_that_was_not() -> None:
    def in_time(bill: Bill, _: Look, context: Context) -> list[Paid]:
        require(context.time.year >= 2030, "too_early")
        return [Paid()]

    def pays(bill: Bill, _: Paid) -> Bill:
        return with_(bill, paid=True)

    timed = Aggregate("timed", Bill, in_time, pays)
    for claim in (sometimes(paid), never_stuck(paid), eventually(paid, fair=[weak()])):
        report = check(Checked(timed, properties=[claim]))
        assert (report.verdict, report.findings) == ("inconclusive", []), str(report)
    (ends,) = check(Checked(timed, properties=[eventually(paid)])).findings
    assert ends.kind == "eventually", "nothing makes anybody look"
    late = Context.at(datetime(2031, 1, 1, tzinfo=UTC), UUID(int=1))
    assert check(Checked(timed, Scope(contexts=[late]), properties=[sometimes(paid)])).verdict == "pass"


def test_what_holds_always_and_is_broken_once_is_a_finding_of_a_sample() -> None:
    assert check(Checked(bills, properties=[always(not_seen)])).verdict == "fail"
    report = check(Checked(bills, properties=[sometimes(seen)]))
    assert (report.verdict, list(report.witnesses)) == ("inconclusive", ["seen"])
