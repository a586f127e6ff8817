"""What is remembered is what would be decided anew; what cannot be watched is decided every time."""

from __future__ import annotations

import copy
import functools
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta
from msgspec.structs import astuple as fields_of

from eventcore import Aggregate, Context, Refusal, Value, require, take_turn
from eventcore.check import Checked, Scope, check
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.machine import Refusals
from eventcore.check.remember import LOOK_EVERY, Remembered
from eventcore.check.sameness import key_of
from eventcore.check.watch import Watch
from eventcore.turn import Accepted
from eventcore.value import Map
from examples.models import two_phase
from tests.unit.examples.plain_search import search

NOW = Context(0, bytes(16))
Small = Annotated[int, Meta(ge=0, le=5)]


class Three(Value):
    """Three counters."""

    a: Small = 0
    b: Small = 0
    c: Small = 0


class Set(Value):
    """Set one of them."""

    which: Annotated[int, Meta(ge=0, le=2)]
    to: Small


class WasSet(Value):
    """One of them was set."""

    which: int
    to: Small


def evolve(state: Three, event: WasSet) -> Three:
    return msgspec.structs.replace(state, **{"abc"[event.which]: event.to})


def plain(state: Three, command: Set) -> list[WasSet]:
    require(state.b != command.to, "same")
    return [] if state.a == 5 else [WasSet(command.which, command.to)]


def by_equality(state: Three, command: Set) -> list[WasSet]:
    require(state != Three(1, 1, 1), "same")
    return [WasSet(command.which, command.to)]


def by_hash(state: Three, command: Set) -> list[WasSet]:
    require(hash(state) != hash(Three(1, 1, 1)), "same")
    return [WasSet(command.which, command.to)]


def by_copy(state: Three, command: Set) -> list[WasSet]:
    require(msgspec.structs.replace(state, c=0).b != command.to, "same")
    return [WasSet(command.which, command.to)]


def by_dict(state: Three, command: Set) -> list[WasSet]:
    require(msgspec.structs.asdict(state)["b"] != command.to, "same")
    return [WasSet(command.which, command.to)]


def by_encoding(state: Three, command: Set) -> list[WasSet]:
    require(len(repr(state)) % 2 == 0, "same")
    return [WasSet(command.which, command.to)]


def by_json(state: Three, command: Set) -> list[WasSet]:
    require(len(msgspec.json.encode(state)) % 2 == 0, "same")
    return [WasSet(command.which, command.to)]


def by_format(state: Three, command: Set) -> list[WasSet]:
    require(f"{state.a}" != str(command.to), "same")
    return [WasSet(command.which, command.to)] if str(state.b) == "1" else []


def by_pattern(state: Three, command: Set) -> list[WasSet]:
    match state:
        case Three(0, 0, _):
            return [WasSet(command.which, command.to)]
        case Three(c=4):
            raise Refusal("four")
        case _:
            return []


def by_swallowing(state: Three, command: Set) -> list[WasSet]:
    try:
        return [WasSet(command.which, state.b)] if state == Three() else []
    except Exception:  # noqa: BLE001 - what no decide should do
        return []


def made_new(state: Three, event: WasSet) -> Three:
    values = [state.a, state.b, state.c]
    values[event.which] = event.to
    return Three(*values)


def by_reading(state: Three, event: WasSet) -> Three:
    return msgspec.structs.replace(state, a=min(5, state.b + 1)) if event.which else state


def by_all(state: Three, event: WasSet) -> Three:
    return state if state == Three() else evolve(state, event)


def by_a_copy(state: Three, event: WasSet) -> Three:
    return evolve(msgspec.structs.replace(state, c=(state.c + 1) % 6), event)


def by_a_look_at_a_copy(state: Three, event: WasSet) -> Three:
    copied = msgspec.structs.replace(state, c=event.to)
    return msgspec.structs.replace(copied, a=copied.c)


def twice(state: Three, command: Set) -> list[WasSet]:
    require(state.c != command.to, "same")
    return [WasSet(command.which, command.to), WasSet((command.which + 1) % 3, command.to)]


EVOLVES = [evolve, made_new, by_reading, by_all, by_a_copy, by_a_look_at_a_copy]
EVERY = [
    twice,
    plain,
    by_equality,
    by_hash,
    by_copy,
    by_dict,
    by_encoding,
    by_json,
    by_format,
    by_pattern,
    by_swallowing,
]
STATES = st.builds(Three, *(st.integers(0, 5) for _ in "abc"))
COMMANDS = [Set(which, to) for which in range(3) for to in range(6)]


@pytest.mark.parametrize("decide", EVERY, ids=lambda each: str(each.__name__))
@pytest.mark.parametrize("evolve", EVOLVES, ids=lambda each: str(each.__name__))
@given(st.lists(STATES, min_size=1, max_size=12))
@settings(max_examples=8)
def test_remembered_steps_are_those_of_fresh_turns(decide: Any, evolve: Any, states: list[Three]) -> None:
    aggregate = Aggregate("three", Three, decide, evolve)
    remembered = Remembered(aggregate, COMMANDS, lambda label: (label, NOW))
    for state in states:
        steps = remembered.steps(state)
        found = {label: outcome for label, outcome in steps if isinstance(outcome, Accepted)}
        fresh = {command: take_turn(aggregate, state, command, NOW) for command in COMMANDS}
        assert found == {label: outcome for label, outcome in fresh.items() if isinstance(outcome, Accepted)}
        refused = sum(count for _, each in steps if isinstance(each, Refusals) for _, count in each.counts)
        plainly = sum(label is not None and not isinstance(each, Accepted) for label, each in steps)
        assert len(found) + refused + plainly == len(COMMANDS)


def test_turns_are_taken_once_for_the_fields_that_they_read() -> None:
    asked = evolved = 0

    def evolve(state: two_phase.TwoPhase, event: two_phase.Event) -> two_phase.TwoPhase:
        nonlocal evolved
        evolved += 1
        return two_phase.evolve(state, event)

    def decide(state: two_phase.TwoPhase, command: two_phase.Command) -> list[two_phase.Event]:
        nonlocal asked
        asked += 1
        return two_phase.decide(state, command)

    aggregate = two_phase.two_phase_of(5)
    labels: list[Any] = list(check_labels(5))
    remembered = Remembered(
        Aggregate("two_phase", aggregate.initial, decide, evolve), labels, lambda label: (label, NOW)
    )
    states = {aggregate.initial(): None}
    for state in list_that_grows(states, remembered):
        assert state in states
    assert len(states) == 8_832
    assert asked < 8_832 * len(labels) / 4
    assert evolved < 58_146 / 2


def check_labels(managers: int) -> list[two_phase.Command]:
    each = range(managers)
    told: list[two_phase.Command] = [two_phase.DecideToCommit(), two_phase.DecideToAbort()]
    for kind in (two_phase.Hear, two_phase.Prepare, two_phase.Abandon, two_phase.Commit, two_phase.Abort):
        told += [kind(manager) for manager in each]
    return told


def list_that_grows(states: dict[Any, None], remembered: Remembered) -> Any:
    queue = list(states)
    for state in queue:
        for _, outcome in remembered.steps(state):
            if isinstance(outcome, Accepted) and outcome.state not in states:
                states[outcome.state] = None
                queue.append(outcome.state)
        yield state


def test_what_reads_ever_other_values_is_given_up_and_decided_every_time() -> None:
    asked = 0

    def decide(state: Three, command: Set) -> list[WasSet]:
        nonlocal asked
        asked += 1
        return plain(state, command)

    remembered = Remembered(Aggregate("three", Three, decide, evolve), COMMANDS[:2], lambda label: (label, NOW))
    for number in range(LOOK_EVERY):
        remembered.steps(Three(number, number, 0))  # beyond its bounds, which nothing here looks at
    before = asked
    for _ in range(10):
        remembered.steps(Three(1, 1, 0))
    assert asked == before + 10 * 2


class Hushed(Value):
    """One of them was set, and it does not say to what."""

    which: int
    to: Any

    def __repr__(self) -> str:
        return "Hushed(...)"


def hushed(_: Three, command: Set) -> list[Hushed]:
    return [Hushed(command.which, command.to)]


def evolve_hushed(state: Three, event: Hushed) -> Three:
    return msgspec.structs.replace(state, **{"abc"[event.which]: event.to})


def test_events_that_look_alike_are_not_taken_for_one_another() -> None:
    aggregate = Aggregate("hushed", Three, hushed, evolve_hushed)
    remembered = Remembered(aggregate, COMMANDS, lambda label: (label, NOW))
    for state in (Three(), Three(1, 1, 1)):
        for label, outcome in remembered.steps(state):
            assert isinstance(outcome, Accepted)
            assert [event.to for event in outcome.events] == [label.to]


SAME: list[Any] = [
    *(0, False, 0.0, -0.0, "0", None, (), (0,), (False,), [0], Decimal(1), Decimal("1.0"), UUID(int=0)),
    *(Three(), Three(0, 0, False), Set(0, 0), Map({"a": 0}), Map({"a": False}), frozenset({1}), frozenset({True})),
]


def test_what_is_the_same_is_of_one_type_at_every_depth() -> None:
    assert len({key_of(each) for each in SAME}) == len(SAME)
    assert [key_of(each) for each in copy.deepcopy(SAME)] == [key_of(each) for each in SAME]


def by_tuple(state: Three, command: Set) -> list[WasSet]:
    a, _, _ = fields_of(state)
    require(a is not ONE, "one")
    return [WasSet(command.which, command.to)]


def by_name(state: Three, command: Set) -> list[WasSet]:
    require(getattr(msgspec.structs, "astuple")(state)[0] is not ONE, "one")  # noqa: B009 - as one should not
    return [WasSet(command.which, command.to)]


def by_a_table(state: Three, command: Set) -> list[WasSet]:
    return BY_KIND[Set](state, command)


def by_an_encoder(state: Three, command: Set) -> list[WasSet]:
    require(b"7" not in ENCODER.encode(state), "seven")
    return [WasSet(command.which, command.to)]


def by_super(state: Three, command: Set) -> list[WasSet]:
    require(super(type(state), state).__getattribute__("a") is not ONE, "one")
    return [WasSet(command.which, command.to)]


class Setting(Value):
    """A command that decides by itself."""

    to: Small

    def on(self, state: Three) -> list[WasSet]:
        """What follows on a state."""
        return [WasSet(1, self.to)] if fields_of(state)[0] is ONE else []


def by_its_method(state: Three, command: Setting) -> list[WasSet]:
    return command.on(state)


ONE = 1  # one and the same, as all small numbers are
BY_KIND = {Set: functools.partial(by_tuple)}
ENCODER = msgspec.json.Encoder(enc_hook=lambda _: 0)


@pytest.mark.parametrize("decide", [by_tuple, by_name, by_a_table, by_an_encoder, by_super])
def test_what_takes_fields_past_their_attributes_is_decided_every_time(decide: Any) -> None:
    aggregate = Aggregate("three", Three, decide, evolve)
    remembered = Remembered(aggregate, COMMANDS, lambda label: (label, NOW))
    for state in (Three(), Three(1), Three(7)):
        accepted = [label for label, outcome in remembered.steps(state) if isinstance(outcome, Accepted)]
        fresh = [each for each in COMMANDS if isinstance(take_turn(aggregate, state, each, NOW), Accepted)]
        assert accepted == fresh


def test_methods_of_commands_are_code_as_well() -> None:
    aggregate = Aggregate("three", Three, by_its_method, evolve)
    remembered = Remembered(aggregate, [Setting(5)], lambda label: (label, NOW))
    for state in (Three(2), Three(1), Three(3)):
        ((_, outcome),) = remembered.steps(state)
        assert outcome == take_turn(aggregate, state, Setting(5), NOW)


def test_a_value_that_is_moved_past_attributes_is_noticed() -> None:
    watch = Watch(Three)

    def moving(state: Three, _: WasSet) -> Three:
        a, b, c = fields_of(state)
        return Three(b, a, c)

    assert watch.changes(moving, Three(2, 2, 3), [WasSet(0, 0)]) is None


class Kept(Value, dict=True, gc=True):
    """Counters that keep beside them what was once computed."""

    a: Small = 0
    b: Small = 0
    c: Small = 0
    unread: bool = False

    @functools.cached_property
    def ready(self) -> bool:
        """Whether the first two are there; the second is not asked where the first is not."""
        return self.a > 1 and self.b > 1


def test_what_a_state_keeps_beside_its_fields_is_of_that_state_alone() -> None:
    def ready_first(state: Kept, command: Set) -> list[WasSet]:
        require(command.which < 2 or state.ready, "not_ready")
        return [WasSet(command.which, command.to)]

    def put(state: Kept, event: WasSet) -> Kept:
        return msgspec.structs.replace(state, **{"abc"[event.which]: event.to})

    aggregate = Aggregate("kept", Kept, ready_first, put)
    commands = [Set(which, to) for which in range(3) for to in range(4)]
    remembered = Remembered(aggregate, commands, lambda label: (label, NOW))
    for state in (Kept(), Kept(2), Kept(2, 2), Kept(2, 2, 1), Kept(1, 2), Kept(2, 1)):
        accepted = {label for label, outcome in remembered.steps(state) if isinstance(outcome, Accepted)}
        assert accepted == {each for each in commands if isinstance(take_turn(aggregate, state, each, NOW), Accepted)}
    report = check(aggregate, scope=Scope(domains={"which": range(3), "to": range(4)}))
    assert (report.verdict, report.distinct) == ("pass", 4 * 4 * 4)


class Listed(Value):
    """A class that lists what is derived from it, once."""

    LIST: ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls) -> None:
        """List a class. Raises KeyError for a name that is there."""
        if cls.__name__ in Listed.LIST:
            raise KeyError(cls.__name__)
        Listed.LIST[cls.__name__] = cls


class Derived(Listed):
    """Two counters."""

    a: Small = 0
    b: Small = 0


def test_no_class_is_derived_from_one_that_minds() -> None:
    def counted(state: Derived, command: Set) -> list[WasSet]:
        require(state.a < command.to, "less")
        return [WasSet(0, command.to)]

    def count(state: Derived, event: WasSet) -> Derived:
        return Derived(event.to, state.b)

    report = check(Aggregate("derived", Derived, counted, count), scope=Scope(domains={"which": (0,)}))
    assert (report.verdict, report.distinct) == ("pass", 6)
    assert {"Derived": Derived} == Listed.LIST


class Loose(Value):
    """A state of which nobody knows what it holds."""

    held: Any = None
    turns: Annotated[int, Meta(ge=0, le=3)] = 0


class Put(Value):
    """Put something in."""

    what: Any


class WasPut(Value):
    """Something was put in."""

    what: Any


def test_what_may_hold_anything_is_decided_every_time_since_false_equals_zero() -> None:
    def decide(state: Loose, command: Put) -> list[WasPut]:
        require(state.held is not False, "false")
        return [WasPut(command.what)]

    def put(state: Loose, event: WasPut) -> Loose:
        return Loose(event.what, state.turns)

    remembered = AggregateMachine(Checked(Aggregate("loose", Loose, decide, put), Scope({"what": [0]})))
    assert isinstance(remembered.steps(Loose(0, 1))[0][1], Accepted)
    outcome = AggregateMachine(Checked(Aggregate("loose", Loose, decide, put), Scope({"what": [1]}))).steps(Loose())[0][
        1
    ]
    assert isinstance(outcome, Accepted)
    assert outcome.state.held is not True
    assert not isinstance(remembered.steps(Loose(False, 2))[0][1], Accepted)


@pytest.mark.parametrize("decide", EVERY, ids=lambda each: str(each.__name__))
def test_a_search_has_the_same_size_whether_decisions_can_be_watched_or_not(decide: Any) -> None:
    aggregate = Aggregate("three", Three, decide, evolve)
    report = check(aggregate, scope=Scope(domains={"which": range(3)}))
    assert (report.distinct, report.transitions, report.depth) == search(aggregate, COMMANDS).counts
