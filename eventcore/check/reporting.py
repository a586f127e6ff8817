"""What a search shows, put together: the verdict, the findings with their traces, and all that was not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from eventcore.annotations import unknown_in
from eventcore.check.aggregate import CODED_ALL, CODED_SHARE, AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.domain import CONTEXT, Leaf
from eventcore.check.hashing import hash_of
from eventcore.check.link import link_of
from eventcore.check.liveness import Answers, Unmet
from eventcore.check.narrow import explosion
from eventcore.check.properties import OF_WAYS
from eventcore.check.report import Finding, Reason, Report, Verdict
from eventcore.check.sampled import sampled_classes, without_contexts
from eventcore.check.scope import Bounds
from eventcore.check.search import SEEMS_AN_END, Explored, Noticed
from eventcore.check.source import shown
from eventcore.check.trace import Trace, TraceStep
from eventcore.check.traced import trace_along
from eventcore.check.unread import READ

WHOLE = "states are kept whole and compared by equality: no two are taken for one"
UNCUT = "a search that is not cut"
SOME_TRIED = "as far as commands were tried, and some were only sampled"
ALL_TRIED = "domains for all that was sampled, and contexts where decide takes one"


def reported(
    machine: AggregateMachine, found: Explored, bounds: Bounds, answers: Answers | None, remedy: str = UNCUT
) -> Report:
    """The report of a search; `answers` are those of claims about ways, or None with what would be the `remedy`."""
    checked = machine.checked
    unmet = [] if answers is None else answers.unmet
    missing = list(_missing(checked, found))
    sampled = bool(sampled_classes(machine))
    findings = [finding_of(machine, found, each) for each in found.noticed]
    findings += [] if sampled else [_never_seen(name, found) for name in missing]
    findings += [_unmet(machine, found, each) for each in unmet if not each.open]
    reasons = [*_reasons(machine, found, bounds)]
    reasons += _open(found, missing if sampled else (), [each for each in unmet if each.open])
    if answers is None:
        reasons += _unjudged(checked, remedy)
    verdict: Verdict = "fail" if findings else "inconclusive" if reasons else "pass"
    witnesses = {name: number for name, number in found.witnesses.items() if name != SEEMS_AN_END}
    fired = {cls.__name__: found.fired.get(cls, 0) for cls in machine.aggregate.command_checks}
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
        doubts=list(_doubts(machine, found, findings)),
        cut=sorted(found.cut),
        domains=machine.leaves,
        typed=machine.typed,
        labels=len(machine.commands),
        fired=fired,
        emitted={cls.__name__: found.emitted.get(cls, 0) for cls in machine.aggregate.event_checks},
        refusals=dict(sorted(found.refusals.items())),
        witnesses={name: _trace(machine, found, number) for name, number in witnesses.items()},
        code_hash=hash_of(checked),
        seconds=found.seconds,
        memory_bytes=found.memory_bytes,
    )


# --- findings --------------------------------------------------------------------------------------------------------


def finding_of(machine: AggregateMachine, found: Explored, noticed: Noticed) -> Finding:
    """What a search noticed, with the trace that leads there, the failing step included."""
    trace = _trace(machine, found, noticed.at)
    if noticed.steps:
        state = found.states[noticed.at]
        command, context = machine.asked(noticed.label)
        accepted = noticed.outcome
        if accepted is None and noticed.kind == "invariant":
            accepted = machine.unjudged(state, noticed.label)
        step = TraceStep(
            command,
            context if machine.aggregate.takes_context else None,
            [] if accepted is None else accepted.events,
            state,
            None if accepted is None else accepted.state,
            noticed.message,
        )
        trace = Trace(trace.initial, [*trace.steps, step])
    link = link_of(machine, trace)
    return Finding(noticed.kind, noticed.name, noticed.message, noticed.likely, trace, link)


def _trace(machine: AggregateMachine, found: Explored, number: int) -> Trace:
    path = found.path(number)
    return trace_along(machine, [found.states[each] for each in path], [found.labels[each] for each in path[1:]])


def _unmet(machine: AggregateMachine, found: Explored, unmet: Unmet) -> Finding:
    way = unmet.way
    trace = trace_along(machine, [found.states[each] for each in way.states], way.labels, way.back)
    return Finding(unmet.kind, unmet.name, unmet.message, "", trace, link_of(machine, trace))


def _missing(checked: Checked[Any, Any, Any], found: Explored) -> Iterator[str]:
    """What was claimed to happen sometimes and never did, where everything was searched."""
    if found.exhausted:
        for each in checked.properties:
            if each.kind == "sometimes" and each.name not in found.witnesses:
                yield each.name


def _never_seen(name: str, found: Explored) -> Finding:
    return Finding("sometimes", name, _none_like(name, found), "", None)


def _none_like(name: str, found: Explored) -> str:
    return f"{name} is true in none of {len(found.states):,} states"


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
    if without_contexts(machine):
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


def _open(found: Explored, missing: Sequence[str], unmet: Sequence[Unmet]) -> Iterator[Reason]:
    """What no command that was tried does, where others were left out."""
    for name in missing:
        yield Reason(f"{_none_like(name, found)}, {SOME_TRIED}", ALL_TRIED)
    if (number := found.witnesses.get(SEEMS_AN_END)) is not None:
        state = shown(found.states[number])
        yield Reason(f"nothing leads anywhere else from {state}, which is not finished, {SOME_TRIED}", ALL_TRIED)
    for each in unmet:
        last = shown(found.states[each.way.states[-1]])
        yield Reason(f"{each.message}: {last}, {SOME_TRIED}", ALL_TRIED)


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
    for cls in machine.aggregate.command_checks:
        if cls not in found.fired:
            yield f"{cls.__name__} is never accepted"
    for cls in machine.aggregate.event_checks:
        if cls not in found.emitted:
            yield f"{cls.__name__} is never emitted"


def _doubts(machine: AggregateMachine, found: Explored, findings: Sequence[Finding]) -> Iterator[str]:
    """How the answer could be wrong though the search was right."""
    if found.expanded:
        twice = min(found.twice, found.expanded)  # the state at which a search stops is not counted as expanded
        yield (
            "turns were remembered by the fields of the state that decide and evolve read; each turn that led to a new state was "
            f"taken again in full, and every turn of {twice:,} of {found.expanded:,} states twice more, once on an equal state made "
            "anew; what depends on the clock or on chance may show itself elsewhere"
        )
    if machine.coded:
        yield (
            "states and events were written and read back for "
            f"{_share(machine.coded, CODED_ALL, CODED_SHARE)} of the turns that led to a new state"
        )
    for (name, values, typed), owners in _declared(machine.leaves).items():
        yield f"{name} of {', '.join(owners)} took {values}, as declared, of {_many(typed)}; of others nothing is known"
    for leaf in machine.leaves:
        if leaf.where == CONTEXT:
            yield f"the times and command ids of decide were, as declared, {leaf.shown}; of others nothing is known"
    if machine.checked.scope.unread and not any(READ in each.message for each in findings):
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
        if leaf.evidence == "declared" and leaf.tried != leaf.typed and leaf.where != CONTEXT:
            owner, _, name = leaf.where.rpartition(".")
            found.setdefault((name if owner else "fields", leaf.shown, leaf.typed), []).append(owner or name)
    return found


def _share(count: int, first: int, share: int) -> str:
    return "all" if count <= first else f"the first {first:,} and one of {share} after them"
