"""A worker that hangs ends itself, one that dies is started again, and one that is told to end does so in time."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from eventcore.cli import supervise
from eventcore.cli.faults import SYSTEM
from eventcore.cli.supervise import Supervisor
from eventcore.topics import partition_of
from tests.integration.cli.conftest import PATIENCE_S, Process, Program, Start

APP = "tests.integration.cli.spinning:app"
READY = "4 of 4 parts stand ready"
HANG = "5s"  # far above the signs of life, one a second and fewer on a loaded machine


def starts(start: Start, *arguments: str, path: Path | None = None) -> Process:
    """A worker of the spinning app that stands ready."""
    worker = start("--app", APP, "run", *arguments, path=path)
    worker.wait_for(READY)
    return worker


def said_again(worker: Process, words: str, times: int) -> str:
    """What a worker has logged, once it has said these words so often."""
    deadline = time.monotonic() + PATIENCE_S
    while (text := worker.errors.read_text()).count(words) < times:
        assert worker.popen.poll() is None, f"it ended before: {text}"
        assert time.monotonic() < deadline, f"no {words!r} in {text}"
        time.sleep(0.05)
    return text


def child_of(worker: Process, number: int = 1) -> int:
    """The process id of the worker that a supervisor has started last."""
    return int(re.findall(r"the worker is process (\d+)", said_again(worker, "the worker is process", number))[-1])


def turn(program: Program, id_: str, timeout: str = "30") -> int:
    """Turn the top once; the exit code."""
    return program("send", "top", "a", "Turn", "{}", "--id", id_, "--timeout", timeout, app=APP).code


def test_a_part_that_does_not_return_ends_its_process_with_4_and_shows_where_it_stands(
    program: Program, start: Start, tmp_path: Path
) -> None:
    worker = starts(start, "--hang", HANG)
    (tmp_path / "spin").touch()
    assert turn(program, "one", "0.2") == 3
    ended = worker.ended()
    assert ended.code == 4
    assert re.search(r"CRITICAL eventcore.worker: spinning.top\[\d\].* has not returned for 5 s", ended.err)
    assert re.search(r'spinning.py", line \d+, in decide', ended.err)
    (tmp_path / "spin").unlink()
    starts(start)
    assert turn(program, "one") == 0


def test_a_supervised_worker_that_hangs_is_started_again_and_decides_what_it_had_begun(
    program: Program, start: Start, tmp_path: Path
) -> None:
    worker = starts(start, "--supervise", "--hang", HANG)
    (tmp_path / "spin").touch()
    assert turn(program, "one", "0.2") == 3
    worker.wait_for("the worker ended with exit code 4; it is started again")
    (tmp_path / "spin").unlink()
    said_again(worker, READY, 2)
    assert turn(program, "one") == 0
    assert program("replay", "top", "a", "--json", app=APP).entries[-1]["after"]["turns"] == 1


def test_a_supervised_worker_that_is_killed_is_started_again(program: Program, start: Start) -> None:
    worker = starts(start, "--supervise")
    os.kill(child_of(worker), signal.SIGKILL)
    worker.wait_for("the worker ended with signal SIGKILL; it is started again in 0.5 s")
    said_again(worker, READY, 2)
    assert turn(program, "one") == 0
    worker.popen.send_signal(signal.SIGTERM)
    ended = worker.ended()
    assert ended.code == 0
    assert ended.out.count("stopped") == 4


def test_a_supervised_worker_that_was_stopped_is_killed_and_started_again(program: Program, start: Start) -> None:
    worker = starts(start, "--supervise", "--hang", HANG)
    os.kill(child_of(worker), signal.SIGSTOP)
    worker.wait_for("gave no sign of life for 5 s and is killed")
    said_again(worker, READY, 2)
    assert turn(program, "one") == 0


def test_a_supervised_worker_that_starts_for_longer_than_it_may_hang_is_left_to_start(
    program: Program, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(
        f"import os, time\nif {supervise.HEARTBEAT!r} in os.environ:\n    time.sleep(6)\n"
    )
    worker = starts(start, "--supervise", "--hang", HANG, path=tmp_path / "slow")
    assert worker.errors.read_text().count("the worker is process") == 1
    assert turn(program, "one") == 0
    worker.popen.send_signal(signal.SIGTERM)
    assert worker.ended().code == 0


def test_a_worker_whose_supervisor_is_gone_ends_and_leaves_its_log_to_the_next(program: Program, start: Start) -> None:
    worker = starts(start, "--supervise")
    child = os.pidfd_open(child_of(worker))  # while the supervisor lives: nobody else takes the number before
    try:
        worker.popen.kill()
        worker.popen.wait()
        assert select.select([child], [], [], PATIENCE_S)[0], "the worker goes on"
    finally:
        os.close(child)
    assert "the supervisor of this worker is gone: stopping" in worker.errors.read_text()
    starts(start)
    assert turn(program, "one") == 0


def test_what_does_not_end_in_time_is_cut_off_and_named(program: Program, start: Start, tmp_path: Path) -> None:
    worker = starts(start, "--drain", "3s")  # a sound lane looks twice a second whether it is to end
    (tmp_path / "spin").touch()
    assert turn(program, "one", "0.2") == 3
    began = time.monotonic()
    worker.popen.send_signal(signal.SIGTERM)
    ended = worker.ended()
    assert ended.code == 1
    assert time.monotonic() - began < 10
    (line,) = [line for line in ended.out.splitlines() if "cut_off" in line]
    assert f"spinning.top[{partition_of(b'a', 4)}]" in line
    assert "it did not end within 3 s of being told to" in line


@pytest.mark.parametrize("text", ["", "0", "0s", "soon", "-1s", "5 d"])
def test_a_time_that_is_none_is_refused(program: Program, text: str) -> None:
    ran = program("run", "--drain", text, app=APP)
    assert ran.code == 2
    assert "is no length of time; write 30s, 2m or 500ms" in ran.err


# --- the supervisor alone -------------------------------------------------------------------------------------------


@pytest.fixture
def signals_kept() -> Generator[None]:
    """A supervisor listens to signals; afterwards they are heard as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends is started again at once."""
    monkeypatch.setattr(supervise, "PAUSE_FIRST_S", 0.001)
    monkeypatch.setattr(supervise, "PAUSE_MOST_S", 0.01)


def supervised(program: str, hang_s: float = 30.0) -> int:
    """Supervise a program that is no worker; the exit code."""
    return Supervisor([sys.executable, "-c", program], drain_s=1.0, hang_s=hang_s).run()


@pytest.mark.usefixtures("signals_kept", "quick")
def test_a_worker_that_dies_again_and_again_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lives = tmp_path / "lives"
    assert supervised(f"open({str(lives)!r}, 'a').write('x'); raise SystemExit(3)") == SYSTEM
    assert len(lives.read_text()) == supervise.RESTARTS_MAX
    assert "gives up: the worker ended 5 times within 300 s, the last time with exit code 3" in caplog.text


@pytest.mark.usefixtures("signals_kept")
@pytest.mark.parametrize("code", [0, 2])
def test_a_worker_that_is_done_or_was_called_wrongly_is_not_started_again(tmp_path: Path, code: int) -> None:
    lives = tmp_path / "lives"
    assert supervised(f"open({str(lives)!r}, 'a').write('x'); raise SystemExit({code})") == code
    assert lives.read_text() == "x"


@pytest.mark.usefixtures("signals_kept", "quick")
def test_a_worker_that_hangs_while_it_starts_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervise, "START_S", 1.0)
    assert supervised("import time; time.sleep(600)", hang_s=0.1) == SYSTEM
    assert "gave no sign of life for 1 s and is killed" in caplog.text


@pytest.mark.usefixtures("signals_kept", "quick")
def test_the_time_to_start_is_over_with_the_first_sign_of_life(caplog: pytest.LogCaptureFixture) -> None:
    beats = f"import os, time; os.write(int(os.environ[{supervise.HEARTBEAT!r}]), b'.'); time.sleep(600)"
    assert supervised(beats, hang_s=1.0) == SYSTEM
    assert "gave no sign of life for 1 s and is killed" in caplog.text
