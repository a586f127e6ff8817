"""The first use of a server, made once a run, so that no test's tight time-out meets it.

A fresh broker makes its internal topics when the first transaction and the first group ask for them: the first
`init_transactions` takes about 1 s, the first group up to 3 s to join, since the client waits between its retries.
"""

import time
import uuid
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer

from tests.servers.errors import ServerUnavailable
from tests.servers.topics import create_topic, delete_topic

WARM_TIMEOUT_S = 30


def warm_kafka(bootstrap: str) -> None:
    """Commit one transaction and read it in a group. Raises ServerUnavailable when the broker does not do either."""
    name = f"warm-{uuid.uuid4().hex[:12]}"
    try:
        create_topic(bootstrap, name)
        _commit_one(bootstrap, name)
        _read_one(bootstrap, name)
        delete_topic(bootstrap, name)
    except KafkaException as error:
        raise ServerUnavailable(
            f"the broker at {bootstrap} did not serve a transaction and a group: {error}"
        ) from error


def warm_postgres(url: str) -> None:
    """Connect once. Raises ServerUnavailable when there is no server, or its user may not create databases."""
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute(
                "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except psycopg.OperationalError as error:
        where = urlsplit(url)
        raise ServerUnavailable(f"no Postgres answers at {where.hostname}:{where.port}: {error}") from error
    if row is None or not row[0]:
        raise ServerUnavailable(
            "the user of EVENTCORE_TEST_POSTGRES may not create databases; each test makes one. Grant CREATEDB."
        )


def _commit_one(bootstrap: str, topic: str) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": topic, "retry.backoff.ms": 10, "log_level": 3}
    )
    producer.init_transactions(WARM_TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(topic, b"warm")
    producer.commit_transaction(WARM_TIMEOUT_S)


def _read_one(bootstrap: str, topic: str) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "retry.backoff.ms": 10,
            "log_level": 3,
        }
    )
    try:
        consumer.subscribe([topic])
        deadline = time.monotonic() + WARM_TIMEOUT_S
        while (message := consumer.poll(0.5)) is None or message.error() is not None:
            if time.monotonic() > deadline:
                raise ServerUnavailable(
                    f"the broker at {bootstrap} let no consumer group read within {WARM_TIMEOUT_S} s"
                )
    finally:
        consumer.close()
