"""The log on Kafka, through librdkafka: for production. `KafkaLog` is all that others use.

What librdkafka does here and the figures are measured (2.16 against Kafka 4.3); each file says which behaviour it
works around and what was seen. The rules that shape the whole:

K1  Every consumer is assigned explicit offsets with `auto.offset.reset=error`. Given the choice, a client whose committed
    offset is unstable silently starts over at the reset policy. Only members of a group subscribe, and they read nothing.
K2  A transaction touches only partitions that its lane alone writes, so no lane holds back another's readers.
K3  Every wait ends: calls have timeouts, and those whose timeouts were seen to fail run in a thread that is left behind.
K4  After any failure a writer is finished, and the lane is owned again: there is one way out of every error.
"""

from eventcore.log.kafka.log import KafkaLog

__all__ = ["KafkaLog"]
