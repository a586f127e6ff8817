"""A log over TLS with a password, on a broker that lets nobody else in; and what is said when it does not let us in."""

import contextlib
import time
from pathlib import Path

import pytest

from eventcore.errors import LogUnavailable
from eventcore.log.address import open_log
from eventcore.log.options import ClientOptions, read_options
from eventcore.log.port import Record, TopicPlan
from eventcore.topics import Topics
from tests import servers

TOPICS = Topics.of("bank", "account")
PLANS = [TopicPlan(topic, 1) for topic in TOPICS]
PATIENCE_S = 8.0  # a question to a cluster that is away takes 10; a refusal is told before that


def test_a_lane_commits_and_a_reader_reads_over_tls_with_a_password(
    secure_kafka: servers.SecureKafka, tmp_path: Path
) -> None:
    file = tmp_path / "client.properties"
    lines = [f"{name}={value}" for name, value in secure_kafka.options().items() if name != "sasl.password"]
    file.write_text("\n".join(lines))
    options = read_options({"EVENTCORE_KAFKA_SASL_PASSWORD": secure_kafka.password}, file)
    with contextlib.closing(open_log(f"kafka://{secure_kafka.bootstrap}?prefix=lane-", options)) as log:
        log.provision(PLANS)
        assert list(log.append(TOPICS.commands, 0, [Record(b"a", b"command")])) == [0]
        writer = log.own(TOPICS, 0)
        writer.append(TOPICS.events, [Record(b"a", b"event")])
        assert list(writer.commit(1)[TOPICS.events]) == [0]
        follower = log.follow(TOPICS.events, {0: 0})
        assert [record.value for record in follower.poll(10, 10.0)[0]] == [b"event"]
        assert log.saved("bank.account", TOPICS.commands, 0) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("sasl.password", "Authentication failed: Invalid username or password"),
        ("ssl.ca.location", "certificate could not be verified"),
    ],
)
def test_a_refusal_is_told_soon_and_not_as_a_cluster_that_is_away(
    secure_kafka: servers.SecureKafka, tmp_path: Path, wrong: str, said: str
) -> None:
    others = {"sasl.password": "hush", "ssl.ca.location": str(servers.make_certificates(tmp_path)[0])}
    options = ClientOptions({**secure_kafka.options(), wrong: others[wrong]})
    with contextlib.closing(open_log(f"kafka://{secure_kafka.bootstrap}", options)) as log:
        asked = time.monotonic()
        with pytest.raises(
            LogUnavailable, match="refuses this client, or cannot be trusted: check credentials"
        ) as raised:
            log.provision(PLANS)
        assert time.monotonic() - asked < PATIENCE_S
        assert said in str(raised.value)
        assert "hush" not in str(raised.value)
