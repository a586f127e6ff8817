"""What is said of a topic's settings on Kafka, setting by setting."""

import pytest

from eventcore.log.kafka.topics import Found, differences, settings_of
from eventcore.log.port import COMMANDS_KEPT_MS, TopicPlan

COMMANDS = TopicPlan("bank.account.commands", 4, "delete", COMMANDS_KEPT_MS)
EVENTS = TopicPlan("bank.account.events", 4)
SNAPSHOTS = TopicPlan("bank.account.snapshots", 4, "compact")
REPLIES = TopicPlan("bank.replies", 8, "delete", 3_600_000, kept_bytes=64_000_000)


def judged(plan: TopicPlan, changed: dict[str, str], replication: int = 3) -> list[tuple[str, bool]]:
    """The settings that are found to differ after `changed`, and whether each loses data."""
    settings = settings_of(plan, replication) | changed
    found = differences(plan, Found(plan.partitions, replication, settings), None)
    return [(each.setting, each.loses) for each in found]


@pytest.mark.parametrize("plan", [COMMANDS, EVENTS, SNAPSHOTS, REPLIES])
@pytest.mark.parametrize("replication", [1, 2, 3, 5])
def test_a_topic_made_as_planned_is_as_planned(plan: TopicPlan, replication: int) -> None:
    assert judged(plan, {}, replication) == []


@pytest.mark.parametrize(
    ("plan", "changed"),
    [
        (EVENTS, {"retention.ms": "604800000"}),
        (EVENTS, {"retention.bytes": "1000000000"}),
        (EVENTS, {"cleanup.policy": "compact"}),
        (EVENTS, {"cleanup.policy": "compact,delete"}),
        (SNAPSHOTS, {"cleanup.policy": "delete"}),
        (SNAPSHOTS, {"cleanup.policy": "delete,compact"}),
        (COMMANDS, {"retention.ms": "3600000"}),
        (COMMANDS, {"retention.bytes": "1000000"}),
        (COMMANDS, {"cleanup.policy": "compact"}),
        (EVENTS, {"unclean.leader.election.enable": "true"}),
        (EVENTS, {"min.insync.replicas": "1"}),
        (EVENTS, {"min.insync.replicas": "4"}),
        (EVENTS, {"message.timestamp.type": "LogAppendTime"}),
        (COMMANDS, {"message.timestamp.after.max.ms": "3600000"}),
        (COMMANDS, {"message.timestamp.before.max.ms": "3600000"}),
        (SNAPSHOTS, {"max.message.bytes": "100000"}),
    ],
)
def test_a_setting_that_loses_data_is_named(plan: TopicPlan, changed: dict[str, str]) -> None:
    (name,) = changed
    assert judged(plan, changed) == [(name, True)]


@pytest.mark.parametrize("longer", ["-1", "2592000000"])
def test_commands_that_are_kept_longer_differ_and_lose_nothing(longer: str) -> None:
    assert judged(COMMANDS, {"retention.ms": longer}) == [("retention.ms", False)]


def test_nobodys_truth_is_in_the_replies_so_nothing_of_them_is_lost() -> None:
    assert judged(REPLIES, {"retention.ms": "1000", "min.insync.replicas": "1", "cleanup.policy": "compact"}) == []


def test_another_number_of_partitions_or_replicas_is_told() -> None:
    found = Found(8, 1, settings_of(EVENTS, 1))
    assert [str(each) for each in differences(EVENTS, found, 3)] == [
        "bank.account.events: partitions is 8, planned is 4: instances would live elsewhere than their past",
        "bank.account.events: replicas is 1, planned is 3: it is as durable as its replicas",
    ]


def test_one_replica_that_must_be_in_sync_is_all_that_one_or_two_can_give() -> None:
    assert judged(EVENTS, {"min.insync.replicas": "1"}, 1) == []
    assert judged(EVENTS, {"min.insync.replicas": "1"}, 2) == []
    assert judged(EVENTS, {"unclean.leader.election.enable": "true"}, 1) == []
