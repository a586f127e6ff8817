"""`check`: search an aggregate in its scope, and say what that shows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.annotations import unknown_in
from eventcore.check.aggregate import CODED_ALL, CODED_SHARE, AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.domain import Leaf
from eventcore.check.graph import graph_of
from eventcore.check.liveness import Answers, Unmet, judge
from eventcore.check.memory import limit_bytes, used_bytes
from eventcore.check.narrow import explosion
from eventcore.check.parallel import search_together
from eventcore.check.properties import OF_WAYS
from eventcore.check.report import Finding, Reason, Report, Verdict
from eventcore.check.scope import Bounds, Scope
from eventcore.check.search import Explored, Noticed, Plan, Pulse, collector_off, search
from eventcore.check.source import Source, shown
from eventcore.check.symmetric import SymmetricMachine
from eventcore.check.trace import Trace, TraceStep
from eventcore.check.traced import trace_along
from eventcore.codehash import code_hash
from eventcore.errors import NotSupported

WHOLE = "states are kept whole and compared by equality: no two are taken for one"
UNCUT, ALL_STATES = "a search that is not cut", "a search of all states, without --symmetric"
ENGINE = 1  # raised whenever a change of the checker could change a verdict


def silent(_: Pulse) -> None:
    """Progress that nobody watches."""


def check(
    what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any],
    *,
    scope: Scope | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 - a value that cannot change
    keep_going: bool = False,
    symmetric: bool = False,
    workers: int | None = None,
    progress: Callable[[Pulse], None] = silent,
) -> Report:
    """Search every state that an aggregate can reach in its scope, and judge it. Stops at the first finding.

    With `keep_going` it goes on, and reports one shortest trace for each claim that is broken. With `symmetric`, states
    that differ only in which instance is which are one, as the symmetry of the Checked says. With `workers`, so many
    processes share the search. KeyboardInterrupt ends it with a report of what was found so far. Raises CallerError where
    the scope does not fit.
    """
    checked = what if isinstance(what, Checked) else Checked(what)
    if scope is not None:
        checked = replace(checked, scope=scope)
    machine = AggregateMachine(checked)
    plan = Plan(checked.properties, checked.finished, checked.scope.within, bounds, keep_going)
    if symmetric:
        if workers is not None:
            raise NotSupported("orbits are searched by one process: ask for a symmetric search, or for workers.")
        return _of_orbits(machine, plan, progress)
    found = search(machine, plan, progress) if workers is None else search_together(machine, plan, workers, progress)
    return _report(machine, found, bounds, _of_ways(machine, found, bounds))


def _of_orbits(machine: AggregateMachine, plan: Plan, progress: Callable[[Pulse], None]) -> Report:
    symmetry = machine.checked.symmetry
    if symmetry is None:
        raise NotSupported(f"{machine.name} declares no symmetry; write Checked(..., symmetry=Symmetry(...)).")
    alike = SymmetricMachine(machine, symmetry)
    found = search(alike, replace(plan, seen=alike.orbits), progress)
    claims = [each for each in machine.checked.properties if each.kind in OF_WAYS]
    report = _report(machine, found, plan.bounds, None if claims else Answers(), ALL_STATES)
    count = len(symmetry.instances)
    doubt = (
        f"states that differ only in which of {count} instances is which were taken for one; in {alike.tried:,} of "
        f"{found.expanded:,} states, every step and claim was tried with the instances changed"
    )
    said = f"{report.code_hash} {shown(symmetry)}".encode()
    return replace(
        report,
        instances=count,
        doubts=[doubt, *(each for each in report.doubts if each != WHOLE)],
        code_hash=hashlib.blake2b(said, digest_size=8).hexdigest(),
    )


def _of_ways(machine: AggregateMachine, found: Explored, bounds: Bounds) -> Answers | None:
    """What comes of claims about ways; None where they cannot be judged, since not all of the graph is known."""
    claims = [each for each in machine.checked.properties if each.kind in OF_WAYS]
    if not claims:
        return Answers()
    if not found.exhausted:
        return None
    began = time.monotonic()
    memory = bounds.memory if bounds.memory is not None else limit_bytes()
    try:
        with collector_off():
            return judge(graph_of(machine, found.states, found.initial, memory), claims)
    except KeyboardInterrupt:
        found.cut.add("interrupted")
        return None
    except MemoryError:
        found.cut.add("memory")
        return None
    finally:
        found.seconds += time.monotonic() - began
        found.memory_bytes = used_bytes()


def _report(
    machine: AggregateMachine, found: Explored, bounds: Bounds, answers: Answers | None, remedy: str = UNCUT
) -> Report:
    checked = machine.checked
    unmet = [] if answers is None else answers.unmet
    findings = [*(_finding(machine, found, each) for each in found.noticed), *_never_seen(checked, found)]
    findings += [_unmet(machine, found, each) for each in unmet]
    reasons = [*_reasons(machine, found, bounds)]
    if answers is None:
        reasons += _unjudged(checked, remedy)
    verdict: Verdict = "fail" if findings else "inconclusive" if reasons else "pass"
    fired = {cls.__name__: found.fired.get(cls, 0) for cls in machine.aggregate.command_checks}
    if len(machine.contexts) > 1:
        fired = {}
    return Report(
        name=machine.name,
        verdict=verdict,
        distinct=len(found.states),
        transitions=found.transitions,
        depth=len(found.levels),
        refused=found.refused,
        findings=findings,
        reasons=reasons,
        warnings=[*_warnings(machine, found), *_idle(answers)],
        doubts=list(_doubts(machine, found)),
        cut=sorted(found.cut),
        domains=machine.leaves,
        typed=machine.typed,
        labels=len(machine.commands),
        fired=fired,
        emitted={cls.__name__: found.emitted.get(cls, 0) for cls in machine.aggregate.event_checks},
        refusals=dict(sorted(found.refusals.items())),
        witnesses={name: _trace(machine, found, number) for name, number in found.witnesses.items()},
        code_hash=hash_of(checked),
        seconds=found.seconds,
        memory_bytes=found.memory_bytes,
    )


def hash_of(checked: Checked[Any, Any, Any]) -> str:
    """The hash of all that a verdict rests on: the code, the claims, the scope, the checker. Another hash, no verdict."""
    aggregate, scope = checked.aggregate, checked.scope
    functions: list[Callable[..., Any]] = [aggregate.decide, aggregate.evolve, aggregate.initial]
    functions += [guard.holds for guard in aggregate.guards]
    functions += [each.holds for each in checked.properties]
    functions += [each.premise for each in checked.properties if each.premise is not None]
    fair = [(each.name, assumed) for each in checked.properties for assumed in each.fair]
    functions += [assumed.by for _, assumed in fair if assumed.by is not None]
    functions += [each for each in (checked.initial, checked.finished, scope.within) if each is not None]
    source = Source()
    named = [(f"declared {key}", source.of(values)) for key, values in scope.domains.items()]
    named += [(f"sampled {key}", source.of(values)) for key, values in scope.samples.items()]
    said = [ENGINE, named, scope.items, scope.contexts, scope.unread, checked.enforced]
    said += [[guard.name for guard in aggregate.guards], [(p.kind, p.name) for p in checked.properties]]
    said += [[(name, str(assumed)) for name, assumed in fair]] if fair else []
    return hashlib.blake2b(code_hash(*functions) + repr(said).encode(), digest_size=8).hexdigest()


# --- findings --------------------------------------------------------------------------------------------------------


def _finding(machine: AggregateMachine, found: Explored, noticed: Noticed) -> Finding:
    trace = _trace(machine, found, noticed.at)
    if noticed.steps:
        state = found.states[noticed.at]
        command, context = machine.asked(noticed.label)
        accepted = noticed.outcome
        step = TraceStep(
            command,
            context if machine.aggregate.takes_context else None,
            [] if accepted is None else accepted.events,
            state,
            None if accepted is None else accepted.state,
            noticed.message,
        )
        trace = Trace(trace.initial, [*trace.steps, step])
    return Finding(noticed.kind, noticed.name, noticed.message, noticed.likely, trace)


def _trace(machine: AggregateMachine, found: Explored, number: int) -> Trace:
    path = found.path(number)
    return trace_along(machine, [found.states[each] for each in path], [found.labels[each] for each in path[1:]])


def _unmet(machine: AggregateMachine, found: Explored, unmet: Unmet) -> Finding:
    way = unmet.way
    trace = trace_along(machine, [found.states[each] for each in way.states], way.labels, way.back)
    return Finding(unmet.kind, unmet.name, unmet.message, "", trace)


def _never_seen(checked: Checked[Any, Any, Any], found: Explored) -> Iterator[Finding]:
    """What was claimed to happen sometimes and never does: a finding where everything was searched."""
    if not found.exhausted:
        return
    for each in checked.properties:
        if each.kind == "sometimes" and each.name not in found.witnesses:
            yield Finding(
                "sometimes", each.name, f"{each.name} is true in none of {len(found.states):,} states", "", None
            )


# --- what was not looked at ------------------------------------------------------------------------------------------


def _reasons(machine: AggregateMachine, found: Explored, bounds: Bounds) -> Iterator[Reason]:
    waiting = len(found.states) - found.expanded
    if "states" in found.cut:
        yield Reason(
            f"stopped at {len(found.states):,} states, {waiting:,} of them not expanded",
            f"--states {bounds.states * 10}, or a narrower scope. {explosion(machine.typed, found)}",
        )
    if "memory" in found.cut:
        yield Reason(
            f"stopped when the process held {found.memory_bytes / 2**20:,.0f} MiB, {waiting:,} states not expanded",
            f"--memory, or a narrower scope. {explosion(machine.typed, found)}",
        )
    if "interrupted" in found.cut:
        yield Reason(
            f"interrupted with {waiting:,} of {len(found.states):,} states not expanded", "let it run to its end"
        )
    if "within" in found.cut:
        yield Reason(
            f"Scope(within=...) turned {found.turned_away:,} steps away, as one to {shown(found.turned_away_example)}",
            "take it away, or bound the machine itself",
        )
    aggregate = machine.aggregate
    for cls in (aggregate.state_type, *aggregate.event_checks):
        for where in unknown_in(cls):
            yield Reason(f"{where} is Any, so nobody knows what else it may hold", "a type for it")
    for leaf in machine.leaves:
        if leaf.evidence == "sampled":
            yield Reason(
                f"{leaf.where} was sampled: {leaf.shown}, of {_many(leaf.typed)}",
                f'Scope(domains={{"{leaf.where}": (...)}}), or bounds in its type',
            )
    if machine.aggregate.takes_context and not machine.checked.scope.contexts:
        yield Reason(
            "decide takes a Context, and one time and one command id were tried",
            "Scope(contexts=(Context.at(...), ...))",
        )
    if found.exhausted and not found.fired:
        yield Reason("no command was ever accepted, so nothing was tried", "a scope with arguments that are accepted")
    if not found.exhausted and not found.noticed:
        for each in machine.checked.properties:
            if each.kind == "sometimes" and each.name not in found.witnesses:
                yield Reason(f"{each.name} was not seen so far", "a search that is not cut")


def _unjudged(checked: Checked[Any, Any, Any], remedy: str) -> Iterator[Reason]:
    for each in checked.properties:
        if each.kind in OF_WAYS:
            yield Reason(f"{each.name} was not judged: it needs every state and step", remedy)


def _idle(answers: Answers | None) -> list[str]:
    return [] if answers is None else [f"the premise of {name} is never true" for name in answers.idle]


def _many(count: int | None) -> str:
    return "values without end" if count is None else f"{count:,} values" if count < 10**6 else f"{count:.1e} values"


def _warnings(machine: AggregateMachine, found: Explored) -> Iterator[str]:
    if not found.exhausted or not found.fired:
        return
    if len(machine.contexts) == 1:
        for cls in machine.aggregate.command_checks:
            if cls not in found.fired:
                yield f"{cls.__name__} is never accepted"
    for cls in machine.aggregate.event_checks:
        if cls not in found.emitted:
            yield f"{cls.__name__} is never emitted"


def _doubts(machine: AggregateMachine, found: Explored) -> Iterator[str]:
    """How the answer could be wrong though the search was right."""
    if found.expanded:
        yield (
            "turns were remembered by the fields of the state that decide and evolve read; each turn that led to a new state was "
            f"taken again in full, and every turn of {found.twice:,} of {found.expanded:,} states twice more, once on an equal state made "
            "anew; what depends on the clock or on chance may show itself elsewhere"
        )
    if machine.coded:
        yield (
            "states and events were written and read back for "
            f"{_share(machine.coded, CODED_ALL, CODED_SHARE)} of the turns that led to a new state"
        )
    for (name, values, typed), owners in _declared(machine.leaves).items():
        yield f"{name} of {', '.join(owners)} took {values}, as declared, of {_many(typed)}; of others nothing is known"
    if machine.checked.scope.unread:
        names = ", ".join(machine.checked.scope.unread)
        yield f"{names}: read by nothing, so their values do not matter, as long as they stay within their types' bounds"
    if machine.checked.enforced:
        yield f"{', '.join(machine.checked.enforced)}: left to the turn, which refuses what would break it"
    for each in machine.checked.properties:
        if each.fair:
            yield f"{each.name} rests on {' and '.join(map(str, each.fair))}; whether that is so, no search can tell"
    yield WHOLE


def _declared(leaves: Sequence[Leaf]) -> dict[tuple[str, str, int | None], list[str]]:
    """What was declared narrower than its type, fields of one name and one domain together with their classes."""
    found: dict[tuple[str, str, int | None], list[str]] = {}
    for leaf in leaves:
        if leaf.evidence == "declared" and leaf.tried != leaf.typed:
            owner, _, name = leaf.where.rpartition(".")
            found.setdefault((name if owner else "fields", leaf.shown, leaf.typed), []).append(owner or name)
    return found


def _share(count: int, first: int, share: int) -> str:
    return "all" if count <= first else f"the first {first:,} and one of {share} after them"
