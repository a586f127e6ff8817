"""A lane on a broker that deletes commands before the lane has read them, as retention does where it is that far behind."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import TopicPartition, admin

from eventcore.log.kafka import KafkaLog
from eventcore.log.options import ClientOptions
from tests.bank import TOPICS, Account, Deposit, command, lane_on, outcomes, provision, run, send
from tests.contracts.log.places import POLL_S

LITTLE_AHEAD = ClientOptions({"queued.min.messages": "1", "max.partition.fetch.bytes": "200"})  # a command or two

_admin: Any = admin


@pytest.fixture
def log(kafka: str, kafka_prefix: str) -> Iterator[KafkaLog]:
    """An empty log whose readers hold next to nothing of what they were not asked for yet."""
    with contextlib.closing(KafkaLog(kafka, kafka_prefix, options=LITTLE_AHEAD)) as log:
        provision(log)
        yield log


def delete_before(kafka: str, topic: str, offset: int) -> None:
    """Let the broker delete the records of the only partition below an offset, and wait until it has."""
    client = _admin.AdminClient({"bootstrap.servers": kafka})
    for deleted in client.delete_records([TopicPartition(topic, 0, offset)]).values():
        assert deleted.result(POLL_S).low_watermark == offset


def test_a_running_lane_goes_on_behind_commands_that_were_deleted_and_says_which(
    log: KafkaLog, kafka: str, kafka_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(40):
        send(log, command("bob", Deposit(1), n))
    lane = lane_on(log)
    lane.start()
    assert lane.step(POLL_S) > 0
    delete_before(kafka, kafka_prefix + TOPICS.commands, 35)
    with caplog.at_level(logging.ERROR, "eventcore.lane"):
        run(lane, log, POLL_S)
    causes = [outcome.cause for outcome in outcomes(log)]
    decided = causes.index(35)
    assert causes == [*range(decided), *range(35, 40)]
    assert lane.memory.instances == {b"bob": (Account(decided + 5), decided + 5)}
    assert [record.getMessage().partition(" were deleted")[0] for record in caplog.records] == [
        f"bank.account.commands[0]: {35 - decided} commands, @{decided} to @34,"
    ]
    before = lane.memory
    lane.start()
    assert lane.memory.next_command == 40
    assert lane.memory.instances == before.instances
    send(log, command("bob", Deposit(1), 40))
    run(lane, log, POLL_S)
    assert outcomes(log)[-1].cause == 40
