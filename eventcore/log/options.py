"""Options of the Kafka client library that a user sets: read from a file and the environment, checked, never shown whole.

    security.protocol=SASL_SSL            a line of the file, as Kafka's tools and librdkafka's write it
    EVENTCORE_KAFKA_SECURITY_PROTOCOL     the same option as a variable; it wins over the file

The names are librdkafka's. Some are eventcore's own to set, since its guarantees stand on them; HELD says which, and why.
Which others exist is the library's to say, when a log is opened. Apart from the driver, so that settings can be read and
shown without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eventcore.errors import InvalidValue

VARIABLE: Final = "EVENTCORE_KAFKA_"
FILE_VARIABLE: Final = "EVENTCORE_KAFKA_CONFIG"  # names the file; it is no option
NAME = re.compile(r"[a-z][a-z0-9._]*")
SECRET = re.compile(
    r"password|passphrase|secret|jaas|token(?!\.endpoint)|assertion\.private|key\.pem|oauthbearer\.config|_key$"
)
HIDDEN: Final = "***"

_ADDRESS = "the log's address says where the cluster is: kafka://HOST:PORT,HOST:PORT"
_GROUP = (
    "eventcore names its consumer groups after the app's machines; ?prefix=NAME in the log's address stands before them"
)
_READ = "lanes and projections read committed records, from offsets that they know themselves"
_POSITION = "positions are saved in the transaction of the batch that consumed them"
_FENCE = "it is what fences a lane's former owner"
_ORDER = "records of a lane or a relay are in order, each once and none missing, on the strength of it"
_BATCH = "with another value each transaction would wait, and a lane's rate would fall to a fiftieth"
_SIZE = "eventcore's topics are made for records of this size"
_LINES = "the log lines that it would hide tell when a commit must not be trusted"
_CODE = "it is no text; eventcore listens there itself"

HELD: Final[Mapping[str, str]] = {
    "acks": _ORDER,
    "auto.commit.enable": _POSITION,
    "auto.commit.interval.ms": _POSITION,
    "auto.offset.reset": _READ,
    "allow.auto.create.topics": "topics are made by `eventcore topics apply`, with their own retention",
    "bootstrap.servers": _ADDRESS,
    "delivery.report.only.error": _ORDER,
    "delivery.timeout.ms": _ORDER,
    "enable.auto.commit": _POSITION,
    "enable.auto.offset.store": _POSITION,
    "enable.gapless.guarantee": _ORDER,
    "enable.idempotence": _ORDER,
    "enable.partition.eof": _READ,
    "group.id": _GROUP,
    "group.instance.id": _GROUP,
    "group.protocol.type": _GROUP,
    "isolation.level": _READ,
    "log.connection.close": _LINES,
    "log.thread.name": _LINES,
    "log_level": _LINES,
    "max.in.flight": _ORDER,
    "max.in.flight.requests.per.connection": _ORDER,
    "message.max.bytes": _SIZE,
    "message.send.max.retries": _ORDER,
    "message.timeout.ms": _ORDER,
    "metadata.broker.list": _ADDRESS,
    "offset.store.method": _POSITION,
    "partition.assignment.strategy": "partitions move one by one, without stopping the others; group.protocol may be chosen",
    "partitioner": "eventcore chooses the partition of each record itself, as Java's client would",
    "request.required.acks": _ORDER,
    "retries": _ORDER,
    "retry.backoff.ms": _BATCH,
    "topic.blacklist": "eventcore must see all of its topics",
    "transaction.timeout.ms": "it says how long a dead lane holds back its readers, and other waits are measured by it",
    "transactional.id": _FENCE,
} | dict.fromkeys(
    (
        *("background_event_cb", "closesocket_cb", "connect_cb", "consume_cb", "default_topic_conf", "dr_cb"),
        *("dr_msg_cb", "enabled_events", "error_cb", "interceptors", "log_cb", "log.queue", "logger", "oauth_cb"),
        *("oauthbearer_token_refresh_cb", "offset_commit_cb", "on_delivery", "opaque", "open_cb", "partitioner_cb"),
        *("rebalance_cb", "resolve_cb", "socket_cb", "ssl.certificate.verify_cb", "stats_cb", "throttle_cb"),
        *("ssl_ca", "ssl_certificate", "ssl_engine_callback_data", "ssl_key", "default.topic.config"),
    ),
    _CODE,
)

JAVA: Final[Mapping[str, str]] = {
    "sasl.jaas.config": "sasl.username and sasl.password",
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.truststore.location": "ssl.ca.location, which names a file in PEM",
    "ssl.truststore.password": "ssl.ca.location, which names a file in PEM and needs no password",
    "ssl.truststore.type": "ssl.ca.location, which names a file in PEM",
    "ssl.keystore.type": "ssl.certificate.location and ssl.key.location, which name files in PEM",
    "ssl.keystore.key": "ssl.key.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
}


@dataclass(frozen=True, repr=False)
class ClientOptions:
    """Options by name, and where each was set. Its text shows no secret.

    Raises InvalidValue where one is eventcore's own to set.
    """

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    origins: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for name in self.values:
            self._check(name)

    def __repr__(self) -> str:
        return f"ClientOptions({', '.join(f'{name}={value}' for name, value, _ in self.shown())})"

    def shown(self) -> Iterator[tuple[str, str, str]]:
        """Each option's name, its value or HIDDEN, and where it was set."""
        for name, value in self.values.items():
            yield name, HIDDEN if SECRET.search(name) else value, self.origins.get(name, "the program")

    def where(self, name: str) -> str:
        """The option with its origin, for errors."""
        return f"Kafka option {name} (from {self.origins.get(name, 'the program')})"

    def redacted(self, text: str) -> str:
        """A text of the library's without the values that are secret."""
        for name, value in self.values.items():
            if value and SECRET.search(name):
                text = text.replace(value, HIDDEN)
        return text

    def _check(self, name: str) -> None:
        if name in HELD:
            raise InvalidValue(self.where(name), f"eventcore sets it itself: {HELD[name]}. Leave it out")
        if name in JAVA:
            raise InvalidValue(self.where(name), f"is an option of Kafka's Java client; write {JAVA[name]}")


NONE: Final = ClientOptions()


def read_options(environment: Mapping[str, str], file: Path | None = None) -> ClientOptions:
    """What a file and the variables EVENTCORE_KAFKA_* set; the variables win, an empty one sets nothing.

    Raises InvalidValue for a file or a name that cannot be meant. No error shows a value.
    """
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    if file is not None:
        for number, name, value in _lines(file):
            if name in values:
                raise InvalidValue(f"{file}:{number}", f"{name} is set a second time (first in {origins[name]})")
            values[name], origins[name] = value, f"{file}:{number}"
    for variable in sorted(environment):
        if variable.startswith(VARIABLE) and variable != FILE_VARIABLE and environment[variable]:
            name = variable.removeprefix(VARIABLE).lower().replace("_", ".")
            values[name], origins[name] = environment[variable], variable
    return ClientOptions(values, origins)


def _lines(file: Path) -> Iterator[tuple[int, str, str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as broken:
        raise InvalidValue(str(file), "is no text in UTF-8") from broken
    except OSError as away:
        raise InvalidValue(str(file), f"the file of Kafka options cannot be read: {away.strerror}") from away
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        name, equals, value = line.partition("=")
        if not equals or NAME.fullmatch(name := name.strip()) is None:
            # The line is not repeated here: it may hold a password.
            raise InvalidValue(f"{file}:{number}", "expected name=value, as security.protocol=SASL_SSL, or a # comment")
        yield number, name, value.strip()
