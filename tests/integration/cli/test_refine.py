"""`refine`: two versions of the bank's account, named on the command line; and the log that the first has written."""

from __future__ import annotations

import pytest

from tests.integration.cli.conftest import Program

BANK = "examples.bank.app:app"
FIRST = "examples.bank.account:checked"
RIGHT, WRONG = "examples.bank.versions.closable:checked", "examples.bank.versions.careless:checked"
MAP = ("--map", "examples.bank.versions.closable:as_before")


def test_a_version_that_does_only_what_the_first_could_is_accepted_and_what_it_refuses_is_listed(
    program: Program,
) -> None:
    ran = program("refine", FIRST, RIGHT, *MAP, app=None)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(
        "account refines account: pass\n1,251 steps: 1 stutters, 1,250 mapped, 0 bad; image 66 of"
    )
    assert "Withdraw where balance >0, held 0: accepted -> too_much_at_once, 15 times" in ran.out
    assert "as Withdraw(amount=600000) on Account(balance=600000" in ran.out
    assert "Commands that are new: Close" in ran.out


def test_a_version_that_forgets_held_money_is_refused_with_the_shortest_way_there(program: Program) -> None:
    assert program("check", WRONG, app=None).code == 0
    ran = program("refine", FIRST, WRONG, *MAP, app=None)
    assert ran.code == 1
    assert "in 4 states:" in ran.out
    assert "4  Close()" in ran.out
    data = program("refine", FIRST, WRONG, *MAP, "--json", app=None).data
    assert (data["verdict"], data["exit_code"], data["steps"]["bad"]) == ("fail", 1, 45)
    assert [step["command"]["type"] for step in data["findings"][0]["trace"]["steps"]] == ["Deposit", "Hold", "Close"]


def test_a_search_that_is_cut_is_inconclusive(program: Program) -> None:
    ran = program("refine", FIRST, RIGHT, *MAP, "--states", "20", app=None)
    assert ran.code == 2
    assert "the old version was cut by the bound on states, at 20 states" in ran.out


def test_recorded_streams_replay_under_the_new_version(program: Program) -> None:
    program("send", "account", "alice", "Deposit", '{"amount": 500}', app=BANK)
    program("send", "account", "alice", "Withdraw", '{"amount": 200}', app=BANK)
    program("send", "account", "bob", "Deposit", '{"amount": 7}', app=BANK)
    ran = program("refine", "account", RIGHT, *MAP, "--recorded", app=BANK)
    assert ran.code == 0
    assert "Recorded: 3 events of 2 instances, 0 broken" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((FIRST, RIGHT), "have not the same name and fields. Give a function that makes a state of the old version"),
        ((FIRST, "nowhere:x"), "no module is named 'nowhere'"),
        (
            (FIRST, "examples.bank.account:nothing"),
            "no aggregate or Checked in examples.bank.account is named 'nothing'",
        ),
        ((FIRST, "examples.bank.account:CEILING"), "is of type int; it should be an Aggregate"),
        ((FIRST, RIGHT, "--map", "examples.bank.account:CEILING"), "is of type int; it should be a function"),
        ((FIRST, RIGHT, "--map", "as_before"), "is not of the form MODULE:NAME"),
        ((FIRST,), "Missing argument 'new'. See `eventcore refine --help`"),
        (
            ("examples.bank.account:accounts", RIGHT, *MAP, "--states", "9"),
            "calls credited, settled unread, and that of the old does not",
        ),
    ],
)
def test_what_could_not_run_ends_with_3_and_says_why(program: Program, arguments: tuple[str, ...], said: str) -> None:
    ran = program("refine", *arguments, app=None)
    assert ran.code == 3
    assert said in ran.err
