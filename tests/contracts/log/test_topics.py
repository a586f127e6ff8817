"""Provisioning, saved positions and the ends of handles."""

from __future__ import annotations

import pytest

from eventcore.errors import InvalidValue, NotSupported, UnknownName, WrongUse
from eventcore.log.port import COMMANDS_KEPT_MS, Log, TopicPlan
from tests.contracts.log.places import TOPICS, keys, owned, plans, read, record


def test_provisioning_again_changes_nothing(log: Log) -> None:
    log.append(TOPICS.commands, 0, [record("kept")])
    log.provision(plans(TOPICS))
    log.provision([*plans(TOPICS), TopicPlan("bank.more", 3)])
    assert keys(read(log, TOPICS.commands)) == ["kept"]
    assert (log.partitions(TOPICS.commands), log.partitions("bank.more")) == (2, 3)


def test_every_kind_of_plan_is_provisioned(log: Log) -> None:
    log.provision(
        [
            TopicPlan("bank.schemas", 1, "compact"),
            TopicPlan("bank.x.commands", 1, kept_ms=COMMANDS_KEPT_MS),
            TopicPlan("bank.x.events", 1),
        ]
    )
    log.append("bank.schemas", 0, [record("a")])
    assert keys(read(log, "bank.schemas")) == ["a"]


def test_other_numbers_of_partitions_are_refused_naming_each(log: Log) -> None:
    others = [TopicPlan(TOPICS.commands, 3), TopicPlan(TOPICS.outcomes, 2), TopicPlan(TOPICS.events, 1)]
    with pytest.raises(NotSupported, match=r"account\.commands has 2, planned are 3; .*\.events has 2, planned are 1"):
        log.provision([*others, TopicPlan("bank.never", 1)])
    assert log.partitions(TOPICS.commands) == 2
    with pytest.raises(UnknownName):
        log.partitions("bank.never")


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", 'a"b', "x" * 250, ".", ".."])
def test_topic_names_that_a_broker_refuses_are_refused(log: Log, name: str) -> None:
    with pytest.raises(InvalidValue, match="topic name"):
        log.provision([TopicPlan(name, 1)])


def test_a_topic_has_partitions(log: Log) -> None:
    with pytest.raises(InvalidValue, match="at least one partition"):
        log.provision([TopicPlan("bank.none", 0)])


def test_saved_positions_are_remembered_by_reader_topic_and_partition(log: Log) -> None:
    assert log.saved("relay", TOPICS.events, 0) is None
    log.save("relay", TOPICS.events, {0: 5, 1: 0})
    log.save("other", TOPICS.events, {0: 6})
    log.save("relay", TOPICS.outcomes, {0: 7})
    log.save("relay", TOPICS.events, {0: 8})
    log.save("relay", TOPICS.events, {})
    assert [log.saved("relay", TOPICS.events, p) for p in (0, 1)] == [8, 0]
    assert [log.saved("other", TOPICS.events, p) for p in (0, 1)] == [6, None]
    assert log.saved("relay", TOPICS.outcomes, 0) == 7


def test_a_closed_log_says_so(log: Log) -> None:
    log.append(TOPICS.commands, 0, [record("a")])
    writer, follower = owned(log), log.follow(TOPICS.commands, {0: 0})
    log.close()
    log.close()
    for use in (
        lambda: log.append(TOPICS.commands, 0, [record("b")]),
        lambda: log.end(TOPICS.commands, 0),
        lambda: owned(log),
        lambda: follower.poll(1, 0.0),
        lambda: writer.append(TOPICS.events, [record("b")]),
        lambda: writer.commit(1),
    ):
        with pytest.raises(WrongUse, match="closed"):
            use()
    writer.close()
    follower.close()


def test_a_closed_follower_says_so(log: Log) -> None:
    follower = log.follow(TOPICS.commands, {0: 0})
    follower.close()
    follower.close()
    with pytest.raises(WrongUse, match="closed"):
        follower.poll(1, 0.0)
