"""Whether a client could reach its cluster lately."""

from __future__ import annotations

from eventcore.log.kafka.client import Code, KafkaError

UNREACHABLE = frozenset({Code.ALL_BROKERS_DOWN, Code.RESOLVE, Code.TRANSPORT})


class Away:
    """Remembers that a client found no broker; whoever sees an answer sets it right.

    The library says when a cluster goes away, in the client's poll, and never that it is back: so this is a reason to
    ask, not a fact. Apart from what owns the client, so that no cycle keeps the client alive.
    """

    def __init__(self) -> None:
        self.seen = False

    def hear(self, error: KafkaError) -> None:
        """Take one error that the library reports of its own accord (its `error_cb`)."""
        if error.code() in UNREACHABLE:
            self.seen = True
