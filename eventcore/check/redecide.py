"""`redecide`: recorded commands through new code, each at the state that it saw; every decision that differs.

The state is that of the recorded events, folded by the new code: a decision that would be another changes nothing for
the commands after it, which were given in a world where it was as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from eventcore.aggregate import Aggregate
from eventcore.check.carry import Carry, mapped
from eventcore.check.replay import Broken, Happened, Streams
from eventcore.check.source import listed
from eventcore.check.trace import differences
from eventcore.context import Context
from eventcore.errors import DecodeError, Refusal
from eventcore.turn import Accepted, Refused, Violated, take_turn

Kind = Literal["accepted", "refused", "violated", "raised"]


@dataclass(frozen=True)
class Decision:
    """What became of a command: its events, or the reason, or what was raised."""

    kind: Kind
    reason: str = ""
    events: tuple[Any, ...] = ()

    @property
    def summary(self) -> str:
        """The decision without its values: what decisions are grouped by."""
        if self.kind == "accepted":
            return f"accepted: {', '.join(type(event).__name__ for event in self.events) or 'no events'}"
        reason = self.reason.partition(":")[0] if self.kind == "raised" else self.reason  # what follows may hold values
        return f"{self.kind}: {reason}" if reason else self.kind

    def __str__(self) -> str:
        if self.kind == "accepted":
            return f"accepted: {listed(self.events) or 'no events'}"
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


@dataclass(frozen=True)
class Turn:
    """A recorded decision: where, whose, the command, the context in which it was decided, and what became of it.

    Its events are those that were recorded.
    """

    at: str
    instance: str
    command: Any
    context: Context
    was: Decision


@dataclass(frozen=True)
class PassedOver:
    """A recorded outcome that is no decision of the aggregate's, and why."""

    at: str
    why: str


@dataclass(frozen=True)
class Example:
    """One decision that differs: the state that the command saw, under the new code, and both decisions."""

    at: str
    instance: str
    before: Any
    command: Any
    was: Decision
    now: Decision


@dataclass
class Group:
    """Decisions that differ in the same way: so many, from `first` to `last`."""

    command: str
    was: str
    now: str
    example: Example
    count: int = 1
    last: str = ""


@dataclass
class Redecided:
    """The answer of `redecide`: how many decisions were taken again, those that differ, and what could not be."""

    name: str
    turns: int = 0
    groups: list[Group] = field(default_factory=list[Group])
    passed_over: dict[str, int] = field(default_factory=dict[str, int])
    lost: int = 0  # decisions of instances whose events the new code does not fold
    broken: list[Broken] = field(default_factory=list[Broken])
    events: int = 0
    instances: int = 0

    @property
    def differing(self) -> int:
        """How many decisions differ."""
        return sum(group.count for group in self.groups)

    @property
    def exit_code(self) -> int:
        """0 where every decision is the same and every event folds, 1 where not, 2 where there was nothing to decide."""
        return 1 if self.groups or self.broken else 0 if self.turns else 2


Told = Happened | Turn | PassedOver


def redecide(streams: Streams, told: Iterable[Told], command_map: Carry | None = None) -> Redecided:
    """Decide every recorded command anew. `told` is a log in its order: each turn before its events.

    `command_map` gives the new version's command for a recorded one; a command that it gives None for is passed over.
    """
    new = streams.new
    found = Redecided(new.name)
    groups: dict[tuple[str, str, str], Group] = {}
    for each in told:
        match each:
            case Happened():
                streams.take(each)
            case PassedOver(_, why):
                found.passed_over[why] = found.passed_over.get(why, 0) + 1
            case Turn():
                _again(found, groups, streams, each, command_map)
    found.groups = sorted(groups.values(), key=lambda group: -group.count)
    found.broken = list(streams.broken.values())
    found.events, found.instances = streams.events, streams.instances
    return found


def _again(
    found: Redecided, groups: dict[tuple[str, str, str], Group], streams: Streams, turn: Turn, command_map: Carry | None
) -> None:
    if turn.instance in streams.broken:
        found.lost += 1
        return
    anew = _anew(streams, turn, command_map)
    if anew is None:
        why = f"{type(turn.command).__name__} is no command of the new version"
        found.passed_over[why] = found.passed_over.get(why, 0) + 1
        return
    command, now = anew
    found.turns += 1
    was = _recorded(streams, turn)
    difference = _difference(was, now)
    if difference is None:
        return
    key = (type(command).__name__, *difference)
    known = groups.get(key)
    if known is None:
        example = Example(turn.at, turn.instance, streams.state(turn.instance), command, was, now)
        groups[key] = Group(*key, example, last=turn.at)
    else:
        known.count, known.last = known.count + 1, turn.at


def _anew(streams: Streams, turn: Turn, command_map: Carry | None) -> tuple[Any, Decision] | None:
    """The new version's command and decision; None where it has no such command."""
    try:
        command = turn.command if command_map is None else mapped(command_map, turn.command)
    except DecodeError as bad:  # out of the new version's bounds: it does not come as far as `decide`
        return turn.command, Decision("raised", f"DecodeError: {bad}")
    if command is None:
        return None
    return command, decision_of(streams.new, streams.state(turn.instance), command, turn.context)


def _recorded(streams: Streams, turn: Turn) -> Decision:
    """The recorded decision, its events carried over to the new version."""
    if turn.was.kind != "accepted":
        return turn.was
    try:
        events = tuple(new for old in turn.was.events for new in streams.upcast(old))
    except Exception:  # noqa: BLE001 - told when the event itself is folded, which comes next
        return turn.was
    return Decision("accepted", events=events)


def decision_of(aggregate: Aggregate[Any, Any, Any], state: Any, command: Any, context: Context) -> Decision:
    """What an aggregate decides now."""
    try:
        turn = take_turn(aggregate, state, command, context)
    except Refusal as refusal:  # of evolve, where it has no business
        return Decision("raised", f"Refusal: {refusal}")
    except Exception as fault:  # noqa: BLE001 - a turn that raises is an answer
        return Decision("raised", f"{type(fault).__name__}: {fault}")
    match turn:
        case Accepted(events, _):
            return Decision("accepted", events=tuple(events))
        case Refused(reason, _):
            return Decision("refused", reason)
        case Violated(invariant, _, _):
            return Decision("violated", invariant)


def _difference(was: Decision, now: Decision) -> tuple[str, str] | None:
    """The two summaries where decisions differ; the fields that do, where it is only their values."""
    if was.kind == "raised" and now.kind == "raised":
        return None  # what was raised was recorded as a text that may hold anything
    if was == now:
        return None
    if was.summary != now.summary:
        return was.summary, now.summary
    pairs = zip(was.events, now.events, strict=True)
    fields = dict.fromkeys(
        f"{type(one).__name__}.{change.path}" for one, two in pairs for change in differences(one, two)
    )
    return was.summary, f"{now.summary}, with another {', '.join(fields)}"
