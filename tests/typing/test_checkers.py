"""Both type checkers accept what users write, and report each planted mistake and no other line.

A mistake is a line that ends in `# WRONG: …`.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MISTAKES = sorted((HERE / "mistakes").glob("*.py"))
CHECK_S = 300  # both checkers read the whole library once; on a busy machine that takes a while

Reported = dict[str, dict[int, str]]  # by file name, what was said of each line


@functools.cache
def mypy(*, accepted: bool) -> Reported:
    """What mypy reports, as the project configures it."""
    files = [str(HERE / "accepted.py")] if accepted else [str(path) for path in MISTAKES]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=CHECK_S,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    reported: Reported = {}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"(.+?):(\d+): error: (.*)", line)
        if match is None:
            assert ": note: " in line, line
            continue
        reported.setdefault(Path(match[1]).name, {})[int(match[2])] = match[3]
    return reported


@functools.cache
def pyright(*, accepted: bool) -> Reported:
    """What pyright reports in strict mode, of copies: it looks at nothing outside of its project's folder."""
    with tempfile.TemporaryDirectory() as folder:
        for path in [HERE / "accepted.py"] if accepted else MISTAKES:
            shutil.copy(path, folder)
        settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": [str(ROOT)]}
        (Path(folder) / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", folder],
            capture_output=True,
            text=True,
            timeout=CHECK_S,
            check=False,
        )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["summary"]["filesAnalyzed"] == (1 if accepted else len(MISTAKES))
    reported: Reported = {}
    for found in result["generalDiagnostics"]:
        if found["severity"] == "error":
            line = found["range"]["start"]["line"] + 1
            reported.setdefault(Path(found["file"]).name, {})[line] = found["message"]
    return reported


CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])


def wrong_lines(path: Path) -> dict[int, str]:
    """The marked lines of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number: line.strip() for number, line in enumerate(lines, 1) if "# WRONG: " in line}


@CHECKERS
def test_what_users_write_is_accepted(checker: functools._lru_cache_wrapper[Reported]) -> None:
    assert checker(accepted=True) == {}


@CHECKERS
@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_each_mistake_is_reported_and_nothing_else(path: Path, checker: functools._lru_cache_wrapper[Reported]) -> None:
    wrong, reported = wrong_lines(path), checker(accepted=False).get(path.name, {})
    assert wrong, f"{path} has no mistake"
    missed = [line for number, line in wrong.items() if number not in reported]
    assert not missed
    unmarked = {number: said for number, said in reported.items() if number not in wrong}
    assert not unmarked
