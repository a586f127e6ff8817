"""The client library as the rest of this package sees it: `Any` where its own types are incomplete, its codes by name.

Calls that serve callbacks raise KafkaException and nothing else for what the client met. The library itself, where a fatal
error (a producer is fenced) and a receipt come to be served by one call, raises the bare KafkaError, which `except
BaseException` does not catch, since it is no exception, or a SystemError, in whose cause the KafkaException stands (seen
in each of 20 flushes of a fenced producer).
"""
# ruff: noqa: SLF001 - the codes of errors that the library itself finds begin with an underscore

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition, admin

__all__ = [
    "READ_COMMITTED",
    "READ_UNCOMMITTED",
    "AdminClient",
    "AlterOperation",
    "Code",
    "ConfigEntry",
    "ConfigResource",
    "Consumer",
    "GroupPositions",
    "KafkaError",
    "KafkaException",
    "NewTopic",
    "OffsetSpec",
    "Producer",
    "TopicPartition",
]

_library: Any = confluent_kafka
_admin: Any = admin


def _raising_one_kind(cls: Any, *names: str) -> Any:
    """The class with these methods raising KafkaException where the library would raise something odd in its place."""
    methods = {name: _with_one_kind(getattr(cls, name)) for name in names}
    return type(cls.__name__, (cls,), methods)


def _with_one_kind(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except KafkaError as bare:  # type: ignore[misc] # see above: it can be raised, and caught, by its name alone
            raise KafkaException(bare) from None
        except SystemError as odd:
            if isinstance(odd.__cause__, KafkaException):
                raise odd.__cause__ from None
            raise

    return call


AdminClient: Final[Any] = _admin.AdminClient
AlterOperation: Final[Any] = _admin.AlterConfigOpType
ConfigEntry: Final[Any] = _admin.ConfigEntry
ConfigResource: Final[Any] = _admin.ConfigResource
Consumer: Final[Any] = _raising_one_kind(_library.Consumer, "poll", "consume", "close")
GroupPositions: Final[Any] = _library.ConsumerGroupTopicPartitions
NewTopic: Final[Any] = _admin.NewTopic
OffsetSpec: Final[Any] = _admin.OffsetSpec
Producer: Final[Any] = _raising_one_kind(
    _library.Producer,
    "poll",
    "flush",
    "init_transactions",
    "send_offsets_to_transaction",
    "commit_transaction",
    "abort_transaction",
)
READ_COMMITTED: Final[Any] = _library.IsolationLevel.READ_COMMITTED
READ_UNCOMMITTED: Final[Any] = _library.IsolationLevel.READ_UNCOMMITTED


class Code:
    """The error codes that we tell apart."""

    # found by the library
    ALL_BROKERS_DOWN = KafkaError._ALL_BROKERS_DOWN
    AUTHENTICATION = KafkaError._AUTHENTICATION
    AUTO_OFFSET_RESET = KafkaError._AUTO_OFFSET_RESET
    CLIENT_DESTROYED = KafkaError._DESTROY
    FATAL = KafkaError._FATAL  # "an error that was told elsewhere": see `produce.hand_over`
    FENCED = KafkaError._FENCED
    MESSAGE_TIMED_OUT = KafkaError._MSG_TIMED_OUT
    NO_LEADERS = KafkaError._NOENT  # what a question for offsets says while no leader is known
    PARTITION_EOF = KafkaError._PARTITION_EOF
    QUEUE_TIMED_OUT = KafkaError._TIMED_OUT_QUEUE
    RESOLVE = KafkaError._RESOLVE
    TIMED_OUT = KafkaError._TIMED_OUT
    TLS = KafkaError._SSL
    TRANSPORT = KafkaError._TRANSPORT
    UNSUPPORTED_FEATURE = KafkaError._UNSUPPORTED_FEATURE

    # said by a broker
    BROKER_NOT_AVAILABLE = KafkaError.BROKER_NOT_AVAILABLE
    CLUSTER_NOT_ALLOWED = KafkaError.CLUSTER_AUTHORIZATION_FAILED
    COORDINATOR_LOADS = KafkaError.COORDINATOR_LOAD_IN_PROGRESS
    COORDINATOR_NOT_AVAILABLE = KafkaError.COORDINATOR_NOT_AVAILABLE
    FENCED_INSTANCE = KafkaError.FENCED_INSTANCE_ID
    FENCED_MEMBER_EPOCH: Final[int] = getattr(KafkaError, "FENCED_MEMBER_EPOCH", 110)
    FENCED_LEADER_EPOCH = KafkaError.FENCED_LEADER_EPOCH
    GROUP_NOT_ALLOWED = KafkaError.GROUP_AUTHORIZATION_FAILED
    ILLEGAL_GENERATION = KafkaError.ILLEGAL_GENERATION
    INVALID_REPLICATION = KafkaError.INVALID_REPLICATION_FACTOR
    INVALID_PRODUCER_EPOCH = KafkaError.INVALID_PRODUCER_EPOCH
    LEADER_NOT_AVAILABLE = KafkaError.LEADER_NOT_AVAILABLE
    NETWORK = KafkaError.NETWORK_EXCEPTION
    NOT_COORDINATOR = KafkaError.NOT_COORDINATOR
    NOT_ENOUGH_REPLICAS = KafkaError.NOT_ENOUGH_REPLICAS
    NOT_ENOUGH_REPLICAS_AFTER = KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND
    NOT_LEADER = KafkaError.NOT_LEADER_FOR_PARTITION
    OFFSET_OUT_OF_RANGE = KafkaError.OFFSET_OUT_OF_RANGE
    PRODUCER_FENCED = KafkaError.PRODUCER_FENCED
    REBALANCE_IN_PROGRESS = KafkaError.REBALANCE_IN_PROGRESS
    REQUEST_TIMED_OUT = KafkaError.REQUEST_TIMED_OUT
    SASL_FAILED = KafkaError.SASL_AUTHENTICATION_FAILED
    STALE_MEMBER_EPOCH: Final[int] = getattr(KafkaError, "STALE_MEMBER_EPOCH", 113)
    TOPIC_EXISTS = KafkaError.TOPIC_ALREADY_EXISTS
    TOPIC_NOT_ALLOWED = KafkaError.TOPIC_AUTHORIZATION_FAILED
    TRANSACTION_NOT_ALLOWED = KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    UNKNOWN = KafkaError.UNKNOWN
    UNKNOWN_LEADER_EPOCH = KafkaError.UNKNOWN_LEADER_EPOCH
    UNKNOWN_MEMBER = KafkaError.UNKNOWN_MEMBER_ID
    UNKNOWN_TOPIC = KafkaError.UNKNOWN_TOPIC_OR_PART
    UNSTABLE_OFFSET = KafkaError.UNSTABLE_OFFSET_COMMIT
    UNSUPPORTED_VERSION = KafkaError.UNSUPPORTED_VERSION
