"""Membership, a commit under way beside the next transaction, and posts: the same on every log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection

import pytest

from eventcore.errors import InvalidValue, UnknownName, WrongUse
from eventcore.log.port import RECORD_BYTES_MAX, Log, Member, Record, Share
from tests.contracts.log.places import LANE_READER, PARTITIONS, POLL_S, TOPICS, Place, keys, owned, read, record

JOIN_S = 30.0  # a group forms in about a second; a member that died is missed after the session timeout


class Told(Share):
    """Which partitions are ours, and every call in its order."""

    def __init__(self) -> None:
        self.given: set[int] = set()
        self.calls: list[tuple[str, list[int]]] = []

    def assigned(self, partitions: Collection[int]) -> None:
        """Note what is ours from now on."""
        self.calls.append(("assigned", sorted(partitions)))
        assert not self.given & set(partitions)
        self.given |= set(partitions)

    def revoked(self, partitions: Collection[int]) -> None:
        """Note what is given back; it was ours."""
        self.calls.append(("revoked", sorted(partitions)))
        assert self.given >= set(partitions)
        self.given -= set(partitions)

    def lost(self, partitions: Collection[int]) -> None:
        """Note what is somebody else's."""
        self.calls.append(("lost", sorted(partitions)))
        self.given -= set(partitions)


def until(holds: Callable[[], bool], *members: Member) -> None:
    """Poll members in turn until something holds."""
    deadline = time.monotonic() + JOIN_S
    while not holds():
        assert time.monotonic() < deadline, f"did not come about in {JOIN_S:.0f} s"
        for member in members:
            member.poll(0.05)


def test_the_only_member_is_given_every_partition_once(log: Log) -> None:
    told = Told()
    with contextlib.closing(log.join(TOPICS, told)) as member:
        until(lambda: len(told.given) == PARTITIONS, member)
        member.poll(0.3)
        assert sum(len(partitions) for _, partitions in told.calls) == PARTITIONS
    assert told.given == set()
    assert {name for name, _ in told.calls} == {"assigned", "revoked"}
    with pytest.raises(WrongUse):
        member.poll(0.0)
    member.close()


def test_no_partition_is_two_members_at_a_time_and_a_leaver_s_go_to_the_other(log: Log) -> None:
    """L6: what one is told is taken away before the other is told that it is given."""
    first, second = Told(), Told()
    one, two = log.join(TOPICS, first), log.join(TOPICS, second)
    everything = set(range(PARTITIONS))

    def shared() -> bool:
        assert not first.given & second.given
        return first.given | second.given == everything

    until(shared, one, two)
    one.close()
    assert first.given == set()
    until(lambda: second.given == everything, two)
    two.close()
    assert second.given == set()


def test_other_groups_and_other_aggregates_share_nothing(log: Log) -> None:
    first, second = Told(), Told()
    one, two = log.join(TOPICS, first), log.join(TOPICS, second, "bank.followers-of-account")
    until(lambda: len(first.given) == len(second.given) == PARTITIONS, one, two)
    one.close()
    two.close()


def test_a_group_s_topic_must_exist(log: Log) -> None:
    with pytest.raises(UnknownName):
        log.join(TOPICS._replace(commands="bank.nobody.commands"), Told())


def test_a_member_s_standing_commits_its_position(log: Log) -> None:
    told = Told()
    with contextlib.closing(log.join(TOPICS, told)) as member:
        until(lambda: 0 in told.given, member)
        writer = owned(log)
        for turn in range(5):
            standing = member.standing()
            writer.append(TOPICS.events, [record(str(turn))])
            writer.commit(turn + 1, standing)
        assert log.saved(LANE_READER, TOPICS.commands, 0) == 5
    assert keys(read(log, TOPICS.events)) == ["0", "1", "2", "3", "4"]


def test_a_transaction_is_written_while_the_one_before_is_committed(log: Log) -> None:
    writer = owned(log)
    found: list[int] = []
    for turn in range(30):
        writer.append(TOPICS.events, [record(f"{turn}.{i}") for i in range(10)])
        writer.append(TOPICS.outcomes, [record(str(turn))])
        if turn:
            found += writer.settle()[TOPICS.events]
        writer.begin_commit(turn + 1)
    found += writer.settle()[TOPICS.events]
    assert writer.settled()
    events = read(log, TOPICS.events)
    assert keys(events) == [f"{turn}.{i}" for turn in range(30) for i in range(10)]
    assert [event.offset for event in events] == found
    assert keys(read(log, TOPICS.outcomes)) == [str(turn) for turn in range(30)]
    assert log.saved(LANE_READER, TOPICS.commands, 0) == 30


def test_one_commit_is_under_way_at_a_time(log: Log) -> None:
    writer = owned(log)
    writer.append(TOPICS.events, [record("a")])
    writer.begin_commit(1)
    with pytest.raises(WrongUse, match="settle"):
        writer.begin_commit(2)
    assert list(writer.settle()) == [TOPICS.events]
    assert writer.settle() == {}
    writer.begin_commit(None)
    assert writer.settled()
    assert writer.settle() == {}


def test_what_is_open_can_be_dropped_while_the_commit_before_is_under_way(log: Log) -> None:
    writer = owned(log)
    for turn in range(3):
        writer.append(TOPICS.events, [record(f"kept {turn}")])
        writer.begin_commit(turn + 1)
        writer.append(TOPICS.events, [record(f"dropped {turn}")])
        writer.abort()
        assert len(writer.settle()[TOPICS.events]) == 1
    assert keys(read(log, TOPICS.events)) == ["kept 0", "kept 1", "kept 2"]


def test_a_commit_that_nobody_settled_is_decided_when_the_lane_is_owned_again(place: Place) -> None:
    former = owned(place.log)
    former.append(TOPICS.events, [record("a")])
    former.begin_commit(1)
    rival = place.rival()
    with contextlib.closing(owned(rival)) as owner:
        end = rival.end(TOPICS.events, 0)
        before = keys(read(rival, TOPICS.events, until=end))
        assert before in ([], ["a"])
        owner.append(TOPICS.events, [record("b")])
        owner.commit(2)
        assert keys(read(rival, TOPICS.events)) == [*before, "b"]
    former.close()


def test_posts_arrive_without_anybody_waiting(log: Log) -> None:
    log.post(TOPICS.commands, 0, [record("a"), record("b")])
    log.post(TOPICS.commands, 0, [record("c")])
    log.post(TOPICS.commands, 0, [])
    with contextlib.closing(log.follow(TOPICS.commands, {0: 0})) as follower:
        found: list[str] = []
        deadline = time.monotonic() + POLL_S
        while len(found) < 3 and time.monotonic() < deadline:
            found += keys(list(follower.poll(10, 1.0).get(0, ())))
    assert found == ["a", "b", "c"]


def test_a_post_that_no_log_could_keep_is_refused(log: Log) -> None:
    with pytest.raises(InvalidValue):
        log.post(TOPICS.commands, 0, [Record(b"k", b"v" * RECORD_BYTES_MAX)])
    with pytest.raises(UnknownName):
        log.post("bank.nobody.commands", 0, [record("a")])
    with pytest.raises(InvalidValue):
        log.post(TOPICS.commands, PARTITIONS, [record("a")])
