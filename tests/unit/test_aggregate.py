"""What an aggregate may be, and what is said to one that may not. Annotations are strings here, as in most programs."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from msgspec import Meta

from eventcore import Aggregate, Context, Invariant, Message, Value, require
from eventcore.errors import InvalidValue, NotSupported, Refusal, UnknownName

Amount = Annotated[int, Meta(gt=0)]


class Counter(Value):
    """A state."""

    total: Annotated[int, Meta(ge=0)] = 0


class Add(Value):
    """A command."""

    amount: Amount


class Reset(Value):
    """Another command."""


class Added(Value):
    """An event."""

    amount: Amount


def decide(counter: Counter, command: Add | Reset) -> list[Added]:
    return [Added(command.amount)] if isinstance(command, Add) else []


def evolve(counter: Counter, event: Added) -> Counter:
    return Counter(counter.total + event.amount)


def below_a_hundred(counter: Counter) -> bool:
    return counter.total < 100


counters = Aggregate("counter", Counter, decide, evolve, invariants=[below_a_hundred])


def message_of(*args: Any, **kwargs: Any) -> str:
    """What the definition of an aggregate with these arguments says; a type checker would often say it before."""
    with pytest.raises(NotSupported) as told:
        Aggregate(*args, **kwargs)
    return str(told.value)


def test_commands_events_and_state_are_read_from_the_annotations() -> None:
    assert list(counters.command_checks) == [Add, Reset]
    assert list(counters.event_checks) == [Added]
    assert counters.state_type is Counter
    assert [guard.name for guard in counters.guards] == ["below_a_hundred"]
    assert not counters.takes_context


def test_a_third_parameter_of_decide_is_the_context() -> None:
    def with_context(counter: Counter, command: Add, context: Context) -> list[Added]:
        return [Added(command.amount)]

    assert Aggregate("counter", Counter, with_context, evolve).takes_context


def test_a_command_is_addressed_to_an_instance() -> None:
    assert counters.to("a", Add(5)) == Message("counter", "a", Add(5))


@pytest.mark.parametrize("bad", ["", "x" * 256, "\ud800", 5])
def test_an_id_that_cannot_be_a_key_is_refused_at_once(bad: Any) -> None:
    with pytest.raises(InvalidValue, match="id: "):
        counters.to(bad, Add(5))


def test_a_command_out_of_bounds_is_refused_at_once() -> None:
    with pytest.raises(InvalidValue, match="Add.amount: -5 is less than 1"):
        counters.to("a", Add(-5))


def test_a_command_of_another_aggregate_is_refused_with_the_names_that_exist() -> None:
    counter: Any = Counter()
    with pytest.raises(UnknownName, match="no command of counter is named 'Counter'; .* are: Add, Reset"):
        counters.to("a", counter)


def test_commands_are_found_by_name() -> None:
    assert counters.command_named("Reset") is Reset
    with pytest.raises(UnknownName, match="Add, Reset"):
        counters.command_named("Delete")


def test_an_aggregate_equals_itself_only() -> None:
    assert counters != Aggregate("counter", Counter, decide, evolve, invariants=[below_a_hundred])
    assert len({counters, counters}) == 1


def test_require_refuses_with_its_reason() -> None:
    require(True, "never")
    with pytest.raises(Refusal, match="^too_late: closed at five$") as refused:
        require(False, "too_late", "closed at five")
    assert (refused.value.reason, refused.value.message) == ("too_late", "closed at five")


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a-b", "1a", "a.b", "ä", "a\n", "x" * 101])
def test_a_name_that_cannot_be_a_topic_is_refused(name: str) -> None:
    assert "cannot name an aggregate: a letter, then letters, digits and _" in message_of(name, Counter, decide, evolve)


def altered(function: Callable[..., Any], **annotations: Any) -> Any:
    """The function with other annotations; None takes one away."""
    copy = types.FunctionType(function.__code__, function.__globals__, function.__name__)
    copy.__annotations__ = {k: v for k, v in {**function.__annotations__, **annotations}.items() if v is not None}
    return copy


def another_added() -> type[Value]:
    """A class of a name that is taken."""

    class Added(Value):
        note: str

    return Added


def test_two_events_of_one_name_are_refused() -> None:
    both = Added | another_added()
    said = message_of(
        "counter",
        Counter,
        altered(decide, **{"return": types.GenericAlias(list, (both,))}),
        altered(evolve, event=both),
    )
    assert "two classes are named Added. The name is what is stored: give each its own" in said


# --- signatures -------------------------------------------------------------------------------------------------------


def returns_nothing(counter: Counter, command: Add) -> None: ...


def returns_a_tuple(counter: Counter, command: Add) -> tuple[Added, ...]:
    return ()


def returns_one(counter: Counter, command: Add) -> Added:
    return Added(1)


def generates(counter: Counter, command: Add) -> Iterator[Added]:
    yield Added(1)


def returns_another_event(counter: Counter, command: Add) -> list[Reset]:
    return []


def takes_one(counter: Counter) -> list[Added]:
    return []


def takes_a_limit(counter: Counter, command: Add, limit: int) -> list[Added]:
    return []


def takes_by_name(counter: Counter, *, command: Add) -> list[Added]:
    return []


def takes_a_string(counter: Counter, command: str) -> list[Added]:
    return []


def takes_another_state(counter: Added, command: Add) -> list[Added]:
    return []


class Decider:
    """Something that can be called, and whose annotations are hidden in its class."""

    def __call__(self, counter: Counter, command: Add) -> list[Added]:
        """Decide nothing."""
        return []


nothing: Callable[[Any, Any], Any] = lambda counter, command: []  # noqa: E731 - the mistake under test
WRONG_LIST = "decide must return a list of exactly the events that evolve takes"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (altered(decide, command=None), "decide needs an annotation for command"),
        (altered(decide, **{"return": None}), "decide needs an annotation for what it returns"),
        (nothing, "decide needs an annotation for counter, command"),
        (returns_nothing, WRONG_LIST),
        (returns_a_tuple, WRONG_LIST),
        (returns_one, WRONG_LIST),
        (generates, WRONG_LIST),
        (returns_another_event, "decide returns list\\[.*Reset\\], and evolve takes Added"),
        (takes_one, "decide takes 1 parameters; expected 2 or 3"),
        (takes_a_limit, "decide's third parameter is int; it must be a Context"),
        (takes_by_name, "decide is called by position"),
        (takes_a_string, "decide's command is str; expected a class derived from eventcore.Value, or a union of such"),
        (takes_another_state, "decide and evolve must take, and evolve return, one and the same state class"),
        (altered(decide, command="pytest.Nothing"), "decide has an annotation that cannot be read: .*Nothing"),
        (altered(decide, command="Add |"), "decide has an annotation that cannot be read: .*Add |"),
        (Decider(), "write a function, whose annotations can be read"),
        (functools.partial(takes_a_limit, limit=1), "write a function, whose annotations can be read"),
        (None, "decide is None; write a function"),
    ],
)
def test_a_decide_that_cannot_be_called_or_read_is_refused(wrong: Callable[..., Any], said: str) -> None:
    with pytest.raises(NotSupported, match=f"^aggregate 'counter': .*{said}"):
        Aggregate("counter", Counter, wrong, evolve)


def evolves_into_another(counter: Counter, event: Added) -> Added:
    return event


def evolves_with_context(counter: Counter, event: Added, context: Context) -> Counter:
    return counter


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (evolves_into_another, "one and the same state class"),
        (evolves_with_context, "evolve takes 3 parameters; expected 2"),
    ],
)
def test_an_evolve_that_cannot_fold_is_refused(wrong: Any, said: str) -> None:
    assert said in message_of("counter", Counter, decide, wrong)


def test_types_that_are_local_to_a_function_are_refused_with_where_to_put_them() -> None:
    class Local(Value):
        amount: int

    def decides(counter: Counter, command: Local) -> list[Added]:
        return []

    assert "define the types that it uses at the top of a module" in message_of("counter", Counter, decides, evolve)


# --- states -----------------------------------------------------------------------------------------------------------


class Listing(Value):
    """A state that could be changed in place."""

    entries: list[int]


def lists(listing: Listing, command: Add) -> list[Added]:
    return []


def enlists(listing: Listing, event: Added) -> Listing:
    return listing


def test_a_mutable_state_is_refused_with_what_to_write_instead() -> None:
    assert "Listing.entries: list is not a type that a value may hold; write tuple[X, ...]" in message_of(
        "listing", Listing, lists, enlists
    )


class Opaque(Value):
    """A state with a field that cannot be stored."""

    thing: object = None


def opaque_decide(opaque: Opaque, command: Add) -> list[Added]:
    return []


def opaque_evolve(opaque: Opaque, event: Added) -> Opaque:
    return opaque


def test_a_field_of_an_unsupported_type_is_refused_by_name() -> None:
    assert "Opaque.thing" in message_of("opaque", Opaque, opaque_decide, opaque_evolve)


class Named(Value):
    """A state that needs an argument."""

    name: str


def name_decide(named: Named, command: Add) -> list[Added]:
    return []


def name_evolve(named: Named, event: Added) -> Named:
    return named


def test_an_initial_state_that_cannot_be_made_is_refused() -> None:
    assert "initial() raises TypeError: Missing required argument 'name'" in message_of(
        "named", Named, name_decide, name_evolve
    )


def test_an_initial_state_of_another_class_is_refused() -> None:
    assert "initial() gives Added(amount=1), which is not a Counter" in message_of(
        "counter", lambda: Added(1), decide, evolve
    )


def test_an_initial_state_out_of_bounds_is_refused() -> None:
    assert "the initial state is out of bounds: Counter.total: -1 is less than 0" in message_of(
        "counter", lambda: Counter(-1), decide, evolve
    )


# --- invariants -------------------------------------------------------------------------------------------------------


def test_an_initial_state_that_breaks_an_invariant_is_refused() -> None:
    said = message_of("counter", lambda: Counter(100), decide, evolve, invariants=[below_a_hundred])
    assert "the initial state Counter(total=100) breaks the invariant below_a_hundred" in said


def test_an_invariant_that_raises_is_refused() -> None:
    broken: Invariant[Counter] = Invariant("divides", lambda counter: 1 // counter.total > 0)
    assert "the invariant divides raises ZeroDivisionError" in message_of(
        "counter", Counter, decide, evolve, invariants=[broken]
    )


always: Callable[[Counter], bool] = lambda counter: True  # noqa: E731 - the mistake under test


@pytest.mark.parametrize("nameless", [always, functools.partial(below_a_hundred), "below_a_hundred"])
def test_an_invariant_without_a_name_is_refused(nameless: Any) -> None:
    assert "has no name to report; write a function, or Invariant(name, holds)" in message_of(
        "counter", Counter, decide, evolve, invariants=[nameless]
    )


def test_two_invariants_of_one_name_are_refused() -> None:
    said = message_of(
        "counter", Counter, decide, evolve, invariants=[below_a_hundred, Invariant("below_a_hundred", below_a_hundred)]
    )
    assert "two invariants bear one name: below_a_hundred, below_a_hundred" in said


@pytest.mark.parametrize("name", ["", "not good", "line\n", "1st"])
def test_an_invariant_is_named_as_a_function_is(name: str) -> None:
    with pytest.raises(NotSupported, match="cannot name an invariant"):
        Invariant(name, below_a_hundred)


def test_an_invariant_says_one_of_three_things_of_a_violation() -> None:
    unknown: Any = "explode"
    with pytest.raises(NotSupported, match="expected reject, quarantine, compensate"):
        Invariant("below_a_hundred", below_a_hundred, unknown)
