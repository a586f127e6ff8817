"""What a lane remembers between turns, all of it derived from its own log and nothing else.

- `instances`: each instance's state and version;
- `decided`: the command ids of a bounded window, with what an answer to a repeat needs, and what relays delivered before;
- `steps`: what became of each saga step that was asked for here, so that an undo takes effect only if its do was
  accepted, and an undo that overtakes its do leaves a tombstone that makes the do a no-op;
- `quarantined`: the instances that are stopped, and why; `waiting`: their commands, kept until an operator's order;
- `unsound`, `foreign`: what the last restore found against instances in their events, and `passed`: below which offset
  of an instance's events an operator has passed over other programs' records;
- the counters: last term, sequences, stamp, and the position of the next command.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eventcore.avro.envelope import SagaStep, Source
from eventcore.avro.facts import Place
from eventcore.avro.outcome import Kind
from eventcore.lane.backlog import BACKLOG_FULL, DISCARDED, Backlog
from eventcore.lane.window import Window

NOWHERE = Place(0, 0, 0, 0, 0)
UNDONE = "undone"  # the reason of a do that comes after its undo
NOTHING_TO_UNDO = "nothing to undo"  # what is said to an undo whose do did not take effect
FOREIGN = "foreign record at "  # what begins the reason of an instance among whose events another program wrote
StepKey = tuple[str, str, str]


class Decided(NamedTuple):
    """The answer that was given to a command, kept to be given again."""

    kind: Kind
    version: int
    reason: str | None
    message: str | None


class StepMemory(NamedTuple):
    """What became of one saga step at this lane; None is not asked for yet."""

    do: Decided | None
    undo: Decided | None


NEVER_ASKED = StepMemory(None, None)


class Foreign(NamedTuple):
    """The last record among an instance's events that another program wrote."""

    offset: int
    why: str


@dataclass
class Marks:
    """Where the lane's own records end in the log, as far as commits have told, and where generations begin."""

    events: Place = NOWHERE
    outcomes: Place = NOWHERE
    begun: dict[int, Place] = field(default_factory=lambda: {0: NOWHERE})  # by the generation of the window

    def begin(self, generation: int, place: Place) -> None:
        """A generation of the window begins at this place; those before the last two are of no use."""
        self.begun[generation] = place
        self.begun.pop(generation - 3, None)


@dataclass
class LaneMemory:
    """Everything a lane knows. `decided` maps an accepted command's id to the bare version, to save memory."""

    instances: dict[bytes, tuple[Any, int]] = field(default_factory=dict[bytes, tuple[Any, int]])
    decided: Window[Decided | int] = field(default_factory=Window[Decided | int])
    steps: dict[StepKey, StepMemory] = field(default_factory=dict[StepKey, StepMemory])
    quarantined: dict[bytes, str] = field(default_factory=dict[bytes, str])
    waiting: Backlog = field(default_factory=Backlog)
    unsound: dict[bytes, str] = field(default_factory=dict[bytes, str])
    foreign: dict[bytes, Foreign] = field(default_factory=dict[bytes, Foreign])
    passed: dict[bytes, int] = field(default_factory=dict[bytes, int])
    term: int = 0
    event_sequence: int = 0
    outcome_sequence: int = 0
    stamp: int = 0
    next_command: int = 0

    # For checkpoints: where commits stand, what changed since the last mark, which facts the open batch must write.
    marks: Marks = field(default_factory=Marks, compare=False)
    marked: int = field(default=0, compare=False)  # the last outcome before the last mark
    dirty: set[bytes] = field(default_factory=set[bytes], compare=False)
    touched: set[bytes] = field(default_factory=set[bytes], compare=False)  # the keys of their records
    changed_steps: set[StepKey] = field(default_factory=set[StepKey], compare=False)
    changed_stops: set[bytes] = field(default_factory=set[bytes], compare=False)  # instances, see quarantine.py
    judged: dict[bytes, str] = field(default_factory=dict[bytes, str], compare=False)  # unsound by its state alone

    def answer_of(self, command_id: bytes) -> Decided | None:
        """The decision already given to this command, or None."""
        found = self.decided.get(command_id)
        if isinstance(found, int):
            return Decided("accepted", found, None, None)
        if found is None and (waiting := self.waiting.get(command_id)) is not None:
            return Decided("parked", waiting.version, waiting.reason, waiting.message)
        return found

    def step(self, step: SagaStep) -> StepMemory:
        """What became of a step here so far."""
        return self.steps.get((step.saga, step.id, step.step), NEVER_ASKED)

    def answer_of_relayed(self, source: Source | None, step: SagaStep | None, version: int) -> Decided | None:
        """The answer to a relayed command from before the window, or None where it is another.

        A step's is what the ledger of steps says; one that is not in there was not kept, and is decided now. No other
        relayed command has an answer that anybody waits for: it is told that it was accepted, since it was taken care of.
        """
        if source is None or not self.decided.delivered_before(source):
            return None
        if step is not None:
            known = self.step(step)
            return known.do if step.action == "do" else known.undo
        return Decided("accepted", version, None, "it was decided before the window of deduplication began")

    def keep(self, command_id: bytes, decided: Decided) -> None:
        """Keep an answer in the window: a first decision, and again whenever it is given again."""
        plain = decided.kind == "accepted" and decided.message is None
        self.decided.keep(command_id, decided.version if plain else decided)

    def remember(self, command_id: bytes, source: Source | None, step: SagaStep | None, decided: Decided) -> None:
        """Keep a first decision, to be given again to whoever asks with the same id, or for the same step.

        Called once `outcome_sequence` is that of its outcome.
        """
        if decided.kind == "parked" and decided.reason == BACKLOG_FULL:
            return  # it is to be sent again, and decided then
        self.keep(command_id, decided)
        if source is not None:
            self.decided.deliver(source)
        # A parked step is not settled, it may be asked for again; a discarded one will never take effect.
        if step is None or (decided.kind == "parked" and decided.reason != DISCARDED):
            return
        before = self.step(step)
        kept = StepMemory(decided, before.undo) if step.action == "do" else StepMemory(before.do, decided)
        self.steps[step.saga, step.id, step.step] = kept
        self.changed_steps.add((step.saga, step.id, step.step))
