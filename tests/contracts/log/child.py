"""A process that writes to a log until it is killed: `python -m tests.contracts.log.child ADDRESS`.

It prints the number of each transaction once its commit has returned, and `open` when it leaves one undecided.
"""

from __future__ import annotations

import itertools
import sys
import threading

from eventcore.log.address import open_log
from tests.contracts.log.places import TOPICS, record

LEFT_OPEN = 30  # the transaction that the child appends to and never decides


def main(address: str) -> None:
    """Write transactions of three records in two topics, and a command before each."""
    log = open_log(address)
    writer = log.own(TOPICS, 0)
    for number in itertools.count():
        log.append(TOPICS.commands, 0, [record(str(number))])
        writer.append(TOPICS.events, [record(f"{number}.a"), record(f"{number}.b")])
        writer.append(TOPICS.outcomes, [record(str(number))])
        if number == LEFT_OPEN:
            print("open", flush=True)  # noqa: T201 - the parent reads it
            threading.Event().wait()
        writer.commit(number + 1)
        print(number, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
