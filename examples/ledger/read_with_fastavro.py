"""Every event of a ledger on Kafka, in ten lines without eventcore: `python read_with_fastavro.py HOST:PORT PREFIX`.

The schemas stand in the log itself, their keys end with the fingerprint in hexadecimal. A record's value is c3 01, the
fingerprint of its schema in 8 bytes, and the body. The end of each partition comes as an error.
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from json import loads
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from fastavro import parse_schema, schemaless_reader  # pyright: ignore[reportUnknownVariableType] - IO of what?

settings = {"group.id": "none", "enable.auto.commit": False, "enable.partition.eof": True}
reader: Any = Consumer({"bootstrap.servers": sys.argv[1], **settings})


def _records(topic: str) -> Iterator[Any]:
    reader.assign([TopicPartition(topic, number, 0) for number in reader.list_topics(topic).topics[topic].partitions])
    for _ in reader.assignment():
        while not (record := reader.poll(30)).error():
            yield record


schemas = {r.key()[-16:].decode(): parse_schema(loads(r.value())) for r in _records(sys.argv[2] + "ledger.schemas")}
for r in _records(sys.argv[2] + "ledger.account.events"):
    print(r.key().decode(), schemaless_reader(BytesIO(r.value()[10:]), schemas[r.value()[2:10].hex()]))
