"""Breadth-first search of a machine: every state within reach, each at its least depth, and what is wrong on the way.

S1  *Distinct* counts states by equality. *Transitions* counts initial states and every accepted pair of state and label,
    duplicates and self-loops included. *Depth* counts levels; that of the initial states is 1.
S2  A state is judged when it is generated, so the first trace to a finding is a shortest one.
S3  The way to a state is kept as the number of the state before it and a label, never as a path.
S4  Whatever ends a search early is in `cut`: bounds, a state that was turned away, a finding, Ctrl-C. Nothing is silent.
S5  A step that is refused, violated or faulty leads nowhere.
S6  One function runs the loop; Python's cyclic collector is off meanwhile, since values cannot form cycles.
S7  A search that another shall go on with ends between states only, so that no step is counted twice.
"""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from eventcore.check.aggregate import Asked
from eventcore.check.interrupt import instead_of_interrupt
from eventcore.check.machine import Fault, Machine, Outcome, Refusals, broken
from eventcore.check.memory import limit_bytes, used_bytes
from eventcore.check.properties import Property, Step
from eventcore.check.scope import Bounds
from eventcore.turn import Accepted, Refused, Violated

PULSE_STATES, PULSE_S = 16, 0.2  # how often the clock is looked at, and memory
SEEMS_AN_END = "seems an end"  # no name of a claim: the witness that no command that was tried leads on
TWICE_TURNS, TWICE_SHARE = 20_000, 128  # taken anew: so many turns at first, then those of one in so many states

KIND_OF = cast("Callable[[Any], type[object]]", type)

# A state, its parent's number, the label, and the parent itself where it is to be judged.
Arrived = tuple[Any, int, Any, Any]
Cut = Literal["states", "memory", "within", "finding", "interrupted"]


@dataclass(frozen=True)
class Noticed:
    """Something wrong: what kind, whose, at which state (its number), and with `steps` at which step from there.

    `outcome` is where the step leads, or would lead, where it comes so far.
    """

    kind: str
    name: str
    message: str
    likely: str
    at: int
    label: Any = None
    outcome: Accepted[Any, Any] | None = None
    steps: bool = False


@dataclass(frozen=True)
class Pulse:
    """How far a search has come."""

    distinct: int
    transitions: int
    depth: int
    waiting: int
    seconds: float


@dataclass
class Explored:
    """What a search found. The state number i was first reached from number `parents[i]` by `labels[i]`."""

    states: list[Any] = field(default_factory=list[Any])
    parents: array[int] = field(default_factory=lambda: array("I"))
    labels: list[Any] = field(default_factory=list[Any])
    levels: list[int] = field(default_factory=list[int])  # how many states each level has
    initial: int = 0
    expanded: int = 0
    transitions: int = 0
    refused: int = 0
    twice: int = 0  # states whose every step was taken afresh, twice
    turned_away: int = 0
    turned_away_example: Any = None
    fired: dict[type, int] = field(default_factory=dict[type, int])
    emitted: dict[type, int] = field(default_factory=dict[type, int])
    refusals: dict[str, int] = field(default_factory=dict[str, int])
    witnesses: dict[str, int] = field(default_factory=dict[str, int])
    noticed: list[Noticed] = field(default_factory=list[Noticed])
    cut: set[Cut] = field(default_factory=set[Cut])
    torn: bool = False  # ended amid a state, some of whose steps were counted (S7)
    seconds: float = 0.0
    memory_bytes: int = 0

    @property
    def exhausted(self) -> bool:
        """Whether every reachable state was expanded."""
        return not self.cut and self.expanded == len(self.states)

    def path(self, number: int) -> list[int]:
        """The numbers of the states from an initial one to this one."""
        found = [number]
        while number >= self.initial:
            number = self.parents[number]
            found.append(number)
        return found[::-1]


class Seen(Protocol):
    """What a search remembers of the states that it met: a set of them, or of what counts as one state."""

    def __contains__(self, state: object, /) -> bool:
        """Whether this state was met."""
        ...

    def add(self, state: Any, /) -> None:
        """Remember a state."""
        ...


class Others(Protocol):
    """The other processes of a search that several share."""

    @property
    def judge(self) -> bool:
        """Whether they judge what is sent to them: then a state that falls to them is sent as it was found."""
        ...

    def keep(self, state: Any, /) -> bool:
        """Whether a state falls to one of them."""
        ...

    def send(self, number: int, label: Any, state: Any, /) -> None:
        """Send a state that falls to one of them, with the number of the state before it and the label."""
        ...


@dataclass(frozen=True)
class Plan:
    """What a search looks for, when it stops, and with what memory of the states that it met.

    A `resumable` one ends between states only: a few more may be kept than the bound on states says. Where commands are
    `sampled`, a state that none of them leaves is no finding: it is a witness, SEEMS_AN_END.
    """

    properties: Sequence[Property] = ()
    finished: Callable[[Any], bool] | None = None
    within: Callable[[Any], bool] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    keep_going: bool = False
    seen: Callable[[], Seen] = set[Any]
    twice_turns: int = TWICE_TURNS
    others: Others | None = None
    resumable: bool = False
    sampled: bool = False


def search(
    machine: Machine[Any, Any],
    plan: Plan,
    progress: Callable[[Pulse], None] = lambda _: None,
    begun: Explored | None = None,
) -> Explored:
    """Search a machine breadth first, or go on where one that was `begun` ended.

    KeyboardInterrupt ends it with what was found so far.
    """
    run = Search(machine, plan, progress, begun)
    with collector_off(), instead_of_interrupt(run.end) if plan.resumable else nullcontext():
        try:
            if begun is None:
                run.begin()
            else:
                run.resume()
            run.loop()
        except KeyboardInterrupt:
            run.found.cut.add("interrupted")
    return run.ended()


@contextmanager
def collector_off() -> Generator[None]:
    """Leave Python's cyclic collector off meanwhile (S6)."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Stop(Exception):
    """The search ends here, as its argument says: at the first finding, or at a bound."""


class Search:
    """One search, from its beginning to its end. Where several share the work, each leaves to `plan.others` what falls to them."""

    def __init__(
        self,
        machine: Machine[Any, Any],
        plan: Plan,
        progress: Callable[[Pulse], None],
        begun: Explored | None = None,
    ) -> None:
        self.found = Explored() if begun is None else begun
        self._machine = machine
        self._plan = plan
        self._progress = progress
        self._seen = plan.seen()
        self._always = [each for each in plan.properties if each.kind == "always"]
        self._steps = [each for each in plan.properties if each.kind == "always_step"]
        self._wanted = [each for each in plan.properties if each.kind == "sometimes"]
        self._known: set[tuple[str, str]] = set()
        self._anew = 0  # turns
        self._began = time.monotonic() - self.found.seconds
        self._pulsed = time.monotonic()
        self._ends = False
        self._memory = plan.bounds.memory if plan.bounds.memory is not None else limit_bytes()

    def begin(self) -> None:
        """Take in the initial states."""
        found = self.found
        for state in self._machine.initial():
            if state not in self._seen:
                self._seen.add(state)
                found.states.append(state)
                found.parents.append(0)
                found.labels.append(None)
        found.initial = found.transitions = len(found.states)
        found.levels.append(found.initial)
        try:
            for number, state in enumerate(found.states):
                self._judge(state, number)
        except _Stop as stop:
            found.cut.add(stop.args[0])

    def resume(self) -> None:
        """Go on with what was found before: it is met, judged and counted."""
        found = self.found
        for state in found.states:
            self._seen.add(state)
        self._known = {(each.kind, each.name) for each in found.noticed}
        self._wanted = [each for each in self._wanted if each.name not in found.witnesses]
        found.cut.clear()

    def end(self) -> None:
        """End between two states; asked for twice, at once."""
        if self._ends:
            self.found.torn = True
            raise KeyboardInterrupt
        self._ends = True

    def loop(self, until: int | None = None) -> None:
        """Expand states in the order in which they were found, until none waits, or none below `until`, or it must end."""
        found, machine, seen = self.found, self._machine, self._seen
        states, fired, emitted, refusals = found.states, found.fired, found.emitted, found.refusals
        kind_of = KIND_OF
        level_ends = sum(found.levels)
        try:
            while not found.cut and found.expanded < (len(states) if until is None else until):
                number = found.expanded
                if number == level_ends:
                    level_ends = len(states)
                    found.levels.append(level_ends - number)
                if number % PULSE_STATES == 0 and self._must_stop(len(found.levels)):
                    return
                state = states[number]
                before = hash(state)
                steps: Sequence[tuple[Any, Any]] = list(machine.steps(state))  # told apart by their exact types below
                leaves = False
                for label, outcome in steps:
                    kind = kind_of(outcome)
                    if kind is Accepted:
                        following = outcome.state
                        if following not in seen and not self._takes_in(number, label, outcome):
                            continue
                        found.transitions += 1
                        leaves = leaves or following != state
                        fired_kind = kind_of(label)
                        if fired_kind is Asked:
                            fired_kind = kind_of(label.command)
                        fired[fired_kind] = fired.get(fired_kind, 0) + 1
                        for event in outcome.events:
                            event_kind = kind_of(event)
                            emitted[event_kind] = emitted.get(event_kind, 0) + 1
                        if self._steps:
                            self._judge_step(number, label, outcome)
                    elif kind is Refused:
                        reason = outcome.reason
                        refusals[reason] = refusals.get(reason, 0) + 1
                    elif kind is Refusals:
                        for reason, count in outcome.counts:
                            refusals[reason] = refusals.get(reason, 0) + count
                    else:
                        self._notice_outcome(number, label, outcome)
                if hash(state) != before:
                    self._notice(Noticed("mutates", "state", MUTATED, MUTATED_LIKELY, number))
                if self._anew < self._plan.twice_turns or number % TWICE_SHARE == 0:
                    self._take_twice(number, state, steps)
                if not leaves:
                    self._judge_rest(number, state)
                found.expanded += 1
        except _Stop as stop:
            found.cut.add(stop.args[0])

    def _takes_in(self, number: int, label: Any, outcome: Accepted[Any, Any]) -> bool:
        """Judge a new state and keep it; False where the step does not count, since it is refused or wrong."""
        others = self._plan.others
        theirs = others is not None and others.keep(outcome.state)
        if not (others is not None and theirs and others.judge) and not self._is_right(number, label, outcome):
            return False
        following = self._machine.compact(outcome.state)
        if not self._is_within(number, label, following):
            return True
        if others is not None and theirs:
            self._seen.add(following)
            others.send(number, label, following)
        else:
            self._keep(following, number, label)
        return True

    def _is_right(self, number: int, label: Any, outcome: Accepted[Any, Any]) -> bool:
        """Judge a step to a new state; False where it does not count, since it is refused or wrong."""
        found = self.found
        wrong = self._machine.confirm(found.states[number], label, outcome)
        if wrong is None:
            return True
        if isinstance(wrong, Refused):
            found.refusals[wrong.reason] = found.refusals.get(wrong.reason, 0) + 1
            return False
        self._notice_outcome(number, label, wrong, outcome)
        return isinstance(wrong, Fault) and wrong.kind == "codec"

    def _keep(self, state: Any, parent: int, label: Any) -> None:
        found = self.found
        if len(found.states) >= self._plan.bounds.states and not self._plan.resumable:
            raise _Stop("states")
        self._seen.add(state)
        found.states.append(state)
        found.parents.append(parent)
        found.labels.append(label)
        self._judge(state, len(found.states) - 1)

    def receive(self, arrived: Iterable[Arrived], take: Callable[[Any, Any], Outcome]) -> int:
        """Keep states that others found, where they are new here; how many were. Some are judged here: see `Others`.

        What is wrong with a step that led here is noticed at the number that the state before it has in their process.
        """
        before = len(self.found.states)
        try:
            for state, parent, label, source in arrived:
                if state in self._seen:
                    continue
                if source is not None:
                    outcome = take(source, label)
                    events = outcome.events if isinstance(outcome, Accepted) else []
                    wrong = self._machine.confirm(source, label, Accepted(events, state))
                    if wrong is not None:
                        self._notice_outcome(parent, label, wrong, Accepted(events, state))
                self._keep(self._machine.compact(state), parent, label)
        except _Stop as stop:
            self.found.cut.add(stop.args[0])
        return len(self.found.states) - before

    def _is_within(self, number: int, label: Any, state: Any) -> bool:
        within = self._plan.within
        if within is None:
            return True
        if self._asked(within, state, "within", number, label):
            return True
        self.found.turned_away += 1  # by a `within` that raises, too
        self.found.turned_away_example = state
        return False

    def _judge(self, state: Any, number: int) -> None:
        for each in self._always:
            if self._asked(each.holds, state, each.name, number) is False:
                self._notice(Noticed("always", each.name, f"{each.name} is false", "", number))
        for each in list(self._wanted):
            if self._asked(each.holds, state, each.name, number) is True:
                self.found.witnesses[each.name] = number
                self._wanted.remove(each)

    def _judge_step(self, number: int, label: Any, outcome: Accepted[Any, Any]) -> None:
        step = Step(
            self.found.states[number],
            label.command if isinstance(label, Asked) else label,
            outcome.events,
            outcome.state,
        )
        for each in self._steps:
            if self._asked(each.holds, step, each.name, number, label) is False:
                message = f"{each.name} is false of this step"
                self._notice(Noticed("always_step", each.name, message, "", number, label, outcome, steps=True))

    def _judge_rest(self, number: int, state: Any) -> None:
        """A state that no step leaves: fine where it is declared finished, nobody's business where nothing is declared."""
        finished = self._plan.finished
        if finished is None or self._asked(finished, state, "finished", number) is not False:
            return
        if self._plan.sampled:
            self.found.witnesses.setdefault(SEEMS_AN_END, number)
        else:
            message = "no command leads anywhere else from a state that is not finished"
            self._notice(Noticed("dead_end", "finished", message, "", number))

    def _asked(
        self, claim: Callable[[Any], bool], about: Any, name: str, number: int, label: Any = None
    ) -> bool | None:
        """What a claim says; None where it raises, which is a finding of its own."""
        if ("raises", name) in self._known:
            return None
        try:
            return bool(claim(about))
        except Exception as error:  # noqa: BLE001 - a claim that raises is a finding, not a crash
            message = f"{name} raises {type(error).__name__}: {error}"
            self._notice(Noticed("raises", name, message, "", number, label, None, steps=label is not None))
            return None

    def _take_twice(self, number: int, state: Any, first: Sequence[tuple[Any, Outcome]]) -> None:
        self.found.twice += 1
        self._anew += sum(sum(n for _, n in one.counts) if isinstance(one, Refusals) else 1 for _, one in first)
        if (difference := self._machine.again(state, first)) is not None:
            label, fault = difference
            self._notice_outcome(number, label, fault)

    def _notice_outcome(
        self, number: int, label: Any, outcome: Outcome, taken: Accepted[Any, Any] | None = None
    ) -> None:
        match outcome:
            case Violated(name):
                self._notice(Noticed("invariant", name, broken(outcome), "", number, label, taken, steps=True))
            case Fault(kind, name, message, likely):
                self._notice(Noticed(kind, name, message, likely, number, label, taken, steps=True))
            case Accepted() | Refused() | Refusals():
                raise AssertionError(f"{outcome} is nothing wrong")

    def _notice(self, noticed: Noticed) -> None:
        """Keep one finding for each claim, the first, whose trace is the shortest."""
        if (noticed.kind, noticed.name) in self._known:
            return
        self._known.add((noticed.kind, noticed.name))
        self.found.noticed.append(noticed)
        if not self._plan.keep_going:
            raise _Stop("finding")

    def _must_stop(self, depth: int) -> bool:
        found, now = self.found, time.monotonic()
        if now - self._pulsed >= PULSE_S:
            self._pulsed = now
            waiting = len(found.states) - found.expanded
            self._progress(Pulse(len(found.states), found.transitions, depth, waiting, now - self._began))
            if self._memory is not None and used_bytes() >= self._memory:
                found.cut.add("memory")
        if self._plan.resumable and len(found.states) > self._plan.bounds.states:
            found.cut.add("states")
        if self._ends:
            found.cut.add("interrupted")
        return bool(found.cut)

    def ended(self) -> Explored:
        """What was found, with its sums."""
        found = self.found
        found.refused = sum(found.refusals.values())
        if (begun := len(found.states) - sum(found.levels)) > 0:
            found.levels.append(begun)  # a level that was found in part
        found.seconds = time.monotonic() - self._began
        found.memory_bytes = used_bytes()
        if found.turned_away:
            found.cut.add("within")
        return found


MUTATED = "the state is another after decide and evolve have seen it"
MUTATED_LIKELY = "one of them changes the state in place, or what the state holds"
