"""Topic names, and which partition an instance lives in.

Every aggregate (and every saga) has four topics of the same number of partitions; the key of a record is the
instance's id in UTF-8, and its partition is what Java's default partitioner would choose: murmur2 of the key, sign
bit cleared, modulo the number of partitions. It is set explicitly, so that every producer in any language agrees.
Source of murmur2: Austin Appleby's MurmurHash2 with Kafka's seed, org.apache.kafka.common.utils.Utils.murmur2.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from eventcore.errors import InvalidValue

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
ID_BYTES_MAX = 255  # a key is stored with every record of its instance; longer ones are documents, not names
SEED, M, R, MASK = 0x9747B28C, 0x5BD1E995, 24, 0xFFFFFFFF


class Topics(NamedTuple):
    """The four topics of one aggregate or saga."""

    commands: str
    events: str
    outcomes: str
    snapshots: str

    @staticmethod
    def of(app: str, name: str) -> Topics:
        """The topics of `name` in the app; a log may put a prefix of its cluster before them."""
        stem = f"{app}.{name}"
        return Topics(f"{stem}.commands", f"{stem}.events", f"{stem}.outcomes", f"{stem}.snapshots")


def schemas_topic(app: str) -> str:
    """The compacted topic that holds the schema of every record of the app; key `<topic>/<fingerprint hex>`."""
    return f"{app}.schemas"


def replies_topic(app: str) -> str:
    """The topic through which clients are told outcomes: short-lived, and nobody's truth."""
    return f"{app}.replies"


def key_of(instance_id: str) -> bytes:
    """The record key of an instance. Raises InvalidValue where the id is no text, empty, too long or not UTF-8."""
    if type(instance_id) is not str:
        raise InvalidValue("id", f"an instance id is a str, this is {instance_id!r}")
    try:
        key = instance_id.encode()
    except UnicodeEncodeError as broken:
        raise InvalidValue("id", f"{instance_id!r} cannot be written as UTF-8") from broken
    if not 0 < len(key) <= ID_BYTES_MAX:
        raise InvalidValue("id", f"an instance id has 1 to {ID_BYTES_MAX} bytes of UTF-8, this one has {len(key)}")
    return key


@functools.lru_cache(maxsize=100_000)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Java's default partitioner chooses it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2 of `data` with Kafka's seed, as an unsigned 32-bit number."""
    length = len(data)
    h = SEED ^ length
    for i in range(0, length - length % 4, 4):
        k = int.from_bytes(data[i : i + 4], "little") * M & MASK
        h = (h * M & MASK) ^ ((k ^ k >> R) * M & MASK)
    rest = data[length - length % 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * M & MASK
    h = (h ^ h >> 13) * M & MASK
    return h ^ h >> 15
