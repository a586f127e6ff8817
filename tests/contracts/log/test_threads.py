"""Handles shared by threads: appenders, a lane and followers at once."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Generator

import pytest

from eventcore.errors import Fenced, OutcomeUnknown, SystemFault, WrongUse
from eventcore.log.port import Log, Recorded
from tests.contracts.log.places import POLL_S, TOPICS, Place, keys, owned, read, record

APPENDERS = 4
APPENDS = 25


@contextlib.contextmanager
def running(*works: Callable[[], object]) -> Generator[None]:
    """Run each work in a thread of its own; on leaving, wait for all and raise what one of them raised.

    Also when the test itself has failed, by then usually because of it.
    """
    raised: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again by the test's own thread
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(60)
        if raised:
            raise raised[0]
        assert not any(thread.is_alive() for thread in threads), "a thread of the test's does not end"


def test_appenders_a_lane_and_followers_work_at_once(log: Log) -> None:
    expected = APPENDERS * APPENDS * 2
    seen: list[list[Recorded]] = [[], []]

    def appender(name: int) -> None:
        for i in range(APPENDS):
            log.append(TOPICS.commands, 0, [record(f"{name}.{i}.{part}") for part in (0, 1)])

    def follower(mine: list[Recorded], topic: str) -> None:
        with contextlib.closing(log.follow(topic, {0: 0})) as reader:
            while len(mine) < expected:
                mine += reader.poll(50, POLL_S).get(0, ())

    def lane() -> None:
        done = 0
        with (
            contextlib.closing(owned(log)) as writer,
            contextlib.closing(log.follow(TOPICS.commands, {0: 0})) as reader,
        ):
            while done < expected:
                if not (commands := reader.poll(10, POLL_S).get(0, ())):
                    continue
                writer.append(TOPICS.events, [record((c.key or b"").decode()) for c in commands])
                writer.commit(commands[-1].offset + 1)
                done += len(commands)

    works: list[Callable[[], object]] = [functools.partial(appender, name) for name in range(APPENDERS)]
    works += [lane, lambda: follower(seen[0], TOPICS.commands), lambda: follower(seen[1], TOPICS.events)]
    with running(*works):
        pass
    commands, events = seen
    assert keys(commands) == keys(events)
    assert [r.offset for r in commands] == sorted({r.offset for r in commands})
    for name in range(APPENDERS):
        own = [key for key in keys(commands) if key.startswith(f"{name}.")]
        assert own == [f"{name}.{i}.{part}" for i in range(APPENDS) for part in (0, 1)]


def test_of_owners_at_the_same_time_one_at_most_commits_afterwards(place: Place) -> None:
    """Every winner's commit is in the log; whoever was told Fenced wrote nothing after the last winner had begun."""
    committed: list[str] = []
    start = threading.Barrier(3)

    def contender(name: int) -> None:
        log = place.rival()
        start.wait(POLL_S)
        with contextlib.suppress(Fenced, OutcomeUnknown, WrongUse):  # a broker that is asked meanwhile may be surprised
            writer = owned(log)
            for i in range(5):
                writer.append(TOPICS.events, [record(f"{name}.{i}")])
                writer.commit(None)
                committed.append(f"{name}.{i}")

    with running(*(functools.partial(contender, name) for name in range(3))):
        pass
    found = keys(read(place.log, TOPICS.events))
    assert set(committed) <= set(found)
    last = {name: max((i for i, key in enumerate(found) if key[0] == name), default=-1) for name in "012"}
    for name in "012":
        own = [key for key in found if key[0] == name]
        assert own == [f"{name}.{i}" for i in range(len(own))]
        first = min((i for i, key in enumerate(found) if key[0] == name), default=0)
        others = [other for other in "012" if other != name and first < last[other] < last[name]]
        assert not others, f"{found}: the writers {others} and {name} wrote by turns"


def test_closing_a_log_ends_a_waiting_follower(log: Log) -> None:
    follower = log.follow(TOPICS.commands, {0: 0})
    waits = threading.Event()

    def wait() -> None:
        waits.set()
        with pytest.raises(WrongUse, match="closed"):
            follower.poll(1, POLL_S)

    began = time.monotonic()
    with running(wait):
        waits.wait(POLL_S)
        log.close()
    assert time.monotonic() - began < POLL_S / 2


def test_owning_in_the_midst_of_commits_fences_at_once(place: Place) -> None:
    """The former owner commits without pause while the lane changes hands: what follows is the new owner's alone (L2)."""
    former = owned(place.log)
    began = threading.Event()
    kept: list[str] = []

    def commits() -> None:
        with contextlib.suppress(SystemFault):
            for i in range(100_000):
                former.append(TOPICS.events, [record(f"former.{i}")])
                former.commit(i)
                kept.append(f"former.{i}")
                began.set()

    with running(commits):
        assert began.wait(POLL_S)
        rival = place.rival()
        owner = owned(rival)
        end = rival.end(TOPICS.events, 0)
        before = keys(read(rival, TOPICS.events, until=end))
    owner.append(TOPICS.events, [record("owner")])
    owner.commit(None)
    assert keys(read(rival, TOPICS.events)) == [*before, "owner"]
    assert before[: len(kept)] == kept
    assert len(before) <= len(kept) + 1, "at most the commit that was under way has an answer that never came"
    rival.close()
