"""Topics, made and deleted.

The controller decides, and a broker hears of it a little later, each at its own time: all that are named are waited for.
"""

import time
from concurrent.futures import Future
from typing import cast

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.servers.errors import ServerUnavailable

TIMEOUT_S = 30


def create_topic(bootstrap: str, name: str, *, partitions: int = 1) -> None:
    """Make a topic with the cluster's own number of replicas; every broker at `bootstrap` knows it then.

    Raises KafkaException when it exists.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap})  # kept by name: its end would cut the call short
    made = cast("dict[str, Future[None]]", admin.create_topics([NewTopic(name, partitions, -1)]))
    made[name].result(TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    for address in bootstrap.split(","):
        while not _knows(address, name):
            if time.monotonic() > deadline:
                raise ServerUnavailable(
                    f"{name} was made at {bootstrap}, and {address} does not know it after {TIMEOUT_S} s"
                )
            time.sleep(0.01)


def _knows(address: str, name: str) -> bool:
    """Whether this one broker knows a topic. A client asks the broker that it is given first, and any of them later."""
    admin = AdminClient({"bootstrap.servers": address})
    return name in admin.list_topics(timeout=TIMEOUT_S).topics


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete a topic. Raises KafkaException when it is not there."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    gone = cast("dict[str, Future[None]]", admin.delete_topics([name]))
    gone[name].result(TIMEOUT_S)
