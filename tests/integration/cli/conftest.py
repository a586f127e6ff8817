"""The program in this process, in a folder of the test's own; and as processes of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eventcore.cli.main import main

ROOT = Path(__file__).parents[3]
APP = "tests.integration.cli.pantry:app"
PATIENCE_S = 60.0  # for a process to say or do what a test waits for


@dataclass(frozen=True)
class Ran:
    """What a call of the program did."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON document that it printed."""
        return json.loads(self.out)

    @property
    def entries(self) -> list[Any]:
        """The JSON lines that it printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def cut(self) -> str:
        """The cut in its document."""
        cut: str = self.data["cut"]
        return cut


Program = Callable[..., Ran]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """Calls `eventcore --app ...:app ARGUMENTS` in an empty folder, with nothing set in the environment."""
    for name in list(os.environ):
        if name.startswith("EVENTCORE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments: str, app: str | None = APP) -> Ran:
        capsys.readouterr()
        code = main([*(() if app is None else ("--app", app)), *arguments])
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@dataclass(frozen=True)
class Process:
    """A call of the program that goes on."""

    popen: subprocess.Popen[str]
    errors: Path

    def wait_for(self, words: str) -> None:
        """Return once its stderr holds these words. Fails when it ends before, or says something else for too long."""
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.errors.read_text():
            assert time.monotonic() < deadline, f"it does not say {words!r}: {self.errors.read_text()}"
            try:
                self.popen.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"it ended with {self.popen.returncode} before it said {words!r}: {self.errors.read_text()}")

    def ended(self) -> Ran:
        """What it did, once it has ended."""
        out, _ = self.popen.communicate(timeout=PATIENCE_S)
        return Ran(self.popen.returncode, out, self.errors.read_text())


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Generator[Start]:
    """Starts the program as a process of its own in the test's folder; killed at the end if it still runs.

    Modules in `path` are found before others: a `sitecustomize` there runs before the program.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EVENTCORE_")}
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, path: Path | None = None) -> Process:
        errors = tmp_path / f"stderr-{len(started)}"
        with errors.open("w") as stream:
            popen = subprocess.Popen(
                [sys.executable, "-m", "eventcore.cli", "--app", APP, *arguments],
                cwd=tmp_path,
                env={**clean, "PYTHONPATH": os.pathsep.join(str(each) for each in (path, ROOT) if each)},
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        started.append(popen)
        return Process(popen, errors)

    yield run
    for popen in started:
        with popen:
            popen.kill()
