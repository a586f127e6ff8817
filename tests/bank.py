"""An account that does everything a lane must cope with, and lanes of it on any log."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from msgspec import Meta

from eventcore import Aggregate, Context, Invariant, Value, require
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.envelope import NOTHING, Envelope, Options, command_envelope, read_envelope
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.errors import Refusal
from eventcore.lane.journal import COMMAND_BYTES_MAX
from eventcore.lane.lane import EVENTS_A_TURN_MAX
from eventcore.lane.restore import read_to
from eventcore.lane.runner import LaneRunner
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Log, Record, Recorded, TopicPlan
from eventcore.topics import Topics, partition_of

Amount = Annotated[int, Meta(gt=0)]
CEILING, UNLUCKY = 1_000, 13


class Account(Value):
    """A balance, and the last note."""

    balance: int = 0
    note: Annotated[str, Meta(max_length=10_000_000)] = ""


class Deposit(Value):
    """Put money in."""

    amount: Amount


class Withdraw(Value):
    """Take money out, if there is enough."""

    amount: Amount


class Split(Value):
    """Put money in by several events of one turn."""

    amounts: tuple[Amount, ...]


class Look(Value):
    """Do nothing: a turn without events."""


class Stamp(Value):
    """Note the turn's time and an id that follows from it."""


class Misbehave(Value):
    """Do what no `decide` should: see `misbehave`."""

    how: str


class Deposited(Value):
    """Money came in."""

    amount: Amount


class Withdrawn(Value):
    """Money went out."""

    amount: Amount


class Noted(Value):
    """Something was written down."""

    text: str


Event = Deposited | Withdrawn | Noted


def decide(
    account: Account, command: Deposit | Withdraw | Split | Look | Stamp | Misbehave, context: Context
) -> list[Event]:
    """Decide as a bank does, and misbehave when told to."""
    match command:
        case Deposit(amount):
            return [Deposited(amount)]
        case Withdraw(amount):
            require(amount <= account.balance, "insufficient_funds", f"there is {account.balance}")
            return [Withdrawn(amount)]
        case Split(amounts):
            return [Deposited(amount) for amount in amounts]
        case Look():
            return []
        case Stamp():
            return [Noted(f"{context.stamp} {context.uuid('note')}")]
        case Misbehave(how):
            return misbehave(how)


class Unsayable(Exception):
    """A fault that cannot even say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


class UnsayableExit(Exception):
    """A fault that ends the program when it is asked what it is."""

    def __str__(self) -> str:
        raise SystemExit("no words")


class Numbered(Refusal):
    """A refusal of a class of its own, whose reason and message are no text."""

    def __init__(self, reason: object) -> None:
        Exception.__init__(self, "numbered")
        self.reason = reason  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # under test
        self.message = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # the same


def misbehave(how: str) -> list[Event]:
    """Raise, refuse or return something that must not stop a lane."""
    match how:
        case "raise":
            raise RuntimeError("on purpose")
        case "raise long":
            raise RuntimeError("x" * 3_000_000)
        case "raise half a surrogate pair":
            raise RuntimeError("\ud800")
        case "raise unsayable":
            raise Unsayable
        case "raise unsayable by an exit":
            raise UnsayableExit
        case "exit":
            sys.exit("on purpose")
        case "interrupt":
            raise KeyboardInterrupt
        case "end a generator":
            raise GeneratorExit
        case "recurse":
            return misbehave(how)
        case "return nothing":
            return None  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # the mistake under test
        case "return too many":
            return [Noted("x")] * (EVENTS_A_TURN_MAX + 1)
        case "return too large":
            return [Noted("x" * COMMAND_BYTES_MAX)]
        case "return two, one too large":
            return [Noted("x"), Noted("x" * COMMAND_BYTES_MAX)]
        case "refuse at length":
            raise Refusal("r" * 3_000_000, "m" * 3_000_000)
        case "refuse with half a surrogate pair":
            raise Refusal("r\ud800", "m\udfff" * 2_000)
        case "refuse with numbers":
            raise Numbered(404)
        case "refuse with what cannot be said":
            raise Numbered(Unsayable())
        case _:
            raise AssertionError(f"nobody taught this account to {how}")


QUARANTINING = (
    *("raise", "raise long", "raise half a surrogate pair", "raise unsayable", "recurse", "return nothing"),
    *("raise unsayable by an exit", "exit", "end a generator", "refuse with what cannot be said"),
    *("return too many", "return too large", "return two, one too large"),
)
REFUSING = ("refuse at length", "refuse with half a surrogate pair", "refuse with numbers")


def evolve(account: Account, event: Event) -> Account:
    """The account after an event."""
    match event:
        case Deposited(amount):
            return Account(account.balance + amount, account.note)
        case Withdrawn(amount):
            return Account(account.balance - amount, account.note)
        case Noted(text):
            return Account(account.balance, text)


def never_overdrawn(account: Account) -> bool:
    """What the guard of Withdraw implies."""
    return account.balance >= 0


def never_above_ceiling(account: Account) -> bool:
    """A rule that no guard implies."""
    return account.balance <= CEILING


accounts = Aggregate(
    "account",
    Account,
    decide,
    evolve,
    invariants=[
        never_overdrawn,
        never_above_ceiling,
        Invariant("never_unlucky", lambda account: account.balance != UNLUCKY, "quarantine"),
    ],
)
TOPICS = Topics.of("bank", "account")
COMMANDS = Catalogue(tuple(accounts.command_checks), "bank.account")
EVENTS = Catalogue(tuple(accounts.event_checks), "bank.account")


def id_of(name: str | int) -> bytes:
    """The 16 bytes of a command id that a test gave a name."""
    return hashlib.blake2b(str(name).encode(), digest_size=16).digest()


def command(key: str, given: Value, name: str | int, *, options: Options = NOTHING, stamp: int = 0) -> Record:
    """The record of a command, as a client or a relay writes it; `name` becomes its id."""
    return Record(key.encode(), COMMANDS.encode(given), command_envelope(id_of(name), options, stamp=stamp), 1_000)


def lane_on(log: Log, partition: int = 0, aggregate: Aggregate[Account, Value, Event] | None = None) -> LaneRunner:
    """A lane that is not started yet."""
    return LaneRunner(log, aggregate or accounts, TOPICS, partition, commands=COMMANDS, events=EVENTS)


def provision(log: Log, partitions: int = 1) -> None:
    """Make the topics."""
    log.provision([TopicPlan(topic, partitions) for topic in TOPICS])


def memory_log(partitions: int = 1) -> MemoryLog:
    """An empty log in memory with the topics."""
    log = MemoryLog()
    provision(log, partitions)
    return log


def send(log: Log, *records: Record) -> None:
    """Append records, each to the partition of its key."""
    partitions = log.partitions(TOPICS.commands)
    for record in records:
        log.append(TOPICS.commands, partition_of(record.key, partitions), [record])


def run(lane: LaneRunner, log: Log, timeout_s: float = 0.0) -> None:
    """Let a started lane decide everything that stands in its topic."""
    while lane.position[TOPICS.commands, lane.partition] < log.end(TOPICS.commands, lane.partition):
        lane.step(timeout_s)


def decide_all(log: Log, *records: Record, partition: int = 0) -> list[OutcomeRecord]:
    """Send records, let a new lane decide them, give it back; return the outcomes that this added."""
    before = len(outcomes(log, partition))
    for record in records:
        log.append(TOPICS.commands, partition, [record])
    lane = lane_on(log, partition)
    lane.start()
    run(lane, log, 5.0)
    lane.close()
    return outcomes(log, partition)[before:]


def everything(log: Log, topic: str, partition: int = 0) -> list[Recorded]:
    """Every record of a partition in which no transaction is open; on a broker the last may take a moment to show."""
    return [record for records in read_to(log, topic, partition, log.end(topic, partition)) for record in records]


def outcomes(log: Log, partition: int = 0) -> list[OutcomeRecord]:
    """Every outcome."""
    return [read_outcome(record.value) for record in everything(log, TOPICS.outcomes, partition)]


class Happened(NamedTuple):
    """An event as it stands in the log."""

    id: str
    event: Value
    envelope: Envelope


def happened(log: Log, partition: int = 0) -> list[Happened]:
    """Every event."""
    return [
        Happened((r.key or b"").decode(), EVENTS.decode(r.value or b""), read_envelope(r.envelope))
        for r in everything(log, TOPICS.events, partition)
    ]


def kinds(outcomes_: Iterable[OutcomeRecord]) -> list[str]:
    """What was decided, with its reason, and a star where it repeats: `accepted`, `refused undone`, `accepted*`."""
    return [
        " ".join(filter(None, (o.details.kind, o.details.reason))) + ("*" if o.details.repeated else "")
        for o in outcomes_
    ]
