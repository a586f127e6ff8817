"""The versions and the maps between them that `refine` and `redecide` are given as MODULE:NAME."""

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


def version_named(call: Call, target: str) -> Target:
    """The version that is meant: an aggregate of the app, or MODULE:NAME of an Aggregate or Checked. Raises CallerError."""
    if ":" not in target:
        machines = {aggregate.name: aggregate for aggregate in call.app.aggregates}
        if target not in machines:
            raise UnknownName(f"aggregate of {call.app.name}", target, list(machines))
        return _declared(machines[target])
    version: Target = _named(target)
    if not _is_version(version):
        kind = type(version).__name__
        raise InvalidValue(target, f"is of type {kind}; it should be an Aggregate, or an eventcore.check.Checked")
    return version


def _is_version(found: object) -> bool:
    return isinstance(found, Aggregate | Checked)


def _declared(aggregate: Aggregate[Any, Any, Any]) -> Target:
    """The Checked of this aggregate in the module that defines its `decide`; the aggregate alone where there is none."""
    module = sys.modules.get(getattr(aggregate.decide, "__module__", ""))
    held: list[Any] = [] if module is None else [each for each in vars(module).values() if isinstance(each, Checked)]
    found: list[Target] = [checked for checked in held if checked.aggregate is aggregate]
    return found[0] if found else aggregate


def function_named(target: str | None) -> Function | None:
    """The function that an option names; None where none is named. Raises CallerError."""
    if target is None:
        return None
    found = _named(target)
    if not callable(found):
        raise InvalidValue(target, f"is of type {type(found).__name__}; it should be a function")
    function: Function = found
    return function


def aggregate_of(version: Target) -> Aggregate[Any, Any, Any]:
    """The aggregate of a version."""
    return version.aggregate if isinstance(version, Checked) else version


def _named(target: str) -> Any:
    match = FORM.fullmatch(target)
    if match is None:
        raise InvalidValue(target, "is not of the form MODULE:NAME, as bank.account:accounts")
    module = import_named(match[1], "what is to be compared")
    if not hasattr(module, match[2]):
        raise UnknownName(f"name in {match[1]}", match[2], [name for name in vars(module) if not name.startswith("_")])
    return getattr(module, match[2])
