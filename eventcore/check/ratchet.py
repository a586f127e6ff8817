"""The ratchet: what was known of a machine stays known, or somebody is told.

What a check has shown is kept in a file beside the code. The next check is compared with it: a cell that was known and is
not any more, a value or a context that is not tried any more, a claim that is gone or claims less, a verdict that is no
longer *pass* make the known region smaller, and that fails. What is known now replaces the file only where nothing shrank.
What was tried and claimed is in `ratchet_scope`.

Evidence belongs to one code. Where the hash of the code has changed, nothing that the file says is true any more: it says
what has to be shown again, and the comparison is whether it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from eventcore.check.matrix import Matrix
from eventcore.check.matrix_cells import STRENGTH, Level
from eventcore.check.matrix_words import share
from eventcore.check.ratchet_scope import Tried, less_tried, tried_by
from eventcore.check.report import Report
from eventcore.errors import InvalidValue

FORMAT = 2
BETWEEN = " / "


class Begun(msgspec.Struct, frozen=True):
    """How every file of evidence begins, whatever its format."""

    format: int


class Evidence(msgspec.Struct, frozen=True):
    """What is known of one machine: of each cell the verdict and the level of its evidence, and what was tried and claimed."""

    format: int
    name: str
    code_hash: str
    verdict: str
    unknown_share: float
    facets: tuple[str, ...]
    commands: tuple[str, ...]
    exhausted: bool
    tried: Tried
    cells: dict[str, tuple[str, Level]]


@dataclass(frozen=True)
class Change:
    """What differs between two pieces of evidence: `shrunk` is why the known region is smaller, `other` what else changed.

    `lapsed` says that the code is another, so that nothing of the old evidence holds of it. Shares are from 0 to 1.
    """

    lapsed: bool
    was_unknown: float
    is_unknown: float
    shrunk: Sequence[str]
    other: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether everything that was known still is."""
        return not self.shrunk


def evidence_of(report: Report, matrix: Matrix) -> Evidence:
    """What this check has shown."""
    return Evidence(
        FORMAT,
        matrix.name,
        matrix.code_hash,
        report.verdict,
        round(matrix.unknown_share, 6),
        tuple(f"{each.name} ({', '.join(each.labels) or 'any value'})" for each in matrix.abstraction.parts),
        tuple(matrix.columns),
        matrix.exhausted and not matrix.open,
        tried_by(matrix.machine),
        {BETWEEN.join((*row, column)): (cell.verdict, cell.level) for row, column, cell in matrix.cells()},
    )


def written(evidence: Evidence) -> bytes:
    """The file: JSON that is the same for the same evidence, and reads well in a difference."""
    return msgspec.json.format(msgspec.json.encode(evidence, order="sorted"), indent=1) + b"\n"


def read(data: bytes, name: str) -> Evidence:
    """The evidence in a file of that name. Raises InvalidValue where it is none, or of another format."""
    try:
        begun = msgspec.json.decode(data, type=Begun)
        if begun.format != FORMAT:
            raise InvalidValue(
                name, f"is of format {begun.format}, and this is format {FORMAT}. Remove it to begin anew"
            )
        return msgspec.json.decode(data, type=Evidence)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise InvalidValue(name, f"is no file of evidence: {wrong}. Remove it to begin anew") from wrong


def compare(before: Evidence, now: Evidence) -> Change:
    """What is no longer known, and what else is different."""
    shrunk = [*_shrunk(before, now)]
    lapsed = before.code_hash != now.code_hash
    return Change(lapsed, before.unknown_share, now.unknown_share, shrunk, [*_other(before, now)])


def _shrunk(before: Evidence, now: Evidence) -> Iterator[str]:
    if before.name != now.name:
        yield f"the file is about {before.name}, this is {now.name}"
        return
    if before.verdict == "pass" and now.verdict != "pass":
        yield f"the verdict was pass and is {now.verdict}"
    yield from (f"the command {each} is gone" for each in before.commands if each not in now.commands)
    yield from less_tried(before.tried, now.tried)
    if before.facets != now.facets:
        if now.unknown_share > before.unknown_share:
            yield f"states are told apart by {', '.join(now.facets)}, and of those {_grown(before, now)}"
        return
    for key, (verdict, level) in before.cells.items():
        _, here = now.cells.get(key, ("", "exhausted" if now.exhausted else "none"))
        if STRENGTH[level] > max(1, STRENGTH[here]):
            yield f"{key} was {verdict} ({level}) and is {'unknown' if STRENGTH[here] < 2 else here}"
    if before.exhausted and not now.exhausted:
        yield f"what was unreachable is unknown: {_grown(before, now)}"


def _grown(before: Evidence, now: Evidence) -> str:
    return f"{share(now.unknown_share)} of the cells are unknown, and it was {share(before.unknown_share)}"


def _other(before: Evidence, now: Evidence) -> Iterator[str]:
    yield from (f"the command {each} is new" for each in now.commands if each not in before.commands)
    if before.facets != now.facets:
        yield f"states were told apart by {', '.join(before.facets)}, and are by {', '.join(now.facets)}"
        return
    for key, (verdict, level) in now.cells.items():
        old, _ = before.cells.get(key, ("unreachable" if before.exhausted else "unknown", "none"))
        if old != verdict:
            yield f"{key} was {old} and is {verdict} ({level})"
    for key, (verdict, _) in before.cells.items():
        if key not in now.cells and now.exhausted and verdict != "unreachable":
            yield f"{key} was {verdict} and is unreachable"
