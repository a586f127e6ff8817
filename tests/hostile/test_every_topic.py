"""Ten thousand spoiled records in a topic of each kind: each is refused with a reason, and everything beside them goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import pytest

from eventcore.app import Client
from eventcore.log.memory import MemoryLog
from eventcore.topics import Topics
from examples.bank.account import Deposit, accounts
from examples.bank.app import app
from projections import Views, open_views
from tests.hostile.bank import (
    ACCOUNT,
    GOOD,
    PARTITIONS,
    SCHEMAS,
    TRANSFER,
    check_goes_on,
    everything,
    flood,
    make_past,
    outcomes,
    samples,
)
from tests.running import running, wait_until

COUNT = 10_000
SEED = 20_261_124


class Bank(NamedTuple):
    """A log with a past, and its views."""

    log: MemoryLog
    views: Views


@pytest.fixture
def bank(tmp_path: Path) -> Generator[Bank]:
    """A bank that was at work before."""
    log = MemoryLog()
    views = open_views(f"sqlite:{tmp_path / 'views.db'}")
    make_past(log, views)
    yield Bank(log, views)
    views.close()
    log.close()


@pytest.mark.parametrize("topics", [ACCOUNT, TRANSFER], ids=["account", "transfer"])
def test_every_spoiled_command_has_one_outcome_with_a_reason_and_the_good_between_are_decided(
    bank: Bank, topics: Topics
) -> None:
    real = samples(bank.log, topics.commands)
    with running(app, bank.log, bank.views):
        client = Client(app, bank.log)
        for piece in range(10):
            flood(bank.log, topics.commands, real, SEED + piece, COUNT // 10)
            good = client.send_all([(accounts.to(name, Deposit(1)), f"{piece} {name}") for name in GOOD])
            assert {outcome.kind for outcome in good} == {"accepted"}
        client.close()
        sent = sum(bank.log.end(topics.commands, p) for p in range(PARTITIONS))
        wait_until(lambda: len(outcomes(bank.log, topics.outcomes)) >= sent, "an outcome for every command")
        check_goes_on(bank.log, bank.views, "beside")
    decided = outcomes(bank.log, topics.outcomes)
    commands = {(partition, record.offset) for partition, record in everything(bank.log, topics.commands)}
    assert Counter((partition, outcome.cause) for partition, outcome in decided) == Counter(commands)
    for _, outcome in decided:
        if outcome.details.kind == "parked" and not outcome.details.repeated:
            assert outcome.details.reason
            assert outcome.details.message
    parked = Counter(o.details.reason for _, o in decided if o.details.kind == "parked")
    assert parked["undecodable"] > COUNT / 3
    assert {"undecodable", "too_large", "wrong_partition"} <= set(parked)
    with running(app, bank.log, bank.views):
        check_goes_on(bank.log, bank.views, "again")


@pytest.mark.parametrize(
    "topic",
    [
        ACCOUNT.events,
        ACCOUNT.outcomes,
        ACCOUNT.snapshots,
        TRANSFER.events,
        TRANSFER.outcomes,
        TRANSFER.snapshots,
        SCHEMAS,
    ],
)
def test_a_topic_that_strangers_wrote_into_is_restored_from_and_read_on(bank: Bank, topic: str) -> None:
    real = samples(bank.log, topic)
    flood(bank.log, topic, real, SEED, COUNT // 2)
    with running(app, bank.log, bank.views):
        check_goes_on(bank.log, bank.views, "after")
        for piece in range(5):
            flood(bank.log, topic, real, SEED + 1 + piece, COUNT // 10)
            check_goes_on(bank.log, bank.views, f"beside-{piece}")
    with running(app, bank.log, bank.views):
        check_goes_on(bank.log, bank.views, "again")
