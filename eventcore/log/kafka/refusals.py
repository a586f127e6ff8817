"""What a client heard of being refused: a wrong password or an unknown certificate shows in no answer, only beside them.

A question to a cluster that refuses us ends as if there were no cluster (`_TRANSPORT` after its whole timeout, measured);
the library tells why in its error callback alone, which it calls in our poll.
"""

from __future__ import annotations

from eventcore.log.kafka.client import KafkaError, KafkaException
from eventcore.log.kafka.faults import NOT_ALLOWED


class Refusals:
    """Remembers the last refusal until it is taken. Apart from what owns the client, so that no cycle keeps that alive."""

    def __init__(self) -> None:
        self._last: KafkaError | None = None

    def hear(self, error: KafkaError) -> None:
        """Take one error that the library reports of its own accord (its `error_cb`)."""
        if error.code() in NOT_ALLOWED:
            self._last = error

    def take(self) -> KafkaException | None:
        """The last refusal since this was asked last."""
        last, self._last = self._last, None
        return None if last is None else KafkaException(last)
