"""What a reader may count on in every tracked file, and no linter holds."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("eventcore", "projections", "sagas", "tests", "examples", "benchmarks", "migrations")

# Each pattern is written so that it does not find itself here.
FORBIDDEN = {
    "work left undone without an issue number": re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X)\b(?!\(#\d+\))"),
    "a stub": re.compile(r"\bNotImplemented[E]rror\b"),
    "a skipped test": re.compile(r"pytest\.(?:mark\.)?sk[i]p|pytest\.import[o]rskip"),
    "a path of one machine": re.compile(r"(?<![\w.~$}])/(?:ro[o]t|ho[m]e|wo[r]k|Us[e]rs)/\w"),
    "the address of a package registry": re.compile(
        r"https?://(?:[\w.-]*\.)?(?:py[p]i\.org|python[h]osted\.org|npm[j]s\.org|maven\.(?:apache\.)?org/maven2|repo1?\.maven)"
    ),
    "a conflict left by a merge": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}


def tracked() -> Iterator[Path]:
    """Every file that git keeps, or would keep if it were added now, and that is text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in listed.split("\0"):
        path = ROOT / name
        if name and path.is_file() and b"\0" not in path.read_bytes()[:8192]:
            yield path


def test_no_file_holds_what_is_unfinished_or_belongs_to_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()!r}"
        for path in tracked()
        for text in [path.read_text(encoding="utf-8", errors="replace")]
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in OURS
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert not silent, f"modules without a docstring: {silent}"


def test_the_packages_are_marked_as_typed() -> None:
    for package in ("eventcore", "projections", "sagas"):
        assert (ROOT / package / "py.typed").is_file(), f"{package}/py.typed is missing: users' type checkers need it"
