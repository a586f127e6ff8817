"""One of several processes that share a search: it keeps and expands the states that fall to it, a level at a time.

V1  A state falls to the process that its hash names. The processes are forked from one, so all of them hash alike.
V2  A level is expanded whole before the next one is begun, by all: so every state is found at its least depth, and the
    counts are those of a search by one process.
V3  What falls to another is sent to it once by each that finds it, at the end of the level, and kept and judged there if
    it is new. Where a step may turn out to be refused, who takes it judges it, since it does not count then.
V4  A state's parent is named by its number in the process that found it, and that process is kept beside.
"""

from __future__ import annotations

import pickle
import signal
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Protocol

from eventcore.check.aggregate import AggregateMachine
from eventcore.check.memory import used_bytes
from eventcore.check.search import Cut, Explored, Noticed, Plan, Pulse, Search, collector_off


class Flag(Protocol):
    """What tells all processes to end early."""

    def is_set(self) -> bool:
        """Whether they should."""
        ...


@dataclass(frozen=True)
class Told:
    """What a process tells at the end of a level; `sent` are messages, one for each other process that gets any."""

    expanded: int
    distinct: int
    waiting: int
    transitions: int
    cut: set[Cut]
    found_wrong: bool
    sent: dict[int, bytes]


@dataclass
class Kept:
    """All that a process kept in the end. `starts` are the numbers that its levels begin with, and where the last ends."""

    states: list[Any]
    labels: array[int]
    parents: array[int]
    origins: bytes
    starts: list[int]
    noticed: list[tuple[int, Noticed]]  # with the process in which the state that it is about has its number
    witnesses: dict[str, int]
    sums: Explored
    fired: dict[int, int]
    emitted: dict[int, int]
    coded: int
    grown_bytes: int


@dataclass(frozen=True)
class Failed:
    """What ended a process that should have gone on."""

    message: str


class _Owned:
    """The machine, with those initial states that fall to this process."""

    def __init__(self, machine: AggregateMachine, starts: Sequence[Any]) -> None:
        self.name = machine.name
        self.steps = machine.steps
        self.confirm = machine.confirm
        self.again = machine.again
        self.compact = machine.compact
        self._starts = starts

    def initial(self) -> Iterable[Any]:
        """The states to begin in."""
        return self._starts


@dataclass
class Worker:
    """Number `me` of `count`."""

    machine: AggregateMachine
    plan: Plan
    me: int
    count: int
    starts: Sequence[Any]
    ends: Flag
    levels: list[int] = field(default_factory=lambda: [0])
    origins: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._began_bytes = used_bytes()
        self._labels = list(self.machine.commands)
        self._numbers = {label: number for number, label in enumerate(self._labels)}
        self._out: list[list[tuple[Any, int, int, Any]]] = [[] for _ in range(self.count)]
        self._foreign: dict[int, int] = {}  # findings about steps that others took: which, and whose
        owned = _Owned(self.machine, [state for state in self.starts if hash(state) % self.count == self.me])
        self._search = Search(owned, replace(self.plan, others=self), self._pulse)

    def run(self, connection: Connection) -> None:
        """Do what is asked for: a level for each list of messages, and in the end, for None, all that was kept."""
        with collector_off():
            self._unless_interrupted(self._search.begin)
            self.origins += bytes([self.me]) * len(self._search.found.states)
            while (arrived := connection.recv()) is not None:
                connection.send(self._level(arrived))
            connection.send(self._kept())

    @property
    def judge(self) -> bool:
        """Whether who keeps a state judges it: once, then, and not by all who find it.

        Where the search goes on after what is wrong, or where an invariant may refuse, who finds it must know at once.
        """
        return not (self.plan.keep_going or self.machine.checked.enforced)

    def keep(self, state: Any) -> bool:
        """Whether a state falls to another."""
        return hash(state) % self.count != self.me

    def send(self, number: int, label: Any, state: Any) -> None:
        """Send a state to whom it falls, at the end of the level."""
        source = self._search.found.states[number] if self.judge else None
        self._out[hash(state) % self.count].append((state, number, self._numbers[label], source))

    def _pulse(self, _: Pulse) -> None:
        if self.ends.is_set():
            raise KeyboardInterrupt

    def _unless_interrupted(self, do: Callable[[], object]) -> None:
        try:
            do()
        except KeyboardInterrupt:
            self._search.found.cut.add("interrupted")

    def _level(self, arrived: Sequence[tuple[int, bytes]]) -> Told:
        search, found, labels = self._search, self._search.found, self._labels
        for sender, message in arrived:
            records: list[tuple[Any, int, int, Any]] = pickle.loads(message)  # noqa: S301 - written by a process of our own
            known, noticed = len(found.states), len(found.noticed)
            arriving = [(state, parent, labels[label], source) for state, parent, label, source in records]
            self._unless_interrupted(partial(search.receive, arriving, self.machine.take))
            self.origins += bytes([sender]) * (len(found.states) - known)
            self._foreign |= {n: sender for n in range(noticed, len(found.noticed)) if found.noticed[n].steps}
        began, until = found.expanded, len(found.states)
        self.levels.append(until)
        self._unless_interrupted(partial(search.loop, until))
        waiting = len(found.states) - until
        self.origins += bytes([self.me]) * waiting
        sent = {each: pickle.dumps(out, pickle.HIGHEST_PROTOCOL) for each, out in enumerate(self._out) if out}
        for out in self._out:
            out.clear()
        wrong = bool(found.noticed)
        return Told(until - began, len(found.states), waiting, found.transitions, found.cut, wrong, sent)

    def _kept(self) -> Kept:
        found = self._search.found
        labels = array("I", [0 if label is None else self._numbers[label] for label in found.labels])
        commands, events = classes_of(self.machine)
        return Kept(
            states=found.states,
            labels=labels,
            parents=found.parents,
            origins=bytes(self.origins),
            starts=[*self.levels, len(found.states)],
            noticed=[(self._foreign.get(n, self.me), each) for n, each in enumerate(found.noticed)],
            witnesses=found.witnesses,
            sums=replace(
                found, states=[], labels=[], parents=array("I"), fired={}, emitted={}, noticed=[], witnesses={}
            ),
            fired=_by_place(found.fired, commands),
            emitted=_by_place(found.emitted, events),
            coded=self.machine.coded,
            grown_bytes=used_bytes() - self._began_bytes,
        )


def classes_of(machine: AggregateMachine) -> tuple[list[type], list[type]]:
    """The classes that accepted steps and emitted events are counted by."""
    return [*machine.aggregate.command_checks], [*machine.aggregate.event_checks]


def _by_place(counts: dict[type, int], classes: Sequence[type]) -> dict[int, int]:
    """Counts by the place of a class among the aggregate's: a class that was made in a function cannot be sent."""
    return {place: counts[cls] for place, cls in enumerate(classes) if cls in counts}


def work(connection: Connection, made: Callable[[], Worker], inherited: Sequence[Connection]) -> None:
    """The main function of a process. Ctrl-C is for the process that asks; where that one dies, so does this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in inherited:
        other.close()  # held here, it would keep a process waiting that the asking one will never call again
    try:
        made().run(connection)
    except EOFError:
        return  # nobody asks any more
    except Exception as error:  # noqa: BLE001 - told to the process that asks, which raises
        connection.send(Failed(f"{type(error).__name__}: {error}"))
