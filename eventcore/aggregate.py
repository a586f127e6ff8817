"""Aggregates: a named pair of pure functions with an initial state and invariants, checked when it is defined.

An `Aggregate` is a value that holds functions; nothing registers itself. What its functions take and return is read
from their annotations once, here: the classes of commands are those of `decide`'s second parameter, the classes of
events those of `evolve`'s. A definition that cannot work fails at once, with what to write instead.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast, final

from eventcore.annotations import classes_in
from eventcore.context import Context
from eventcore.errors import InvalidValue, NotSupported, Refusal, UnknownName
from eventcore.topics import NAME, key_of
from eventcore.validate import validate, validator
from eventcore.value import Value

State = TypeVar("State", bound=Value)
Command = TypeVar("Command", bound=Value)
Event = TypeVar("Event", bound=Value)
Result = TypeVar("Result")

Check = Callable[[Value], None]
REASON = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OnViolation = Literal["reject", "quarantine", "compensate"]
ON_VIOLATION: tuple[OnViolation, ...] = typing.get_args(OnViolation)
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def require(condition: bool, reason: str, message: str = "") -> None:  # noqa: FBT001 - reads as an assertion
    """Refuse the command with `reason` unless `condition` holds.

    `reason` is a stable name (a StrEnum member or a literal): sagas dispatch on it. Raises Refusal.
    """
    if not condition:
        raise Refusal(str(reason), message)


@dataclass(frozen=True)
class Message(Generic[Command]):
    """A command on its way to one instance of one aggregate or saga."""

    to: str
    id: str
    command: Command


@final
@dataclass(frozen=True)
class Invariant(Generic[State]):
    """A named predicate over the state, true after every turn; `on_violation` says what a turn that would break it does.

    `reject` makes the turn *violated* and leaves the state; `quarantine` does so and stops the instance; `compensate`
    does so, and a saga that asked for the turn undoes what it did. Raises NotSupported where it has no proper name.
    """

    name: str
    holds: Callable[[State], bool]
    on_violation: OnViolation = "reject"

    def __post_init__(self) -> None:
        if not REASON.fullmatch(self.name):
            raise NotSupported(f"{self.name!r} cannot name an invariant: a letter or _, then letters, digits and _.")
        if self.on_violation not in ON_VIOLATION:
            raise NotSupported(
                f"the invariant {self.name} says on_violation={self.on_violation!r}; "
                f"expected {', '.join(ON_VIOLATION)}."
            )


@dataclass(frozen=True, eq=False)
class Aggregate(Generic[State, Command, Event]):
    """A state machine: `decide(state, command[, context]) -> [event]` or a refusal, `evolve(state, event) -> state`.

    `name` becomes part of topic and schema names: it is storage format. Two aggregates are equal when they are one.
    Raises NotSupported where a definition breaks a rule.
    """

    name: str
    initial: Callable[[], State]
    decide: Callable[[State, Command], list[Event]] | Callable[[State, Command, Context], list[Event]]
    evolve: Callable[[State, Event], State]
    invariants: Sequence[Callable[[State], bool] | Invariant[State]] = ()

    state_type: type[State] = field(init=False, repr=False)
    command_checks: Mapping[type[Value], Check] = field(init=False, repr=False)
    event_checks: Mapping[type[Value], Check] = field(init=False, repr=False)
    state_check: Check = field(init=False, repr=False)
    guards: tuple[Invariant[State], ...] = field(init=False, repr=False)
    takes_context: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise NotSupported(f"{self.name!r} cannot name an aggregate: a letter, then letters, digits and _.")
        where = f"aggregate {self.name!r}"
        decide = _Signature(self.decide, f"{where}: decide", (2, 3))
        evolve = _Signature(self.evolve, f"{where}: evolve", (2,))
        commands = _union(decide.parameter(1), f"{where}: decide's command")
        events = _union(evolve.parameter(1), f"{where}: evolve's event")
        states = _union(decide.parameter(0), f"{where}: decide's state")
        returned = decide.returned()
        if typing.get_origin(returned) is not list or set(classes_in(typing.get_args(returned)[0])) != set(events):
            raise NotSupported(
                f"{where}: decide returns {_show(returned)}, and evolve takes {_names(events)}; "
                "decide must return a list of exactly the events that evolve takes."
            )
        if len(states) != 1 or evolve.parameter(0) is not states[0] or evolve.returned() is not states[0]:
            raise NotSupported(
                f"{where}: decide and evolve must take, and evolve return, one and the same state class."
            )
        if decide.count == 3 and decide.parameter(2) is not Context:
            raise NotSupported(
                f"{where}: decide's third parameter is {_show(decide.parameter(2))}; it must be a Context."
            )
        _distinct((*commands, *events, *states), where)
        settle = object.__setattr__  # a frozen dataclass derives fields this way
        settle(self, "state_type", states[0])
        settle(self, "command_checks", _checks(commands, where))
        settle(self, "event_checks", _checks(events, where))
        settle(self, "state_check", _checks(states, where)[states[0]])
        settle(self, "takes_context", decide.count == 3)
        settle(self, "guards", tuple(_invariant(i, where) for i in self.invariants))
        self._check_initial(where)

    def _check_initial(self, where: str) -> None:
        names = [guard.name for guard in self.guards]
        if len(set(names)) != len(names):
            raise NotSupported(f"{where}: two invariants bear one name: {', '.join(names)}.")
        state = _tried(self.initial, f"{where}: initial()")
        if type(state) is not self.state_type:
            raise NotSupported(f"{where}: initial() gives {state!r}, which is not a {self.state_type.__name__}.")
        try:
            self.state_check(state)
        except InvalidValue as invalid:
            raise NotSupported(f"{where}: the initial state is out of bounds: {invalid}.") from invalid
        for guard in self.guards:
            if not _tried(functools.partial(guard.holds, state), f"{where}: the invariant {guard.name}"):
                raise NotSupported(f"{where}: the initial state {state!r} breaks the invariant {guard.name}.")

    def to(self, id: str, command: Command) -> Message[Command]:  # noqa: A002 - the field's word
        """Address a command to one instance. Raises InvalidValue for a bad id or a value out of bounds."""
        key_of(id)
        if type(command) not in self.command_checks:
            raise UnknownName(
                f"command of {self.name}", type(command).__name__, [c.__name__ for c in self.command_checks]
            )
        validate(command)
        return Message(self.name, id, command)

    def command_named(self, name: str) -> type[Command]:
        """The command class of that name. Raises UnknownName, which lists those that exist."""
        for cls in self.command_checks:
            if cls.__name__ == name:
                return cast("type[Command]", cls)
        raise UnknownName(f"command of {self.name}", name, [c.__name__ for c in self.command_checks])


class _Signature:
    """The resolved annotations of a function of the user's, with errors that say where."""

    def __init__(self, function: Callable[..., Any], where: str, counts: tuple[int, ...]) -> None:
        self._where = where
        if not (inspect.isfunction(function) or inspect.ismethod(function)):
            raise NotSupported(f"{where} is {function!r}; write a function, whose annotations can be read.")
        signature = inspect.signature(function).parameters
        parameters = list(signature)
        if any(parameter.kind not in POSITIONAL for parameter in signature.values()):
            raise NotSupported(f"{where} is called by position: it may have no *, ** or keyword-only parameters.")
        self.count = len(parameters)
        if self.count not in counts:
            raise NotSupported(f"{where} takes {self.count} parameters; expected {' or '.join(map(str, counts))}.")
        try:
            hints = typing.get_type_hints(function)
        except NameError as unresolved:
            raise NotSupported(
                f"{where}: {unresolved}. Annotations are read when the aggregate is defined: "
                "define the types that it uses at the top of a module."
            ) from unresolved
        except (AttributeError, SyntaxError, TypeError) as unreadable:
            raise NotSupported(f"{where} has an annotation that cannot be read: {unreadable}.") from unreadable
        missing = [name for name in parameters if name not in hints]
        if missing or "return" not in hints:
            raise NotSupported(f"{where} needs an annotation for {', '.join(missing) or 'what it returns'}.")
        self._types = [hints[name] for name in parameters]
        self._returned = hints["return"]

    def parameter(self, number: int) -> object:
        return self._types[number]

    def returned(self) -> object:
        return self._returned


def _union(annotation: object, where: str) -> tuple[type[Value], ...]:
    classes = classes_in(annotation)
    if not classes:
        raise NotSupported(
            f"{where} is {_show(annotation)}; expected a class derived from eventcore.Value, or a union of such."
        )
    return classes


def _distinct(classes: tuple[type[Value], ...], where: str) -> None:
    named: dict[str, type[Value]] = {}
    for cls in classes:
        if named.setdefault(cls.__name__, cls) is not cls:
            raise NotSupported(
                f"{where}: two classes are named {cls.__name__}. The name is what is stored: give each its own."
            )


def _checks(classes: tuple[type[Value], ...], where: str) -> dict[type[Value], Check]:
    try:
        return {cls: validator(cls) for cls in classes}
    except NotSupported as broken:
        raise NotSupported(f"{where}: {broken}") from broken


def _invariant(given: Callable[[State], bool] | Invariant[State], where: str) -> Invariant[State]:
    if isinstance(given, Invariant) and not callable(given):
        return given
    name = getattr(given, "__name__", "")
    if not REASON.fullmatch(name):
        raise NotSupported(f"{where}: {given!r} has no name to report; write a function, or Invariant(name, holds).")
    return Invariant(name, given)


def _tried(function: Callable[[], Result], what: str) -> Result:
    try:
        return function()
    except Exception as fault:
        raise NotSupported(f"{what} raises {type(fault).__name__}: {fault}. It must give an answer.") from fault


def _show(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)  # `list[X]` is no type, and says X


def _names(classes: tuple[type[Value], ...]) -> str:
    return " | ".join(cls.__name__ for cls in classes)
