"""The judge: holds the records of a log, and what clients were told, to what is promised.

Every finding is of one kind. What is looked for, in each partition of each machine:

S  sequences grow by one (a gap: lost; a number again: doubled), for events and for outcomes;
T  terms, and the offsets of the commands that caused the records, never go back: else reordered;
V  versions grow by one in each instance; a turn's events stand together, numbered from 0 to its count;
C  a command has the events of one turn at most, and one final outcome at most; repeats follow what they repeat, and say
   the same; an accepted command has as many events as its outcome says, any other has none;

and of the commands that were sent:

A  each that was answered has its outcome and its events in the log, and they are what the client was told: else lost;
B  its event says what the command said;
O  an instance's commands took effect in the order in which their one sender sent them: else reordered;

and of the bank:

I  after every turn no account owes or holds less than nothing, or has more than the ceiling;
M  when every transfer has ended, no money is held, and accounts hold what was paid in less what was paid out.

Nothing here imports the framework: what the numbers mean is said again in `reading`, what the events mean below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from faults.record import Answered, Decision, Event, Machine, Sent

Kind = Literal["lost", "doubled", "reordered", "wrong"]

ACCOUNT, TRANSFER = "account", "transfer"
CEILING = 1_000_000
EVENT_OF = {"Deposit": "Deposited", "Withdraw": "Withdrawn", "RequestTransfer": "Transfer"}
FINAL = {"accepted", "refused", "violated", "conflict", "expired"}


class Finding(NamedTuple):
    """Something that was promised not to be."""

    kind: Kind
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.what}"


@dataclass
class Money:
    """An account as the judge folds it."""

    balance: int = 0
    held: int = 0
    credited: int = 0
    settled: int = 0

    def take(self, event: str, amount: int) -> None:
        """What an event does to it."""
        match event:
            case "Deposited":
                self.balance += amount
            case "Withdrawn":
                self.balance -= amount
            case "Held":
                self.balance -= amount
                self.held += amount
            case "Released":
                self.balance += amount
                self.held -= amount
            case "Credited":
                self.balance += amount
                self.credited += amount
            case "Settled":
                self.held -= amount
                self.settled += amount
            case _:
                raise ValueError(f"an account has no event {event}")


@dataclass
class Verdict:
    """What was found, and how much was looked at."""

    findings: list[Finding] = field(default_factory=list[Finding])
    accounts: dict[str, Money] = field(default_factory=dict[str, Money])
    events: int = 0
    outcomes: int = 0
    repeats: int = 0
    answered: int = 0
    term: int = 0
    unfinished: list[str] = field(default_factory=list[str])

    def count(self, kind: Kind) -> int:
        """How many findings of a kind."""
        return sum(finding.kind == kind for finding in self.findings)

    def note(self, kind: Kind, where: str, what: str) -> None:
        """One more."""
        self.findings.append(Finding(kind, where, what))


def judge(machines: Iterable[Machine], sent: Sequence[Sent], answered: Mapping[bytes, Answered]) -> Verdict:
    """Judge everything; `sent` in the order in which each instance's only sender sent it."""
    verdict = Verdict(answered=len(answered))
    by_name = {machine.name: machine for machine in machines}
    for machine in by_name.values():
        verdict.events += len(machine.events)
        _contiguous(f"{machine.name}.events", machine.events, verdict)
        _contiguous(f"{machine.name}.outcomes", machine.decisions, verdict)
        _versions(machine, verdict)
        _turns(machine, verdict)
        _decisions(machine, verdict)
    for machine in by_name.values():
        _answers(machine, [each for each in sent if each.machine == machine.name], answered, verdict)
    _money(by_name[ACCOUNT], verdict)
    verdict.unfinished = unfinished(by_name[TRANSFER])
    _conserved(by_name[ACCOUNT], verdict)
    return verdict


def unfinished(transfers: Machine) -> list[str]:
    """The transfers that have begun and have not ended."""
    ended = {event.instance for event in transfers.events if event.name == "Finished"}
    return sorted({event.instance for event in transfers.events} - ended)


def _where(topic: str, record: Event | Decision) -> str:
    return f"{topic}[{record.partition}]@{record.offset}"


def _contiguous(topic: str, records: Sequence[Event] | Sequence[Decision], verdict: Verdict) -> None:
    """S and T."""
    last: dict[int, tuple[int, int, int]] = {}
    seen: dict[int, set[int]] = {}
    for record in records:
        where = _where(topic, record)
        sequence, term, cause = last.get(record.partition, (0, 0, -1))
        numbers = seen.setdefault(record.partition, set())
        if record.sequence in numbers:
            verdict.note("doubled", where, f"sequence {record.sequence} is there already")
        elif record.sequence < sequence:
            verdict.note("reordered", where, f"sequence {record.sequence} stands after {sequence}")
        elif record.sequence != sequence + 1:
            verdict.note("lost", where, f"sequence {record.sequence} follows {sequence}")
        if record.term < term:
            verdict.note("reordered", where, f"term {record.term} follows {term}: a former owner wrote this")
        if record.cause < cause:
            verdict.note(
                "reordered", where, f"its command stands at {record.cause}, that of the record before at {cause}"
            )
        numbers.add(record.sequence)
        verdict.term = max(verdict.term, record.term)
        last[record.partition] = (max(sequence, record.sequence), max(term, record.term), max(cause, record.cause))


def _versions(machine: Machine, verdict: Verdict) -> None:
    """V, of instances."""
    versions = Counter[str]()
    for event in machine.events:
        before = versions[event.instance]
        if event.version != before + 1:
            kind: Kind = "lost" if event.version > before + 1 else "doubled"
            where = _where(f"{machine.name}.events", event)
            verdict.note(kind, where, f"version {event.version} of {event.instance} follows {before}")
        versions[event.instance] = max(before, event.version)


def _turns(machine: Machine, verdict: Verdict) -> None:
    """V, of turns."""
    last: dict[int, Event] = {}
    for event in machine.events:
        before = last.get(event.partition)
        expected = 0 if before is None or before.index + 1 == before.count else before.index + 1
        where = _where(f"{machine.name}.events", event)
        if event.index != expected:
            verdict.note("lost", where, f"event {event.index} of a turn of {event.count}; {expected} was to come")
        if before is not None and expected and event.command_id != before.command_id:
            verdict.note("wrong", where, f"stands inside the turn of {before.command_id.hex()}")
        last[event.partition] = event
    for event in last.values():
        if event.index + 1 != event.count:
            verdict.note("lost", _where(f"{machine.name}.events", event), f"the turn of {event.count} events ends here")


def _decisions(machine: Machine, verdict: Verdict) -> None:
    """C."""
    turns: dict[bytes, list[Event]] = {}
    for event in machine.events:
        turns.setdefault(event.command_id, []).append(event)
    for command_id, events in turns.items():
        if (first := sum(event.index == 0 for event in events)) > 1:
            where = _where(f"{machine.name}.events", events[-1])
            verdict.note("doubled", where, f"command {command_id.hex()} took effect {first} times")
    final: dict[bytes, Decision] = {}
    for decision in machine.decisions:
        where = _where(f"{machine.name}.outcomes", decision)
        first_one = final.get(decision.command_id)
        if decision.repeated:
            verdict.repeats += 1
            if first_one is None:
                verdict.note("wrong", where, f"repeats a decision on {decision.command_id.hex()} that is not there")
            elif (decision.kind, decision.version) != (first_one.kind, first_one.version):
                verdict.note(
                    "wrong",
                    where,
                    f"repeats {first_one.kind}@{first_one.version} as {decision.kind}@{decision.version}",
                )
            continue
        verdict.outcomes += 1
        if decision.kind not in FINAL:
            verdict.note("wrong", where, f"{decision.command_id.hex()} is {decision.kind}: {decision.reason}")
        if first_one is not None:
            verdict.note(
                "doubled", where, f"command {decision.command_id.hex()} was decided at offset {first_one.offset}"
            )
            continue
        final[decision.command_id] = decision
        count = len(turns.get(decision.command_id, ()))
        if decision.kind == "accepted" and count < decision.count:
            verdict.note("lost", where, f"accepted with {decision.count} events, and {count} are there")
        elif decision.kind != "accepted" and count:
            verdict.note("wrong", where, f"{decision.kind}, and has {count} events")
    for command_id in turns.keys() - final.keys():
        where = _where(f"{machine.name}.events", turns[command_id][0])
        verdict.note("lost", where, f"command {command_id.hex()} has events and no outcome")


def _answers(machine: Machine, sent: Sequence[Sent], answered: Mapping[bytes, Answered], verdict: Verdict) -> None:
    """A, B and O."""
    final = {d.command_id: d for d in reversed(machine.decisions) if not d.repeated}
    events: dict[bytes, Event] = {}
    for event in machine.events:
        events.setdefault(event.command_id, event)
    latest: dict[str, int] = {}
    for command in sent:
        who = f"{command.command} {command.command_id.hex()} of {command.instance}"
        told, decision, event_ = (each.get(command.command_id) for each in (answered, final, events))
        if isinstance(told, Answered):
            if told.contradictions:
                verdict.note("wrong", who, f"was answered otherwise {told.contradictions} times")
            if not isinstance(decision, Decision):
                verdict.note("lost", who, f"was answered {told.kind}, and has no outcome")
            elif (decision.kind, decision.version) != (told.kind, told.version):
                said = f"{decision.kind}@{decision.version}"
                verdict.note("wrong", who, f"was answered {told.kind}@{told.version}, the log says {said}")
            if told.kind == "accepted" and event_ is None:
                verdict.note("lost", who, "was answered accepted, and has no event")
        if isinstance(event_, Event):
            what = (event_.instance, event_.name, event_.fields["amount"])
            if what != (command.instance, EVENT_OF[command.command], command.amount):
                verdict.note("wrong", who, f"of {command.amount} has the event {what}")
            if event_.version <= latest.get(command.instance, 0):
                verdict.note("reordered", who, f"version {event_.version} comes after that of a later command")
            latest[command.instance] = max(latest.get(command.instance, 0), event_.version)


def _money(accounts: Machine, verdict: Verdict) -> None:
    """I."""
    for event in accounts.events:
        money = verdict.accounts.setdefault(event.instance, Money())
        money.take(event.name, event.fields["amount"])
        if event.index + 1 == event.count and not (
            money.balance >= 0 and money.held >= 0 and money.balance + money.held <= CEILING
        ):
            where = _where(f"{accounts.name}.events", event)
            verdict.note("wrong", where, f"{event.instance} is left with {money.balance}, and {money.held} held")


def _conserved(accounts: Machine, verdict: Verdict) -> None:
    """M."""
    if verdict.unfinished:
        return
    paid = Counter[str]()
    for event in accounts.events:
        paid[event.name] += event.fields["amount"]
    balance = sum(money.balance for money in verdict.accounts.values())
    held = sum(money.held for money in verdict.accounts.values())
    if held or paid["Credited"] != paid["Settled"]:
        verdict.note(
            "wrong", "bank", f"{held} held, {paid['Credited']} credited and {paid['Settled']} settled at the end"
        )
    if balance != paid["Deposited"] - paid["Withdrawn"]:
        verdict.note("wrong", "bank", f"holds {balance}, was paid {paid['Deposited']} less {paid['Withdrawn']}")
