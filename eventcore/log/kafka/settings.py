"""How our clients are configured, and what each setting is for.

Three layers, each over the one before: what suits us and may be tuned, what the user set (eventcore/log/options.py), and
what our guarantees stand on, which a user's options cannot name.
"""

from __future__ import annotations

import os
import platform
from typing import Any

import msgspec

from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.names import Kind, concerns
from eventcore.log.options import NONE, ClientOptions
from eventcore.topics import Topics

ANSWER_S = 10.0  # how long one question to the cluster may take before we say that it is away
RING = 2  # transactional ids a lane: the next transaction need not wait until the last one's markers are written
TRANSACTION_MS = 60_000  # the broker's default; an abandoned transaction holds readers back for so long at most
BATCH_BYTES_MAX = 1_048_588  # what a broker accepts by default: RECORD_BYTES_MAX and its framing fit
POSTS_MAX = 100_000  # posted records that wait to be sent; more are dropped
POSTS_KBYTES_MAX = 65_536
POST_MS = 10_000  # a posted record that is not delivered by then is dropped: whoever waited asks again
EOF_WAIT_MS = 50  # how late a follower learns that only gaps were left: a fetch waits so long for records


class KafkaSettings(msgspec.Struct, frozen=True):
    """Where the cluster is, and what stands before the names of topics, groups and transactional ids."""

    bootstrap: str
    prefix: str = ""
    transaction_ms: int = TRANSACTION_MS
    options: ClientOptions = NONE
    replication: int | None = None  # of new topics; None: as the cluster decides

    def name(self, topic: str) -> str:
        """The topic's name in the cluster."""
        return self.prefix + topic

    def group(self, reader: str) -> str:
        """The consumer group that keeps a reader's position."""
        return self.prefix + reader

    def transactional_id(self, topics: Topics, partition: int, slot: int) -> str:
        """The id that fences: the same for every process that owns this lane."""
        return f"{self.prefix}{topics.commands.removesuffix('.commands')}.{partition}.{slot}"

    def admin(self, lines: ClientLines) -> dict[str, Any]:
        """For questions and provisioning."""
        return self._client("admin", lines, {}, {})

    def appender(self, lines: ClientLines) -> dict[str, Any]:
        """For records outside any lane: in order, without gaps, sent at once."""
        held = {
            # What fails must not let later records through. The guarantee covers refusals; messages that time out are
            # not covered, so none does: the caller's deadline purges all of them and drops the client.
            "enable.gapless.guarantee": True,
            "message.timeout.ms": 0,
        }
        return self._producer(lines, {"linger.ms": 0}, held)

    def poster(self, lines: ClientLines) -> dict[str, Any]:
        """For records that nobody counts on: never many at a time, and none that is late."""
        held = {
            "queue.buffering.max.messages": POSTS_MAX,
            "queue.buffering.max.kbytes": POSTS_KBYTES_MAX,
            "message.timeout.ms": POST_MS,
        }
        return self._producer(lines, {"linger.ms": 0}, held)

    def transactional(self, transactional_id: str, lines: ClientLines) -> dict[str, Any]:
        """For a lane's transactions."""
        held = {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": self.transaction_ms,
            "retry.backoff.ms": 1,  # 100, the default, is waited in every transaction: 9.9 a second against 511
        }
        # no linger costs 10-20 % of the rate; a commit flushes at once anyway
        return self._producer(lines, {"linger.ms": 1}, held)

    def consumer(self, group: str, lines: ClientLines) -> dict[str, Any]:
        """For reading committed records from explicit offsets (K1)."""
        tuned = {
            "fetch.wait.max.ms": EOF_WAIT_MS,
            "fetch.queue.backoff.ms": 5,  # 1,000, the default, stops fetching for a second once the queue was full
            # What a flood may fill in each reader, beside what a lane has taken: the rest waits in the topic.
            "queued.min.messages": 20_000,
            "queued.max.messages.kbytes": 16_384,
        }
        held = {"enable.partition.eof": True}  # tells that nothing but gaps is left
        return self._client("consumer", lines, tuned, self._positions(group) | held)

    def member(self, group: str, lines: ClientLines) -> dict[str, Any]:
        """For taking part in a group; nothing is read through it."""
        tuned = {"group.protocol": "consumer"}
        # what the broker and `eventcore status` call this process
        name = f"{self.options.values.get('client.id', 'eventcore')}-{platform.node() or 'host'}-{os.getpid()}"
        config = self._client("member", lines, tuned, self._positions(group) | {"client.id": name})
        if config["group.protocol"] == "classic":
            config["partition.assignment.strategy"] = "cooperative-sticky"
        return config

    def _producer(self, lines: ClientLines, tuned: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
        tuned = {"queue.buffering.max.messages": 1_000_000, **tuned}
        held = {"acks": "all", "enable.idempotence": True, "message.max.bytes": BATCH_BYTES_MAX, **held}
        return self._client("producer", lines, tuned, held)

    def _positions(self, group: str) -> dict[str, Any]:
        """What no consumer of ours may do otherwise: it reads what is committed, and never moves a position by itself."""
        return {
            "group.id": group,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }

    def _client(self, kind: Kind, lines: ClientLines, tuned: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
        usual = {
            "reconnect.backoff.max.ms": 1_000,  # the default, 10 s, makes us find a restarted broker that late
            "socket.keepalive.enable": True,
        }
        chosen = {name: value for name, value in self.options.values.items() if concerns(name, kind)}
        return usual | tuned | chosen | held | {"bootstrap.servers": self.bootstrap, "logger": lines}
