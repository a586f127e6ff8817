"""Topics, made and deleted; each call returns when the broker has done it."""

from concurrent.futures import Future
from typing import cast

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

TIMEOUT_S = 30


def create_topic(bootstrap: str, name: str, *, partitions: int = 1) -> None:
    """Make a topic with the broker's own number of replicas. Raises KafkaException when it exists."""
    admin = AdminClient({"bootstrap.servers": bootstrap})  # kept by name: its end would cut the call short
    made = cast("dict[str, Future[None]]", admin.create_topics([NewTopic(name, partitions, -1)]))
    made[name].result(TIMEOUT_S)


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete a topic. Raises KafkaException when it is not there."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    gone = cast("dict[str, Future[None]]", admin.delete_topics([name]))
    gone[name].result(TIMEOUT_S)
