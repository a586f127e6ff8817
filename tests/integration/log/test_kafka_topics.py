"""Topics on a cluster of three brokers, and on one whose settings would lose data."""

import contextlib
from collections.abc import Generator
from concurrent.futures import Future
from typing import cast

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eventcore.errors import InvalidValue, LogUnavailable
from eventcore.log.address import open_log
from eventcore.log.port import COMMANDS_KEPT_MS, Record, TopicPlan
from tests import servers

PLANS = [
    TopicPlan("bank.account.commands", 2, "delete", COMMANDS_KEPT_MS),
    TopicPlan("bank.account.events", 2),
    TopicPlan("bank.account.snapshots", 2, "compact"),
]


@pytest.fixture(scope="module")
def careless() -> Generator[servers.KafkaCluster]:
    """Three brokers whose default is three replicas, of which one is enough for a write to count."""
    with servers.own_cluster({"min.insync.replicas": "1", "unclean.leader.election.enable": "true"}) as cluster:
        yield cluster


@pytest.mark.server
@pytest.mark.parametrize("replication", [None, 3])
def test_topics_demand_two_replicas_in_sync_whatever_the_clusters_default_is(
    careless: servers.KafkaCluster, replication: int | None
) -> None:
    prefix = f"r{replication}-"
    with contextlib.closing(open_log(f"kafka://{careless.bootstrap}?prefix={prefix}", replication=replication)) as log:
        assert log.differences(PLANS) == []
        log.provision(PLANS)
        assert log.differences(PLANS) == []


@pytest.mark.server
def test_a_topic_that_somebody_else_made_is_told_with_all_that_it_would_lose(careless: servers.KafkaCluster) -> None:
    admin = AdminClient({"bootstrap.servers": careless.bootstrap})
    made = cast("dict[str, Future[None]]", admin.create_topics([NewTopic("other-bank.account.events", 2, 3)]))
    made["other-bank.account.events"].result(30)
    with contextlib.closing(open_log(f"kafka://{careless.bootstrap}?prefix=other-")) as log:
        found = log.differences(PLANS)
    assert {(each.topic, each.setting, each.found) for each in found if each.loses} == {
        ("bank.account.events", "retention.ms", "604800000"),
        ("bank.account.events", "message.timestamp.after.max.ms", "3600000"),
        ("bank.account.events", "min.insync.replicas", "1"),
        ("bank.account.events", "unclean.leader.election.enable", "true"),
    }


def test_more_replicas_than_brokers_are_refused_by_name(kafka: str, kafka_prefix: str) -> None:
    with contextlib.closing(open_log(f"kafka://{kafka}?prefix={kafka_prefix}", replication=9)) as log:
        with pytest.raises(
            InvalidValue, match="replication: 9 replicas cannot be had .* There must be as many brokers"
        ):
            log.provision(PLANS)
        with pytest.raises(InvalidValue, match="replication"):
            log.provision(PLANS[:1])


@pytest.mark.server
def test_no_end_is_told_while_a_partition_has_no_leader(careless: servers.KafkaCluster) -> None:
    with contextlib.closing(open_log(f"kafka://{careless.bootstrap}?prefix=led-", replication=1)) as log:
        log.provision(PLANS[1:2])
        log.append("bank.account.events", 0, [Record(b"a", b"event")])
        leader = careless.leader_of("led-bank.account.events", 0)
        leader.kill()
        with pytest.raises(LogUnavailable, match="Leader not available|does not answer"):
            log.stable_end("bank.account.events", 0)
        leader.start()
        assert log.stable_end("bank.account.events", 0) == 1
