"""`eventcore diagram` draws what the functions behind it draw."""

from __future__ import annotations

from tests.integration.cli.conftest import Program


def test_the_states_of_an_aggregate_are_drawn(program: Program) -> None:
    ran = program("diagram", "examples.models.t_commit:two", "--by", "phases", app=None)
    assert ran.code == 0
    assert ran.out.startswith("stateDiagram-v2\n    %% t_commit: 12 states, drawn as 8\n")
    assert program("diagram", "examples.models.t_commit:two", "--json", app=None).data["diagram"].startswith("stateDi")


def test_wide_numbers_are_told_apart_by_their_sign_and_what_was_not_looked_at_is_said(program: Program) -> None:
    ran = program("diagram", "examples.bank.account:accounts", "--by", "balance,held", "--states", "300", app=None)
    assert 'state "balance: 0, held: >0"' in ran.out
    assert "and more that were not looked at" in ran.out


def test_commands_and_events_are_tabled(program: Program) -> None:
    ran = program("diagram", "examples.models.increment:locked_two", "--tables", app=None)
    assert "| Lock | Have a thread take the lock. | `thread`: int from 0 | `Locked` |" in ran.out
    assert "| Locked | A thread took the lock. | `thread`: int from 0 | `Lock` |" in ran.out
    assert "not looked at" not in ran.out
    cut = program("diagram", "examples.models.increment:locked_two", "--tables", "--states", "3", app=None)
    assert (
        "*locked_increment: 3 states, and more that were not looked at: what is not listed may happen there.*"
        in cut.out
    )


def test_the_way_into_trouble_is_drawn_where_there_is_one(program: Program) -> None:
    ran = program("diagram", "examples.models.die_hard:puzzle", "--trace", app=None)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "    Note over die_hard: big = 4, small = 3")
    ran = program("diagram", "examples.models.t_commit:two", "--trace", app=None)
    assert (ran.code, ran.out) == (1, "")
    assert "nothing wrong was found" in ran.err


def test_a_saga_of_the_app_is_drawn_about_its_data(program: Program) -> None:
    bank = "examples.bank.app:app"
    ran = program("diagram", "transfer", '{"source": "alice", "target": "bob", "amount": 5}', app=bank)
    assert "    saga->>p1: credit: Credit(amount=5)\n" in ran.out
    ran = program("diagram", "transfer", app=bank)
    assert ran.code == 2
    assert "the fields of Transfer, as a JSON object" in ran.err


def test_a_field_that_there_is_none_of_is_refused_with_those_there_are(program: Program) -> None:
    ran = program("diagram", "examples.models.t_commit:two", "--by", "phase", app=None)
    assert ran.code == 2
    assert "field of Transaction" in ran.err
