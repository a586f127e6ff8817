"""What `status` says of who runs the lanes, beside workers that come, go and die."""

import signal
import time
from collections import Counter
from typing import Any

from tests.integration.cli.conftest import PATIENCE_S, Program, Start


def lanes(program: Program, *where: str) -> list[dict[str, Any]]:
    """The lanes of the jar, as `status` shows them."""
    found: list[dict[str, Any]] = program(*where, "status", "--json").data["machines"][0]["partitions"]
    return found


def wait_for_owners(program: Program, where: tuple[str, ...], wanted: dict[int | None, int]) -> None:
    """Ask until as many lanes as wanted are run by each process id; None is nobody."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        owners = [each["owner"] for each in lanes(program, *where)]
        found = Counter(
            None if owner is None else int(owner.partition(" at ")[0].rpartition("-")[2]) for owner in owners
        )
        if found == wanted:
            return
        assert time.monotonic() < deadline, f"{found} instead of {wanted}"


def test_status_tells_who_runs_which_lane_while_workers_come_go_and_die(
    program: Program, start: Start, kafka: str, kafka_prefix: str
) -> None:
    where = ("--log", f"kafka://{kafka}?prefix={kafka_prefix}", "--views", "sqlite:views.db", "--partitions", "4")
    program(*where, "topics", "apply")
    wait_for_owners(program, where, {None: 4})
    first = start(*where, "run", "--only", "lanes").popen
    wait_for_owners(program, where, {first.pid: 4})
    second = start(*where, "run", "--only", "lanes").popen
    wait_for_owners(program, where, {first.pid: 2, second.pid: 2})

    assert program(*where, "send", "jar", "a", "Add", '{"count": 5}').code == 0
    assert sum(each["decided"] for each in lanes(program, *where)) == 1

    second.kill()
    wait_for_owners(program, where, {first.pid: 4})
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE_S) == 0
    wait_for_owners(program, where, {None: 4})
    unanswered = program(*where, "send", "jar", "a", "Add", '{"count": 5}', "--timeout", "0.2")
    assert unanswered.code != 0
    waiting = program(*where, "status")
    assert "jar: commands wait in partitions that nobody runs: " in waiting.out
    assert sum(each["lag"] for each in lanes(program, *where)) in {1, 2}  # a client may ask again before it gives up


def test_a_file_is_run_by_the_process_that_has_it_and_by_nobody_when_that_has_ended(
    program: Program, start: Start
) -> None:
    program("topics", "apply")
    assert {each["owner"] for each in lanes(program)} == {None}
    worker = start("run")
    worker.wait_for("13 of 13 parts stand ready")
    (owner,) = {each["owner"] for each in lanes(program)}
    assert f"(process {worker.popen.pid}) since " in owner
    worker.popen.kill()
    worker.popen.wait()
    assert {each["owner"] for each in lanes(program)} == {None}
