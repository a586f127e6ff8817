"""The bank with a past, the real records that mutants are made of, and what must still hold of it among them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from eventcore import Cut
from eventcore.app import Client
from eventcore.app.audit import judge, states_at
from eventcore.app.cuts import capture, check_cut
from eventcore.app.outcome import Outcome
from eventcore.app.wiring import provision
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.cut import Position
from eventcore.errors import DataError
from eventcore.lane.restore import read_to
from eventcore.log.port import Log, Record, Recorded
from eventcore.topics import schemas_topic
from examples.bank.account import Account, Deposit, Withdraw, accounts
from examples.bank.app import app
from examples.bank.balances import Balance, balances
from examples.bank.conservation import money_is_conserved
from examples.bank.transfer import RequestTransfer, transfers
from projections import Views
from sagas import Progress
from tests.hostile.spoiling import spoiled
from tests.running import running, wait_until

PARTITIONS = 2
GOOD = tuple(f"good-{n}" for n in range(20))  # accounts whose names no spoiled record has as its key
GOOD_KEYS = frozenset(name.encode() for name in GOOD)
BAD = tuple(f"bad-{n}" for n in range(10))
wiring = app.wiring
ACCOUNT, TRANSFER = wiring.machine("account").topics, wiring.machine("transfer").topics
SCHEMAS = schemas_topic("bank")
TOPICS = (*ACCOUNT, *TRANSFER, SCHEMAS)


def make_past(log: Log, views: Views) -> None:
    """Let a worker decide what the samples are taken from: accounts and transfers of the bad, and some of the good."""
    provision(log, wiring, PARTITIONS)
    views.upgrade()
    views.prepare([balances])
    with running(app, log, views):
        client = Client(app, log)
        for name in (*BAD, *GOOD):
            assert client.send(accounts.to(name, Deposit(1_000))).accepted
            assert client.send(accounts.to(name, Withdraw(5_000))).kind == "refused"
        for n, name in enumerate(BAD[1:]):
            assert client.send(transfers.to(f"old-{n}", RequestTransfer(BAD[0], name, 100 + 300 * (n % 2)))).accepted
        wait_until(lambda: all(_is_over(log, f"old-{n}") for n in range(len(BAD) - 1)), "the old transfers")
        client.close()


def _is_over(log: Log, transfer: str) -> bool:
    return status_of(log, transfer) in ("completed", "compensated", "aborted")


def status_of(log: Log, transfer: str) -> str:
    """The status of a transfer by what the log holds."""
    progress = states(log, "transfer").get(transfer)
    return progress.status if isinstance(progress, Progress) else "unknown"


def states(log: Log, name: str) -> dict[str, object]:
    """The states of a machine by a replay of what the log holds now."""
    topics = wiring.machine(name).topics
    ends = Cut({(topics.events, p): log.stable_end(topics.events, p) for p in range(PARTITIONS)})
    return states_at(log, wiring.machine(name), ends)


def everything(log: Log, topic: str) -> Iterator[tuple[int, Recorded]]:
    """Every record of a topic, with its partition."""
    for partition in range(log.partitions(topic)):
        for records in read_to(log, topic, partition, log.stable_end(topic, partition)):
            for record in records:
                yield partition, record


class Sample(NamedTuple):
    """A real record, and the partition that it stands in."""

    partition: int
    record: Record


def samples(log: Log, topic: str) -> list[Sample]:
    """Real records to be spoiled for `topic`: mostly its own, some of every kind that is another's.

    Never those of a good account. Take them before the first flood, which is no example.
    """
    kind = topic.rpartition(".")[2]
    own = [_sample(each) for each in everything(log, topic) if each[1].key not in GOOD_KEYS]
    others = [
        _sample(each)
        for other in TOPICS
        if other.rpartition(".")[2] != kind
        for each in islice(everything(log, other), 10)
        if each[1].key not in GOOD_KEYS
    ]
    return own * (1 + 3 * len(others) // max(1, len(own))) + others


def _sample(each: tuple[int, Recorded]) -> Sample:
    partition, record = each
    time_ms = max(record.time_ms, 1)
    return Sample(partition, Record(record.key or b"", record.value, record.envelope, time_ms, record.headers))


def flood(log: Log, topic: str, real: Sequence[Sample], seed: int, count: int) -> None:
    """Append `count` records to `topic` that are spoiled from `real` ones.

    Each goes where its sample stands, since a lane's topics are told apart by nothing else; commands go anywhere.
    """
    dice = random.Random(seed)
    pieces: dict[int, list[Record]] = {}
    for n in range(count):
        partition, record = dice.choice(real)
        if topic.endswith(".commands") and n % 10 == 0:
            partition += 1
        pieces.setdefault(partition % log.partitions(topic), []).append(spoiled(dice, record))
        if n % 100 == 99 or n == count - 1:
            for at, piece in pieces.items():
                log.append(topic, at, piece)
            pieces.clear()


def outcomes(log: Log, topic: str = ACCOUNT.outcomes) -> list[tuple[int, OutcomeRecord]]:
    """Every outcome that a lane wrote, with its partition, foreign records left out by their sequence."""
    found: list[tuple[int, OutcomeRecord]] = []
    last = dict.fromkeys(range(PARTITIONS), 0)
    for partition, record in everything(log, topic):
        try:
            outcome = read_outcome(record.value)
        except DataError:
            continue
        if outcome.sequence == last[partition] + 1:
            last[partition] += 1
            found.append((partition, outcome))
    return found


def check_goes_on(log: Log, views: Views, name: str) -> None:
    """With a worker running: clients are answered, transfers arrive, rows and replays agree, cuts are consistent."""
    client = Client(app, log)
    before = states(log, "account")
    answers: list[Outcome] = [client.send(accounts.to(good, Deposit(7))) for good in GOOD]
    assert [answer.kind for answer in answers] == ["accepted"] * len(GOOD)
    again = client.send(accounts.to(GOOD[0], Deposit(3)), id=f"{name} once")
    assert client.send(accounts.to(GOOD[0], Deposit(3)), id=f"{name} once").version == again.version
    assert client.send(transfers.to(f"{name}-new", RequestTransfer(GOOD[1], GOOD[2], 4))).accepted
    wait_until(lambda: status_of(log, f"{name}-new") == "completed", "the new transfer")
    expected = dict.fromkeys(GOOD, 7) | {GOOD[0]: 10, GOOD[1]: 3, GOOD[2]: 11}
    after = states(log, "account")
    for good in GOOD:
        old, new = before[good], after[good]
        assert isinstance(old, Account)
        assert isinstance(new, Account)
        assert new.balance == old.balance + expected[good]
        cut = Cut({(ACCOUNT.events, p): log.stable_end(ACCOUNT.events, p) for p in range(PARTITIONS)})
        assert views.ask(balances, good, at_least=cut).row == Balance(good, new.balance, new.held)
    client.close()
    cut = capture(log, wiring.topics())
    # A mutant may be a command that is in order and claims a cause that there never was: the check names what follows.
    accused = {breach.at for breach in check_cut(log, wiring.topics(), cut)}
    for topic in (ACCOUNT.events, ACCOUNT.outcomes):
        at_good = {Position(topic, p, r.offset) for p, r in everything(log, topic) if r.key in GOOD_KEYS}
        assert not accused & at_good
    judge(log, wiring, money_is_conserved, cut)  # a mutant may have moved money; that it can be judged is what counts
