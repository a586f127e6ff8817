"""What is to be checked, compared or drawn, by name: an aggregate of the app, or MODULE:NAME."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check import Checked
from eventcore.cli.call import Call
from eventcore.cli.load import import_named
from eventcore.errors import InvalidValue, UnknownName

FORM = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")

Target = Aggregate[Any, Any, Any] | Checked[Any, Any, Any]
Function = Callable[[Any], Any]


def target_named(call: Call, text: str) -> Target:
    """An aggregate of the app, or MODULE:NAME of an Aggregate or Checked. Raises CallerError where it is neither."""
    if ":" in text or "." in text:
        found: Target = named(text, "what is to be checked", Aggregate | Checked)
        return found
    machines = {aggregate.name: aggregate for aggregate in call.app.aggregates}
    if text not in machines:
        raise UnknownName(f"aggregate of {call.app.name}", text, list(machines))
    return _declared(machines[text])


def named(text: str, what: str, kind: Any = object) -> Any:
    """What stands under MODULE:NAME, if it is of this kind. Raises CallerError."""
    match = FORM.fullmatch(text)
    if match is None:
        raise InvalidValue(text, "is not of the form MODULE:NAME, as bank.account:accounts")
    module = import_named(match[1], what)
    if not hasattr(module, match[2]):
        held = [name for name, value in vars(module).items() if not name.startswith("_") and isinstance(value, kind)]
        raise UnknownName(f"{'name' if kind is object else 'aggregate or Checked'} in {match[1]}", match[2], held)
    found = getattr(module, match[2])
    if not isinstance(found, kind):
        raise InvalidValue(
            text, f"is of type {type(found).__name__}; it should be an Aggregate, or an eventcore.check.Checked"
        )
    return found


def function_named(target: str | None) -> Function | None:
    """The function that an option names; None where none is named. Raises CallerError."""
    if target is None:
        return None
    found = named(target, "what is to be compared")
    if not callable(found):
        raise InvalidValue(target, f"is of type {type(found).__name__}; it should be a function")
    function: Function = found
    return function


def aggregate_of(target: Target) -> Aggregate[Any, Any, Any]:
    """The aggregate itself."""
    return target.aggregate if isinstance(target, Checked) else target


def _declared(aggregate: Aggregate[Any, Any, Any]) -> Target:
    """The Checked of this aggregate in the module that defines its `decide`; the aggregate alone where there is none."""
    module = sys.modules.get(getattr(aggregate.decide, "__module__", ""))
    held: list[Any] = [] if module is None else [each for each in vars(module).values() if isinstance(each, Checked)]
    found: list[Target] = [checked for checked in held if checked.aggregate is aggregate]
    return found[0] if found else aggregate
