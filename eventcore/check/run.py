"""`check`: search an aggregate in its scope, and say what that shows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.graph import graph_of
from eventcore.check.liveness import Answers, judge
from eventcore.check.machine import Machine
from eventcore.check.memory import limit_bytes, used_bytes
from eventcore.check.parallel import search_together
from eventcore.check.properties import OF_WAYS
from eventcore.check.report import Report
from eventcore.check.reporting import WHOLE, reported
from eventcore.check.sampled import sampled_classes
from eventcore.check.saved import load, save
from eventcore.check.scope import Bounds, Scope
from eventcore.check.search import Explored, Plan, Pulse, collector_off, search
from eventcore.check.source import shown
from eventcore.check.symmetric import SymmetricMachine
from eventcore.errors import CallerError, NotSupported

ALL_STATES = "a search of all states, without --symmetric"


def silent(_: Pulse) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Searched:
    """A search that was made: of which machine, within which bounds, and what it found."""

    machine: AggregateMachine
    bounds: Bounds
    found: Explored
    resume: Path | None = None  # where it is kept if it is cut, or its claims about ways are not judged to the end


def check(
    what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any],
    *,
    scope: Scope | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 - a value that cannot change
    keep_going: bool = False,
    symmetric: bool = False,
    workers: int | None = None,
    resume: Path | None = None,
    progress: Callable[[Pulse], None] = silent,
) -> Report:
    """Search every state that an aggregate can reach in its scope, and judge it. Stops at the first finding.

    With `keep_going` it goes on, and reports one shortest trace for each claim that is broken. With `symmetric`, states
    that differ only in which instance is which are one, as the symmetry of the Checked says. With `workers`, so many
    processes share the search. With `resume`, a search that is cut is kept in that file, and the next one goes on from it.
    KeyboardInterrupt ends it with a report of what was found so far. Raises CallerError where the scope or the file does
    not fit.
    """
    if symmetric:
        if workers is not None:
            raise NotSupported("orbits are searched by one process: ask for a symmetric search, or for workers.")
        machine, plan = _prepared(what, scope, bounds, keep_going=keep_going)
        return _of_orbits(machine, plan, resume, progress)
    return report_of(
        searched(
            what,
            scope=scope,
            bounds=bounds,
            keep_going=keep_going,
            workers=workers,
            resume=resume,
            progress=progress,
        )
    )


def searched(
    what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any],
    *,
    scope: Scope | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 - a value that cannot change
    keep_going: bool = False,
    workers: int | None = None,
    resume: Path | None = None,
    progress: Callable[[Pulse], None] = silent,
) -> Searched:
    """The search of `check`, for whoever asks more than one thing about it. `report_of` keeps it where it is to be resumed."""
    machine, plan = _prepared(what, scope, bounds, keep_going=keep_going)
    if workers is None:
        return Searched(machine, bounds, _search(machine, machine, plan, resume, "", progress), resume)
    if resume is not None:
        raise NotSupported("a search that several processes share cannot be resumed: ask for workers, or for resume.")
    return Searched(machine, bounds, search_together(machine, plan, workers, progress))


def report_of(made: Searched) -> Report:
    """What a search shows."""
    answers = _of_ways(made.machine, made.found, made.bounds)
    notes = _keep(made.machine, made.found, made.resume, "")  # after that: it may be interrupted as well
    report = reported(made.machine, made.found, made.bounds, answers)
    return replace(report, warnings=[*report.warnings, *notes])


def _prepared(
    what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any], scope: Scope | None, bounds: Bounds, *, keep_going: bool
) -> tuple[AggregateMachine, Plan]:
    checked = what if isinstance(what, Checked) else Checked(what)
    machine = AggregateMachine(checked if scope is None else replace(checked, scope=scope))
    checked = machine.judged
    plan = Plan(checked.properties, checked.finished, checked.scope.within, bounds, keep_going)
    return machine, replace(plan, sampled=bool(sampled_classes(machine)))


def _search(
    machine: AggregateMachine,
    way: Machine[Any, Any],
    plan: Plan,
    resume: Path | None,
    how: str,
    progress: Callable[[Pulse], None],
) -> Explored:
    """Search a machine in its own way or another, from the file of `resume` where it is there."""
    if resume is None:
        return search(way, plan, progress)
    begun = load(resume, machine, how) if resume.exists() else None
    return search(way, replace(plan, resumable=True), progress, begun)


def _keep(machine: AggregateMachine, found: Explored, resume: Path | None, how: str) -> list[str]:
    """Keep what was cut in the file of `resume`, and remove the file where nothing was; what became of it."""
    if resume is None:
        return []
    if not found.cut & {"states", "memory", "interrupted"}:
        resume.unlink(missing_ok=True)
        return []
    if found.torn:
        return [f"this search was interrupted twice, and is not kept in {resume}"]
    try:
        save(resume, machine, found, how)
    except (CallerError, OSError) as error:
        return [f"this search could not be kept in {resume}: {error}"]
    return [f"what was found is kept in {resume}: the same check goes on from there"]


def _of_orbits(machine: AggregateMachine, plan: Plan, resume: Path | None, progress: Callable[[Pulse], None]) -> Report:
    checked, symmetry = machine.checked, machine.checked.symmetry
    if symmetry is None:
        raise NotSupported(f"{machine.name} declares no symmetry; write Checked(..., symmetry=Symmetry(...)).")
    alike = SymmetricMachine(machine, symmetry)
    found = _search(machine, alike, replace(plan, seen=alike.orbits), resume, shown(symmetry), progress)
    notes = _keep(machine, found, resume, shown(symmetry))
    claims = [each for each in checked.properties if each.kind in OF_WAYS]
    report = reported(machine, found, plan.bounds, None if claims else Answers(), ALL_STATES)
    count = len(symmetry.instances)
    doubt = (
        f"states that differ only in which of {count} instances is which were taken for one; in {alike.tried:,} of "
        f"{found.expanded:,} states, every step and claim was tried with the instances changed"
    )
    said = f"{report.code_hash} {shown(symmetry)}".encode()
    return replace(
        report,
        instances=count,
        warnings=[*report.warnings, *notes],
        doubts=[doubt, *(each for each in report.doubts if each != WHOLE)],
        code_hash=hashlib.blake2b(said, digest_size=8).hexdigest(),
    )


def _of_ways(machine: AggregateMachine, found: Explored, bounds: Bounds) -> Answers | None:
    """What comes of claims about ways; None where they cannot be judged, since not all of the graph is known."""
    claims = [each for each in machine.judged.properties if each.kind in OF_WAYS]
    if not claims:
        return Answers()
    if not found.exhausted:
        return None
    began = time.monotonic()
    memory = bounds.memory if bounds.memory is not None else limit_bytes()
    try:
        with collector_off():
            return judge(graph_of(machine, found.states, found.initial, memory), claims, sampled_classes(machine))
    except KeyboardInterrupt:
        found.cut.add("interrupted")
        return None
    except MemoryError:
        found.cut.add("memory")
        return None
    finally:
        found.seconds += time.monotonic() - began
        found.memory_bytes = used_bytes()
