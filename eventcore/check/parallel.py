"""A search that several processes share: the same states, transitions and depth as one process finds, sooner.

The asking process sends the states that fall to others on, unread; puts together what all of them kept when nothing is
new, in the order of levels; and from then on nobody can tell that they were several. See `eventcore.check.worker`.

L1  All processes have told the end of a level before any is given the next, so nobody waits for a full pipe in a ring.
L2  Of findings, the one with the shortest trace is kept for each claim, whoever found it.
L3  A bound on states is looked at when a level ends: what is kept may be more. A bound on memory is shared out.
"""

from __future__ import annotations

import multiprocessing
import time
import warnings
from array import array
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from eventcore.check.aggregate import AggregateMachine
from eventcore.check.interrupt import instead_of_interrupt
from eventcore.check.memory import limit_bytes, used_bytes
from eventcore.check.search import Cut, Explored, Noticed, Plan, Pulse
from eventcore.check.worker import Failed, Kept, Told, Worker, classes_of, work
from eventcore.errors import NotSupported, SystemFault

WORKERS_MAX = 64  # more than that share one machine's memory bus, and a byte names a worker


def search_together(
    machine: AggregateMachine, plan: Plan, workers: int, progress: Callable[[Pulse], None] = lambda _: None
) -> Explored:
    """Search a machine breadth first with so many processes. KeyboardInterrupt ends it with what was found so far.

    Raises NotSupported where processes cannot be forked, and SystemFault where one of them dies.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise NotSupported("this system cannot fork processes, so a search has one worker.")
    if not 1 <= workers <= WORKERS_MAX:
        raise NotSupported(f"a search has 1 to {WORKERS_MAX} workers, not {workers}.")
    began, before = time.monotonic(), used_bytes()
    limit = plan.bounds.memory if plan.bounds.memory is not None else limit_bytes()
    share = None if limit is None else max(1, before + (limit - before) // workers)
    turns = -(-plan.twice_turns // workers)
    shared = replace(plan, bounds=replace(plan.bounds, memory=share), twice_turns=turns)
    starts = list(dict.fromkeys(machine.initial()))
    with _Crew(machine, shared, workers, starts).working() as crew:
        crew.rounds(plan, progress, began)
        kept = crew.gather()
    found = _merged(machine, kept, keep_going=plan.keep_going)
    found.cut |= crew.cut
    found.seconds = time.monotonic() - began
    found.memory_bytes = max(used_bytes(), before + sum(each.grown_bytes for each in kept))
    machine.coded = sum(each.coded for each in kept)
    return found


class _Crew:
    """The processes, and what they told last."""

    def __init__(self, machine: AggregateMachine, plan: Plan, workers: int, starts: Sequence[Any]) -> None:
        self._context = multiprocessing.get_context("fork")
        self.cut: set[Cut] = set()
        self._ends = self._context.Event()
        self._made = [partial(Worker, machine, plan, me, workers, starts, self._ends) for me in range(workers)]
        self._ours: list[Connection] = []
        self._processes: list[BaseProcess] = []

    @contextmanager
    def working(self) -> Generator[_Crew]:
        """Have the processes run meanwhile; afterwards none of them is left."""
        try:
            for made in self._made:
                ours, theirs = self._context.Pipe()
                self._ours.append(ours)
                process: BaseProcess = self._context.Process(
                    target=work, args=(theirs, made, tuple(self._ours)), daemon=True
                )
                with (
                    warnings.catch_warnings()
                ):  # a thread that shows progress holds no lock that a process of ours takes
                    warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning)
                    process.start()
                self._processes.append(process)
                theirs.close()  # so that a process that dies is noticed
            with instead_of_interrupt(self._interrupt):
                yield self
        finally:
            for process in self._processes:
                process.kill()
                process.join()
            for connection in self._ours:
                connection.close()

    def _interrupt(self) -> None:
        if self._ends.is_set():
            raise KeyboardInterrupt  # asked for twice
        self._ends.set()
        self.cut.add("interrupted")

    def rounds(self, plan: Plan, progress: Callable[[Pulse], None], began: float) -> None:
        """A round for each level, until nothing is new or something ends the search."""
        inbox: list[list[tuple[int, bytes]]] = [[] for _ in self._ours]
        depth = 0
        while True:
            for connection, messages in zip(self._ours, inbox, strict=True):
                connection.send(messages)
            told = self._told()
            inbox = [
                [(sender, each.sent[to]) for sender, each in enumerate(told) if to in each.sent]
                for to in range(len(told))
            ]
            self.cut |= {cut for each in told for cut in each.cut}
            depth += 1
            distinct = sum(each.distinct for each in told)
            waiting = sum(each.waiting for each in told)
            transitions = sum(each.transitions for each in told)
            progress(Pulse(distinct, transitions, depth, waiting, time.monotonic() - began))
            if self.cut or not (waiting or any(inbox)):
                return
            if distinct >= plan.bounds.states:
                self.cut.add("states")
                return

    def _told(self) -> list[Told]:
        """What each process tells at the end of its level; they come to it soon where they were told to end."""
        found: dict[int, Told] = {}
        while len(found) < len(self._ours):
            missing = {id(each): number for number, each in enumerate(self._ours) if number not in found}
            for ready in wait([self._ours[number] for number in missing.values()]):
                number = missing[id(ready)]
                found[number] = self._received(number)
        return [found[number] for number in range(len(self._ours))]

    def gather(self) -> list[Kept]:
        """All that the processes kept."""
        for connection in self._ours:
            connection.send(None)
        return [self._received(number) for number in range(len(self._ours))]

    def _received(self, number: int) -> Any:
        try:
            answer = self._ours[number].recv()
        except (EOFError, ConnectionError) as error:
            self._processes[number].join()
            code = self._processes[number].exitcode
            raise SystemFault(
                f"worker {number} of the search ended with {code} and without a word; where that is -9, the system took "
                "it for want of memory: give a bound with --memory, or fewer workers."
            ) from error
        if isinstance(answer, Failed):
            raise NotSupported(f"worker {number} of the search failed: {answer.message}")
        return answer


# --- put together ----------------------------------------------------------------------------------------------------


def _merged(machine: AggregateMachine, kept: Sequence[Kept], *, keep_going: bool) -> Explored:
    """What one process would have found, up to the order of states within a level."""
    found = Explored()
    shifts = _shifts(kept)
    labels = machine.commands
    for level in range(len(kept[0].starts) - 1):
        before = len(found.states)
        for number, each in enumerate(kept):
            part = slice(each.starts[level], each.starts[level + 1])
            assert len(found.states) == each.starts[level] + shifts[number][level]
            found.states += each.states[part]
            if level == 0:
                found.labels += [None] * (part.stop - part.start)
                found.parents.extend(array("I", bytes(4 * (part.stop - part.start))))
                continue
            found.labels += [labels[label] for label in each.labels[part]]
            above = [shift[level - 1] for shift in shifts]
            origins = zip(each.parents[part], each.origins[part], strict=True)
            found.parents.extend(array("I", [parent + above[origin] for parent, origin in origins]))
        if len(found.states) > before:
            found.levels.append(len(found.states) - before)
    found.initial = sum(each.sums.initial for each in kept)
    _add_sums(machine, found, kept)
    _add_findings(found, kept, shifts, keep_going=keep_going)
    return found


def _shifts(kept: Sequence[Kept]) -> list[list[int]]:
    """What is added to a state's number in its process, for each level, to make it its number among all."""
    shifts: list[list[int]] = [[] for _ in kept]
    count = 0
    for level in range(len(kept[0].starts) - 1):
        for each, shift in zip(kept, shifts, strict=True):
            shift.append(count - each.starts[level])
            count += each.starts[level + 1] - each.starts[level]
    return shifts


def _add_sums(machine: AggregateMachine, found: Explored, kept: Sequence[Kept]) -> None:
    commands, events = classes_of(machine)
    for each in kept:
        sums = each.sums
        found.expanded += sums.expanded
        found.transitions += sums.transitions
        found.twice += sums.twice
        found.turned_away += sums.turned_away
        if sums.turned_away:
            found.turned_away_example = sums.turned_away_example
        found.cut |= sums.cut
        for reason, count in sums.refusals.items():
            found.refusals[reason] = found.refusals.get(reason, 0) + count
        for place, count in each.fired.items():
            found.fired[commands[place]] = found.fired.get(commands[place], 0) + count
        for place, count in each.emitted.items():
            found.emitted[events[place]] = found.emitted.get(events[place], 0) + count
    found.refused = sum(found.refusals.values())
    if found.turned_away:
        found.cut.add("within")


def _add_findings(found: Explored, kept: Sequence[Kept], shifts: Sequence[Sequence[int]], *, keep_going: bool) -> None:
    """For each claim the finding with the shortest trace, and the nearest witness (L2)."""
    nearest: dict[tuple[str, str], tuple[int, Noticed]] = {}
    witnesses: dict[str, int] = {}
    for each, shift in zip(kept, shifts, strict=True):
        for whose, noticed in each.noticed:
            starts = kept[whose].starts
            level = bisect_right(starts, noticed.at, hi=len(starts) - 1) - 1
            length, key = level + noticed.steps, (noticed.kind, noticed.name)
            if key not in nearest or length < nearest[key][0]:
                nearest[key] = length, replace(noticed, at=noticed.at + shifts[whose][level])
        for name, at in each.witnesses.items():
            level = bisect_right(each.starts, at, hi=len(each.starts) - 1) - 1
            witnesses[name] = min(at + shift[level], witnesses.get(name, len(found.states)))
    ordered = [noticed for _, noticed in sorted(nearest.values(), key=lambda pair: pair[0])]
    found.noticed = ordered if keep_going else ordered[:1]
    found.witnesses = witnesses
