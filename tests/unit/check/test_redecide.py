"""Recorded decisions taken again: those that differ are grouped, and nothing else is listed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import new_class
from typing import Annotated, Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from eventcore import Aggregate, Context, Value
from eventcore.check.carry import carried
from eventcore.check.redecide import Decision, PassedOver, Redecided, Told, Turn, decision_of, redecide
from eventcore.check.redecide_text import redecided_data, redecided_text
from eventcore.check.replay import Happened, Streams
from examples.bank import account
from examples.bank.account import Deposit, Held, Hold, Withdraw, Withdrawn, accounts
from examples.bank.versions import closable

NOW = Context.at(datetime(2026, 1, 31, tzinfo=UTC), UUID(int=7))
CARRY, _ = carried(account.accounts.command_checks, closable.accounts.command_checks)


def told_by(commands: list[account.Command], instance: str = "alice") -> list[Told]:
    """What a log tells of commands that the first version decided, one after another."""
    state, told = account.Account(), list[Told]()
    for number, command in enumerate(commands):
        was = decision_of(accounts, state, command, NOW)
        told.append(Turn(f"outcomes@{number}", instance, command, NOW, was))
        for index, event in enumerate(was.events, 1):
            told.append(Happened(f"events@{number}", instance, event, last=index == len(was.events)))
            state = account.evolve(state, event)
    return told


def again(told: list[Told], new: Aggregate[closable.Account, closable.Command, closable.Event]) -> Redecided:
    return redecide(Streams(new, itself), told, CARRY)


def itself(event: Any) -> Sequence[Any]:
    return (event,)


def nothing(_: Any) -> None:
    return None


AMOUNTS = st.sampled_from([1, 100_000, 500_000, 600_000, 1_000_001])
ONE: st.SearchStrategy[account.Command] = st.one_of(*(st.builds(kind, AMOUNTS) for kind in (Deposit, Withdraw, Hold)))
COMMANDS = st.lists(ONE)


@given(COMMANDS)
def test_the_code_that_decided_decides_everything_alike(commands: list[account.Command]) -> None:
    found = redecide(Streams(accounts, itself), told_by(commands))
    assert (found.turns, found.groups, found.broken) == (len(commands), [], [])


@given(COMMANDS)
def test_exactly_what_leaves_above_the_limit_is_decided_otherwise(commands: list[account.Command]) -> None:
    found = again(told_by(commands), closable.accounts)
    changed = [each for each in commands if isinstance(each, Withdraw | Hold) and each.amount > closable.AT_ONCE]
    assert found.differing == len(changed)
    assert {group.now for group in found.groups} <= {"refused: too_much_at_once"}
    assert sum(group.count for group in found.groups if group.command == "Hold") == sum(
        isinstance(each, Hold) for each in changed
    )


def test_a_changed_decision_changes_nothing_for_the_commands_after_it() -> None:
    found = again(told_by([Deposit(900_000), Withdraw(600_000), Withdraw(400_000)]), closable.accounts)
    assert found.differing == 1, "the third was refused for want of money, and is again"
    (group,) = found.groups
    assert (group.example.at, group.example.before) == ("outcomes@1", closable.Account(balance=900_000))
    assert (group.was, group.now) == ("accepted: Withdrawn", "refused: too_much_at_once")


def test_a_group_keeps_its_first_example_and_its_last_position() -> None:
    found = again(told_by([Deposit(600_000), Withdraw(600_000)] * 3), closable.accounts)
    (group,) = found.groups
    assert (group.count, group.example.at, group.last) == (3, "outcomes@1", "outcomes@5")


def test_events_with_other_values_name_the_fields_that_differ() -> None:
    def with_a_fee(state: account.Account, command: account.Command) -> list[account.Event]:
        return [Withdrawn(command.amount + 1)] if isinstance(command, Withdraw) else account.decide(state, command)

    new = Aggregate("account", account.Account, with_a_fee, account.evolve)
    found = redecide(Streams(new, itself), told_by([Deposit(10), Withdraw(5)]))
    (group,) = found.groups
    assert (group.was, group.now) == ("accepted: Withdrawn", "accepted: Withdrawn, with another Withdrawn.amount")


class Stamped(Value):
    """When, and by which command."""

    at: datetime
    by: UUID


class Stamp(Value):
    """Stamp it."""


class Page(Value):
    """How often it was stamped."""

    stamps: int = 0


def stamp(_: Page, __: Stamp, context: Context) -> list[Stamped]:
    return [Stamped(context.time, context.command_id)]


def stamped(page: Page, _: Stamped) -> Page:
    return Page(page.stamps + 1)


def test_the_time_and_the_id_of_the_recorded_decision_are_used() -> None:
    was = Decision("accepted", events=(Stamped(NOW.time, NOW.command_id),))
    told: list[Told] = [Turn("outcomes@0", "a", Stamp(), NOW, was)]
    new = Aggregate("page", Page, stamp, stamped)
    assert redecide(Streams(new, itself), told).differing == 0


def test_a_turn_that_raises_now_is_a_difference_and_one_that_raised_and_raises_is_none() -> None:
    def broken(state: account.Account, command: account.Command) -> list[account.Event]:
        return [Withdrawn(command.amount // 0)] if isinstance(command, Withdraw) else account.decide(state, command)

    new = Aggregate("account", account.Account, broken, account.evolve)
    streams = Streams(new, itself)
    told = told_by([Deposit(10), Withdraw(5)])
    told.append(Turn("outcomes@9", "alice", Withdraw(1), NOW, Decision("raised", "IndexError: another")))
    (group,) = redecide(streams, told).groups
    assert (group.was, group.now, group.count) == ("accepted: Withdrawn", "raised: ZeroDivisionError", 1)
    assert str(group.example.now).startswith("raised: ZeroDivisionError: ")


def test_an_instance_whose_events_do_not_fold_is_told_and_its_later_commands_are_not_decided() -> None:
    def forgetful(state: account.Account, event: account.Event) -> account.Account:
        if isinstance(event, Held):
            raise KeyError("held")
        return account.evolve(state, event)

    new = Aggregate("account", account.Account, account.decide, forgetful)
    told = [*told_by([Deposit(10), Hold(5), Deposit(1), Deposit(1)]), *told_by([Deposit(3)], "bob")]
    found = redecide(Streams(new, itself), told)
    (broken,) = found.broken
    assert (broken.at, broken.instance, broken.event) == ("events@1", "alice", Held(5))
    assert "Held(amount=5) cannot be folded: KeyError: 'held'" in broken.what
    assert found.lost == 2
    assert found.exit_code == 1
    hold = [(group.command, group.now) for group in found.groups]
    assert hold == [("Hold", "raised: KeyError")]


def test_what_is_no_decision_is_counted_and_passed_over() -> None:
    told: list[Told] = [PassedOver("outcomes@0", "expired"), PassedOver("outcomes@1", "expired")]
    found = again([*told, *told_by([Deposit(1)])], closable.accounts)
    assert (found.turns, found.passed_over) == (1, {"expired": 2})
    gone = redecide(Streams(accounts, itself), told_by([Deposit(1)]), nothing)
    assert gone.passed_over == {"Deposit is no command of the new version": 1}
    assert gone.exit_code == 2, "nothing was decided"


def test_a_command_that_the_new_version_does_not_allow_is_a_decision_that_differs() -> None:
    wide: Any = new_class("Stamp", (Value,), exec_body=lambda names: names.update(__annotations__={"often": int}))
    narrow: Any = new_class(
        "Stamp", (Value,), exec_body=lambda names: names.update(__annotations__={"often": Annotated[int, Meta(le=5)]})
    )

    def decide(_: Page, __: Any, context: Context) -> list[Stamped]:
        return [Stamped(context.time, context.command_id)]

    decide.__annotations__ = {"_": Page, "__": narrow, "context": Context, "return": list[Stamped]}
    new = Aggregate("page", Page, decide, stamped)
    was = Decision("accepted", events=(Stamped(NOW.time, NOW.command_id),))
    told: list[Told] = [Turn(f"outcomes@{often}", "a", wide(often), NOW, was) for often in (5, 6)]
    carry, lost = carried([wide], new.command_checks)
    assert lost == []
    found = redecide(Streams(new, itself), told, carry)
    (group,) = found.groups
    assert (found.turns, group.example.at, group.example.command) == (2, "outcomes@6", wide(6))
    assert (group.was, group.now) == ("accepted: Stamped", "raised: DecodeError")
    assert "often: 6 is more than 5" in group.example.now.reason


def test_text_and_json_say_the_same() -> None:
    found = again(
        [PassedOver("outcomes@0", "expired"), *told_by([Deposit(600_000), Withdraw(600_000)])], closable.accounts
    )
    text, data = redecided_text(found), redecided_data(found)
    assert text.startswith("account: 2 recorded commands decided again, 1 differs\n2 events of 1 instances folded")
    assert "Withdraw, once: accepted: Withdrawn -> refused: too_much_at_once" in text
    assert "first outcomes@1, alice: Withdraw(amount=600000) on Account(balance=600000" in text
    assert "  expired: 1" in text
    assert (data["differing"], data["groups"][0]["example"]["was"]) == (1, "accepted: Withdrawn(amount=600000)")
