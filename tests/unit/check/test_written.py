"""A test that is written from a finding fails while the mistake is there, and passes when it is mended: of every kind."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace as replace_in
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import force_setattr, replace

from eventcore import Aggregate, Context, Value, require
from eventcore.check import (
    Checked,
    Scope,
    Symmetry,
    always,
    always_step,
    check,
    eventually,
    leads_to,
    never_stuck,
    sometimes,
    weak,
)
from eventcore.check.properties import Property, Step
from eventcore.check.render_pytest import pytest_of
from tests.unit.check import machines
from tests.unit.check.machines import At, Box, Break, Broke, Command, Event, Map, Switch, Switched, box_of, walk_of
from tests.unit.check.written import failing

Bad = Callable[[], Checked[Any, Any, Any]]


def bad_decide(decide: Callable[[Box, Command], Any]) -> Checked[Any, Any, Any]:
    decide.__annotations__ = machines.decide.__annotations__
    return Checked(box_of(decide))


def bad_evolve(evolve: Callable[[Box, Event], Any]) -> Checked[Any, Any, Any]:
    evolve.__annotations__ = machines.evolve.__annotations__
    return Checked(box_of(evolve=evolve))


def decide_raises() -> Checked[Any, Any, Any]:
    def decide(box: Box, command: Command) -> list[Event]:
        return machines.decide(box, command) if len(box.on) < 2 else [Switched(1 // 0, on=True)]

    return bad_decide(decide)


def evolve_raises() -> Checked[Any, Any, Any]:
    def evolve(box: Box, event: Event) -> Box:
        return replace(box, broken=1 // 0 == 1) if isinstance(event, Broke) else machines.evolve(box, event)

    return bad_evolve(evolve)


def decide_forgets() -> Checked[Any, Any, Any]:
    return bad_decide(lambda box, command: machines.decide(box, command) if isinstance(command, Switch) else None)


def evolve_forgets() -> Checked[Any, Any, Any]:
    return bad_evolve(lambda box, event: machines.evolve(box, event) if isinstance(event, Switched) else None)


def decide_reads_the_clock() -> Checked[Any, Any, Any]:
    ticks = itertools.count()
    return bad_decide(lambda box, command: machines.decide(box, command) if next(ticks) % 2 else [])


def decide_refuses_by_the_clock() -> Checked[Any, Any, Any]:
    ticks = itertools.count()

    def decide(box: Box, command: Command) -> list[Event]:
        require(next(ticks) % 3 > 0, "not_now")
        return machines.decide(box, command)

    return bad_decide(decide)


def decide_draws_lots() -> Checked[Any, Any, Any]:
    lots = random.Random(7)

    def decide(box: Box, command: Command) -> list[Event]:
        if isinstance(command, Switch) and command.on and not box.broken:
            return [Switched(lots.randrange(3), on=True)]
        return machines.decide(box, command)

    return bad_decide(decide)


def decide_takes_the_first_of_a_set() -> Checked[Any, Any, Any]:
    def decide(box: Box, command: Command) -> list[Event]:
        if isinstance(command, Break) and len(box.on) == 2:
            return [Switched(next(iter(box.on)), on=False)]
        return machines.decide(box, command)

    return bad_decide(decide)


def decide_refuses_by_the_order_of_a_set() -> Checked[Any, Any, Any]:
    def decide(box: Box, command: Command) -> list[Event]:
        require(len(box.on) < 2 or next(iter(box.on)) == max(box.on), "another_order")
        return machines.decide(box, command)

    return bad_decide(decide)


def decide_keeps_its_list() -> Checked[Any, Any, Any]:
    kept: list[Event] = []

    def decide(box: Box, command: Command) -> list[Event]:
        kept.extend(machines.decide(box, command))
        return kept

    return bad_decide(decide)


def evolve_changes_the_state() -> Checked[Any, Any, Any]:
    def evolve(box: Box, event: Event) -> Box:
        if isinstance(event, Broke):
            force_setattr(box, "broken", True)
            return box
        return machines.evolve(box, event)

    return bad_evolve(evolve)


def decide_changes_the_state() -> Checked[Any, Any, Any]:
    def decide(box: Box, command: Command) -> list[Event]:
        events = machines.decide(box, command)
        if type(box) is Box and len(box.on) == 2:
            force_setattr(box, "switches", 9)
        return events

    return bad_decide(decide)


def light_out_of_bounds() -> Checked[Any, Any, Any]:
    return bad_decide(
        lambda box, command: [Switched(7, on=True)] if len(box.on) == 1 else machines.decide(box, command)
    )


def state_out_of_type() -> Checked[Any, Any, Any]:
    def evolve(box: Box, event: Event) -> Box:
        after = machines.evolve(box, event)
        return Box(after.on, broken=1) if isinstance(event, Broke) else after  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the mistake

    return bad_evolve(evolve)


class Long(Value):
    """A text that grows."""

    text: str = ""


class Grew(Value):
    """It grew."""


class Grow(Value):
    """Let it grow."""


def too_long() -> Checked[Any, Any, Any]:
    def decide(state: Long, _: Grow) -> list[Grew]:
        return [Grew()] if len(state.text) < 20_000_000 else []

    def evolve(state: Long, _: Grew) -> Long:
        return Long("x" * max(1, 300 * len(state.text)))

    return Checked(Aggregate("long", Long, decide, evolve))


def reads_what_is_unread() -> Checked[Any, Any, Any]:
    def decide(box: Box, command: Command) -> list[Event]:
        return [] if box.switches > 3 else machines.decide(box, command)

    return Checked(box_of(decide), Scope(unread=["switches"]))


def never_all(box: Box) -> bool:
    return len(box.on) < 3


def raising(box: Box) -> bool:
    return 1 // (2 - len(box.on)) >= 0


def raising_and_false(box: Box) -> bool:
    return raising(box) and False


def raising_step(step: Step) -> bool:
    return raising(step.after)


def breaks_nothing(step: Step) -> bool:
    return not step.after.broken


def broken(box: Box) -> bool:
    return box.broken


def dark(box: Box) -> bool:
    return not box.on


def of_seven(box: Box) -> bool:
    return len(box.on) == 7


def claimed(*claims: Property) -> Bad:
    return lambda: Checked(box_of(), properties=claims)


def guarded(holds: Callable[[Box], bool], **more: Any) -> Bad:
    return lambda: Checked(box_of(invariants=[holds]), **more)


def picked_out() -> Checked[Any, Any, Any]:
    def decide(box: Box, command: Command) -> list[Event]:
        require(not isinstance(command, Switch) or command.light != 1 or not box.on, "only_first")
        return machines.decide(box, command)

    return Checked(box_of(decide), symmetry=LIGHTS)


def at_noon() -> Checked[Any, Any, Any]:
    def decide(box: Box, command: Command, context: Context) -> list[Event]:
        require(context.time.hour != 12 or not box.broken, "noon")
        return [Broke()] if context.time.hour == 12 else machines.decide(box, command)

    times = [Context.at(datetime(2026, 1, 1, hour, tzinfo=UTC), UUID(int=1)) for hour in (6, 12)]
    aggregate = Aggregate("box", Box, decide, machines.evolve, invariants=[lit_where_broken])
    return Checked(aggregate, Scope(contexts=times))


def lit_where_broken(box: Box) -> bool:
    return not box.broken or len(box.on) == 3


LIGHTS = Symmetry(range(3), named=["light"], naming=["on"])
KINDS: dict[str, tuple[Bad, set[str]]] = {
    "decide raises": (decide_raises, {"raises decide"}),
    "evolve raises": (evolve_raises, {"raises evolve"}),
    "decide forgets": (decide_forgets, {"unhandled decide"}),
    "evolve forgets": (evolve_forgets, {"unhandled evolve"}),
    "clock": (decide_reads_the_clock, {"non_deterministic decide"}),
    "refuses by the clock": (decide_refuses_by_the_clock, {"non_deterministic decide"}),
    "lots": (decide_draws_lots, {"non_deterministic decide"}),
    "first of a set": (decide_takes_the_first_of_a_set, {"non_deterministic decide"}),
    "order of a set": (decide_refuses_by_the_order_of_a_set, {"non_deterministic decide"}),
    "kept list": (decide_keeps_its_list, {"non_deterministic decide"}),
    "evolve changes": (evolve_changes_the_state, {"mutates state"}),
    "decide changes": (decide_changes_the_state, {"mutates state"}),
    "event's bounds": (light_out_of_bounds, {"invariant valid_event"}),
    "state's type": (state_out_of_type, {"invariant valid_state"}),
    "too long": (too_long, {"codec Long"}),
    "unread": (reads_what_is_unread, {"raises decide"}),
    "invariant": (guarded(never_all), {"invariant never_all"}),
    "invariant raises": (guarded(raising), {"raises raising"}),
    "dead end": (lambda: Checked(box_of(), finished=dark), {"dead_end finished"}),
    "dead end before an enforced invariant": (
        lambda: Checked(only_on(invariants=[never_all]), enforced=["never_all"], finished=dark),
        {"dead_end finished"},
    ),
    "finished raises": (
        lambda: Checked(only_on(), finished=lambda box: 1 // (3 - len(box.on)) > 9),
        {"raises finished"},
    ),
    "within raises": (lambda: Checked(box_of(), Scope(within=raising)), {"raises within"}),
    "always": (claimed(always(never_all)), {"always never_all"}),
    "always raises": (claimed(always(raising)), {"raises raising"}),
    "always of the first": (claimed(always(of_seven)), {"always of_seven"}),
    "step": (claimed(always_step(breaks_nothing)), {"always_step breaks_nothing"}),
    "step raises": (claimed(always_step(raising_step)), {"raises raising_step"}),
    "sometimes": (claimed(sometimes(of_seven)), {"sometimes of_seven"}),
    "sometimes raises": (claimed(sometimes(raising_and_false)), {"raises raising_and_false"}),
    "never stuck": (claimed(never_stuck(dark)), {"never_stuck dark"}),
    "never stuck raises": (claimed(never_stuck(raising)), {"raises raising"}),
    "eventually": (claimed(eventually(broken, fair=[weak()])), {"eventually broken"}),
    "leads to": (claimed(leads_to(dark, broken)), {"leads_to dark_leads_to_broken"}),
    "premise raises": (claimed(leads_to(raising, dark, name="led")), {"raises led"}),
    "two": (
        lambda: Checked(box_of(invariants=[never_all]), properties=[sometimes(of_seven), never_stuck(broken)]),
        {"invariant never_all", "sometimes of_seven", "never_stuck broken"},
    ),
    "a time": (at_noon, {"invariant lit_where_broken"}),
}


def only_on(invariants: Any = ()) -> Aggregate[Box, Command, Event]:
    """A box whose lights are never switched off, and which does not break."""

    def decide(box: Box, command: Command) -> list[Event]:
        require(isinstance(command, Switch) and command.on, "only_on")
        return machines.decide(box, command)

    return box_of(decide, invariants=invariants)


@pytest.mark.parametrize("kind", KINDS)
def test_of_each_kind_it_fails_while_the_mistake_is_there(kind: str) -> None:
    bad, expected = KINDS[kind]
    report = check(bad(), keep_going=True)
    found = {f"{each.kind} {each.name}" for each in report.findings}
    assert expected <= found
    assert all(failing(report, bad()).values())


@pytest.mark.parametrize("kind", KINDS)
def test_of_each_kind_it_passes_when_the_mistake_is_mended(kind: str) -> None:
    report = check(KINDS[kind][0](), keep_going=True)
    if kind == "too long":
        right: Any = Aggregate("long", Long, stays_short, keeps)
    elif kind == "a time":
        right = Aggregate("box", Box, whenever, machines.evolve)
    else:
        right = box_of()
    assert not any(failing(report, Checked(right)).values())


def stays_short(_: Long, __: Grow) -> list[Grew]:
    return []


def keeps(long: Long, _: Grew) -> Long:
    return long


def whenever(box: Box, command: Command, _: Context) -> list[Event]:
    return machines.decide(box, command)


def test_code_that_tells_instances_apart_is_asked_for_them_again() -> None:
    report = check(picked_out(), symmetric=True, keep_going=True)
    assert {each.kind for each in report.findings} == {"not_symmetric"}
    assert all(failing(report, picked_out()).values())
    assert not any(failing(report, Checked(box_of(), symmetry=LIGHTS)).values())


def test_a_claim_about_all_states_is_asked_of_as_many_as_it_was_found_in() -> None:
    report = check(Checked(box_of(), properties=[sometimes(of_seven)]))
    assert "check(checked, keep_going=True)\n" in pytest_of(report, "box:checked")
    more = pytest_of(replace_in(report, distinct=2_000_000), "box:checked")
    assert "check(checked, keep_going=True, bounds=Bounds(states=4000000))\n" in more
    assert "from eventcore.check import Bounds, check\n" in more
    alike = check(Checked(box_of(), properties=[sometimes(of_seven)], symmetry=LIGHTS), symmetric=True)
    assert "check(checked, keep_going=True, symmetric=True)\n" in pytest_of(alike, "box:checked")


PLACES = st.integers(0, 7)
ROADS: st.SearchStrategy[Map] = st.dictionaries(st.tuples(PLACES, st.integers(0, 2)), PLACES, max_size=16)


@given(ROADS, PLACES, PLACES, PLACES)
def test_on_any_map_each_fails_now_and_passes_where_nothing_is_claimed(
    roads: Map, one: int, two: int, bad: int
) -> None:
    def here(at: At) -> bool:
        return at.place == one

    def there(at: At) -> bool:
        return 1 // (at.place - bad) > 9 or at.place == two

    def not_back(step: Step) -> bool:
        return bool(step.after.place >= step.before.place)

    claims = [
        always(lambda at: at.place != one, name="away"),
        always_step(not_back),
        sometimes(here),
        never_stuck(there),
    ]
    claims += [
        eventually(here, fair=[weak()], name="soon"),
        leads_to(there, here, name="after"),
        sometimes(there, name="seen"),
    ]
    checked = Checked(walk_of(roads), properties=claims, finished=there)
    report = check(checked, keep_going=True)
    assert all(failing(report, checked).values())
    assert not any(failing(report, Checked(walk_of(roads))).values())
    first = check(checked)
    assert all(failing(first, checked).values())
