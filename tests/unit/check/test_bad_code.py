"""Bad code is named: which function, what it did, the usual cause, and the shortest way to it."""

import itertools
import random
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from eventcore import Aggregate, require
from eventcore.check import (
    Checked,
    Finding,
    Report,
    Scope,
    always,
    always_step,
    check,
    matrix_of,
    retrace,
    sometimes,
)
from eventcore.check.induction import induction
from eventcore.check.properties import Property, Step
from eventcore.check.render_json import data_of
from eventcore.check.render_text import text_of
from eventcore.context import Context
from eventcore.errors import NotSupported
from eventcore.value import Value
from tests.unit.check import machines
from tests.unit.check.machines import Box, Break, Broke, Command, Event, Switch, Switched, box_of


def only(report: Report) -> Finding:
    """The one finding, whose trace leads to it again, and which every form can show."""
    assert (report.verdict, report.exit_code, len(report.findings)) == ("fail", 1, 1), str(report)
    (finding,) = report.findings
    assert finding.message in text_of(report)
    assert msgspec.json.decode(msgspec.json.encode(data_of(report)))["findings"][0]["name"] == finding.name
    return finding


def retraced(finding: Finding, checked: Checked[Box, Command, Event]) -> str | None:
    trace = finding.trace
    assert trace is not None
    return retrace(checked, trace.initial, [step.command for step in trace.steps])


def test_a_within_that_raises_turns_the_state_away_and_the_search_is_cut() -> None:
    def within(box: Box) -> bool:
        return len(box.on) < 2 or 1 // (len(box.on) - 2) > 0

    report = check(Checked(box_of(), Scope(within=within)), keep_going=True)
    assert (report.verdict, list(report.cut)) == ("fail", ["within"])
    assert [(each.kind, each.name) for each in report.findings] == [("raises", "within")]
    assert any("turned 6 steps away" in reason.what for reason in report.reasons)


def test_the_box_itself_has_nothing_wrong() -> None:
    report = check(box_of())
    assert (report.verdict, report.distinct, report.depth) == ("pass", 9, 5)
    assert report.refusals == {"broken": 7, "is_so": 24, "too_weak": 7}


def test_a_decide_that_raises_is_named_with_the_shortest_trace() -> None:
    def decide(box: Box, command: Command) -> list[Event]:
        if len(box.on) == 2:
            raise ZeroDivisionError("half a light")
        return machines.decide(box, command)

    finding = only(check(box_of(decide)))
    assert (finding.kind, finding.name) == ("raises", "decide")
    assert "decide raises ZeroDivisionError: half a light" in finding.message
    assert finding.trace is not None
    assert (finding.trace.states, len(finding.trace.steps)) == (3, 3)
    assert finding.message == (retraced(finding, Checked(box_of(decide))) or "").removeprefix("decide: ")


def test_an_evolve_that_raises_is_named() -> None:
    def evolve(box: Box, event: Event) -> Box:
        if isinstance(event, Broke):
            raise KeyError("broken")
        return machines.evolve(box, event)

    finding = only(check(box_of(evolve=evolve)))
    assert (finding.kind, finding.name) == ("raises", "evolve")


def test_a_forgotten_case_of_decide_is_named() -> None:
    def decide(box: Box, command: Command) -> list[Event]:  # type: ignore[return]  # the mistake
        match command:  # type: ignore[exhaustive-match]  # pyright: ignore[reportMatchNotExhaustive]  # the mistake
            case Switch():
                return machines.decide(box, command)

    finding = only(check(box_of(decide)))  # pyright: ignore[reportArgumentType]
    assert (finding.kind, finding.name) == ("unhandled", "decide")
    assert finding.message == "decide returns nothing for Break()"
    assert "no case of it matches Break" in finding.likely


def test_a_forgotten_case_of_evolve_is_named() -> None:
    def evolve(box: Box, event: Event) -> Box:  # type: ignore[return]  # the mistake
        match event:  # type: ignore[exhaustive-match]  # pyright: ignore[reportMatchNotExhaustive]  # the mistake
            case Switched():
                return machines.evolve(box, event)

    finding = only(check(box_of(evolve=evolve)))  # pyright: ignore[reportArgumentType]
    assert (finding.kind, finding.name, finding.message) == ("unhandled", "evolve", "evolve returns nothing for Broke")


def test_a_decide_that_reads_the_clock_gives_two_results() -> None:
    ticks = itertools.count()

    def decide(box: Box, command: Command) -> list[Event]:
        events = machines.decide(box, command)
        return events if next(ticks) % 2 else []

    finding = only(check(box_of(decide)))
    assert finding.kind == "non_deterministic"
    assert "the clock, randomness" in finding.likely
    assert "on the same state" in finding.message


def test_a_decide_that_draws_lots_gives_two_results() -> None:
    lots = random.Random(7)

    def decide(box: Box, command: Command) -> list[Event]:
        if isinstance(command, Switch) and command.on and not box.broken:
            return [Switched(lots.randrange(3), on=True)]
        return machines.decide(box, command)

    assert only(check(box_of(decide))).kind == "non_deterministic"


def test_a_decide_that_depends_on_the_order_of_a_set_gives_two_results() -> None:
    def decide(box: Box, command: Command) -> list[Event]:
        if isinstance(command, Break) and len(box.on) == 2:
            first = next(iter(box.on))
            return [Switched(first, on=False)]
        return machines.decide(box, command)

    finding = only(check(box_of(decide)))
    assert (finding.kind, finding.name) == ("non_deterministic", "decide")
    assert "iteration over a set" in finding.likely


def test_a_default_that_is_changed_in_place_gives_two_results() -> None:
    kept: list[Event] = []

    def decide(box: Box, command: Command) -> list[Event]:
        kept.extend(machines.decide(box, command))
        return kept

    assert only(check(box_of(decide))).kind == "non_deterministic"


def test_an_evolve_that_changes_the_state_in_place_is_named() -> None:
    def evolve(box: Box, event: Event) -> Box:
        if isinstance(event, Broke):
            msgspec.structs.force_setattr(box, "broken", True)
            return box
        return machines.evolve(box, event)

    checked = Checked(box_of(evolve=evolve))
    report = check(checked, keep_going=True)
    assert "mutates" in {finding.kind for finding in report.findings}


def test_a_turn_that_breaks_an_invariant_is_shown_with_where_it_would_lead() -> None:
    def never_all(box: Box) -> bool:
        return len(box.on) < 3

    checked = Checked(box_of(invariants=[never_all]))
    finding = only(check(checked))
    assert (finding.kind, finding.name) == ("invariant", "never_all")
    assert finding.trace is not None
    assert (finding.trace.states, len(finding.trace.last.on)) == (4, 3)
    assert retraced(finding, checked) == f"never_all: {finding.message}"


def test_an_invariant_that_is_left_to_the_turn_refuses() -> None:
    def never_all(box: Box) -> bool:
        return len(box.on) < 3

    report = check(Checked(box_of(invariants=[never_all]), enforced=["never_all"]))
    assert (report.verdict, report.distinct, report.refusals["never_all"]) == ("pass", 7, 3)
    assert "Broke is never emitted" in report.warnings
    assert "Break is never accepted" in report.warnings


def test_an_invariant_that_raises_is_a_finding_and_no_crash() -> None:
    def half(box: Box) -> bool:
        return 1 // (3 - len(box.on)) >= 0

    finding = only(check(box_of(invariants=[half])))
    assert (finding.kind, finding.name) == ("raises", "half")
    assert "ZeroDivisionError" in finding.message


def half_on(box: Box) -> bool:
    return 1 // (3 - len(box.on)) >= 0


def breaks_last(step: Step) -> bool:
    return 1 // (3 - len(step.before.on)) >= 0


@pytest.mark.parametrize("broken", [always(half_on), always_step(breaks_last), sometimes(half_on, name="seen")])
def test_a_property_that_raises_is_a_finding_and_no_crash(broken: Property) -> None:
    report = check(Checked(box_of(), properties=[broken]), keep_going=True)
    if broken.kind == "sometimes":
        assert report.verdict == "pass"  # it was true of the first state, and is not asked again
        return
    finding = only(report)
    assert (finding.kind, finding.name) == ("raises", broken.name)


def test_an_event_out_of_its_bounds_is_a_broken_invariant_of_its_type() -> None:
    def decide(box: Box, command: Command) -> list[Event]:
        return [Switched(7, on=True)] if len(box.on) == 1 else machines.decide(box, command)

    finding = only(check(box_of(decide)))
    assert (finding.kind, finding.name) == ("invariant", "valid_event")
    assert "Switched.light: 7 is more than 2" in finding.message


def test_a_state_out_of_its_type_is_a_broken_invariant_of_its_type() -> None:
    def evolve(box: Box, event: Event) -> Box:
        return Box(box.on, broken=1 if isinstance(event, Broke) else box.broken)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the mistake

    def evolve_all(box: Box, event: Event) -> Box:
        return evolve(machines.evolve(box, event), event)

    finding = only(check(box_of(evolve=evolve_all)))
    assert (finding.kind, finding.name) == ("invariant", "valid_state")


class Mark(StrEnum):
    """How far it is."""

    OPEN = "open"
    SHUT = "shut"


class Loose(Value):
    """A number and a mark, either of which something of another class may equal."""

    n: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
    mark: Mark = Mark.OPEN


class Add(Value):
    """One more, round and round."""


class Halve(Value):
    """Half as much."""


class Reopen(Value):
    """Be open."""


class Stepped(Value):
    """One more."""


class Halved(Value):
    """Half as much."""


class Reopened(Value):
    """It is open."""


Ask = Add | Halve | Reopen
Happening = Stepped | Halved | Reopened


def decide_loose(loose: Loose, command: Ask) -> list[Happening]:
    match command:
        case Add():
            return [Stepped()]
        case Halve():
            require(loose.n % 2 == 0, "odd")
            return [Halved()]
        case Reopen():
            return [Reopened()]


def halving_truly(loose: Loose, event: Happening) -> Loose:
    match event:
        case Stepped():
            return msgspec.structs.replace(loose, n=(loose.n + 1) % 5)
        case Halved():
            return msgspec.structs.replace(loose, n=loose.n / 2)
        case Reopened():
            return loose


def opening_by_text(loose: Loose, event: Happening) -> Loose:
    return msgspec.structs.replace(loose, mark="open") if isinstance(event, Reopened) else loose


def reading_all(loose: Loose, event: Happening) -> Loose:
    return halving_truly(loose, event) if loose != Loose(4, Mark.SHUT) else loose


@pytest.mark.parametrize("evolve", [halving_truly, opening_by_text, reading_all])
def test_a_state_that_equals_a_known_one_and_is_of_another_type_is_no_valid_one(evolve: Any) -> None:
    loose = Aggregate("loose", Loose, decide_loose, evolve)
    finding = only(check(loose))
    assert (finding.kind, finding.name) == ("invariant", "valid_state")
    assert finding.trace is not None
    last = finding.trace.last
    assert type(last.n) is float or type(last.mark) is str
    column = "Reopen" if evolve is opening_by_text else "Halve"
    assert any(cell.verdict == "violates" for _, name, cell in matrix_of(loose).cells() if name == column)
    assert not any(cell.verdict == "accepts" for _, name, cell in matrix_of(loose).cells() if name == column)
    assert induction(loose).verdict == "fail"


class Long(Value):
    """A text that grows."""

    text: str = ""


class Grew(Value):
    """It grew."""


class Grow(Value):
    """Let it grow."""


def test_a_state_that_cannot_be_written_is_named() -> None:
    def decide(state: Long, _: Grow) -> list[Grew]:
        return [Grew()] if len(state.text) < 20_000_000 else []

    def evolve(state: Long, _: Grew) -> Long:
        return Long("x" * max(1, 300 * len(state.text)))

    finding = only(check(Aggregate("long", Long, decide, evolve)))
    assert (finding.kind, finding.name) == ("codec", "Long")
    assert len(finding.message) < 2_000


class Odd(Value, eq=False):
    """A state that equals nothing."""

    n: int = 0


def test_a_state_that_is_not_compared_by_its_fields_is_refused_at_once() -> None:
    def decide(_: Odd, __: Grow) -> list[Grew]:
        return []

    def evolve(state: Odd, _: Grew) -> Odd:
        return state

    with pytest.raises(NotSupported, match="two Odds with equal fields are not equal"):
        check(Aggregate("odd", Odd, decide, evolve))


class Blind(Value):
    """What equals every other of its class."""

    n: int = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blind)

    def __hash__(self) -> int:
        return 1


class Colour(StrEnum):
    """Members that equal each other."""

    RED = "red"
    BLUE = "blue"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Colour)

    __hash__ = str.__hash__


class Late(Blind):
    """What has it from its parent."""


class Around(Value):
    """What holds one, at some depth."""

    held: tuple[Late | None, ...] = ()


class Painted(Value):
    """What is told by a member."""

    colour: Colour = Colour.RED


class Unequal(Value):
    """What may hold what equals nothing."""

    odd: Odd | None = None


def going(state_type: Any, command_type: Any = Grow) -> Aggregate[Any, Any, Any]:
    def decide(state: Any, command: Any) -> list[Grew]:
        return [] if state and command else [Grew()]

    def evolve(state: Any, _: Grew) -> Any:
        return state

    decide.__annotations__ |= {"state": state_type, "command": command_type}
    evolve.__annotations__ |= {"state": state_type, "return": state_type}
    return Aggregate("going", state_type, decide, evolve)


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        ((Blind,), "Blind has an __eq__ of its own"),
        ((Late,), "Late has an __eq__ of its own"),
        ((Around,), "Late has an __eq__ of its own"),
        ((Painted,), "Colour has an __eq__ of its own"),
        ((Unequal,), "Odd has eq=False"),
        ((Long, Blind), "Blind has an __eq__ of its own"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_class_that_is_compared_in_its_own_way_is_refused_at_once(kinds: tuple[Any, ...], why: str) -> None:
    with pytest.raises(NotSupported, match=why):
        check(going(*kinds))


def test_a_field_that_is_called_unread_and_is_read_is_a_finding() -> None:
    def decide(box: Box, command: Command) -> list[Event]:
        return [] if box.switches > 3 else machines.decide(box, command)

    def counting(box: Box, event: Event) -> Box:
        return msgspec.structs.replace(machines.evolve(box, event), switches=box.switches + 1)

    unread = Scope(unread=["switches"])
    finding = only(check(Checked(box_of(decide, counting), unread)))
    assert (finding.kind, finding.name) == ("raises", "decide")
    assert "a field that the scope calls unread was read" in finding.message
    assert check(Checked(box_of(evolve=counting), unread)).distinct == 9


def test_a_decide_with_a_context_is_inconclusive_until_contexts_are_declared() -> None:
    def decide(box: Box, command: Command, context: Context) -> list[Event]:
        return machines.decide(box, command) if context.time.year > 2000 else []

    aggregate = Aggregate("box", Box, decide, machines.evolve)
    assert [reason.what[:23] for reason in check(aggregate).reasons] == ["decide takes a Context,"]
    contexts = [Context.at(datetime(year, 1, 1, tzinfo=UTC), UUID(int=1)) for year in (1999, 2026)]
    report = check(Checked(aggregate, Scope(contexts=contexts)))
    assert (report.verdict, report.distinct) == ("pass", 9)
    assert "ids of decide were, as declared, 1999-01-01T00:00:00+00:00 for 00000000-" in str(report)
    assert [(leaf["field"], leaf["tried"]) for leaf in data_of(report)["domains"]][-1] == ("context", 2)


@pytest.mark.parametrize("workers", [None, 2])
def test_a_command_that_no_context_makes_acceptable_is_warned_of(workers: int | None) -> None:
    def decide(box: Box, command: Command, context: Context) -> list[Event]:
        require(isinstance(command, Switch) or context.time.year > 2030, "too_early")
        return machines.decide(box, command)

    aggregate = Aggregate("box", Box, decide, machines.evolve)
    for years in ([2026], [2026, 2027]):
        contexts = [Context.at(datetime(year, 1, 1, tzinfo=UTC), UUID(int=1)) for year in years]
        report = check(aggregate, scope=Scope(contexts=contexts), workers=workers)
        assert report.fired == {"Switch": 24 * len(years), "Break": 0}
        assert list(report.warnings) == ["Break is never accepted", "Broke is never emitted"]
