"""`check`: search an aggregate in its scope, and say what that shows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.check.aggregate import CODED_ALL, CODED_SHARE, AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.domain import Leaf
from eventcore.check.narrow import explosion
from eventcore.check.report import Finding, Reason, Report, Verdict
from eventcore.check.scope import Bounds, Scope
from eventcore.check.search import Explored, Noticed, Plan, Pulse, search
from eventcore.check.source import Source, shown
from eventcore.check.trace import Trace, TraceStep
from eventcore.codehash import code_hash
from eventcore.turn import Accepted

ENGINE = 1  # raised whenever a change of the checker could change a verdict


def silent(_: Pulse) -> None:
    """Progress that nobody watches."""


def check(
    what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any],
    *,
    scope: Scope | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 - a value that cannot change
    keep_going: bool = False,
    progress: Callable[[Pulse], None] = silent,
) -> Report:
    """Search every state that an aggregate can reach in its scope, and judge it. Stops at the first finding.

    With `keep_going` it goes on, and reports one shortest trace for each claim that is broken. KeyboardInterrupt ends
    it with a report of what was found so far. Raises CallerError where the scope does not fit.
    """
    checked = what if isinstance(what, Checked) else Checked(what)
    if scope is not None:
        checked = replace(checked, scope=scope)
    machine = AggregateMachine(checked)
    plan = Plan(checked.properties, checked.finished, checked.scope.within, bounds, keep_going)
    found = search(machine, plan, progress)
    return _report(machine, found, bounds)


def _report(machine: AggregateMachine, found: Explored, bounds: Bounds) -> Report:
    checked = machine.checked
    findings = [*(_finding(machine, found, each) for each in found.noticed), *_never_seen(checked, found)]
    reasons = [*_reasons(machine, found, bounds)]
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
        warnings=list(_warnings(machine, found)),
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
    functions += [each for each in (checked.initial, checked.finished, scope.within) if each is not None]
    source = Source()
    named = [(f"declared {key}", source.of(values)) for key, values in scope.domains.items()]
    named += [(f"sampled {key}", source.of(values)) for key, values in scope.samples.items()]
    said = [ENGINE, named, scope.items, scope.contexts, scope.unread, checked.enforced]
    said += [[guard.name for guard in aggregate.guards], [(p.kind, p.name) for p in checked.properties]]
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
    steps: list[TraceStep] = []
    for one, other in pairwise(path):
        before, label = found.states[one], found.labels[other]
        command, context = machine.asked(label)
        outcome = machine.take(before, label)
        events = outcome.events if isinstance(outcome, Accepted) else []
        shown_context = context if machine.aggregate.takes_context else None
        steps.append(TraceStep(command, shown_context, events, before, found.states[other]))
    return Trace(found.states[path[0]], steps)


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
            "decisions were remembered by the fields of the state that decide read; each turn that led to a new state was "
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
    yield "states are kept whole and compared by equality: no two are taken for one"


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
