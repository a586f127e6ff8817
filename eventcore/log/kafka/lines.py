"""The client library's log lines: passed on to `logging`, and searched for the one thing that only they tell.

librdkafka speaks the first version of the transaction protocol. When the connection to the transaction coordinator
fails, or a request to it times out, while a commit is in flight, it asks again on a new connection and reports success;
the first request may still be on its way and would then decide the *next* transaction of that producer, in part. This
was produced against a 4.3 broker. Nothing but a log line tells, so it is looked for after every commit and abort.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("eventcore.log.kafka")
COORDINATOR = "TxnCoordinator"
BROKEN = frozenset({"FAIL", "REQTMOUT"})


class ClientLines:
    """What a client of the library logs to: it calls `log` from within its own poll, in our thread.

    Lines are passed on as INFO at most: what matters is raised as an error where it is felt, and a broker that is away
    makes several lines a second.
    """

    def __init__(self) -> None:
        self._broken: list[str] = []

    def log(self, level: int, message: str, *parts: object) -> None:
        """Take one line: its facility, the client's name, the text."""
        if parts and parts[0] in BROKEN and COORDINATOR in str(parts[-1]):
            self._broken.append(str(parts[-1]))
        LOGGER.log(min(level, logging.INFO), message, *parts)

    def take_broken(self) -> str | None:
        """The last line that told of a broken talk with the transaction coordinator, since this was asked last."""
        broken, self._broken = self._broken, []
        return broken[-1] if broken else None
