"""`run` as a process of its own: beside other commands, beside another worker, and how it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import ROOT, Process, Program, Start
from tests.integration.cli.pantry import POISON


def running(program: Program, start: Start, *arguments: str) -> Process:
    """A worker that has decided a command."""
    worker = start(*arguments, "run")
    worker.wait_for("13 of 13 parts stand ready")
    sent = program("send", "jar", "a", "Add", '{"count": 5}', "--json")
    assert sent.data["kind"] == "accepted"
    return worker


def test_a_worker_decides_what_others_send_and_ends_with_0_when_it_is_told_to(program: Program, start: Start) -> None:
    worker = start("--json", "run")
    worker.wait_for("13 of 13 parts stand ready")
    other = start("send", "move", "m1", "Move", '{"source": "a", "target": "b", "count": 2}')
    first = other.ended()
    assert (first.code, first.out.splitlines()[0]) == (0, "accepted")
    sent = program("send", "jar", "b", "Add", '{"count": 5}', "--json")
    assert program("ask", "holdings", "b", "--at-least", sent.cut, "--json").data["row"]["jar"] == "b"
    assert program("status").code == 0
    assert program("cut").code == 0
    worker.popen.send_signal(signal.SIGTERM)
    ended = worker.ended()
    assert ended.code == 0
    parts = {part["name"]: part for part in json.loads(ended.out)["parts"]}
    assert {part["status"] for part in parts.values()} == {"stopped"}
    assert {"pantry.jar[0]", "relay:pantry.move.events", "projection:holdings"} <= set(parts)
    assert all(json.loads(line)["level"] == "INFO" for line in ended.err.splitlines())


def test_what_was_sent_to_a_worker_is_there_when_it_has_ended(program: Program, start: Start) -> None:
    worker = running(program, start)
    worker.popen.send_signal(signal.SIGINT)
    assert worker.ended().code == 0
    assert program("replay", "jar", "a", "--json").entries[0]["after"]["count"] == 5
    assert program("send", "jar", "a", "Add", '{"count": 1}', "--json").data["version"] == 2


def test_a_second_worker_on_the_same_file_is_told_who_has_it(program: Program, start: Start) -> None:
    worker = running(program, start)
    second = start("run").ended()
    assert second.code == 3
    assert f"(process {worker.popen.pid})" in second.err
    assert "the lanes of pantry.db are owned by" in second.err
    assert second.err.count("\n") == 2


def test_a_worker_that_was_killed_leaves_its_log_to_the_next(program: Program, start: Start) -> None:
    worker = running(program, start)
    worker.popen.kill()
    worker.ended()
    assert program("send", "jar", "a", "Add", '{"count": 1}', "--json").data["version"] == 2


def test_a_part_that_halts_is_named_at_the_end_which_is_then_1(program: Program, start: Start) -> None:
    worker = running(program, start)
    sent = program("send", "jar", "a", "Add", f'{{"count": {POISON}}}', "--json")
    assert program("ask", "holdings", "a", "--at-least", sent.cut).code == 0  # its neighbours go on
    worker.wait_for("projection:intakes halts")
    worker.popen.send_signal(signal.SIGTERM)
    ended = worker.ended()
    assert ended.code == 1
    (line,) = [line for line in ended.out.splitlines() if line.startswith("projection:intakes")]
    assert "halted" in line
    assert "this fold cannot take it" in line


def test_lanes_and_projections_can_run_in_processes_of_their_own(program: Program, start: Start) -> None:
    lanes = start("run", "--only", "lanes,relays")
    lanes.wait_for("11 of 11 parts stand ready")
    sent = program("send", "jar", "a", "Add", '{"count": 5}', "--json")
    rows = start("run", "--only", "projections:holdings")
    rows.wait_for("starts pantry (projections: 1)")
    rows.wait_for("1 of 1 parts stand ready")
    assert program("ask", "holdings", "a", "--at-least", sent.cut).code == 0
    assert program("ask", "intakes", "a", "tea", "--at-least", sent.cut, "--timeout", "0.2").code == 3
    for worker in (lanes, rows):
        worker.popen.send_signal(signal.SIGTERM)
        assert worker.ended().code == 0


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("lane", "'lane' is no part of pantry; there are: lanes, relays, projections"),
        ("projections:none", "there are: projections:holdings, projections:intakes"),
        ("lanes:none", "there are: lanes:jar, lanes:move"),
    ],
)
def test_a_part_that_there_is_not_is_refused(program: Program, only: str, said: str) -> None:
    ran = program("run", "--only", only)
    assert ran.code == 2
    assert said in ran.err


def test_nobody_to_decide_is_said_with_what_to_do(program: Program, start: Start) -> None:
    lanes = start("run", "--only", "lanes:move")
    lanes.wait_for("4 of 4 parts stand ready")
    # Nobody owns the lanes of `jar`, but somebody the file: so this waits for an outcome that does not come.
    ran = program("send", "jar", "a", "Add", '{"count": 1}', "--timeout", "0.2")
    assert ran.code == 3
    assert "It is sent and may yet be decided: ask again with the same id. Usually no worker runs its lane." in ran.err


def test_output_that_nobody_reads_any_more_ends_quietly(program: Program, tmp_path: Path) -> None:
    for _ in range(2):
        program("send", "jar", "a", "Add", '{"count": 5}')
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -m eventcore.cli --app tests.integration.cli.pantry:app log show jar | true', sys.executable],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_of_the_users_that_bears_a_name_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "sagas").mkdir()
    (tmp_path / "sagas" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-m", "eventcore.cli", "config"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert (
        f"{tmp_path}/sagas/__init__.py would be imported as 'sagas', which is a package of eventcore's" in done.stderr
    )


def test_a_command_that_waits_can_be_interrupted_and_ends_with_130(program: Program, start: Start) -> None:
    lanes = start("run", "--only", "lanes:move")  # so nobody decides what is sent to a jar
    lanes.wait_for("4 of 4 parts stand ready")
    waiting = start("send", "jar", "a", "Add", '{"count": 1}')
    while not program("log", "show", "jar.commands").out:
        assert waiting.popen.poll() is None
    waiting.popen.send_signal(signal.SIGINT)
    ended = waiting.ended()
    assert (ended.code, ended.out, ended.err) == (130, "", "eventcore: interrupted.\n")
