"""What `check` tells beyond its verdict: the matrix, induction, the ratchet, grades, and production laid over the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventcore.check import Bounds, Report
from eventcore.check.grade import grade
from eventcore.check.grade_text import grade_data, grade_text
from eventcore.check.induction import Induction, induction
from eventcore.check.induction_text import induction_data, induction_text
from eventcore.check.matrix import Matrix, matrix_from
from eventcore.check.matrix_html import matrix_html
from eventcore.check.matrix_json import matrix_data
from eventcore.check.matrix_markdown import matrix_markdown
from eventcore.check.matrix_text import matrix_text
from eventcore.check.matrix_words import share
from eventcore.check.overlay import overlay
from eventcore.check.ratchet import Change, compare, evidence_of, read, written
from eventcore.check.render_json import data_of
from eventcore.check.render_text import text_of
from eventcore.check.run import Searched
from eventcore.cli.call import Call
from eventcore.cli.target import Target
from eventcore.cli.turns import turns_in
from eventcore.errors import UnknownName

FORMATS = ("text", "markdown", "json", "html")
ALONE = {"markdown": matrix_markdown, "html": matrix_html}  # documents: nothing else is printed with them
FAIL = 1


@dataclass(frozen=True)
class Wanted:
    """What was asked for. Raises UnknownName for a format that there is none of."""

    matrix: str | None = None
    inductive: bool = False
    ratchet: Path | None = None
    grade: bool = False
    overlay: bool = False

    def __post_init__(self) -> None:
        if self.matrix is not None and self.matrix not in FORMATS:
            raise UnknownName("format of a matrix", self.matrix, list(FORMATS))

    @property
    def of_rows(self) -> bool:
        """Whether any of it speaks of rows of states."""
        return self.matrix is not None or self.ratchet is not None or self.overlay


def tell(
    call: Call, target: Target, answer: Report, wanted: Wanted, bounds: Bounds, made: Searched | None = None
) -> int:
    """Print the report and all that was asked for; the exit code, which is 1 where any of it says that something is wrong.

    `made` is a search that kept going, where any of it speaks of rows.
    """
    data: dict[str, Any] = data_of(answer)
    shown: list[str] = [text_of(answer)]
    codes = [answer.exit_code]
    if wanted.inductive:
        proof = induction(target, bounds=bounds)
        data["induction"], codes = induction_data(proof), [*codes, _code_of(proof)]
        shown.append(induction_text(proof))
    matrix = None if made is None or not wanted.of_rows else _matrix(call, made, wanted)
    if matrix is not None and (wanted.matrix is not None or wanted.overlay):
        data["matrix"], codes = matrix_data(matrix), [*codes, FAIL if matrix.escapes else 0]
        shown.append(matrix_text(matrix))
    if matrix is not None and wanted.ratchet is not None:
        change = _ratchet(wanted.ratchet, answer, matrix)
        data["ratchet"], codes = _change_data(change), [*codes, 0 if change is None or change.holds else FAIL]
        shown.append("\n".join(_change_lines(wanted.ratchet, change, matrix.unknown_share)))
    if wanted.grade:
        with call.reporting() as progress:
            marks = grade(target, bounds=bounds, progress=lambda done, end: progress("changes", done, end))
        data["grade"] = grade_data(marks)
        shown.append(grade_text(marks))
    code = _worst(codes)
    if matrix is not None and wanted.matrix in ALONE and not call.output.json:
        call.output.document({}, [ALONE[wanted.matrix](matrix)])
        return code
    output = call.output if wanted.matrix != "json" else type(call.output)(json=True)
    output.document({**data, "exit_code": code}, ["\n\n".join(shown)])
    return code


def _worst(codes: list[int]) -> int:
    """Wrong before not known before right."""
    return next((code for code in (FAIL, 2) if code in codes), 0)


def _code_of(proof: Induction) -> int:
    return {"pass": 0, "fail": FAIL, "inconclusive": 2}[proof.verdict]


def _matrix(call: Call, made: Searched, wanted: Wanted) -> Matrix:
    matrix = matrix_from(made)
    if not wanted.overlay:
        return matrix
    with call.opened_log() as log, call.reporting() as progress:
        return overlay(matrix, turns_in(log, call.wiring.machine(matrix.name), progress))


def _ratchet(file: Path, answer: Report, matrix: Matrix) -> Change | None:
    """Compare with the file, and write it where nothing shrank; None where there was none."""
    now = evidence_of(answer, matrix)
    change = compare(read(file.read_bytes(), str(file)), now) if file.exists() else None
    if change is None or change.holds:
        file.write_bytes(written(now))
    return change


def _change_data(change: Change | None) -> dict[str, Any]:
    if change is None:
        return {"new": True}
    return {
        "new": False,
        "lapsed": change.lapsed,
        "unknown_share_before": change.was_unknown,
        "shrunk": list(change.shrunk),
        "other": list(change.other),
    }


def _change_lines(file: Path, change: Change | None, now: float) -> Iterator[str]:
    if change is None:
        yield f"{file}: written, for the next check to compare with"
        yield f"  unknown: {share(now)} of the cells"
        return
    said = "the code has changed, and " if change.lapsed else ""
    kept = f"{said}everything that was known is known" if change.holds else f"{said}the known region has shrunk"
    yield f"{file}: {kept}"
    yield f"  unknown: {share(change.was_unknown)} of the cells before, {share(change.is_unknown)} now"
    yield from (f"  no longer: {each}" for each in change.shrunk)
    yield from (f"  changed: {each}" for each in change.other)
    if not change.holds:
        yield f"  The file was left as it is. To accept this, remove {file} and check again."
