"""Opening a log from the address that says where it is kept.

    memory:                              in this process, for tests
    sqlite:bank.db                       one file, the default
    kafka://host:9092,host:9092?prefix=x a cluster; the prefix stands before topics, groups and transactional ids

Adapters are imported when they are asked for, so that a bare installation needs no driver.
"""

from __future__ import annotations

import importlib.util
from urllib.parse import parse_qsl, urlsplit

from eventcore.errors import InvalidValue, NotSupported, UnknownName
from eventcore.log.options import NONE, ClientOptions
from eventcore.log.port import Log

SCHEMES = ("kafka", "memory", "sqlite")


def open_log(address: str, options: ClientOptions = NONE, *, replication: int | None = None) -> Log:
    """Open the log at an address.

    `options` are for the Kafka client library, and `replication` says how many replicas new topics have on Kafka (None: as
    the cluster decides); neither concerns another log.

    Raises UnknownName for a scheme that no adapter has, InvalidValue for a malformed address, NotSupported where the
    adapter's extra is not installed, and what the adapter raises.
    """
    scheme, colon, rest = address.partition(":")
    if not colon or scheme not in SCHEMES:
        raise UnknownName("log scheme", scheme if colon else address, [f"{known}:" for known in SCHEMES])
    if scheme == "memory":
        return _memory(rest)
    return _sqlite(rest) if scheme == "sqlite" else _kafka(address, options, replication)


def _memory(rest: str) -> Log:
    if rest:
        raise InvalidValue("log", f"memory:{rest} names a place, and a log in memory has none; write memory:")
    from eventcore.log.memory import MemoryLog

    return MemoryLog()


def _sqlite(path: str) -> Log:
    if not path or path.startswith("//") or path == ":memory:":
        raise InvalidValue(
            "log", f"sqlite:{path} is not of the form sqlite:PATH, as sqlite:bank.db or sqlite:/var/lib/bank.db"
        )
    from eventcore.log.sqlite import SqliteLog

    return SqliteLog(path)


def _kafka(address: str, client: ClientOptions, replication: int | None) -> Log:
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = options.pop("prefix", "")
    hosts = parts.netloc.split(",")
    if not all(hosts) or "@" in parts.netloc or parts.path not in {"", "/"} or parts.fragment or options:
        raise InvalidValue(
            "log",
            "a Kafka address has the form kafka://host:port,host:port?prefix=NAME and nothing else; credentials and other "
            "options of the client stand in a file (--kafka-config) or in variables (EVENTCORE_KAFKA_SASL_PASSWORD)",
        )
    if importlib.util.find_spec("confluent_kafka") is None:
        raise NotSupported("a log on Kafka needs the client library: pip install 'eventcore-framework[kafka]'")
    from eventcore.log.kafka import KafkaLog  # an optional driver

    return KafkaLog(parts.netloc, prefix, options=client, replication=replication)
