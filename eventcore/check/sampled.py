"""Which commands were tried in part only, so that nothing can be said of what none of them does.

That something happens, one command shows, sampled or not. That nothing does (no step leads on, no way leads there, no
state is like that, a command is never possible) is a claim about all of them: where some were left out it is open.
"""

from __future__ import annotations

from typing import Any

from eventcore.check.aggregate import AggregateMachine
from eventcore.check.domain import Domains


def sampled_classes(machine: AggregateMachine) -> frozenset[type[Any]]:
    """The classes of commands of which only samples are tried: of their fields, or of the contexts they are decided in."""
    kinds = tuple(machine.aggregate.command_checks)
    if without_contexts(machine):
        return frozenset(kinds)
    domains = Domains(machine.checked.scope)
    return frozenset(cls for cls in kinds if domains.of_class(cls).evidence == "sampled")


def without_contexts(machine: AggregateMachine) -> bool:
    """Whether decide takes a Context and the scope names none."""
    return machine.aggregate.takes_context and not machine.checked.scope.contexts
