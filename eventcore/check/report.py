"""What a check answers: a verdict with its evidence, what is wrong, what was not looked at, and how it could be wrong.

*pass*: every reachable state of the declared scope was searched, and nothing is wrong. *fail*: something is wrong; see
`findings`. *inconclusive*: nothing wrong was found, and not everything was looked at; `reasons` say what, and which
switch would remove each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from eventcore.check.domain import Leaf
from eventcore.check.trace import Trace

Verdict = Literal["pass", "fail", "inconclusive"]
CUTS: Mapping[str, str] = {
    "finding": "stopped at a finding, so these are no full counts",
    "interrupted": "interrupted",
    "memory": "cut by the bound on memory",
    "states": "cut by the bound on states",
    "within": "cut by Scope(within=...)",
}
EXIT_CODES: Mapping[Verdict, int] = {"pass": 0, "fail": 1, "inconclusive": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, whose claim it breaks, what happened, the usual cause, the shortest trace.

    `link` leads along the trace; see `eventcore.check.link`.
    """

    kind: str
    name: str
    message: str
    likely: str
    trace: Trace | None
    link: str = ""


@dataclass(frozen=True)
class Reason:
    """Something that was not looked at, and what would make the search look at it."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Report:
    """The answer of one check; `distinct`, `transitions` and `depth` are counted as model checkers count them."""

    name: str
    verdict: Verdict
    distinct: int
    transitions: int
    depth: int
    refused: int
    findings: Sequence[Finding]
    reasons: Sequence[Reason]
    warnings: Sequence[str]
    doubts: Sequence[str]
    cut: Sequence[str]
    domains: Sequence[Leaf]
    typed: int | None
    labels: int
    fired: Mapping[str, int]
    emitted: Mapping[str, int]
    refusals: Mapping[str, int]
    witnesses: Mapping[str, Trace]
    code_hash: str
    seconds: float
    memory_bytes: int
    instances: int = 0  # that were taken to be alike: then what was counted are orbits, not states

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 2 inconclusive."""
        return EXIT_CODES[self.verdict]

    @property
    def evidence(self) -> str:
        """What the verdict rests on, in one line."""
        alike = f" up to which of {self.instances} instances is which" if self.instances else ""
        counts = f"{self.distinct:,} states{alike}, {self.transitions:,} transitions, depth {self.depth}"
        sampled = sum(leaf.evidence == "sampled" for leaf in self.domains)
        declared = sum(leaf.evidence == "declared" for leaf in self.domains)
        tried = f"{sampled} field{'s' * (sampled > 1)} sampled" if sampled else "every argument tried"
        tried += f" ({declared} as declared)" if declared else ""
        cut = ", ".join(CUTS[each] for each in self.cut) or "nothing was cut"
        return f"{counts}; {self.labels:,} commands, {tried}; {cut}"

    def __str__(self) -> str:
        from eventcore.check.render_text import text_of  # which imports this module

        return text_of(self)
