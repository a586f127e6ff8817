"""A process that decides what stands in some partitions of the small job, a lane and a thread each: see `kafka`.

    python -m benchmarks.drain BOOTSTRAP PREFIX PARTITIONS COUNT

It says `ready` on stdout when its lanes stand ready, and begins when a line comes on stdin.
"""

from __future__ import annotations

import sys
import threading

from benchmarks.job import SMALL, drain
from eventcore.log.kafka import KafkaLog


def main(bootstrap: str, prefix: str, partitions: str, count: str) -> None:
    """Decide `count` commands in each of the partitions."""
    log = KafkaLog(bootstrap, prefix=prefix)
    lanes = [SMALL.lane(log, int(partition)) for partition in partitions.split(",")]
    for lane in lanes:
        lane.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    threads = [threading.Thread(target=drain, args=(lane, int(count), 1.0)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lane in lanes:
        lane.close()
    log.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
