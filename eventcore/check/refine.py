"""`refine`: whether a new version of an aggregate only does what the old one could have done.

A map says which state of the old version a state of the new one stands for. Both versions are searched, each in its
scope, and then

F1  every initial state of the new version maps to one of the old,
F2  every accepted step of the new version maps to a step of the old, or to nothing (a *stutter*); any other is *bad*, unless
    commands of the old version were only sampled: then one that was not tried may make it, and it is open,
F3  every state of the new version maps to one that keeps the old version's invariants, types and `always` properties,
F4  every stream of events that the old version can record is folded by the new one to a state that maps to the old
    version's (`replay.square`). Machines of two names share no log: of them this is asked only where a map is given.

A version that refuses everything passes F1 to F3, so each command is asked of both as well: where one refuses and the
other does not, or they lead elsewhere, it is told, cell by cell.
Source: Abadi and Lamport, *The existence of refinement mappings* (TCS 82:2, 1991).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.annotations import unknown_in
from eventcore.check.abstraction import settled_for
from eventcore.check.aggregate import Asked
from eventcore.check.carry import Carry, carried, mapped
from eventcore.check.checked import Checked
from eventcore.check.divergence import cycle_in
from eventcore.check.hashing import hash_of
from eventcore.check.machine import unsteady_in
from eventcore.check.refinement import Difference, Parting, Refinement, Square, Steps
from eventcore.check.replay import StateMap, Upcast, square, upcast_of
from eventcore.check.report import CUTS, Finding, Reason, Verdict
from eventcore.check.reporting import finding_of
from eventcore.check.run import silent
from eventcore.check.sampled import sampled_classes, without_contexts
from eventcore.check.scope import Bounds
from eventcore.check.search import Noticed, Pulse
from eventcore.check.source import shown
from eventcore.check.trace import Trace, TraceStep
from eventcore.check.version import Answer, Version
from eventcore.errors import DecodeError, InvalidValue, NotSupported
from eventcore.turn import Accepted
from eventcore.value import Value

Compared = Aggregate[Any, Any, Any] | Checked[Any, Any, Any]
PULSE_STATES = 1_000
OUT_OF_BOUNDS = "out of bounds"  # what a version says to a command that its types do not allow


def refine(
    old: Compared,
    new: Compared,
    state_map: StateMap | None = None,
    *,
    event_map: Upcast | None = None,
    command_map: Carry | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 - a value that cannot change
    progress: Callable[[Pulse], None] = silent,
) -> Refinement:
    """Compare the new version of an aggregate with the old one, under a map of the new one's states to the old one's.

    `event_map` says which events of the new version an event of the old becomes (an upcaster), `command_map` which command of the
    old version a command of the new is (None: none). Without them, and without `state_map`, classes of one name and one
    schema are the same. Raises CallerError where a map is needed and not given.
    """
    began = time.monotonic()
    first, second = Version(old, bounds, progress), Version(new, bounds, progress)
    _refuse_apart(first, second)
    upcast = _upcast(first.aggregate, second.aggregate, event_map)
    if state_map is None:
        to_old = _state_map(first.aggregate, second.aggregate)
    else:
        to_old = second.unseeing(state_map, first.clean)
    commands, _ = carried(second.aggregate.command_checks, first.aggregate.command_checks)
    comparison = _Comparison(first, second, to_old, commands if command_map is None else command_map)
    comparison.run(progress, began)
    walked, apart = (None, None) if upcast is None else square(first, second, to_old, upcast, bounds.states)
    findings = [*comparison.findings, *([] if apart is None else [apart])]
    findings += [_own(each, second) for each in second.found.noticed]
    reasons = [*_reasons("old", first), *_reasons("new", second), *comparison.reasons()]
    if walked is not None and apart is None and not walked.whole:
        reasons.append(Reason(f"streams were told up to {walked.pairs:,} pairs of states", "a larger --states"))
    verdict: Verdict = "fail" if findings else "inconclusive" if reasons else "pass"
    _, gone = carried(first.aggregate.command_checks, second.aggregate.command_checks)
    _, added = carried(second.aggregate.command_checks, first.aggregate.command_checks)
    return Refinement(
        old=first.machine.name,
        new=second.machine.name,
        verdict=verdict,
        distinct=len(second.found.states),
        transitions=second.found.transitions,
        depth=len(second.found.levels),
        initial=second.found.initial,
        old_distinct=len(first.found.states),
        image=len(comparison.images & first.reached),
        steps=comparison.steps.sum,
        kept=comparison.kept.sum,
        findings=findings,
        reasons=reasons,
        differences=comparison.told(),
        added=[cls.__name__ for cls in added] if command_map is None else [],
        gone=[cls.__name__ for cls in gone] if command_map is None else [],
        divergence=comparison.divergence(),
        square=walked,
        doubts=list(_doubts(first, second, walked)),
        code_hashes=(hash_of(first.checked), hash_of(second.checked)),
        seconds=time.monotonic() - began,
    )


def _upcast(old: Aggregate[Any, Any, Any], new: Aggregate[Any, Any, Any], given: Upcast | None) -> Upcast | None:
    """How events are carried over; None for machines of two names, which have no log in common, where nobody says."""
    return None if given is None and old.name != new.name else upcast_of(old, new, given)


def _state_map(old: Aggregate[Any, Any, Any], new: Aggregate[Any, Any, Any]) -> StateMap:
    carry, lost = carried([new.state_type], [old.state_type])
    if lost:
        raise NotSupported(
            f"{new.state_type.__name__} of the new version and {old.state_type.__name__} of the old have not the same "
            "name and fields. Give a function that makes a state of the old version from one of the new."
        )
    return carry


def _refuse_apart(old: Version, new: Version) -> None:
    """Raise NotSupported where the new version forgets a field that the old one does not: no two states would be alike."""
    fields = old.aggregate.state_type.__struct_fields__
    unread = old.checked.scope.unread
    if apart := [name for name in new.checked.scope.unread if name in fields and name not in unread]:
        raise NotSupported(
            f"the scope of the new version calls {', '.join(apart)} unread, and that of the old does not. "
            "Put them into both scopes, or into none."
        )


# --- the comparison --------------------------------------------------------------------------------------------------


@dataclass
class _Sum:
    """Steps, being counted."""

    stutters: int = 0
    mapped: int = 0
    bad: int = 0

    @property
    def sum(self) -> Steps:
        return Steps(self.stutters, self.mapped, self.bad)


@dataclass
class _Met:
    """A difference, being counted."""

    count: int
    state: Any
    example: Any


@dataclass
class _Comparison:
    """One pass over the states of the new version, in the order in which its search found them."""

    old: Version
    new: Version
    state_map: StateMap
    commands: Carry
    steps: _Sum = field(default_factory=_Sum)
    kept: _Sum = field(default_factory=_Sum)
    findings: list[Finding] = field(default_factory=list[Finding])
    images: set[Any] = field(default_factory=set[Any])

    def __post_init__(self) -> None:
        scope = self.old.checked.scope
        self._abstraction = settled_for(self.old.aggregate.state_type, self.old.checked.abstraction, scope.unread)
        self._known: set[tuple[str, str]] = set()
        self._met: dict[tuple[Any, str, Parting, str, str], _Met] = {}
        self._number = {state: number for number, state in enumerate(self.new.found.states)}
        self._quiet: dict[int, list[int]] = {}
        self._image_of: dict[Any, Any] = {}
        self._olds: dict[Any, Any] = {}
        self._sampled = bool(sampled_classes(self.old.machine))
        self._open: str = ""

    def run(self, progress: Callable[[Pulse], None], began: float) -> None:
        found = self.new.found
        starts = frozenset(self.old.found.states[: self.old.found.initial])
        for number, state in enumerate(found.states):
            image = self._image(state, number)
            if image is None:
                continue
            self.images.add(image)
            if number < found.initial and image not in starts:
                what = f"it maps to {shown(image)}, in which the old version never begins"
                self._find("refinement", "initial", what, self.new.trace(number))
            self._carried_over(number, image)
            if number < found.expanded:
                self._expand(number, state, image)
            if number % PULSE_STATES == 0:
                done = self.steps.sum.total
                progress(Pulse(number, done, len(found.levels), found.expanded - number, time.monotonic() - began))

    def _image(self, state: Any, number: int | None) -> Any:
        """What a state maps to; None where the map fails, which is a finding."""
        if state not in self._image_of:
            try:
                image = self.old.clean(self.state_map(state))
                self._image_of[state] = image if type(image) is self.old.aggregate.state_type else None
                wrong = (
                    ""
                    if self._image_of[state] is not None
                    else f"it maps to {shown(image)}, which is no state of the old version"
                )
            except Exception as fault:  # noqa: BLE001 - whatever the user's map raises is the finding
                self._image_of[state], wrong = None, f"the map raises {type(fault).__name__}: {fault}"
            if wrong:
                trace = Trace(state, []) if number is None else self.new.trace(number)
                self._find("refinement", "state_map", wrong, trace)
        return self._image_of[state]

    def _find(self, kind: str, name: str, message: str, trace: Trace) -> None:
        if (kind, name) not in self._known:
            self._known.add((kind, name))
            self.findings.append(Finding(kind, name, message, "", trace))

    def _carried_over(self, number: int, image: Any) -> None:
        for broken in self.old.breaks_all(image):
            self._find("carried", broken, f"it maps to {shown(image)}, which breaks it", self.new.trace(number))

    def _expand(self, number: int, state: Any, image: Any) -> None:
        taken: dict[Any, Accepted[Any, Any]] = {}
        for label, outcome in self.new.steps(number):
            taken[label] = outcome
            target = self._number.get(outcome.state)
            following = self._image(outcome.state, target)
            stutters = following == image
            mapped = not stutters and following is not None and self._does(image, label, following)
            for sums in (self.steps, self.kept) if target is not None else (self.steps,):
                if stutters:
                    sums.stutters += 1
                elif mapped:
                    sums.mapped += 1
                else:
                    sums.bad += 1
                    self._bad(number, label, outcome, image, following)
            if stutters and target is not None and target != number:
                self._quiet.setdefault(number, []).append(target)
        for label in self.new.machine.commands:
            self._ask_both(state, image, label, taken.get(label))

    def _does(self, image: Any, label: Any, following: Any) -> bool:
        """Whether the old version leads from one state to another, by the same command or by one of its scope."""
        answer = self._answer_of_old(image, label)
        return (answer is not None and answer.accepted and answer.state == following) or (
            following in self.old.following(image)
        )

    def _bad(self, number: int, label: Any, outcome: Accepted[Any, Any], image: Any, following: Any) -> None:
        if ("refinement", "step") in self._known:
            return
        if self._sampled:
            command = shown(self.new.machine.asked(label)[0])
            self._open = self._open or (
                f"no step of the old version leads from {shown(image)} to {shown(following)}, as {command} does in "
                f"{shown(self.new.found.states[number])}, as far as its commands were tried, and some were only sampled"
            )
            return
        what = (
            f"no step of the old version leads from {shown(image)} to {shown(following)}, "
            f"whichever of its {len(self.old.machine.commands):,} commands is asked"
        )
        self._find(
            "refinement", "step", what, self.new.trace(number, (label, outcome), "the old version has no such step")
        )

    # --- what each says to a command ---------------------------------------------------------------------------------

    def _answer_of_old(self, image: Any, label: Any) -> Answer | None:
        """What the old version says to a command of the new one, in the same context; None where it has no such command."""
        if label not in self._olds:
            self._olds[label] = self._old_label(label)
        asked = self._olds[label]
        return asked if asked is None or isinstance(asked, Answer) else self.old.answer(image, asked)

    def _old_label(self, label: Any) -> Any:
        command, context = self.new.machine.asked(label)
        try:
            asked: Value | None = mapped(self.commands, command)
            if asked is None:
                return None
            check = self.old.aggregate.command_checks.get(type(asked))
            if check is None:
                raise NotSupported(
                    f"{shown(command)} was said to be {shown(asked)}, which is no command of the old version."
                )
            check(asked)
        except (DecodeError, InvalidValue):
            return Answer(OUT_OF_BOUNDS)
        return Asked(asked, context) if self.new.aggregate.takes_context else asked

    def _ask_both(self, state: Any, image: Any, label: Any, taken: Accepted[Any, Any] | None) -> None:
        before = self._answer_of_old(image, label)
        if before is None:
            return
        command = self.new.machine.asked(label)[0]
        if taken is None:
            if before.accepted:
                self._differ(image, command, "refused now", before, self.new.answer(state, label).reason, state)
        elif not before.accepted:
            self._differ(image, command, "accepted now", before, "accepted", state)
        elif self._image_of.get(taken.state) != before.state:
            self._differ(image, command, "answered otherwise", before, "accepted, and leads elsewhere", state)

    def _differ(self, image: Any, command: Any, parting: Parting, before: Answer, now: str, state: Any) -> None:
        row = self._abstraction.row(image)
        key = (row, type(command).__name__, parting, before.reason or "accepted", now)
        met = self._met.get(key)
        if met is None:
            self._met[key] = _Met(1, state, command)
        else:
            met.count += 1

    def told(self) -> list[Difference]:
        """The differences, in the order in which they were met: those nearest to the beginning first."""
        names = [facet.name for facet in self._abstraction.parts]
        return [
            Difference(
                dict(zip(names, row, strict=True)), command, parting, was, now, met.count, met.state, met.example
            )
            for (row, command, parting, was, now), met in self._met.items()
        ]

    def reasons(self) -> Iterator[Reason]:
        """What the samples of the old version leave open."""
        if self._open:
            yield Reason(self._open, "domains for all that was sampled in the old version")

    def divergence(self) -> Trace | None:
        """A way to a cycle of stutters, and once round it."""
        cycle = cycle_in(self._quiet)
        if cycle is None:
            return None
        stem = self.new.trace(cycle[0])
        return Trace(stem.initial, [*stem.steps, *self._round(cycle)])

    def _round(self, cycle: list[int]) -> Iterator[TraceStep]:
        states = self.new.found.states
        for one, two in pairwise(cycle):
            for label, outcome in self.new.steps(one):
                if outcome.state == states[two]:
                    command, context = self.new.machine.asked(label)
                    shown_context = context if self.new.aggregate.takes_context else None
                    yield TraceStep(command, shown_context, outcome.events, states[one], outcome.state)
                    break


# --- what was not looked at ------------------------------------------------------------------------------------------


def _own(noticed: Noticed, version: Version) -> Finding:
    what = f"the new version by itself: {noticed.message}; see `check`"
    return replace(finding_of(version.machine, version.found, noticed), message=what)


def _reasons(which: str, version: Version) -> Iterator[Reason]:
    found = version.found
    for cut in sorted(found.cut):
        remedy = "take Scope(within=...) away" if cut == "within" else "a larger --states, or a narrower scope"
        yield Reason(f"the {which} version was {CUTS[cut]}, at {len(found.states):,} states", remedy)
    for leaf in version.machine.leaves:
        if leaf.evidence == "sampled":
            yield Reason(
                f"{leaf.where} of the {which} version was sampled: {leaf.shown}",
                f'Scope(domains={{"{leaf.where}": (...)}}), or bounds in its type',
            )
    for cls in (version.aggregate.state_type, *version.aggregate.event_checks):
        for where in unknown_in(cls):
            yield Reason(
                f"{where} of the {which} version is Any, so nobody knows what else it may hold", "a type for it"
            )
    if which == "new" and found.exhausted and not found.fired:
        yield Reason(
            "no command was ever accepted by the new version, so no step was compared",
            "a scope with arguments that are accepted",
        )
    if which == "old":
        for why in unsteady_in(found.noticed):
            yield Reason(f"the old version by itself: {why}", "a comparison after that is mended; see `check`")
    if without_contexts(version.machine):
        yield Reason(
            f"decide of the {which} version takes a Context, and one time and one command id were tried",
            "Scope(contexts=(Context.at(...), ...))",
        )


def _doubts(old: Version, new: Version, walked: Square | None) -> Iterator[str]:
    yield (
        f"all that is said is said of the scopes: {len(old.machine.commands):,} commands of the old version, "
        f"{len(new.machine.commands):,} of the new"
    )
    yield "a step counts as mapped where any command of the old version makes it, not the one of the same name alone"
    if walked is None:
        yield "the two share no name and so no log: whether one reads what the other recorded was not asked"
    for noticed in old.found.noticed:
        yield f"the old version by itself: {noticed.message}; see `check`"
    for which, version in (("old", old), ("new", new)):
        if version.checked.scope.unread:
            yield f"{', '.join(version.checked.scope.unread)} of the {which} version: read by nothing, and not compared"
