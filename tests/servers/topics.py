"""Topics, made and deleted.

The controller decides, and a broker hears of it a little later: a topic is waited for until it is shown. With several
brokers another one may still not know it.
"""

import time
from concurrent.futures import Future
from typing import cast

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.servers.errors import ServerUnavailable

TIMEOUT_S = 30


def create_topic(bootstrap: str, name: str, *, partitions: int = 1) -> None:
    """Make a topic with the broker's own number of replicas. Raises KafkaException when it exists."""
    admin = AdminClient({"bootstrap.servers": bootstrap})  # kept by name: its end would cut the call short
    made = cast("dict[str, Future[None]]", admin.create_topics([NewTopic(name, partitions, -1)]))
    made[name].result(TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    while name not in admin.list_topics(timeout=TIMEOUT_S).topics:
        if time.monotonic() > deadline:
            raise ServerUnavailable(f"{name} was made at {bootstrap} and is not shown after {TIMEOUT_S} s")
        time.sleep(0.01)


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete a topic. Raises KafkaException when it is not there."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    gone = cast("dict[str, Future[None]]", admin.delete_topics([name]))
    gone[name].result(TIMEOUT_S)
