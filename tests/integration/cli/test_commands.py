"""`send` and `ask` on an embedded log: outcomes, codes, and what is said of calls that are wrong."""

from pathlib import Path

import pytest

from eventcore.log.sqlite import SqliteLog
from tests.integration.cli.conftest import Program

LOG = "pantry.db"


def test_an_accepted_command_prints_its_outcome_and_cut_and_ends_with_0(program: Program) -> None:
    ran = program("send", "jar", "a", "Add", '{"count": 5}')
    lines = ["accepted", "jar a is at version 1", "cut c1~~pantry.jar.events~"]
    assert (ran.code, ran.err) == (0, "")
    assert all(line.startswith(start) for line, start in zip(ran.out.splitlines(), lines, strict=True)), ran.out


def test_json_is_taken_before_and_after_the_command(program: Program) -> None:
    before = program("--json", "send", "jar", "a", "Add", '{"count": 5}', "--id", "x")
    after = program("send", "jar", "a", "Add", '{"count": 5}', "--id", "x", "--json")
    assert before.data == {
        "kind": "accepted",
        "reason": None,
        "message": None,
        "repeated": False,
        "to": "jar",
        "id": "a",
        "version": 1,
        "command_id": before.data["command_id"],
        "cut": before.cut,
    }
    assert after.data == {**before.data, "repeated": True}


@pytest.mark.parametrize(
    ("command", "fields", "options", "kind", "reason"),
    [
        ("Take", '{"count": 9}', [], "refused", "not_enough"),
        ("Add", '{"count": 999}', [], "violated", "never_over_full"),
        ("Add", '{"count": 1}', ["--expect-version", "7"], "conflict", "conflict"),
        ("Drop", "{}", [], "parked", "raised"),
    ],
)
def test_every_other_outcome_ends_with_1_and_its_reason(
    program: Program, command: str, fields: str, options: list[str], kind: str, reason: str
) -> None:
    program("send", "jar", "a", "Add", '{"count": 5}')
    ran = program("send", "jar", "a", command, fields, *options, "--json")
    assert (ran.code, ran.data["kind"], ran.data["reason"]) == (1, kind, reason)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["jar", "a", "Add", '{"count": 0}'], "Add: Expected `int` >= 1 at `count`"),
        (["jar", "a", "Add", '{"count": true}'], "Add: Expected `int`, got `bool` at `count`"),
        (["jar", "a", "Add", '{"cuont": 1}'], "unknown field `cuont`. Add has count, kind (optional)"),
        (["jar", "a", "Add", "{}"], "missing required field `count`"),
        (["jar", "a", "Add", '{"count": 1, "kind": "salt"}'], "Invalid enum value 'salt' at `kind`"),
        (["jar", "a", "Add", '{"count": 1'], "truncated"),
        (["jar", "a", "Add", "[" * 100_000], "Expected `object`, got `array`"),
        (["jar", "a", "Pour", "{}"], "Add, Drop, Take"),
        (
            ["jug", "a", "Add", "{}"],
            "no aggregate or saga is named 'jug'; the aggregate or saga names here are: jar, move",
        ),
        (["jar", "", "Add", '{"count": 1}'], "1 to 255 bytes"),
        (["jar", "x" * 256, "Add", '{"count": 1}'], "1 to 255 bytes"),
        (["jar", "a", "Add", '{"count": 1}', "--expect-version", "-1"], "Invalid value for '--expect-version'"),
        (["jar", "a"], "Missing argument 'TYPE'. See `eventcore send --help`"),
        (["move", "m", "Answered", "{}"], "no command of move is named 'Answered'"),
    ],
)
def test_a_command_that_cannot_be_meant_is_one_sentence_and_2_and_nothing_is_sent(
    program: Program, arguments: list[str], said: str
) -> None:
    program("send", "jar", "a", "Add", '{"count": 5}')
    ran = program("send", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert commands_sent() == 1
    as_json = program("send", *arguments, "--json")
    assert (as_json.code, as_json.out) == (2, "")
    assert '"exit_code": 2' in as_json.err


def commands_sent() -> int:
    log = SqliteLog(LOG)
    try:
        return sum(log.end("pantry.jar.commands", partition) for partition in range(4))
    finally:
        log.close()


def test_a_saga_runs_to_its_end_before_send_ends(program: Program) -> None:
    program("send", "jar", "a", "Add", '{"count": 5}')
    done = program("send", "move", "m1", "Move", '{"source": "a", "target": "b", "count": 2}')
    undone = program("send", "move", "m2", "Move", '{"source": "a", "target": "b", "count": 9}', "--json")
    assert (done.code, undone.code) == (0, 0)
    assert "move m1 is completed: take done, add done" in done.out
    assert undone.data["saga"]["status"] == "compensated"
    cut = done.out.splitlines()[-1].removeprefix("cut ")
    assert program("ask", "holdings", "b", "--at-least", cut, "--json").data["row"] == {"jar": "b", "count": 2}


def test_a_row_is_printed_with_its_cut_and_one_that_is_not_there_ends_with_1(program: Program) -> None:
    sent = program("send", "jar", "a", "Add", '{"count": 5, "kind": "rice"}', "--json")
    found = program("ask", "holdings", "a", "--at-least", sent.cut, "--json")
    assert (found.code, found.data) == (0, {"projection": "holdings", "row": {"jar": "a", "count": 5}, "cut": sent.cut})
    assert program("ask", "holdings", "a").out == f'Holding {{"jar":"a","count":5}}\ncut {sent.cut}\n'
    missing = program("ask", "holdings", "b")
    assert (missing.code, missing.out.splitlines()[0]) == (1, "holdings has no row b")


def test_the_further_parts_of_a_key_are_further_arguments(program: Program) -> None:
    program("send", "jar", "a", "Add", '{"count": 5, "kind": "rice"}')
    assert program("ask", "intakes", "a", "rice", "--json").data["row"] == {"jar": "a", "kind": "rice", "times": 1}
    assert program("ask", "intakes", "a", "tea").code == 1
    assert "a key of this read model has the parts jar, kind; 1 were given" in program("ask", "intakes", "a").err
    assert "Invalid enum value 'salt'" in program("ask", "intakes", "a", "salt").err


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        ("c2", "'c2' is not a cut"),
        ("c1~~pantry.jar.events~0-999", "before the cut's @999"),
        ("c1~~pantry.jar.events~9-1", "it speaks of [9]"),
        ("c1~~bank.account.events~0-1", "no topic of events or outcomes of pantry"),
    ],
)
def test_a_cut_that_the_log_cannot_hold_is_refused_at_once(program: Program, cut: str, said: str) -> None:
    program("send", "jar", "a", "Add", '{"count": 5}')
    for arguments in (
        ["ask", "holdings", "a", "--at-least", cut],
        ["replay", "jar", "a", "--at", cut],
        ["cut", "check", cut],
    ):
        ran = program(*arguments)
        assert ran.code == 2
        assert said in ran.err


def test_looking_makes_no_file(program: Program) -> None:
    for arguments in (
        ["ask", "holdings", "a"],
        ["status"],
        ["log", "show", "jar"],
        ["cut"],
        ["replay", "jar", "a"],
        ["audit"],
    ):
        ran = program(*arguments)
        assert ran.code == 2
        assert "there is no log at sqlite:pantry.db yet (from default)" in ran.err
    assert "there are no views at sqlite:pantry.views.db yet" in program("db", "current").err
    assert not list(Path().glob("*.db*"))
