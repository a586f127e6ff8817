"""What a comparison of two versions found: every step of the new one beside the old one's steps, and where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eventcore.check.report import EXIT_CODES, Finding, Reason, Verdict
from eventcore.check.trace import Trace

Parting = Literal["refused now", "accepted now", "answered otherwise"]


@dataclass(frozen=True)
class Steps:
    """Steps of the new version by what they are to the old: nothing (a stutter), one of its steps, or neither (bad).

    Where commands of the old version were only sampled, bad is what none of these does.
    """

    stutters: int = 0
    mapped: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.stutters + self.mapped + self.bad


@dataclass(frozen=True)
class Difference:
    """One way in which the versions answer a command differently, in one cell: how often, and the first example.

    The cell is a row of the old version's states, as its facets tell them apart, and a class of commands. `was` and
    `now` say the answers: `accepted`, or the reason of a refusal.
    """

    row: Mapping[str, str]
    command: str
    parting: Parting
    was: str
    now: str
    count: int
    state: Any
    example: Any


@dataclass(frozen=True)
class Square:
    """The old version's runs told to the new one, event by event: how many steps, and over how many pairs of states."""

    pairs: int
    steps: int
    whole: bool


@dataclass(frozen=True)
class Refinement:
    """The answer of `refine`.

    `steps` are all accepted steps of the new version, so that they and the initial states add up to `transitions`;
    `kept` are those of them that stay within the scope. `image` counts the old version's reachable states that some
    state of the new one maps to, of `old_distinct`. `divergence` is a way to go on for ever without a step of the old.
    """

    old: str
    new: str
    verdict: Verdict
    distinct: int
    transitions: int
    depth: int
    initial: int
    old_distinct: int
    image: int
    steps: Steps
    kept: Steps
    findings: Sequence[Finding]
    reasons: Sequence[Reason]
    differences: Sequence[Difference]
    added: Sequence[str]
    gone: Sequence[str]
    divergence: Trace | None
    square: Square | None
    doubts: Sequence[str]
    code_hashes: tuple[str, str]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 inconclusive."""
        return EXIT_CODES[self.verdict]

    @property
    def evidence(self) -> str:
        """What was compared, in one line."""
        steps = self.steps
        return (
            f"{steps.total:,} steps: {steps.stutters:,} stutters, {steps.mapped:,} mapped, {steps.bad:,} bad; "
            f"image {self.image:,} of {self.old_distinct:,} states"
        )

    def __str__(self) -> str:
        from eventcore.check.refine_text import refinement_text  # which imports this module

        return refinement_text(self)
