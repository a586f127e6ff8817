"""Links and files hold in another process, in which sets iterate in another order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from eventcore.check import check
from tests.unit.check import named

ROOT = Path(__file__).parents[3]


def ran(seed: int, *arguments: str) -> str:
    """What a process of its own says, its strings hashed by this seed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.check.named", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_link_leads_the_same_way() -> None:
    said = ran(1, "link")
    assert {ran(seed, "follow", said.partition(" ")[0]) for seed in (2, 3, 4)} == {said}


def test_a_search_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    ran(1, "cut", str(file))
    assert file.exists()
    whole = check(named.checked, keep_going=True)
    assert ran(2, "resume", str(file)) == f"fail {whole.distinct} {whole.transitions} {whole.depth}"
    assert not file.exists()
