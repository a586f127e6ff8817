"""An oracle: a breadth-first search of an aggregate in its plainest form, with nothing clever to be wrong.

Its figures are counted as everybody counts them. *Distinct*: reachable states, equal ones once. *Transitions*: initial
states, and each accepted pair of state and command, whatever follows. *Depth*: levels, that of the initial states is 1.
States that `goes_on` turns down are transitions, and no states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any, Generic

from eventcore import Accepted, Aggregate, Context, take_turn
from eventcore.aggregate import Command, Event, State

CONTEXT = Context(0, bytes(16))


@dataclass
class Found(Generic[State]):
    """What was found: the level of each state, the number of transitions, and the transitions as pairs of states."""

    levels: dict[State, int]
    initial: int
    steps: list[tuple[State, Any, State]]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Distinct states, transitions, depth."""
        return len(self.levels), self.initial + len(self.steps), max(self.levels.values())

    def violation(self, holds: Callable[[State], bool]) -> int | None:
        """The number of states in the shortest trace to a state where `holds` is false; None where there is none."""
        return min((level for state, level in self.levels.items() if not holds(state)), default=None)

    def stuck(self, goal: Callable[[State], bool]) -> int:
        """From how many states no state of `goal` can be reached."""
        before: dict[State, list[State]] = {}
        for source, _, target in self.steps:
            before.setdefault(target, []).append(source)
        reaching = [state for state in self.levels if goal(state)]
        seen = set(reaching)
        while reaching:
            for source in before.get(reaching.pop(), ()):
                if source not in seen:
                    seen.add(source)
                    reaching.append(source)
        return len(self.levels) - len(seen)


def every_command(aggregate: Aggregate[Any, Command, Any], **fields: Iterable[object]) -> list[Command]:
    """Every command whose fields take these values; a field of that name takes them in every class."""
    domains = {name: tuple(values) for name, values in fields.items()}
    classes: list[Any] = list(aggregate.command_checks)
    return [cls(*each) for cls in classes for each in product(*(domains[name] for name in cls.__struct_fields__))]


def search(
    aggregate: Aggregate[State, Command, Event],
    commands: Iterable[Command],
    initial: Iterable[State] | None = None,
    goes_on: Callable[[State], bool] = lambda _: True,
) -> Found[State]:
    """Search every state that `commands` lead to. A turn that breaks an invariant of the aggregate is an error here."""
    each = tuple(commands)
    starts = [aggregate.initial()] if initial is None else list(initial)
    found = Found(dict.fromkeys(starts, 1), len(starts), [])
    queue = list(found.levels)
    for state in queue:  # which grows while it is read
        for command in each:
            outcome = take_turn(aggregate, state, command, CONTEXT)
            if isinstance(outcome, Accepted):
                found.steps.append((state, command, outcome.state))
                if outcome.state not in found.levels and goes_on(outcome.state):
                    found.levels[outcome.state] = found.levels[state] + 1
                    queue.append(outcome.state)
            else:
                assert hasattr(outcome, "reason"), f"{command} on {state}: {outcome}"
    return found
