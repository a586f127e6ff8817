"""What `eventcore new` makes: refused where something is there, and otherwise tested, typed, and as its README says."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import ROOT, Program


def test_a_folder_that_holds_something_is_left_as_it_is(program: Program) -> None:
    Path("shop").mkdir()
    assert program("new", "shop", app=None).code == 0
    again = program("new", "shop", app=None)
    assert again.code == 2
    assert "shop/ is there already, and not empty; nothing was written" in again.err
    Path("other").write_text("a file")
    assert program("new", "other", app=None).code == 2


def test_the_files_are_listed_and_name_the_project(program: Program) -> None:
    ran = program("new", "market", "--json", app=None)
    assert {str(path) for path in Path("market").rglob("*") if path.is_file()} == set(ran.data["files"])
    assert {"market/market/app.py", "market/.gitignore", "market/.github/workflows/ci.yml"} <= set(ran.data["files"])
    for file in ran.data["files"]:
        assert "{{" not in Path(file).read_text().replace("${{ matrix.python }}", "")
    assert program("new", "Market", app=None).code == 2


@pytest.mark.slow
def test_a_new_project_is_tested_and_typed(program: Program, tmp_path: Path) -> None:
    program("new", "shop", app=None)
    here = {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}
    for command in (["-m", "pytest", "-q"], ["-m", "mypy"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path / "shop", env=here, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_commands_in_its_readme_do_what_it_says(program: Program, tmp_path: Path) -> None:
    program("new", "shop", app=None)
    readme = Path("shop/README.md").read_text().partition("## Go to Kafka")[0]
    commands = [line.strip() for line in readme.splitlines() if line.startswith("    eventcore ")]
    printed: list[str] = []
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "eventcore.cli", *shlex.split(command)[1:]],
            cwd=tmp_path / "shop",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append(done.stdout + done.stderr)
    assert "order o1 is completed: reserve done, charge done, ship done" in printed[2]
    assert printed[3].startswith('Item {"item":"lamp","free":1,"reserved":0}')
    assert "order o2 is compensated" in printed[4]
    assert "Finished" in printed[5]
    assert len(printed) == 7
