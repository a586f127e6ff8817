"""A link leads along the trace that it was made of, and nowhere in other code."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from eventcore import Aggregate, Context, Value
from eventcore.check import Checked, Scope, Step, always, always_step, check, follow, never_stuck
from eventcore.errors import InvalidValue
from examples.models import two_phase
from tests.unit.check.machines import At, Box, Map, anything, box_of, walk_of

PLACES = st.integers(0, 7)
MAPS = st.dictionaries(st.tuples(PLACES, st.integers(0, 2)), PLACES)


def said(trace: Any) -> list[object]:
    """All of a trace but what only a search can know."""
    return [trace.initial, *((step.command, step.context, step.events, step.after) for step in trace.steps)]


@settings(max_examples=60, deadline=None)
@given(MAPS, st.lists(PLACES, min_size=1, max_size=3, unique=True), PLACES)
def test_it_leads_where_the_finding_was(roads: Map, starts: list[int], place: int) -> None:
    def onwards(step: Step) -> bool:
        return bool(step.after.place != place + 1)

    claims = [always(lambda at: at.place != place, name="not_there"), always_step(onwards)]
    claims.append(never_stuck(lambda at: at.place < 4, name="back"))
    checked = Checked(
        walk_of(roads),
        properties=claims,
        initial=lambda: [At(each) for each in starts],
        finished=lambda at: at.place > 5,
    )
    for workers in (None, 2):
        for finding in check(checked, keep_going=True, workers=workers).findings:
            assert finding.trace is not None
            assert said(follow(checked, finding.link)) == said(finding.trace)


class Late(Value):
    """How late it was."""

    hours: frozenset[int] = frozenset()


class Look(Value):
    """Look at the clock."""


class Looked(Value):
    """The clock was looked at."""

    hour: int


def look(_: Late, __: Look, context: Context) -> list[Looked]:
    return [Looked(context.time.hour)]


def looked(late: Late, event: Looked) -> Late:
    return Late(late.hours | {event.hour})


def never_both(late: Late) -> bool:
    return len(late.hours) < 2


def test_times_are_part_of_it() -> None:
    aggregate: Aggregate[Late, Look, Looked] = Aggregate("late", Late, look, looked)
    times = [Context.at(datetime(2026, 1, 1, hour, tzinfo=UTC), UUID(int=hour)) for hour in (1, 2)]
    checked = Checked(aggregate, Scope(contexts=times), properties=[always(never_both)])
    (finding,) = check(checked).findings
    assert finding.trace is not None
    assert said(follow(checked, finding.link)) == said(finding.trace)
    assert {step.context for step in follow(checked, finding.link).steps} == set(times)


class Lit(Value):
    """Which lamps were lit at once."""

    lamps: frozenset[int] = frozenset()


class Light(Value):
    """Light these."""

    lamps: frozenset[int]


def light(_: Lit, command: Light) -> list[Lit]:
    return [Lit(command.lamps)]


def lit(_: Lit, event: Lit) -> Lit:
    return event


def dark(state: Lit) -> bool:
    return not state.lamps


def test_a_command_from_another_worker_is_known_though_its_set_iterates_otherwise() -> None:
    lamps = frozenset((31, 142, 149, 157, 14, 40, 175))
    assert repr(pickle.loads(pickle.dumps(lamps))) != repr(lamps)
    checked = Checked(Aggregate("lamps", Lit, light, lit, [dark]), Scope(domains={Light: [Light(lamps)]}))
    (finding,) = check(checked, workers=2).findings
    assert finding.trace is not None
    assert said(follow(checked, finding.link))[:-1] == said(finding.trace)[:-1]
    assert finding.link.endswith("/0/0")


def test_a_step_that_does_not_come_about_says_why() -> None:
    def two_at_most(box: Box) -> bool:
        return len(box.on) < 3

    checked = Checked(box_of(invariants=[two_at_most]), finished=anything)
    (finding,) = check(checked).findings
    trace = follow(checked, finding.link)
    assert trace.steps[-1].outcome == finding.message
    start, steps = finding.link.rsplit("/", 1)
    first = steps.split(".")[0]
    again = follow(checked, f"{start}/{first}.{first}.{first}")
    assert [step.outcome for step in again.steps] == ["", "refused: is_so"]


def test_what_is_no_link_or_one_of_other_code_is_refused() -> None:
    link = check(replace(two_phase.three, properties=[always(lambda _: False, name="no")])).findings[0].link
    for bad, why in [
        (link, "the code, its claims or its scope have changed since"),
        ("", "is none; it looks like /check/two_phase/HASH"),
        (link + "/..", "is none"),
        ("/check/two_phase/0/0/" + "1." * 100_000, "is none"),
    ]:
        with pytest.raises(InvalidValue, match=why):
            follow(two_phase.three, bad)
    checked = replace(two_phase.three, properties=[always(lambda _: False, name="no")])
    for beyond in (link.replace("/0/", "/1/"), link + "99", link + "999999999"):
        with pytest.raises(InvalidValue, match="names states or commands that there are none of"):
            follow(checked, beyond)
