"""What can still happen, and what must happen in the end: claims about whole ways, judged on the graph.

*Never stuck*: from every reachable state, some way leads to the goal. *Eventually*: every way from an initial state comes
to the goal. *Leads to*: every way from a state where a premise holds does. The last two are about ways without end that
are *fair* (`eventcore.check.fairness`), and what refutes them is a lasso: a stem, and a cycle that avoids the goal.

W1  A way may rest for ever in any state, unless fairness forbids it. An end that does not change is judged as a cycle of
    no steps.
W2  What is possible in a state is asked of the whole graph; what is taken is asked of the cycle.
W3  A component is no cycle: what is shown is one real way that returns to where it began, and is fair by itself.
W4  In a component that is not fair, weak fairness fails everywhere; strong fairness may hold where the states are left
    out that make it fail, so what is left is searched again (Emerson and Lei, *Modalities for model checking*, 1987).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventcore.check.aggregate import Asked
from eventcore.check.fairness import Fairness
from eventcore.check.graph import Graph
from eventcore.check.properties import Property

Taken = list[tuple[int, int]]  # of a way: a state, and the number of the step that is taken from there


@dataclass(frozen=True)
class Way:
    """A way through the graph: the numbers of its states, and the labels of the steps between them.

    `back` is for a way without end: its last state is the one at this place again. Where that is the last place itself,
    it rests there for ever.
    """

    states: Sequence[int]
    labels: Sequence[Any]
    back: int | None = None

    @property
    def rests(self) -> bool:
        """Whether it ends in a state that it never leaves."""
        return self.back == len(self.states) - 1


@dataclass(frozen=True)
class Unmet:
    """A claim that is not true, and a way that shows it; where it is `open`, as far as commands were tried."""

    kind: str
    name: str
    message: str
    way: Way
    open: bool = False


@dataclass
class Answers:
    """What was found of several claims. `idle` are those whose premise is true in no state."""

    unmet: list[Unmet] = field(default_factory=list[Unmet])
    idle: list[str] = field(default_factory=list[str])


def judge(graph: Graph, claims: Sequence[Property], sampled: Collection[type[Any]] = ()) -> Answers:
    """Judge claims about ways; `sampled` are the classes of which the graph has only some commands.

    A claim that raises is unmet, as `raises`.
    """
    answers = Answers()
    for claim in claims:
        try:
            goal = _where(graph, claim.holds)
            premise = None if claim.premise is None else _where(graph, claim.premise)
            if premise is not None and not any(premise):
                answers.idle.append(claim.name)
            if claim.kind == "never_stuck":
                unmet = _stuck(graph, claim, goal, sampled)
            else:
                unmet = _endless(graph, claim, goal, premise, sampled)
        except _Raised as raised:
            message = f"{claim.name} raises {raised}"
            unmet = Unmet("raises", claim.name, message, _way(graph, graph.way_to(raised.number), raised.number))
        if unmet is not None:
            answers.unmet.append(unmet)
    return answers


class _Raised(Exception):
    """What a claim raised, and on which state."""

    def __init__(self, number: int, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.number = number


def _where(graph: Graph, holds: Callable[[Any], bool]) -> bytearray:
    found = bytearray(len(graph.states))
    for number, state in enumerate(graph.states):
        try:
            found[number] = bool(holds(state))
        except Exception as error:  # a claim that raises is a finding, not a crash
            raise _Raised(number, error) from error
    return found


def _way(graph: Graph, taken: Taken, last: int, back: int | None = None) -> Way:
    labels = [graph.labels[graph.by[step]] for _, step in taken]
    return Way([*(number for number, _ in taken), last], labels, back)


# --- never stuck -----------------------------------------------------------------------------------------------------


def _stuck(graph: Graph, claim: Property, goal: Sequence[int], sampled: Collection[type[Any]]) -> Unmet | None:
    able = graph.reaching(number for number, there in enumerate(goal) if there)
    first = able.find(0)  # states are numbered by their depth, so the way there is a shortest one
    if first < 0:
        return None
    stuck = able.count(0)
    message = f"from {stuck:,} of {len(goal):,} states no way leads to {claim.name}; this is the nearest of them"
    return Unmet(claim.kind, claim.name, message, _way(graph, graph.way_to(first), first), open=bool(sampled))


# --- eventually, leads to --------------------------------------------------------------------------------------------


def _endless(
    graph: Graph, claim: Property, goal: Sequence[int], premise: Sequence[int] | None, sampled: Collection[type[Any]]
) -> Unmet | None:
    """A fair way without end that avoids the goal: one that is fair whatever else there is, before one that may be (W5)."""
    places = range(graph.initial) if premise is None else range(len(graph.states))
    seeds = [number for number in places if not goal[number] and (premise is None or premise[number])]
    region = _Region(graph, seeds, goal)
    left_out = [(place, cls) for place, each in enumerate(claim.fair) for cls in sampled if each.is_about(cls)]
    way = None
    if all(claim.fair[place].by is type for place, _ in left_out):
        way = _nearest(graph, region, _Rules(graph, claim.fair, region.before, left_out))
    is_open = way is None and bool(left_out)
    if is_open:
        way = _nearest(graph, region, _Rules(graph, claim.fair, region.before))
    if way is None:
        return None
    assumed = " and ".join(map(str, claim.fair)) or "no fairness at all"
    ends = "rests in its last state" if way.rests else "goes round for ever"
    after = "" if premise is None else " after the premise was true"
    message = f"{claim.name} need never be true{after}: this way {ends}, and {assumed} allows it"
    return Unmet(claim.kind, claim.name, message, way, is_open)


def _nearest(graph: Graph, region: _Region, rules: _Rules) -> Way | None:
    """The fair way without end through the region that is soonest where it stays."""
    best: tuple[int, Way] | None = None
    resting = [number for number, possible in rules.possible.items() if not possible]
    if resting:
        rest = min(resting, key=lambda number: (region.distance[number], number))
        best = (region.distance[rest], _way(graph, stem := region.stem(rest), rest, len(stem)))
    for component in fair_components(graph, region.before, rules):
        entry = min(component, key=lambda number: (region.distance[number], number))
        if best is not None and region.distance[entry] >= best[0]:
            continue
        stem, cycle = region.stem(entry), rules.cycle(component, entry)
        best = (region.distance[entry], _way(graph, [*stem, *cycle], entry, len(stem)))
    return None if best is None else best[1]


class _Region:
    """The states that are reached from `seeds` by ways that avoid the goal, each by a shortest way from the beginning."""

    def __init__(self, graph: Graph, seeds: Sequence[int], goal: Sequence[int]) -> None:
        self._graph = graph
        self.before: dict[int, tuple[int, int] | None] = {}
        self.distance: dict[int, int] = {}
        depths = graph.depths()
        waiting = sorted(seeds, key=lambda number: -depths[number])  # the nearest last
        level: list[tuple[int, tuple[int, int] | None]] = []
        depth = 0
        while level or waiting:
            depth = depth if level else depths[waiting[-1]]
            while waiting and depths[waiting[-1]] <= depth:
                level.append((waiting.pop(), None))
            following: list[tuple[int, tuple[int, int] | None]] = []
            for number, pair in level:
                if number in self.before:
                    continue
                self.before[number], self.distance[number] = pair, depth
                for step in graph.steps(number):
                    target = graph.targets[step]
                    if not goal[target] and target not in self.before:
                        following.append((target, (number, step)))
            level, depth = following, depth + 1

    def stem(self, number: int) -> Taken:
        """The way from an initial state to a seed, and on to this state."""
        found: Taken = []
        while (pair := self.before[number]) is not None:
            found.append(pair)
            number = pair[0]
        return [*self._graph.way_to(number), *found[::-1]]


class _Rules:
    """Fairness as bits, one for each group of commands: which a step takes, which are possible in a state.

    Classes that are groups `everywhere`, each with the place of its assumption, count as possible in every state.
    """

    def __init__(
        self,
        graph: Graph,
        fair: Sequence[Fairness],
        region: Collection[int],
        everywhere: Sequence[tuple[int, type[Any]]] = (),
    ) -> None:
        self._graph = graph
        bits: dict[tuple[int, object], int] = {}

        def bit_of(place: int, group: object) -> int:
            return 1 << bits.setdefault((place, group), len(bits))

        self.of_label = [0] * len(graph.labels)
        for place, each in enumerate(fair):
            for number, label in enumerate(graph.labels):
                command = label.command if isinstance(label, Asked) else label
                if each.concerns(command):
                    try:
                        self.of_label[number] |= bit_of(place, each.group(command))
                    except Exception as error:  # its `by` raises, or gives what cannot be hashed
                        raise _Raised(0, error) from error
        always = sum({bit_of(place, group) for place, group in everywhere})
        self.weak = sum(1 << bit for (place, _), bit in bits.items() if fair[place].strength == "weak")
        self.strong = sum(1 << bit for (place, _), bit in bits.items() if fair[place].strength == "strong")
        self.possible = {number: self._any(graph.steps(number)) | always for number in region}

    def _any(self, steps: range) -> int:
        found = 0
        for step in steps:
            found |= self.of_label[self._graph.by[step]]
        return found

    def taken(self, inside: Collection[int]) -> int:
        """The groups of which some step leads from a state of `inside` to another of them."""
        graph, found = self._graph, 0
        for number in inside:
            for step in graph.steps(number):
                if graph.targets[step] in inside:
                    found |= self.of_label[graph.by[step]]
        return found

    def cycle(self, component: Sequence[int], entry: int) -> Taken:
        """A way from `entry` back to it that stays in a fair component and is fair by itself."""
        graph, inside, found, at = self._graph, set(component), list[tuple[int, int]](), entry
        some = 0
        for number in component:
            some |= self.possible[number]
        owed = (
            some & self.strong
        )  # must be taken; of the weak ones, it is enough to meet a state where they are not possible
        unsure = self.weak & self.possible[entry]
        while owed | unsure:
            more = graph.way([at], self._paying(owed, unsure), inside)
            assert more is not None, "a fair component pays all that it owes"
            found += more
            for _, step in more:
                bits, at = self.of_label[graph.by[step]], graph.targets[step]
                owed, unsure = owed & ~bits, unsure & ~bits & self.possible[at]
        if at != entry:
            more = graph.way([at], lambda _, step: graph.targets[step] == entry, inside)
            assert more is not None, "a component is strongly connected"
            found += more
        return found

    def _paying(self, owed: int, unsure: int) -> Callable[[int, int], bool]:
        """Whether a step takes a group that is waited for, or comes to where a weak one is not possible."""
        of_label, by, targets, possible = self.of_label, self._graph.by, self._graph.targets, self.possible
        return lambda _, step: bool(of_label[by[step]] & (owed | unsure) or unsure & ~possible[targets[step]])


def fair_components(graph: Graph, region: Collection[int], rules: _Rules) -> Iterator[list[int]]:
    """Sets of states between which a fair way can go round for ever, among those of `region`."""
    waiting: list[Collection[int]] = [region]
    while waiting:
        for component in graph.components(waiting.pop()):
            inside = set(component)
            always, sometimes = -1, 0
            for number in component:
                always &= rules.possible[number]
                sometimes |= rules.possible[number]
            missed = ~rules.taken(inside)
            if always & rules.weak & missed:
                continue
            if not (unfair := sometimes & rules.strong & missed):
                yield component
                continue
            left = {number for number in component if not rules.possible[number] & unfair}
            if left:
                waiting.append(left)
