"""Sagas: a table of steps, each a command to another aggregate, with what undoes it. Checked when it is defined.

A saga promises to end with all of its steps done, or with none of them in effect, or visibly stuck; it promises no
isolation: others see the steps between. Its table is read from top to bottom: first steps that can be undone
(*compensatable*), then at most one *pivot*, then *retriable* ones:

    compensatable*  pivot?  retriable*

Until the pivot (or the first retriable step) has been asked for, everything can still be undone. The pivot's answer
decides: refused, the steps before it are undone in reverse; accepted, the saga goes forward only, and the steps that
follow must be ones that succeed in the end. A step without an undo is therefore a pivot or retriable, also when it is
the last of its table: asked for and unanswered, it could not be taken back.
Source of the three kinds: Richardson, *Microservices Patterns* (2018), chapter 4; of undoing in reverse:
Garcia-Molina and Salem, *Sagas* (SIGMOD 1987).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal

from eventcore.aggregate import Command, Message
from eventcore.annotations import classes_in, shape_of
from eventcore.errors import NotSupported, UnknownName, WrongUse
from eventcore.shape import NAME as IDENTIFIER
from eventcore.topics import NAME, key_of
from eventcore.validate import validate
from eventcore.value import Value
from sagas.ledger import RESERVED
from sagas.progress import Data

StepKind = Literal["compensatable", "pivot", "retriable"]
ORDER: dict[StepKind, int] = {"compensatable": 0, "pivot": 1, "retriable": 2}


@dataclass(frozen=True)
class Step(Generic[Data]):
    """One step: the command that does it and the one that undoes it, as pure functions of the saga's data.

    `name` is stored in the ledger of every saga that asked for the step: renaming one strands the open ones.
    """

    name: str
    do: Callable[[Data], Message[Any]]
    undo: Callable[[Data], Message[Any]] | None = None
    kind: StepKind = "compensatable"


@dataclass(frozen=True)
class Start(Generic[Data]):
    """What starts a saga: a command of class `command`, from which `make` makes the saga's data, a `data`.

    Made by `starts_on`, which holds `make` to the command's class.
    """

    command: type[Value]
    data: type[Data]
    make: Callable[[Any], Data]


def starts_on(command: type[Command], data: type[Data], make: Callable[[Command], Data]) -> Start[Data]:
    """Say that `command` starts the saga, which then records `make(command)`, a `data`, as its first event.

    The class is named because it is stored, and a lambda does not say what it returns.
    """
    return Start(command, data, make)


@dataclass(frozen=True, eq=False)
class Saga(Generic[Data]):
    """Steps that all take effect, or none of them: what a compiled saga asks of other aggregates, and in which order.

    `name` becomes part of topic and schema names: it is storage format. Two sagas are equal when they are one.
    Raises NotSupported where a definition breaks a rule.
    """

    name: str
    start: Start[Data]
    steps: Sequence[Step[Data]] = field(kw_only=True)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise NotSupported(f"{self.name!r} cannot name a saga: a letter, then letters, digits and _.")
        object.__setattr__(self, "steps", tuple(self.steps))  # a frozen dataclass normalises fields this way
        where = f"saga {self.name!r}"
        _check_start(self.start, where)
        _check_names(self.steps, where)
        _check_order(self.steps, where)
        for step in self.steps:
            _check_undo(step, where)

    def to(self, id: str, command: Value) -> Message[Any]:  # noqa: A002 - the field's word
        """Address the command that starts this saga to the instance `id`. Raises InvalidValue, UnknownName."""
        key_of(id)
        if type(command) is not self.start.command:
            raise UnknownName(f"command of {self.name}", type(command).__name__, [self.start.command.__name__])
        validate(command)
        return Message(self.name, id, command)

    def step_named(self, name: str) -> Step[Data]:
        """The step of that name. Raises WrongUse where a ledger holds a name that this table no longer has."""
        for step in self.steps:
            if step.name == name:
                return step
        raise WrongUse(
            f"saga {self.name!r} has no step {name!r}, and an open saga's ledger has; it has "
            f"{', '.join(step.name for step in self.steps)}. Step names are storage: put the step back until no open "
            "saga names it."
        )


def _check_start(start: Start[Data], where: str) -> None:
    for cls, role in ((start.command, "the command that starts it"), (start.data, "its data")):
        classes = classes_in(cls)
        if classes != (cls,):
            raise NotSupported(f"{where}: {role} is {cls!r}; expected a class derived from eventcore.Value.")
        if cls.__name__ in RESERVED:
            raise NotSupported(
                f"{where}: {role} is named {cls.__name__}, as a record of every saga's ledger is. "
                "The name is what is stored: give it another."
            )
        try:
            shape_of(classes[0])
        except NotSupported as broken:
            raise NotSupported(f"{where}: {broken}") from broken


def _check_names(steps: Sequence[Step[Data]], where: str) -> None:
    if not steps:
        raise NotSupported(f"{where} has no steps; give it at least one.")
    names = [step.name for step in steps]
    for name in names:
        if not IDENTIFIER.fullmatch(name):
            raise NotSupported(f"{where}: {name!r} cannot name a step: a letter or _, then letters, digits and _.")
        if names.count(name) > 1:
            raise NotSupported(f"{where}: two steps are named {name!r}. The name is what is stored: give each its own.")


def _check_order(steps: Sequence[Step[Data]], where: str) -> None:
    pivots = [step.name for step in steps if step.kind == "pivot"]
    if len(pivots) > 1:
        raise NotSupported(
            f"{where} has the pivots {' and '.join(pivots)}; a saga has at most one point of no return. "
            "Make the earlier one compensatable, or the later one retriable."
        )
    for step in steps:
        if step.kind not in ORDER:
            raise NotSupported(f"{where}: step {step.name!r} is of kind {step.kind!r}; expected {', '.join(ORDER)}.")
    for before, after in itertools.pairwise(steps):
        if ORDER[before.kind] > ORDER[after.kind]:
            raise NotSupported(
                f"{where}: the {after.kind} step {after.name!r} stands after the {before.kind} step {before.name!r}. "
                "Nothing is undone once a pivot or a retriable step was asked for: "
                "put compensatable steps first, then the pivot, then retriable ones."
            )


def _check_undo(step: Step[Data], where: str) -> None:
    if step.kind == "compensatable" and step.undo is None:
        raise NotSupported(
            f"{where}: the compensatable step {step.name!r} has no undo. Give it one; or, where it cannot be undone, "
            "make it the pivot (it may be refused) or retriable (it cannot)."
        )
    if step.kind != "compensatable" and step.undo is not None:
        raise NotSupported(
            f"{where}: the {step.kind} step {step.name!r} has an undo, which would never be asked for. "
            "Drop the undo, or make the step compensatable."
        )
