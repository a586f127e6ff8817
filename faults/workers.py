"""Worker processes, as an operator has them: `eventcore run`, started, stopped, killed and paused from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
READY_S = 60.0
END_S = 45.0
LOOK_S = 0.02
STANDS_READY = "parts stand ready"


class Worker:
    """One worker process."""

    def __init__(self, environment: Mapping[str, str], said: Path, arguments: tuple[str, ...]) -> None:
        self.said = said
        self.paused = False
        with said.open("w") as stream:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "eventcore.cli", "run", *arguments],
                cwd=said.parent, env=dict(environment), stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._popen.poll()

    @property
    def ready(self) -> bool:
        """Whether it has said that all its parts do their work."""
        return STANDS_READY in self.said.read_text()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._popen.kill()
        self._popen.wait()

    def pause(self) -> None:
        """Stop it as a machine that stalls."""
        self._popen.send_signal(signal.SIGSTOP)
        self.paused = True

    def go_on(self) -> None:
        """Let it go on where it stood."""
        self._popen.send_signal(signal.SIGCONT)
        self.paused = False

    def end(self) -> int:
        """Tell it to end, and return the code it ended with; one that does not end is killed: -9."""
        if self.paused:
            self.go_on()
        self._popen.terminate()
        try:
            return self._popen.wait(END_S)
        except subprocess.TimeoutExpired:
            self.destroy()
            return -signal.SIGKILL

    def destroy(self) -> None:
        """Leave no process of it behind, its own children included."""
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()


class Workers:
    """The workers of one run. `surprises` says what ended without having been told to."""

    def __init__(self, environment: Mapping[str, str], folder: Path, arguments: tuple[str, ...] = ()) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EVENTCORE_")}
        self._environment = {**clean, **environment, "PYTHONPATH": str(ROOT)}
        self._folder = folder
        self._arguments = arguments
        self._number = 0
        self.all: list[Worker] = []
        self.surprises: list[str] = []

    def start(self, count: int = 1) -> list[Worker]:
        """Start some more, and return at once."""
        for _ in range(count):
            self._number += 1
            said = self._folder / f"worker-{self._number}.log"
            self.all.append(Worker(self._environment, said, self._arguments))
        return self.all[-count:]

    def wait_until_ready(self, *workers: Worker) -> None:
        """Return when they, or all, have said that they stand ready."""
        deadline = time.monotonic() + READY_S
        for worker in workers or tuple(self.all):
            while not worker.ready:
                if worker.code is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"a worker does not stand ready (code {worker.code}); it said:\n{_last(worker)}")
                time.sleep(LOOK_S)

    def check(self) -> None:
        """Raise RuntimeError, with what it said, where a worker has ended by itself."""
        for worker in self.all:
            if worker.code is not None:
                raise RuntimeError(f"a worker ended by itself (code {worker.code}); it said:\n{_last(worker)}")

    def kill(self, worker: Worker) -> None:
        """`kill -9`, unless it has ended before: that would be a surprise."""
        self._surprised_by(worker)
        worker.kill()
        self.all.remove(worker)

    def replace(self, worker: Worker) -> None:
        """`kill -9` one and start another."""
        self.kill(worker)
        self.start()

    def end(self, worker: Worker) -> None:
        """Tell one to end in order."""
        self._surprised_by(worker)
        if worker.code is None and (code := worker.end()) != 0:
            self.surprises.append(f"{worker.said.name} ended with {code} when it was told to end: {_last(worker, 1)}")
        self.all.remove(worker)

    def end_all(self) -> None:
        """Tell all to end in order."""
        for worker in list(self.all):
            self.end(worker)

    def times_said(self, text: str) -> int:
        """How many lines of all that workers of this run have logged hold this."""
        return sum(text in line for said in self._folder.glob("worker-*.log") for line in said.read_text().splitlines())

    def destroy(self) -> None:
        """Leave no process behind."""
        for worker in self.all:
            worker.destroy()

    def _surprised_by(self, worker: Worker) -> None:
        if worker.code is not None:
            self.surprises.append(f"{worker.said.name} ended by itself with {worker.code}: {_last(worker, 1)}")


def _last(worker: Worker, lines: int = 20) -> str:
    return "\n".join(worker.said.read_text().splitlines()[-lines:])
