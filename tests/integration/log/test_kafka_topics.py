"""Topics on a cluster of three brokers, and on one whose settings would lose data."""

import contextlib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import confluent_kafka.admin
import pytest

from eventcore.errors import InvalidValue, LogUnavailable
from eventcore.log.address import open_log
from eventcore.log.port import COMMANDS_KEPT_MS, Difference, Log, Record, TopicPlan
from tests import servers
from tests.running import wait_until
from tests.servers.topics import create_topic

admin_library: Final[Any] = confluent_kafka.admin
AdminClient: Final[Any] = admin_library.AdminClient
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
def test_workers_that_start_together_on_a_new_cluster_never_see_a_topic_that_would_lose_data(
    careless: servers.KafkaCluster,
) -> None:
    """Topics are made with their settings, never changed afterwards: in between, another would refuse to run on them."""

    def start(log: Log) -> Sequence[Difference]:
        log.provision(PLANS)
        return log.differences(PLANS)

    for again in range(3):
        with contextlib.ExitStack() as stack:
            logs = [open_log(f"kafka://{careless.bootstrap}?prefix=together{again}-") for _ in range(3)]
            for log in logs:
                stack.callback(log.close)
            with ThreadPoolExecutor(len(logs)) as threads:
                assert list(threads.map(start, logs)) == [[], [], []]


@pytest.mark.server
def test_a_cluster_that_does_not_tell_its_default_is_told_how_many_replicas_to_make() -> None:
    """As many managed clusters: clients may make topics, and not read the brokers' settings."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with servers.own_kafka(settings) as broker:
        _forbid_reading_settings_of(broker.bootstrap)
        with (
            contextlib.closing(open_log(f"kafka://{broker.bootstrap}?prefix=mute-")) as log,
            pytest.raises(InvalidValue, match="does not tell .* how many replicas .* --replication"),
        ):
            log.provision(PLANS)
        with contextlib.closing(open_log(f"kafka://{broker.bootstrap}?prefix=mute-", replication=1)) as log:
            log.provision(PLANS)
            assert log.differences(PLANS) == []


def _forbid_reading_settings_of(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    rules = [
        admin_library.AclBinding(
            admin_library.ResourceType.BROKER,
            "kafka-cluster",
            admin_library.ResourcePatternType.LITERAL,
            "User:ANONYMOUS",
            "*",
            operation,
            permission,
        )
        for operation, permission in [
            (admin_library.AclOperation.ALL, admin_library.AclPermissionType.ALLOW),
            (admin_library.AclOperation.DESCRIBE_CONFIGS, admin_library.AclPermissionType.DENY),
        ]
    ]
    for made in admin.create_acls(rules).values():
        made.result(30)
    broker = admin_library.ConfigResource(admin_library.ConfigResource.Type.BROKER, "1")
    wait_until(lambda: _refused(admin.describe_configs([broker])[broker]), "the rules hold")


def _refused(answer: Any) -> bool:
    try:
        answer.result(30)
    except confluent_kafka.KafkaException:
        return True
    return False


@pytest.mark.server
def test_a_topic_that_somebody_else_made_is_told_with_all_that_it_would_lose(careless: servers.KafkaCluster) -> None:
    create_topic(careless.bootstrap, "other-bank.account.events", partitions=2)
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
