"""Sets promise no order, wherever they stand: in the state, in a command, in an event. Who minds it is named, nobody else."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any

import pytest
from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, check, retrace


class Right(Enum):
    """What somebody may do."""

    READ = 1
    WRITE = 2
    RUN = 3


class Rights(Value):
    """What somebody may do, and what was said last, in order."""

    held: frozenset[Right] = frozenset()
    said: Annotated[tuple[Right, ...], Meta(max_length=3)] = ()


class Grant(Value):
    """Grant these."""

    rights: frozenset[Right]


class Tell(Value):
    """Say what is held."""


class Granted(Value):
    """These, and no others, are held now."""

    rights: frozenset[Right]


class Told(Value):
    """Something was said."""

    said: Annotated[tuple[Right, ...], Meta(max_length=3)]


Decide = Callable[[Rights, Grant | Tell], list[Granted | Told]]


def in_order(rights: frozenset[Right]) -> tuple[Right, ...]:
    return tuple(sorted(rights, key=lambda right: right.value))


def decide(state: Rights, command: Grant | Tell) -> list[Granted | Told]:
    """Sets go from the command and from the state into events, as they are."""
    match command:
        case Grant(rights):
            require(not rights <= state.held, "held")
            return [Granted(rights), Granted(state.held | rights)] if state.held else [Granted(rights)]
        case Tell():
            return [Granted(state.held), Told(in_order(state.held))]


def by_the_order_of_the_command(state: Rights, command: Grant | Tell) -> list[Granted | Told]:
    return [Told(tuple(command.rights))] if isinstance(command, Grant) else decide(state, command)


def by_the_order_of_the_state(state: Rights, command: Grant | Tell) -> list[Granted | Told]:
    return [Told(tuple(state.held))] if isinstance(command, Tell) else decide(state, command)


def evolve(state: Rights, event: Granted | Told) -> Rights:
    match event:
        case Granted(rights):
            return replace(state, held=rights)
        case Told(said):
            return replace(state, said=said)


def by_the_order_of_the_event(state: Rights, event: Granted | Told) -> Rights:
    return replace(state, said=tuple(event.rights)) if isinstance(event, Granted) else evolve(state, event)


def test_sets_that_go_from_command_and_state_into_events_and_back_are_nobodys_mistake() -> None:
    report = check(Aggregate("rights", Rights, decide, evolve))
    assert (report.verdict, report.distinct) == ("pass", 3**3), str(
        report
    )  # each right is not held, held, or said as well


@pytest.mark.parametrize(
    ("bad_decide", "bad_evolve", "blamed"),
    [
        (by_the_order_of_the_command, evolve, "decide"),
        (by_the_order_of_the_state, evolve, "decide"),
        (decide, by_the_order_of_the_event, "evolve"),
    ],
)
def test_who_goes_by_the_order_of_a_set_is_named(bad_decide: Decide, bad_evolve: Any, blamed: str) -> None:
    checked = Checked(Aggregate("rights", Rights, bad_decide, bad_evolve))
    (finding,) = check(checked).findings
    assert (finding.kind, finding.name) == ("non_deterministic", blamed)
    assert "iteration over a set" in finding.likely
    assert finding.trace is not None
    assert retrace(checked, finding.trace.initial, [step.command for step in finding.trace.steps]) is not None


def test_an_event_that_no_type_allows_is_found_as_such_and_its_sets_are_not() -> None:
    def too_many(state: Rights, command: Grant | Tell) -> list[Granted | Told]:
        return [Granted(state.held), Told((Right.READ,) * 4)] if isinstance(command, Tell) else decide(state, command)

    report = check(Aggregate("rights", Rights, too_many, evolve), keep_going=True)
    assert [(each.kind, each.name) for each in report.findings] == [("invariant", "valid_event")], str(report)
