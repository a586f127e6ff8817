"""Opening a log from the address that says where it is kept.

    memory:                              in this process, for tests
    sqlite:bank.db                       one file, the default
    kafka://host:9092,host:9092?prefix=x a cluster; the prefix stands before topics, groups and transactional ids

Adapters are imported when they are asked for, so that a bare installation needs no driver.
"""

from __future__ import annotations

import importlib.util
import re
from urllib.parse import parse_qsl, urlsplit

from eventcore.errors import InvalidValue, NotSupported, UnknownName
from eventcore.log.options import NONE, ClientOptions
from eventcore.log.port import Log

SCHEMES = ("kafka", "memory", "sqlite")
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:]+)(?::([0-9]{1,5}))?")
PORT_MOST = 65_535

BEFORE_USER = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
URL_WITH_USER = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//\S*@")
PLAIN_USER = re.compile(r"[\w.%+-]*")
SECRET_OPTION = re.compile(r"(?i)(?<=[?&])([a-z_]*(?:password|secret|token|key))=([^&\s]*)")


def masked(address: str) -> str:
    """An address without its secrets, to be shown: of what stands before its last @, a user's name is left at most.

    It holds for addresses of no right form, since those are what is shown in errors. In a file's name an @ hides nothing.
    """
    if not address.startswith("sqlite:") or address.startswith("sqlite://"):
        before, at, after = address.rpartition("@")
        start = match.end() if (match := BEFORE_USER.match(before)) else 0
        user, colon, _ = before[start:].partition(":")
        if colon or not PLAIN_USER.fullmatch(user):
            address = f"{before[:start]}{f'{user}:' if colon else ''}***{at}{after}"
    return SECRET_OPTION.sub(r"\1=***", address)


def masked_in(sentence: str) -> str:
    """A sentence in which the addresses that have a `//` are masked, up to their next blank: for what others say."""
    return SECRET_OPTION.sub(r"\1=***", URL_WITH_USER.sub(lambda url: masked(url[0]), sentence))


def open_log(address: str, options: ClientOptions = NONE, *, replication: int | None = None) -> Log:
    """Open the log at an address.

    `options` are for the Kafka client library, and `replication` says how many replicas new topics have on Kafka (None: as
    the cluster decides); neither concerns another log.

    Raises UnknownName for a scheme that no adapter has, InvalidValue for a malformed address, NotSupported where the
    adapter's extra is not installed, and what the adapter raises.
    """
    scheme, colon, rest = address.partition(":")
    if not colon or scheme not in SCHEMES:
        raise UnknownName("log scheme", masked(scheme if colon else address), [f"{known}:" for known in SCHEMES])
    if scheme == "memory":
        return _memory(address)
    return _sqlite(address, rest) if scheme == "sqlite" else _kafka(address, options, replication)


def _memory(address: str) -> Log:
    if address != "memory:":
        raise InvalidValue("log", f"{masked(address)} names a place, and a log in memory has none; write memory:")
    from eventcore.log.memory import MemoryLog

    return MemoryLog()


def _sqlite(address: str, path: str) -> Log:
    if not path or path.startswith("//") or path == ":memory:":
        raise InvalidValue(
            "log", f"{masked(address)} is not of the form sqlite:PATH, as sqlite:bank.db or sqlite:/var/lib/bank.db"
        )
    from eventcore.log.sqlite import SqliteLog

    return SqliteLog(path)


def _kafka(address: str, client: ClientOptions, replication: int | None) -> Log:
    try:
        parts = urlsplit(address)
    except ValueError:  # it repeats what it was given
        raise _no_kafka() from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = options.pop("prefix", "")
    hosts = parts.netloc.split(",")
    if not all(hosts) or "@" in parts.netloc or parts.path not in {"", "/"} or parts.fragment or options:
        raise _no_kafka()
    for host in hosts:
        if (match := HOST.fullmatch(host)) is None or not 0 < int(match[1] or 9092) <= PORT_MOST:
            raise InvalidValue("log", f"{host} is no host:port; a port is a number from 1 to {PORT_MOST}")
    if importlib.util.find_spec("confluent_kafka") is None:
        raise NotSupported("a log on Kafka needs the client library: pip install 'eventcore-framework[kafka]'")
    from eventcore.log.kafka import KafkaLog  # an optional driver

    return KafkaLog(parts.netloc, prefix, options=client, replication=replication)


def _no_kafka() -> InvalidValue:
    return InvalidValue(
        "log",
        "a Kafka address has the form kafka://host:port,host:port?prefix=NAME and nothing else; credentials and other "
        "options of the client stand in a file (--kafka-config) or in variables (EVENTCORE_KAFKA_SASL_PASSWORD)",
    )
