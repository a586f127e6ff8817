"""An app keeps its promises on every log: one decision a command, rows at least at a cut, sagas to their end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from datetime import timedelta
from uuid import UUID

import pytest

from eventcore import Cut
from eventcore.app import Embedded
from eventcore.errors import InvalidValue, UnknownName, WrongUse
from examples.bank.account import CEILING, Account, Deposit, Hold, Withdraw, accounts
from examples.bank.app import app
from examples.bank.balances import Balance, balances
from examples.bank.conservation import Money, money_is_conserved
from examples.bank.transfer import RequestTransfer, transfers
from tests.logs import EVERY_LOG, address_of

Open = Callable[[], contextlib.AbstractContextManager[Embedded]]


@pytest.fixture(params=EVERY_LOG)
def open_bank(request: pytest.FixtureRequest) -> Open:
    """Opens the bank on one log of each kind, as often as asked; in memory each is another bank."""
    address = address_of(request, request.param)
    views = f"sqlite:{request.getfixturevalue('tmp_path') / 'views.db'}"
    return lambda: app.open(address, views if address != "memory:" else "memory:", partitions=2)


@pytest.fixture
def bank(open_bank: Open) -> Generator[Embedded]:
    """The bank, open."""
    with open_bank() as bank:
        yield bank


def test_a_command_is_decided_and_its_row_is_at_least_at_its_cut(bank: Embedded) -> None:
    outcome = bank.send(accounts.to("alice", Deposit(5)))
    assert outcome.accepted
    assert outcome.version == 1
    answer = bank.ask(balances, "alice", at_least=outcome.cut)
    assert answer.row == Balance("alice", 5)
    assert outcome.cut <= answer.cut


def test_without_a_cut_everything_written_is_in_an_answer(bank: Embedded) -> None:
    for n in range(1, 4):
        bank.send(accounts.to("alice", Deposit(1)))
        assert bank.ask(balances, "alice").row == Balance("alice", n)


def test_a_row_of_nobody_is_none(bank: Embedded) -> None:
    assert bank.ask(balances, "nobody").row is None


@pytest.mark.parametrize("given", ["receipt 17", "123e4567-e89b-12d3-a456-426614174000", UUID(int=7)])
def test_a_command_that_is_sent_again_with_its_id_is_answered_and_not_decided(
    bank: Embedded, given: str | UUID
) -> None:
    first = bank.send(accounts.to("alice", Deposit(5)), id=given)
    again = bank.send(accounts.to("alice", Deposit(5)), id=given)
    assert (first.repeated, again.repeated) == (False, True)
    assert (first.command_id, first.kind, first.version) == (again.command_id, again.kind, again.version)
    assert bank.ask(balances, "alice", at_least=again.cut).row == Balance("alice", 5)


def test_commands_without_an_id_are_all_different(bank: Embedded) -> None:
    ids = {bank.send(accounts.to("alice", Deposit(5))).command_id for _ in range(3)}
    assert len(ids) == 3
    assert bank.state(accounts, "alice") == Account(15)


def test_many_are_answered_in_their_order_and_decided_once(bank: Embedded) -> None:
    wanted = [(accounts.to(f"account-{n % 8}", Deposit(n + 1)), f"receipt {n % 40}") for n in range(60)]
    outcomes = list(bank.send_all(wanted))
    assert [o.repeated for o in outcomes] == [False] * 40 + [True] * 20
    again = list(bank.send_all(wanted))
    assert all(o.repeated for o in again)
    assert [o.command_id for o in again] == [o.command_id for o in outcomes]


def test_a_text_is_an_id_within_its_instance(bank: Embedded) -> None:
    """One receipt that concerns several accounts: none of its commands is taken for another."""
    outcomes = [bank.send(accounts.to(f"account-{n}", Deposit(5)), id="receipt 17") for n in range(6)]
    assert not any(o.repeated for o in outcomes)
    assert len({o.command_id for o in outcomes}) == 6


def test_a_refusal_says_why(bank: Embedded) -> None:
    outcome = bank.send(accounts.to("alice", Withdraw(5)))
    assert (outcome.kind, outcome.reason, outcome.version) == ("refused", "insufficient_funds", 0)
    assert str(outcome) == "refused: insufficient_funds (0 is available, 5 is wanted)"


def test_a_command_may_expect_a_version_and_may_come_too_late(bank: Embedded) -> None:
    bank.send(accounts.to("alice", Deposit(5)))
    assert bank.send(accounts.to("alice", Deposit(5)), expected_version=0).kind == "conflict"
    assert bank.send(accounts.to("alice", Deposit(5)), expected_version=1).accepted
    assert bank.send(accounts.to("alice", Deposit(5)), expires_after=timedelta(seconds=-1)).kind == "expired"
    assert bank.send(accounts.to("alice", Deposit(5)), expires_after=timedelta(minutes=1)).accepted


def test_what_cannot_be_sent_is_refused_before_anything_is_written(bank: Embedded) -> None:
    before = bank.cut()
    with pytest.raises(InvalidValue):
        bank.send(accounts.to("alice", Deposit(-5)))
    with pytest.raises(UnknownName, match="no aggregate or saga is named 'other'; .* account, transfer"):
        bank.send(accounts.to("alice", Deposit(5)).__class__("other", "alice", Deposit(5)))
    assert bank.cut() == before


def test_sagas_end_completed_or_compensated_and_money_is_conserved(bank: Embedded) -> None:
    bank.send(accounts.to("alice", Deposit(500)))
    bank.send(accounts.to("carol", Deposit(CEILING - 100)))
    bank.send(transfers.to("completes", RequestTransfer("alice", "bob", 300)))
    bank.send(transfers.to("above", RequestTransfer("alice", "carol", 150)))
    bank.send(transfers.to("without", RequestTransfer("bob", "alice", 5_000)))
    bank.run_until_idle()
    progress = [bank.saga(transfers, name) for name in ("completes", "above", "without")]
    assert [(p.status, p.reason) for p in progress if p is not None] == [
        ("completed", None),
        ("compensated", "never_above_ceiling"),
        ("compensated", "insufficient_funds"),
    ]
    assert bank.saga(transfers, "unknown") is None
    assert bank.state(accounts, "alice") == Account(balance=200, settled=300)
    assert bank.ask(balances, "bob").row == Balance("bob", 300)
    verdict = bank.audit(money_is_conserved)
    assert verdict.holds
    assert verdict.summary == Money(credited=300, settled=300)


def test_a_saga_that_is_started_twice_runs_once(bank: Embedded) -> None:
    bank.send(accounts.to("alice", Deposit(500)))
    first = bank.send(transfers.to("t", RequestTransfer("alice", "bob", 300)), id="t")
    assert bank.send(transfers.to("t", RequestTransfer("alice", "bob", 300)), id="t").repeated
    other = bank.send(transfers.to("t", RequestTransfer("alice", "bob", 300)))
    assert (first.kind, other.kind, other.reason) == ("accepted", "refused", "already_started")
    bank.run_until_idle()
    assert bank.state(accounts, "bob") == Account(balance=300, credited=300)


def test_a_cut_holds_what_was_decided_before_it_and_nothing_after(bank: Embedded) -> None:
    outcome = bank.send(accounts.to("alice", Deposit(5)))
    cut = bank.cut()
    bank.send(accounts.to("alice", Deposit(7)))
    assert outcome.cut <= cut
    assert bank.state(accounts, "alice", at=cut) == Account(5)
    assert bank.state(accounts, "alice") == Account(12)
    assert bank.state(accounts, "alice", at=Cut()) is None
    assert Cut.parse(str(cut)) == cut


def test_a_broken_global_invariant_is_found_at_its_cut(bank: Embedded) -> None:
    """Money that is held for no transfer: somebody's mistake, and `decide` cannot see it."""
    bank.send(accounts.to("alice", Deposit(5)))
    sound = bank.cut()
    bank.send(accounts.to("alice", Hold(5)))
    assert bank.audit(money_is_conserved, sound).holds
    verdict = bank.audit(money_is_conserved)
    assert not verdict.holds
    assert "money_is_conserved is BROKEN over 1 instances at c1~~" in str(verdict)


def test_another_opening_finds_everything(open_bank: Open, request: pytest.FixtureRequest) -> None:
    if "memory" in request.node.name:
        return  # a log in memory ends with its process: there is no other opening
    with open_bank() as bank:
        bank.send(accounts.to("alice", Deposit(5)), id="one")
        bank.send(accounts.to("alice", Deposit(500)), id="two")
        bank.send(transfers.to("t", RequestTransfer("alice", "bob", 300)))
        bank.step()
    with open_bank() as bank:
        assert bank.send(accounts.to("alice", Deposit(5)), id="one").repeated
        bank.run_until_idle()
        progress = bank.saga(transfers, "t")
        assert progress is not None
        assert progress.status == "completed"
        assert bank.ask(balances, "alice").row == Balance("alice", 205)


def test_a_closed_app_says_so(open_bank: Open) -> None:
    with open_bank() as bank:
        pass
    with pytest.raises(WrongUse, match="closed"):
        bank.send(accounts.to("alice", Deposit(5)))
    bank.close()
