"""The one table from the library's error codes to our errors."""

from __future__ import annotations

from typing import Any

from eventcore.errors import Fenced, LogUnavailable, OutcomeUnknown, SystemFault
from eventcore.log.kafka.client import Code, KafkaError, KafkaException

FENCED = frozenset({Code.FENCED, Code.FENCED_INSTANCE, Code.INVALID_PRODUCER_EPOCH, Code.PRODUCER_FENCED})
REFUSED = frozenset(  # a member's standing that is past
    {
        Code.FENCED_MEMBER_EPOCH,
        Code.ILLEGAL_GENERATION,
        Code.REBALANCE_IN_PROGRESS,
        Code.STALE_MEMBER_EPOCH,
        Code.UNKNOWN_MEMBER,
    }
)
AWAY = frozenset(
    {
        Code.ALL_BROKERS_DOWN,
        Code.BROKER_NOT_AVAILABLE,
        Code.CLIENT_DESTROYED,
        Code.COORDINATOR_LOADS,
        Code.COORDINATOR_NOT_AVAILABLE,
        Code.FENCED_LEADER_EPOCH,
        Code.LEADER_NOT_AVAILABLE,
        Code.MESSAGE_TIMED_OUT,
        Code.NETWORK,
        Code.NOT_COORDINATOR,
        Code.NOT_LEADER,
        Code.NO_LEADERS,
        Code.QUEUE_TIMED_OUT,
        Code.REQUEST_TIMED_OUT,
        Code.RESOLVE,
        Code.TIMED_OUT,
        Code.TRANSPORT,
        Code.UNKNOWN_LEADER_EPOCH,
    }
)
TOO_FEW_REPLICAS = frozenset({Code.NOT_ENOUGH_REPLICAS, Code.NOT_ENOUGH_REPLICAS_AFTER})
NOT_ALLOWED = frozenset(
    {
        Code.AUTHENTICATION,
        Code.CLUSTER_NOT_ALLOWED,
        Code.GROUP_NOT_ALLOWED,
        Code.SASL_FAILED,
        Code.TLS,
        Code.TOPIC_NOT_ALLOWED,
        Code.TRANSACTION_NOT_ALLOWED,
    }
)


def error_of(raised: BaseException) -> KafkaError | None:
    """The library's error in an exception, also where it arrived wrapped by a callback; None if it is another thing."""
    cause = raised.__cause__ if isinstance(raised, SystemError) else raised
    if isinstance(cause, KafkaException) and cause.args:
        error: Any = cause.args[0]
        return error if isinstance(error, KafkaError) else None
    return None


def code_of(raised: BaseException) -> int | None:
    """The library's error code in an exception."""
    error = error_of(raised)
    return None if error is None else error.code()


def fault(raised: BaseException, doing: str, bootstrap: str, *, sent: bool = False) -> SystemFault:
    """Our error for one of the library's: raise it from `raised`.

    `doing` says what failed, as "committing bank.account[0]"; `sent` says that it may have happened all the same.
    """
    error = error_of(raised)
    code, text = (None, repr(raised)) if error is None else (error.code(), error.str())
    if code in FENCED:
        return Fenced(
            f"{doing}: another process owns this lane now ({text}). This lane steps down; nothing more is written. "
            "If it happens often, look for two workers with the same prefix"
        )
    if code in REFUSED:
        return Fenced(
            f"{doing}: the group's coordinator refused this process's standing ({text}): the partition was taken away, or "
            "the group changed meanwhile. Nothing was written; own the lane again only if it is still this process's"
        )
    if code in AWAY:
        advice = f"Kafka at {bootstrap} does not answer. Is it running and reachable from here?"
    elif code in TOO_FEW_REPLICAS:
        advice = f"fewer replicas are in sync than the topic demands; look at the brokers of {bootstrap}"
    elif code in NOT_ALLOWED:
        advice = f"Kafka at {bootstrap} refuses this client, or cannot be trusted: check credentials, certificates and access rules"
    else:
        advice = f"Kafka at {bootstrap} refused"
    if sent:
        return OutcomeUnknown(f"{doing}: {advice} ({text}). It may have been written: look in the log, or ask again")
    return LogUnavailable(f"{doing}: {advice} ({text}). Nothing was changed; it can be tried again")
