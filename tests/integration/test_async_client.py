"""Coroutines that send: under both event loops, thousands at a time, cancelled, and without a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import anyio
import anyio.lowlevel
import pytest

from eventcore.app import Outcome
from eventcore.app.async_client import AsyncClient
from eventcore.app.wiring import provision
from eventcore.errors import InvalidValue, LogUnavailable, OutcomeUnknown, WrongUse
from eventcore.log.port import Log
from examples.bank.account import Deposit, Withdraw, accounts
from examples.bank.app import app
from examples.bank.balances import balances
from projections import Views, open_views
from tests.failing import FailingLog
from tests.logs import EVERY_LOG, opened, opener_of
from tests.running import WAIT_S, running

LOOPS = ["asyncio", "trio"]


@pytest.fixture(params=EVERY_LOG)
def log(request: pytest.FixtureRequest) -> Generator[Log]:
    """A log of each kind, with the bank's topics."""
    with opened(opener_of(request, request.param)) as log:
        provision(log, app.wiring, 2)
        yield log


@pytest.fixture
def views() -> Generator[Views]:
    """Views in memory."""
    views = open_views("memory:")
    views.upgrade()
    views.prepare([balances])
    yield views
    views.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_many_sends_at_a_time_are_answered_each_with_its_own(loop: str, log: Log, views: Views) -> None:
    outcomes: dict[int, Outcome] = {}
    threads = 0

    async def one(client: AsyncClient, number: int) -> None:
        outcomes[number] = await client.send(
            accounts.to(f"account-{number % 50}", Deposit(1)), id=f"receipt {number}", timeout_s=WAIT_S
        )

    async def main() -> None:
        nonlocal threads
        before = threading.active_count()
        async with AsyncClient(app, log) as client, anyio.create_task_group() as group:
            for number in range(1_000):
                group.start_soon(one, client, number)
            await anyio.lowlevel.checkpoint()
            threads = threading.active_count() - before

    with running(app, log, views) as run:
        run.stands_ready()
        anyio.run(main, backend=loop)
    assert {outcome.kind for outcome in outcomes.values()} == {"accepted"}
    assert len({outcome.command_id for outcome in outcomes.values()}) == len(outcomes) == 1_000
    assert threads <= 3


@pytest.mark.parametrize("loop", LOOPS)
def test_a_cancelled_or_impatient_send_leaves_nothing_behind_and_asking_again_tells(
    loop: str, log: Log, views: Views
) -> None:
    deposit = accounts.to("alice", Deposit(5))

    async def alone() -> None:
        async with AsyncClient(app, log) as client:
            with pytest.raises(OutcomeUnknown, match="ask again with the same id"):
                await client.send(deposit, id="receipt 17", timeout_s=0.3)
            with anyio.move_on_after(0.1):
                await client.send(deposit, id="receipt 17")
            assert not client._waiting
            assert all(not a._missing.total() and not a._found for a in client._client.listening.all())

    async def served() -> tuple[Outcome, Outcome]:
        async with AsyncClient(app, log) as client:
            first = await client.send(deposit, id="receipt 17", timeout_s=WAIT_S)
            return first, await client.send(accounts.to("alice", Withdraw(6)), timeout_s=WAIT_S)

    anyio.run(alone, backend=loop)
    with running(app, log, views):
        first, refused = anyio.run(served, backend=loop)
    assert (first.kind, first.version) == ("accepted", 1)
    assert (refused.kind, refused.reason) == ("refused", "insufficient_funds")


def test_a_send_that_was_written_once_is_not_told_that_nothing_was(views: Views) -> None:
    """Its reply is lost, and then it cannot be asked for again."""
    log = FailingLog()
    provision(log, app.wiring, 2)
    deposit = accounts.to("alice", Deposit(5))

    async def breaks_once_it_is_sent() -> None:
        while not sum(log.end("bank.account.commands", p) for p in range(2)):  # noqa: ASYNC110 - a log tells no loop of its end
            await anyio.sleep(0.01)
        log.appends = 1

    async def main() -> Outcome:
        async with AsyncClient(app, log) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(breaks_once_it_is_sent)
                with pytest.raises(OutcomeUnknown, match="ask again with the same id"):
                    await client.send(deposit, id="receipt 17", timeout_s=2.0)
            log.mute = False
            return await client.send(deposit, id="receipt 17", timeout_s=WAIT_S)

    log.mute = True
    with running(app, log, views) as run:
        run.stands_ready()
        outcome = anyio.run(main)
    assert log.appends == 0
    assert (outcome.kind, outcome.version, outcome.repeated) == ("accepted", 1, True)


def test_a_send_that_could_not_be_written_is_told_so() -> None:
    log = FailingLog()
    provision(log, app.wiring, 2)

    async def main() -> None:
        async with AsyncClient(app, log) as client:
            log.appends = 1
            with pytest.raises(LogUnavailable):
                await client.send(accounts.to("alice", Deposit(5)), timeout_s=WAIT_S)

    anyio.run(main)


def test_what_cannot_be_sent_is_told_to_its_own_sender(log: Log) -> None:
    async def main() -> None:
        client = AsyncClient(app, log)
        with pytest.raises(WrongUse, match="async with"):
            await client.send(accounts.to("alice", Deposit(5)))
        async with client:
            with pytest.raises(InvalidValue):
                await client.send(accounts.to("x" * 300, Deposit(5)))

    anyio.run(main)


def test_a_sender_that_waits_does_not_hold_up_its_loop(log: Log) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async def main() -> None:
        async with AsyncClient(app, log) as client, anyio.create_task_group() as group:
            group.start_soon(tick)
            began = time.monotonic()
            with pytest.raises(OutcomeUnknown):
                await client.send(accounts.to("alice", Deposit(5)), timeout_s=0.5)
            assert time.monotonic() - began < 5
            group.cancel_scope.cancel()

    anyio.run(main)
    assert ticks > 10
