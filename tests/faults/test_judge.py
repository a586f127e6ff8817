"""The judge of the fault suite finds what is planted in a log: a good log of the bank, doctored, and nothing else changed.

The log is a real one, decided by lanes and decoded by the judge's own reader; what is planted is what faults could do.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

import faults
from eventcore import Message
from eventcore.app import Embedded
from eventcore.lane.restore import read_to
from eventcore.log.address import open_log
from eventcore.log.port import Log
from examples.bank.account import Deposit, Withdraw, accounts
from examples.bank.app import app
from examples.bank.transfer import RequestTransfer, transfers
from faults.judge import ACCOUNT, TRANSFER, Kind, Verdict, judge
from faults.reading import Raw, Schemas, decision_of, event_of
from faults.record import Answered, Decision, Event, Machine, Sent

COMMANDS = 20
JUDGES = ("judge", "reading", "record", "rows")


class Case(NamedTuple):
    """What the judge is given."""

    account: Machine
    transfer: Machine
    sent: list[Sent]
    answered: dict[bytes, Answered]

    def judged(self) -> Verdict:
        """What it finds."""
        return judge([self.account, self.transfer], self.sent, self.answered)

    def with_events(self, events: Sequence[Event]) -> Case:
        """The same with other events of accounts."""
        return self._replace(account=self.account._replace(events=list(events)))

    def with_decisions(self, decisions: Sequence[Decision]) -> Case:
        """The same with other outcomes of accounts."""
        return self._replace(account=self.account._replace(decisions=list(decisions)))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Twenty commands of two accounts, one of them asked twice, and a transfer between the two."""
    address = f"sqlite:{tmp_path_factory.mktemp('judge') / 'bank.db'}"
    sent: list[Sent] = []
    answered: dict[bytes, Answered] = {}

    def send(bank: Embedded, number: int, machine: str, message: Message[Any], amount: int) -> None:
        id_ = UUID(int=number)
        outcome = bank.send(message, id=id_)
        if id_.bytes not in answered:
            sent.append(Sent(id_.bytes, machine, message.id, type(message.command).__name__, amount))
        answered[id_.bytes] = Answered(outcome.kind, outcome.version, 0)

    with app.open(address, partitions=1) as bank:
        for number in range(1, COMMANDS + 1):
            command = Withdraw(30) if number % 5 == 0 else Deposit(20 + number)
            send(bank, number, ACCOUNT, accounts.to(f"account-{number % 2}", command), command.amount)
        send(bank, 1, ACCOUNT, accounts.to("account-1", Deposit(21)), 21)
        request = RequestTransfer("account-0", "account-1", 5)
        send(bank, 99, TRANSFER, transfers.to("t", request), request.amount)
        bank.run_until_idle(10)
    with closing(open_log(address)) as log:
        schemas = Schemas({raw.key.decode(): raw.value for raw in raws(log, "bank.schemas")})
        account, transfer = (
            Machine(
                name,
                [event_of(schemas, f"bank.{name}.events", raw) for raw in raws(log, f"bank.{name}.events")],
                [decision_of(schemas, f"bank.{name}.outcomes", raw) for raw in raws(log, f"bank.{name}.outcomes")],
            )
            for name in (ACCOUNT, TRANSFER)
        )
    return Case(account, transfer, sent, answered)


def raws(log: Log, topic: str) -> Iterator[Raw]:
    """A topic's records as a plain consumer would give them."""
    for records in read_to(log, topic, 0, log.end(topic, 0)):
        for record in records:
            assert record.key is not None
            assert record.value is not None
            yield Raw(0, record.offset, record.key, record.value, record.envelope)


def kinds(verdict: Verdict) -> set[Kind]:
    """The kinds of what was found."""
    return {finding.kind for finding in verdict.findings}


def renumbered(events: Sequence[Event]) -> list[Event]:
    """The events with sequences as if they had been written like this."""
    return [replace(event, sequence=number) for number, event in enumerate(events, 1)]


def test_a_good_log_is_found_good(good: Case) -> None:
    verdict = good.judged()
    assert verdict.findings == []
    assert (verdict.answered, verdict.repeats, verdict.unfinished) == (COMMANDS + 1, 1, [])
    assert sum(money.balance for money in verdict.accounts.values()) == sum(
        event.fields["amount"] * {"Deposited": 1, "Withdrawn": -1}.get(event.name, 0) for event in good.account.events
    )


@pytest.mark.parametrize("at", [0, 7, -1])
def test_an_event_that_is_missing_is_lost(good: Case, at: int) -> None:
    left = list(good.account.events)
    del left[at]
    assert "lost" in kinds(good.with_events(left).judged())


def test_an_event_that_was_never_written_is_lost_though_no_number_is_missing(good: Case) -> None:
    left = renumbered([event for event in good.account.events if event.instance != "account-1"])
    findings = [str(finding) for finding in good.with_events(left).judged().findings]
    assert any("was answered accepted, and has no event" in finding for finding in findings), findings


def test_a_turn_that_took_effect_twice_is_doubled(good: Case) -> None:
    events = good.account.events
    last = max(event.version for event in events if event.instance == events[0].instance)
    again = replace(events[0], offset=999, version=last + 1, sequence=len(events) + 1, cause=events[-1].cause)
    findings = good.with_events([*events, again]).judged().findings
    assert any("took effect 2 times" in finding.what for finding in findings), findings


def test_a_record_that_stands_there_twice_is_doubled(good: Case) -> None:
    assert "doubled" in kinds(good.with_events([*good.account.events, good.account.events[-1]]).judged())


def test_events_that_changed_places_are_reordered(good: Case) -> None:
    events = list(good.account.events)
    events[4], events[5] = events[5], events[4]
    assert "reordered" in kinds(good.with_events(events).judged())


def test_two_commands_of_an_account_that_took_effect_the_other_way_round_are_reordered(good: Case) -> None:
    sent = [good.sent[2], good.sent[1], good.sent[0], *good.sent[3:]]
    assert kinds(good._replace(sent=sent).judged()) == {"reordered"}


def test_what_a_former_owner_wrote_is_reordered(good: Case) -> None:
    events = [replace(event, term=event.term + (event.sequence < 8)) for event in good.account.events]
    assert kinds(good.with_events(events).judged()) == {"reordered"}


def test_a_gap_in_the_outcomes_is_lost(good: Case) -> None:
    decisions = good.account.decisions
    assert "lost" in kinds(good.with_decisions([*decisions[:3], *decisions[4:]]).judged())


def test_a_second_decision_on_a_command_is_doubled(good: Case) -> None:
    decisions = [replace(decision, repeated=False) for decision in good.account.decisions]
    assert kinds(good.with_decisions(decisions).judged()) == {"doubled"}


Doctor = Callable[[Case], Case]


def poorer(case: Case) -> Case:
    """A deposit of less than was sent."""
    first = replace(case.account.events[0], fields={"amount": 1})
    return case.with_events([first, *case.account.events[1:]])


def overdrawn(case: Case) -> Case:
    """A withdrawal of more than there is."""
    events = [
        replace(event, fields={"amount": 10_000}) if event.name == "Withdrawn" else event
        for event in case.account.events
    ]
    return case.with_events(events)


def contradicted(case: Case) -> Case:
    """A client that was told something else."""
    answered = {**case.answered, case.sent[0].command_id: Answered("refused", 0, 0)}
    return case._replace(answered=answered)


def told_twice(case: Case) -> Case:
    """A client that was told two things."""
    first = case.answered[case.sent[0].command_id]
    return case._replace(answered={**case.answered, case.sent[0].command_id: first._replace(contradictions=1)})


def not_settled(case: Case) -> Case:
    """Money that a transfer has left behind."""
    return case.with_events([event for event in case.account.events if event.name != "Settled"])


def parked(case: Case) -> Case:
    """A command that no lane could decide."""
    first = replace(case.account.decisions[0], kind="parked")
    return case.with_decisions([first, *case.account.decisions[1:]])


@pytest.mark.parametrize("doctor", [poorer, overdrawn, contradicted, told_twice, not_settled, parked])
def test_what_contradicts_is_wrong(good: Case, doctor: Doctor) -> None:
    assert "wrong" in kinds(doctor(good).judged())


def test_a_transfer_that_never_ends_is_told(good: Case) -> None:
    events = [event for event in good.transfer.events if event.name != "Finished"]
    assert good._replace(transfer=good.transfer._replace(events=events)).judged().unfinished == ["t"]


@pytest.mark.parametrize("name", JUDGES)
def test_the_judge_shares_no_code_with_what_it_judges(name: str) -> None:
    assert faults.__file__ is not None
    tree = ast.parse((Path(faults.__file__).parent / f"{name}.py").read_text())
    imported = {
        (each.module or "") if isinstance(each, ast.ImportFrom) else each.names[0].name
        for each in ast.walk(tree)
        if isinstance(each, (ast.Import, ast.ImportFrom))
    }
    ours = {module for module in imported if module.split(".")[0] in {"eventcore", "projections", "sagas", "examples"}}
    assert ours == set()
    assert {m for m in imported if m.startswith("faults")} <= {f"faults.{judge}" for judge in JUDGES}
