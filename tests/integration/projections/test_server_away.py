"""A runner whose database goes away resumes by itself, exactly once, also where a COMMIT's answer was lost."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from eventcore.cut import Cut
from eventcore.errors import SystemFault, ViewsUnavailable
from projections import ProjectionRunner, Views, open_views
from tests.contracts.views.bank import TOPIC, Bank, balances, catalogue, deposits, new_bank
from tests.integration.projections.cutting import cutting
from tests.servers import PostgresServer

ACCOUNTS = 1_500  # more than a batch sends without COPY
PATIENCE_S = 60.0


def ready(views: Views) -> Views:
    views.upgrade()
    views.prepare([balances])
    return views


def run_to(runner: ProjectionRunner[Any], end: int) -> int:
    """Step until the position is `end`, again after every fault; return how many faults there were."""
    faults, deadline = 0, time.monotonic() + PATIENCE_S
    while runner.position != Cut({(TOPIC, 0): end}):
        assert time.monotonic() < deadline, f"at {runner.position} after {faults} faults"
        try:
            runner.step(0.05)
        except ViewsUnavailable:
            faults += 1
            threading.Event().wait(0.05)  # a server that is away answers at once, and not sooner for being asked more
    return faults


def check_rows(views: Views, rounds: int) -> None:
    with views.rows(balances) as seen:
        assert seen.cut == Cut({(TOPIC, 0): rounds * ACCOUNTS})
        found = {(row.account, row.balance, row.turns) for row in seen}
    expected = {(f"a{n}", sum(n + ACCOUNTS * r for r in range(rounds)), rounds) for n in range(ACCOUNTS)}
    assert found == expected


def write(bank: Bank, first_round: int, rounds: int) -> None:
    every = deposits((first_round + rounds) * ACCOUNTS, ACCOUNTS)
    bank.lanes[0].write(every[first_round * ACCOUNTS :])


@pytest.mark.parametrize("kind", ["before", "after"])
def test_a_commit_whose_answer_was_lost_is_applied_once(kind: Literal["before", "after"], postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    assert parts.port is not None
    bank = new_bank()
    with cutting(parts.port) as proxy:
        address = parts._replace(netloc=parts.netloc.replace(str(parts.port), str(proxy.port))).geturl()
        with contextlib.closing(ready(open_views(address))) as views:
            runner = ProjectionRunner(balances, bank.log, views, catalogue, TOPIC)
            runner.start()
            for number in range(3):
                write(bank, number, 1)
                proxy.cut_at(1, kind)
                assert run_to(runner, (number + 1) * ACCOUNTS) == 1
            assert proxy.cuts == 3
            check_rows(views, 3)


def test_a_server_killed_and_started_again_is_no_more_than_a_pause(own_postgres: PostgresServer) -> None:
    bank = new_bank()
    with contextlib.closing(ready(open_views(own_postgres.url))) as views:
        runner = ProjectionRunner(balances, bank.log, views, catalogue, TOPIC)
        faults: list[int] = []
        rounds = 40
        working = threading.Thread(target=lambda: faults.append(run_to(runner, rounds * ACCOUNTS)))
        working.start()
        for number in range(rounds):
            if number % 10 == 5:
                own_postgres.kill()
            write(bank, number, 1)
            if number % 10 == 5:
                own_postgres.start()
        working.join()
        assert faults
        assert faults[0] > 0
        check_rows(views, rounds)


def test_a_server_that_is_away_is_told_by_its_address(own_postgres: PostgresServer) -> None:
    with contextlib.closing(ready(open_views(own_postgres.url))) as views:
        own_postgres.stop()
        where = urlsplit(own_postgres.url).netloc.rpartition("@")[2]
        with pytest.raises(SystemFault, match=f"Postgres at {where}/postgres does not answer"):
            views.ask(balances, "a")
        own_postgres.start()
        assert views.ask(balances, "a").row is None
