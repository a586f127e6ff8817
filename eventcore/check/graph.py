"""The graph of a machine: its reachable states and the steps between them, as numbers.

A search keeps no steps, since safety needs none. Claims about what can still happen, or must happen in the end, need all
of them, so they are found by a second pass over the states of a search that was not cut.

G1  States have the numbers that the search gave them; those below `initial` are the initial ones.
G2  A step that leads back to its own state is left out: it is no progress, and resting is always possible.
G3  A step to a state that the search did not keep (an enforced invariant refuses it) is no step.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eventcore.check.machine import Machine
from eventcore.check.memory import used_bytes
from eventcore.turn import Accepted

LOOK_EVERY = 4_096  # states after which it is looked at how much memory is taken


@dataclass(frozen=True)
class Graph:
    """States and steps. The steps of state i are those from `starts[i]` up to `starts[i + 1]`.

    Step number e leads to `targets[e]` by `labels[by[e]]`.
    """

    states: Sequence[Any]
    initial: int
    labels: Sequence[Any]
    starts: Sequence[int]
    targets: Sequence[int]
    by: Sequence[int]

    def after(self, number: int) -> Sequence[int]:
        """The states that one step leads to from a state, one for each step."""
        return self.targets[self.starts[number] : self.starts[number + 1]]

    def steps(self, number: int) -> range:
        """The numbers of the steps from a state."""
        return range(self.starts[number], self.starts[number + 1])

    def depths(self) -> list[int]:
        """How many steps each state is away from the nearest initial one."""
        found = [-1] * len(self.states)
        level = list(range(self.initial))
        depth = 0
        while level:
            for number in level:
                found[number] = depth
            depth += 1
            level = list({target for number in level for target in self.after(number) if found[target] < 0})
        return found

    def reaching(self, goal: Iterable[int]) -> bytearray:
        """Which states a way leads from to one of `goal`: 1 for those that it does, themselves included."""
        starts, sources = self._backwards()
        found = bytearray(len(self.states))
        waiting = list(goal)
        for number in waiting:
            found[number] = 1
        while waiting:
            number = waiting.pop()
            for source in sources[starts[number] : starts[number + 1]]:
                if not found[source]:
                    found[source] = 1
                    waiting.append(source)
        return found

    def _backwards(self) -> tuple[Sequence[int], Sequence[int]]:
        """Where each step comes from, ordered by where it leads to: the sources for state i are starts[i]..starts[i+1]."""
        starts = array("I", bytes(4 * (len(self.states) + 1)))
        for target in self.targets:
            starts[target + 1] += 1
        for number in range(len(self.states)):
            starts[number + 1] += starts[number]
        free, sources = array("I", starts), array("I", bytes(4 * len(self.targets)))
        for number in range(len(self.states)):
            for target in self.after(number):
                sources[free[target]] = number
                free[target] += 1
        return starts, sources

    def way(
        self, sources: Iterable[int], wanted: Callable[[int, int], bool], among: Collection[int] | None = None
    ) -> list[tuple[int, int]] | None:
        """A shortest way from one of `sources` over a last step that is wanted: `wanted(state, step)`.

        It runs through states of `among` alone. Given as pairs: a state, and the number of the step taken from there.
        """
        before: dict[int, tuple[int, int] | None] = dict.fromkeys(sources)
        for number in (waiting := list(before)):  # which grows while it is read
            for step in self.steps(number):
                target = self.targets[step]
                if among is not None and target not in among:
                    continue
                if wanted(number, step):
                    return [*self._back(before, number), (number, step)]
                if target not in before:
                    before[target] = (number, step)
                    waiting.append(target)
        return None

    def _back(self, before: dict[int, tuple[int, int] | None], number: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        while (pair := before[number]) is not None:
            found.append(pair)
            number = pair[0]
        return found[::-1]

    def way_to(self, number: int) -> list[tuple[int, int]]:
        """A shortest way from an initial state to this one."""
        if number < self.initial:
            return []
        found = self.way(range(self.initial), lambda _, step: self.targets[step] == number)
        assert found is not None, f"state {number} was reached by the search"
        return found

    def components(self, among: Collection[int]) -> Iterator[list[int]]:
        """The strongly connected components of the graph that is left when only states of `among` are kept.

        A state that no cycle goes through is a component of its own. Tarjan's algorithm (SIAM J. Comput. 1:2, 1972),
        without recursion.
        """
        index: dict[int, int] = {}
        low: dict[int, int] = {}
        path: list[int] = []
        on_path: set[int] = set()

        def enter(number: int) -> tuple[int, Iterator[int]]:
            index[number] = low[number] = len(index)
            path.append(number)
            on_path.add(number)
            return number, iter(self.after(number))

        for root in among:
            if root in index:
                continue
            work = [enter(root)]
            while work:
                number, rest = work[-1]
                for target in rest:
                    if target not in among:
                        continue
                    if target not in index:
                        work.append(enter(target))
                        break
                    if target in on_path:
                        low[number] = min(low[number], index[target])
                else:
                    work.pop()
                    if work:
                        above = work[-1][0]
                        low[above] = min(low[above], low[number])
                    if low[number] == index[number]:
                        component = [path.pop()]
                        while component[-1] != number:
                            component.append(path.pop())
                        on_path.difference_update(component)
                        yield component


def graph_of(machine: Machine[Any, Any], states: Sequence[Any], initial: int, memory: int | None = None) -> Graph:
    """Take every step of a machine whose reachable states are known, and keep where it leads.

    `states` are those of a search that was not cut, in its order; the first `initial` are the initial ones. Raises
    MemoryError where the process would hold more than `memory` bytes.
    """
    numbers = {state: number for number, state in enumerate(states)}
    labels: dict[Any, int] = {}
    starts, targets, by = array("I", [0]), array("I"), array("I")
    for number, state in enumerate(states):
        if number % LOOK_EVERY == 0 and memory is not None and used_bytes() > memory:
            raise MemoryError
        for label, outcome in machine.steps(state):
            if isinstance(outcome, Accepted):
                target = numbers.get(outcome.state, number)
                if target != number:
                    targets.append(target)
                    by.append(labels.setdefault(label, len(labels)))
        starts.append(len(targets))
    return Graph(states, initial, list(labels), starts, targets, by)
