"""Names of topics, keys, and the partition that Java's client would choose."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, Message, Producer
from hypothesis import given
from hypothesis import strategies as st

from eventcore.errors import InvalidValue
from eventcore.topics import Topics, key_of, murmur2, partition_of, schemas_topic


def signed(number: int) -> int:
    """A number of 32 bits as Java shows it."""
    return number - 2**32 if number >= 2**31 else number


@pytest.mark.parametrize(
    ("data", "hash_"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_the_values_of_kafkas_own_test(data: bytes, hash_: int) -> None:
    """Source: org.apache.kafka.common.utils.UtilsTest.testMurmur2."""
    assert signed(murmur2(data)) == hash_


def test_the_partition_is_the_one_that_librdkafka_chooses_with_murmur2() -> None:
    """Against the other implementation, on a cluster that librdkafka mocks by itself."""
    chosen: dict[bytes, int] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, str(error)
        key, partition = message.key(), message.partition()
        assert isinstance(key, bytes)
        assert partition is not None
        chosen[key] = partition

    producer = Producer({"test.mock.num.brokers": 1, "partitioner": "murmur2", "log_level": 2})
    keys = (
        [b"x" * n for n in range(1, 12)] + [f"account-{n}".encode() for n in range(200)] + ["жук".encode(), b"\xff" * 5]
    )
    for key in keys:
        producer.produce("topic", key=key, on_delivery=delivered)
    assert producer.flush(30) == 0
    partitions = producer.list_topics("topic").topics["topic"].partitions
    assert chosen == {key: partition_of(key, len(partitions)) for key in keys}


@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_partition_is_one_of_those_there_are(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


def test_topics_bear_the_apps_and_the_aggregates_name() -> None:
    assert Topics.of("bank", "account") == (
        "bank.account.commands",
        "bank.account.events",
        "bank.account.outcomes",
        "bank.account.snapshots",
    )
    assert schemas_topic("bank") == "bank.schemas"


@given(st.text(min_size=1, max_size=63, alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_key_is_the_id_in_utf_8(id_: str) -> None:
    assert key_of(id_).decode() == id_


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "has 1 to 255 bytes of UTF-8, this one has 0"),
        ("x" * 256, "this one has 256"),
        ("ж" * 128, "this one has 256"),
        ("\udcff", "cannot be written as UTF-8"),
    ],
)
def test_an_id_that_cannot_be_a_key_is_refused(bad: str, said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        key_of(bad)
