"""L4: what was acknowledged is there after a reopening, and after a process was killed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from eventcore.log.address import open_log
from eventcore.log.port import Log
from tests.contracts.log.child import LEFT_OPEN
from tests.contracts.log.places import LANE_READER, TOPICS, keys, owned, plans, read, record

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.server)])
def address(request: pytest.FixtureRequest) -> str:
    """Where an empty log is, with the suite's topics."""
    if request.param == "sqlite":
        found = f"sqlite:{request.getfixturevalue('tmp_path')}/bank.db"
    else:
        found = f"kafka://{request.getfixturevalue('kafka')}?prefix={request.getfixturevalue('kafka_prefix')}"
    with contextlib.closing(open_log(found)) as log:
        log.provision(plans(TOPICS))
    return found


@contextlib.contextmanager
def opened(address: str) -> Generator[Log]:
    """A handle of its own."""
    with contextlib.closing(open_log(address)) as log:
        yield log


def test_everything_is_there_after_a_reopening(address: str) -> None:
    with opened(address) as log:
        log.append(TOPICS.commands, 1, [record("command")])
        writer = owned(log, 1)
        writer.append(TOPICS.events, [record("event")])
        writer.commit(1)
        writer.append(TOPICS.events, [record("open")])
        log.save("relay", TOPICS.events, {1: 1})
        end = log.end(TOPICS.commands, 1)
    with opened(address) as log:
        assert log.partitions(TOPICS.events) == 2
        assert log.end(TOPICS.commands, 1) == end
        assert keys(read(log, TOPICS.commands, 1)) == ["command"]
        assert keys(read(log, TOPICS.events, 1)) == ["event"]
        assert log.saved(LANE_READER, TOPICS.commands, 1) == 1
        assert log.saved("relay", TOPICS.events, 1) == 1
        writer = owned(log, 1)
        writer.append(TOPICS.events, [record("next")])
        writer.commit(2)
        assert keys(read(log, TOPICS.events, 1)) == ["event", "next"]


@pytest.mark.parametrize("acknowledged", [1, 12, LEFT_OPEN])
def test_what_was_acknowledged_survives_a_killed_process(address: str, acknowledged: int) -> None:
    """The last transaction is either whole or absent; the one left open is absent once the lane is owned."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.contracts.log.child", address], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with child:
        assert child.stdout is not None
        told = [child.stdout.readline().strip() for _ in range(acknowledged)]
        if acknowledged == LEFT_OPEN:
            assert child.stdout.readline().strip() == "open"
        child.kill()
        told += child.stdout.read().split()
    assert told == [str(number) for number in range(len(told))]
    with opened(address) as log:
        with contextlib.closing(owned(log)):
            outcomes = keys(read(log, TOPICS.outcomes))
        assert outcomes[: len(told)] == told
        assert len(outcomes) <= (LEFT_OPEN if acknowledged == LEFT_OPEN else len(told) + 1)
        assert keys(read(log, TOPICS.events)) == [f"{number}.{part}" for number in outcomes for part in "ab"]
        assert keys(read(log, TOPICS.commands))[: len(outcomes)] == outcomes
        assert log.saved(LANE_READER, TOPICS.commands, 0) == len(outcomes)
