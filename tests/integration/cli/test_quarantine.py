"""A poisoned instance: it is listed, its neighbours go on, the code is mended, a release drains what waits in order."""

from __future__ import annotations

import signal

import pytest

from eventcore.cli import survey
from eventcore.log.port import Record
from eventcore.log.sqlite import SqliteLog
from eventcore.topics import partition_of
from tests.integration.cli.conftest import Process, Program, Start

MENDED = "tests.integration.cli.mended:app"
WHY = "ZeroDivisionError: the jar is in pieces"


@pytest.fixture
def poisoned(program: Program) -> Program:
    """A log in which jar `a` holds 5 and fell; two commands wait behind the one that raised, and `b` goes on."""
    assert program("send", "jar", "a", "Add", '{"count": 5}').code == 0
    assert program("send", "jar", "a", "Drop", "--id", "fall").code == 1
    assert program("send", "jar", "a", "Add", '{"count": 2}').code == 1
    assert program("send", "jar", "a", "Take", '{"count": 9}').code == 1
    assert program("send", "jar", "b", "Add", '{"count": 1}').code == 0
    return program


def counts(program: Program, jar: str) -> list[int]:
    """What the jar held after each of its events."""
    return [entry["after"]["count"] for entry in program("replay", "jar", jar, "--json").entries]


def test_what_is_quarantined_is_listed_with_why_and_what_waits(poisoned: Program) -> None:
    data = poisoned("quarantine", "list", "--json").data
    (stopped,) = data["quarantined"]
    assert (stopped["of"], stopped["id"], stopped["why"]) == ("jar", "a", WHY)
    assert (stopped["waiting"], data["waiting_max"]) == (3, 1_000)
    text = poisoned("quarantine", "list").out.splitlines()
    assert len(text) == 2
    assert "jar a" in text[1]
    assert "3 of 1,000" in text[1]
    assert text[1].endswith(WHY)
    assert poisoned("quarantine", "list", "move").out == "no instance is quarantined\n"
    assert poisoned("quarantine", "list", "cellar").code == 2


def test_status_on_a_log_with_many_outcomes_tells_what_is_quarantined(
    poisoned: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the lanes keep beside their snapshots; only where these are too many as well is it said that nobody looked."""
    monkeypatch.setattr(survey, "SEARCHED_MOST", 0)
    (stopped,) = poisoned("status", "--json").data["machines"][0]["stopped"]
    assert (stopped["id"], stopped["why"], stopped["parked"]) == ("a", WHY, 3)
    assert f"  a: 3 parked: {WHY}" in poisoned("status").out.splitlines()
    assert poisoned("quarantine", "discard", "jar", "a").code == 0
    assert poisoned("status", "--json").data["machines"][0]["stopped"] == []
    monkeypatch.setattr(survey, "FACTS_MOST", 0)
    assert "snapshots were not searched for quarantined instances" in poisoned("status").out


def test_one_instance_is_shown_with_its_traceback_and_the_commands_that_wait(poisoned: Program) -> None:
    shown = poisoned("quarantine", "show", "jar", "a")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert f"why: {WHY}" in lines
    assert "Traceback (most recent call last):" in lines
    assert "3 of at most 1,000 commands wait:" in lines
    assert [line.split("  ")[-1] for line in lines[-3:]] == [
        "Drop",
        'Add {"count":2,"kind":"tea"}',
        'Take {"count":9}',
    ]
    data = poisoned("quarantine", "show", "jar", "a", "--json").data
    assert [(each["type"], each["reason"]) for each in data["commands"]] == [
        ("Drop", "raised"),
        ("Add", "instance_quarantined"),
        ("Take", "instance_quarantined"),
    ]
    other = poisoned("quarantine", "show", "jar", "b")
    assert (other.code, other.err) == (1, "jar b is not quarantined\n")


def test_a_release_with_the_same_code_is_answered_with_what_to_do(poisoned: Program) -> None:
    ran = poisoned("quarantine", "release", "jar", "a")
    assert ran.code == 1
    assert ran.out.startswith("refused: stopped_again (0 commands were decided, 3 wait: ZeroDivisionError")
    assert "Correct the code, restart the workers" in ran.err
    assert poisoned("quarantine", "list", "--json").data["quarantined"][0]["waiting"] == 3


def test_a_release_with_mended_code_drains_what_waits_in_order(poisoned: Program) -> None:
    ran = poisoned("quarantine", "release", "jar", "a", "--json", app=MENDED)
    assert (ran.code, ran.data["kind"], ran.data["message"]) == (0, "accepted", "3 waiting commands were decided")
    assert counts(poisoned, "a") == [5, 7]
    assert poisoned("quarantine", "list").out == "no instance is quarantined\n"
    assert poisoned("ask", "holdings", "a", "--at-least", ran.data["cut"], "--json").data["row"]["count"] == 7
    again = poisoned("send", "jar", "a", "Drop", "--id", "fall", "--json").data
    assert (again["kind"], again["repeated"]) == ("accepted", True)
    assert poisoned("status", "--deep", "--json").data["machines"][0]["stopped"] == []
    assert poisoned("cut").code == 0


def test_the_first_is_discarded_and_the_others_are_released(poisoned: Program) -> None:
    assert poisoned("quarantine", "discard", "jar", "a", "--first").code == 0
    assert poisoned("quarantine", "list", "--json").data["quarantined"][0]["waiting"] == 2
    assert poisoned("quarantine", "release", "jar", "a").code == 0
    assert counts(poisoned, "a") == [5, 7]
    again = poisoned("send", "jar", "a", "Drop", "--id", "fall", "--json").data
    assert (again["kind"], again["reason"], again["repeated"]) == ("parked", "discarded", True)


def test_everything_that_waits_is_discarded(poisoned: Program) -> None:
    ran = poisoned("quarantine", "discard", "jar", "a")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "accepted (3 commands were discarded)")
    assert poisoned("send", "jar", "a", "Add", '{"count": 1}').code == 0
    assert counts(poisoned, "a") == [5, 6]
    data = poisoned("status", "--deep", "--json").data["machines"][0]
    assert (data["stopped"], data["set_aside_count"]) == ([], 0)


def test_an_order_stands_in_the_log_and_is_decoded(poisoned: Program) -> None:
    poisoned("quarantine", "discard", "jar", "a", "--first")
    partition = str(home("a"))
    entries = poisoned("log", "show", "jar.commands", "--partition", partition, "--json").entries
    assert (entries[-1]["type"], entries[-1]["value"]) == ("Discard", {"first_only": True})
    decided = poisoned("log", "show", "jar.outcomes", "--partition", partition, "--json").entries[-2:]
    assert [entry["value"].get("reason") for entry in decided] == ["discarded", None]


def test_an_order_for_an_instance_that_goes_on_is_refused(poisoned: Program) -> None:
    for verb in ("release", "discard"):
        ran = poisoned("quarantine", verb, "jar", "b")
        assert (ran.code, ran.out.splitlines()[0]) == (
            1,
            "refused: not_quarantined (nothing stops this instance)",
        )


def test_an_instance_that_another_program_wrote_to_is_released_past_it(program: Program) -> None:
    program("send", "jar", "a", "Add", '{"count": 5}')
    log = SqliteLog("pantry.db")
    log.append("pantry.jar.events", home("a"), [Record(b"a", b"hello", None, 1_000)])
    log.close()
    assert program("send", "jar", "a", "Add", '{"count": 2}').code == 1
    refused = program("quarantine", "release", "jar", "a")
    assert refused.out.startswith("refused: foreign_records (foreign record at pantry.jar.events[")
    assert "--pass-foreign" in refused.err
    assert program("quarantine", "release", "jar", "a", "--pass-foreign").code == 0
    assert program("send", "jar", "a", "Add", '{"count": 2}').code == 0


def test_nothing_is_made_where_there_is_no_log(program: Program) -> None:
    for verb in (("list",), ("show", "jar", "a"), ("release", "jar", "a"), ("discard", "jar", "a")):
        ran = program("quarantine", *verb)
        assert (ran.code, "there is no log at sqlite:pantry.db yet" in ran.err) == (2, True)


def test_beside_a_worker_a_poisoned_instance_waits_its_neighbours_go_on_and_mended_code_drains_it(
    program: Program, start: Start
) -> None:
    """The whole of it: list, neighbours, code mended, worker restarted, release."""
    worker = stands(start("run"), 13)
    assert program("send", "jar", "a", "Add", '{"count": 5}').code == 0
    assert program("send", "jar", "a", "Drop").code == 1
    assert program("send", "jar", "a", "Add", '{"count": 2}').code == 1
    assert program("send", "jar", "a", "Take", '{"count": 9}').code == 1
    moved = start("send", "move", "m1", "Move", '{"source": "b", "target": "a", "count": 1}')
    assert program("send", "jar", "b", "Add", '{"count": 4}').code == 0
    moved.ended()
    (stopped,) = program("quarantine", "list", "jar", "--json").data["quarantined"]
    assert (stopped["id"], stopped["why"], stopped["waiting"] >= 3) == ("a", WHY, True)
    assert program("quarantine", "release", "jar", "a").code == 1
    worker.popen.send_signal(signal.SIGTERM)
    assert worker.ended().code == 0

    mended = stands(start("--app", MENDED, "run"), 12)
    ran = program("quarantine", "release", "jar", "a")
    assert (ran.code, ran.out.split(" ")[0]) == (0, "accepted")
    assert counts(program, "a")[:2] == [5, 7]
    assert program("quarantine", "list").out == "no instance is quarantined\n"
    mended.popen.send_signal(signal.SIGTERM)
    assert mended.ended().code == 0


def stands(worker: Process, parts: int) -> Process:
    """A worker that serves."""
    worker.wait_for(f"{parts} of {parts} parts stand ready")
    return worker


def home(jar: str) -> int:
    """The partition that a jar lives in."""
    return partition_of(jar.encode(), 4)
