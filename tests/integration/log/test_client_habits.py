"""Habits of the client library that are no faults, and would be ours if we did not know of them (docs/explanation/kafka.md).

The traps that need a network which fails are in test_traps.py; that a fenced client is told late, and that an end is behind for
a moment after a commit, is part of what the contract suite and test_rules.py hold every takeover to.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from eventcore.log.checks import lane_reader
from eventcore.log.kafka import KafkaLog
from eventcore.log.options import ClientOptions
from tests.bank import TOPICS, Deposit, command, kinds, lane_on, outcomes, provision, run, send
from tests.contracts.log.places import owned, record

pytestmark = pytest.mark.server


def test_a_lone_record_is_not_waited_with_for_more(kafka: str, kafka_prefix: str) -> None:
    """Asked for n records, the library waits the whole time unless n arrive."""
    with contextlib.closing(KafkaLog(kafka, kafka_prefix)) as log:
        provision(log)
        follower = log.follow(TOPICS.commands, {0: 0})
        follower.poll(1_000, 1.0)  # connected
        log.append(TOPICS.commands, 0, [record("alone")])
        began = time.monotonic()
        assert [r.key for r in follower.poll(1_000, 30.0)[0]] == [b"alone"]
        assert time.monotonic() - began < 15.0
        follower.close()


def test_more_records_than_the_client_keeps_are_handed_over_as_it_sends_them(kafka: str, kafka_prefix: str) -> None:
    """A producer whose queue is full refuses records: they are offered again, in their order."""
    options = ClientOptions({"queue.buffering.max.messages": "100"})
    with contextlib.closing(KafkaLog(kafka, kafka_prefix, options=options)) as log:
        provision(log)
        writer = owned(log)
        names = [f"{number:04}" for number in range(2_000)]
        writer.append(TOPICS.events, [record(name) for name in names])
        offsets = writer.commit(1)[TOPICS.events]
        assert len(offsets) == len(names)
        assert list(offsets) == sorted(offsets)
        assert len(log.append(TOPICS.commands, 0, [record(name) for name in names])) == len(names)


def test_the_clock_of_a_transaction_starts_with_its_first_record(kafka: str, kafka_prefix: str) -> None:
    """A writer may have been idle for longer than a transaction may last."""
    with contextlib.closing(KafkaLog(kafka, kafka_prefix, transaction_ms=3_000)) as log:
        provision(log)
        writer = owned(log)
        for number in (1, 2, 3):
            time.sleep(1.6)  # both slots of the ring are older than a transaction may be
            writer.append(TOPICS.events, [record(f"{number}")])
            writer.commit(number)
        writer.close()


def test_a_position_of_the_group_that_stays_undecided_holds_no_lane_up(kafka: str, kafka_prefix: str) -> None:
    """Nor does it move one: a lane's position comes from its own outcomes. (Measured: such a member starts at 0.)."""
    group = kafka_prefix + lane_reader(TOPICS)
    with contextlib.closing(KafkaLog(kafka, kafka_prefix)) as log:
        provision(log)
        lane = lane_on(log)
        lane.start()
        send(log, command("alice", Deposit(5), "first"))
        run(lane, log, 5.0)
        lane.close()
        stranger: Any = Producer({"bootstrap.servers": kafka, "transactional.id": f"{kafka_prefix}stranger"})
        member: Any = Consumer({"bootstrap.servers": kafka, "group.id": group})
        stranger.init_transactions(10)
        stranger.begin_transaction()
        at = TopicPartition(kafka_prefix + TOPICS.commands, 0, 77)
        stranger.send_offsets_to_transaction([at], member.consumer_group_metadata(), 10)
        assert log.saved(lane_reader(TOPICS), TOPICS.commands, 0) == 1
        lane.start()
        assert lane.position[TOPICS.commands, 0] == 1
        send(log, command("alice", Deposit(5), "second"))
        run(lane, log, 5.0)
        lane.close()
        stranger.abort_transaction(10)
        member.close()
        assert kinds(outcomes(log)) == ["accepted", "accepted"]
