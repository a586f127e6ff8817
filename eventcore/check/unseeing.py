"""Claims asked about states whose unread fields are hidden, so that one that reads such a field raises."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from eventcore.check.checked import Checked
from eventcore.check.properties import Property, Step
from eventcore.check.unread import Change


def unseeing(checked: Checked[Any, Any, Any], hide: Change) -> Checked[Any, Any, Any]:
    """The same claims, asked about states whose unread fields are hidden."""
    within, finished = checked.scope.within, checked.finished
    return dataclasses.replace(
        checked,
        scope=dataclasses.replace(checked.scope, within=None if within is None else _hidden_from(within, hide)),
        finished=None if finished is None else _hidden_from(finished, hide),
        properties=[_claim(each, hide) for each in checked.properties],
    )


def _claim(claim: Property, hide: Change) -> Property:
    def of_step(step: Step) -> bool:
        return claim.holds(dataclasses.replace(step, before=hide(step.before), after=hide(step.after)))

    holds = of_step if claim.kind == "always_step" else _hidden_from(claim.holds, hide)
    premise = None if claim.premise is None else _hidden_from(claim.premise, hide)
    return dataclasses.replace(claim, holds=holds, premise=premise)


def _hidden_from(holds: Callable[[Any], bool], hide: Change) -> Callable[[Any], bool]:
    return lambda state: holds(hide(state))
