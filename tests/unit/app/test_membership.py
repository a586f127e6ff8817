"""A worker's part in a group: what it does with what it is given, and with what is taken from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator

import pytest

from eventcore.app import membership as joining
from eventcore.app import supervision
from eventcore.app.membership import Membership
from eventcore.app.parts import LanePart, Portion
from eventcore.app.supervision import Supervised
from eventcore.errors import EventcoreError, LogUnavailable, NotSupported
from eventcore.lane.runner import LaneRunner
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Member, Share, Standing
from eventcore.topics import Topics
from tests.bank import COMMANDS, EVENTS, TOPICS, Deposit, accounts, command, outcomes, provision, send
from tests.running import WAIT_S, wait_until

Told = Callable[[Share], None]


class ToldMember:
    """A member whose group is a test: each poll does the next thing that it is told to."""

    def __init__(self, share: Share, things: list[Told]) -> None:
        self.share = share
        self.things = things
        self.closed = False

    def poll(self, timeout_s: float) -> None:
        """Do the next thing."""
        if self.things:
            self.things.pop(0)(self.share)
        else:
            threading.Event().wait(min(timeout_s, 0.01))

    def standing(self) -> Standing | None:
        """Nobody asks."""
        return None

    def close(self) -> None:
        """Leave."""
        self.closed = True


class Group(MemoryLog):
    """A log whose groups do what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.things: list[Told] = []
        self.members: list[ToldMember] = []

    def join(self, topics: Topics, share: Share, group: str | None = None) -> Member:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # it is this test's
        """Take part."""
        self.members.append(ToldMember(share, self.things))
        return self.members[-1]


class Part:
    """A membership and what it has started."""

    def __init__(self, log: Group) -> None:
        self.log = log
        self.portion = Portion()
        self.lanes: list[Supervised] = []
        self.refused: list[EventcoreError] = []
        self.member = Membership(log, TOPICS, self.portion, self._adopt, self.refused.append, self._make)

    def _make(self, partition: int, standing: Callable[[], Standing | None]) -> LaneRunner:
        return LaneRunner(self.log, accounts, TOPICS, partition, commands=COMMANDS, events=EVENTS, standing=standing)

    def _adopt(self, part: LanePart) -> Supervised:
        child = Supervised(part, self.refused.append)
        self.lanes.append(child)
        child.thread.start()
        return child

    def does(self, thing: Told) -> None:
        """Let the group do a thing, and wait until it is done."""
        self.log.things.append(thing)
        wait_until(lambda: not self.log.things, "the group to do it")


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Generator[Part]:
    """A membership of two partitions that has begun."""
    monkeypatch.setattr(supervision, "POLL_S", 0.02)
    log = Group()
    provision(log, 2)
    part = Part(log)
    part.member.thread.start()
    yield part
    part.member.end()
    part.member.thread.join(WAIT_S)
    assert not part.member.thread.is_alive()
    for lane in part.lanes:
        lane.thread.join(WAIT_S)
        assert not lane.thread.is_alive()


def running(part: Part) -> set[str]:
    """The lanes that run."""
    return {lane.name for lane in part.lanes if lane.status == "running"}


def test_what_is_given_runs_and_what_is_taken_ends_with_its_batch_committed(part: Part) -> None:
    part.does(lambda share: share.assigned([0, 1]))
    wait_until(lambda: running(part) == {"bank.account[0]", "bank.account[1]"}, "both lanes")
    assert part.portion.partitions == {0, 1}
    send(part.log, *(command(f"a{n}", Deposit(1), n) for n in range(20)))
    part.does(lambda share: share.revoked([1]))
    wait_until(lambda: running(part) == {"bank.account[0]"}, "one lane")
    assert part.portion.partitions == {0}
    assert part.lanes[1].status == "released"
    part.does(lambda share: share.assigned([1]))
    wait_until(lambda: len(outcomes(part.log, 0)) + len(outcomes(part.log, 1)) == 20, "every outcome")


def test_what_is_lost_is_dropped_without_waiting(part: Part) -> None:
    part.does(lambda share: share.assigned([0, 1]))
    wait_until(lambda: len(running(part)) == 2, "both lanes")
    part.does(lambda share: share.lost([0, 1]))
    wait_until(lambda: [lane.status for lane in part.lanes] == ["released"] * 2, "none")
    assert not part.portion.partitions


def test_a_lane_that_does_not_end_in_time_is_left_behind(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "REVOKE_S", 0.05)
    over = threading.Event()

    def hang(_lane: LaneRunner, _timeout_s: float) -> int:
        over.wait(WAIT_S)
        return 0

    monkeypatch.setattr(LaneRunner, "flow", hang)
    part.does(lambda share: share.assigned([0]))
    wait_until(lambda: len(running(part)) == 1, "the lane")
    part.does(lambda share: share.revoked([0]))
    assert part.lanes[0].thread.is_alive()
    assert not part.portion.partitions
    over.set()


def test_a_group_that_is_away_is_asked_again_and_its_lanes_go_on(part: Part) -> None:
    def away(_: Share) -> None:
        raise LogUnavailable("the broker is away")

    part.does(lambda share: share.assigned([0]))
    wait_until(lambda: len(running(part)) == 1, "the lane")
    part.does(away)
    wait_until(lambda: part.member.reason == "", "it to be well again")
    assert running(part) == {"bank.account[0]"}
    assert len(part.log.members) == 1


def test_a_group_that_cannot_be_joined_ends_the_worker_with_the_reason(part: Part) -> None:
    def too_old(_: Share) -> None:
        raise NotSupported("these brokers do not know the protocol")

    part.does(too_old)
    wait_until(lambda: [str(each) for each in part.refused] == ["these brokers do not know the protocol"], "the reason")


def test_what_nobody_foresaw_ends_the_membership_and_begins_another(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "PAUSE_MOST_S", 0.01)

    def broken(_: Share) -> None:
        raise ZeroDivisionError

    part.does(lambda share: share.assigned([0]))
    part.does(broken)
    wait_until(lambda: len(part.log.members) == 2, "another one")
    assert part.log.members[0].closed
    assert part.lanes[0].status == "released"
    part.does(lambda share: share.assigned([0]))
    wait_until(lambda: running(part) == {"bank.account[0]"}, "the lane")
