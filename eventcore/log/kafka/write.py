"""The single writer of one lane: transactions on a ring of fenced ids.

Theory of operation. Every process that owns a lane uses the same transactional ids, one a slot of the ring.
`init_transactions` on an id fences its former user and decides what that one left open; the slots are used in turn, and
commits are strictly serial.

W1  `own` initialises the slots *in order*, and a writer's first transaction uses slot 0. So of two processes that own
    at the same time, only the last at slot 0 can ever commit: whoever holds slot 1 without slot 0 fails at its first
    transaction. (Initialised in any order, each of the two could end up with one slot, and both would commit.)
W2  A single slot is never initialised again by itself: that could take one slot of a ring that somebody else owns by
    now. What makes a client unfit (a failure, a broken talk with the coordinator) ends the writer; the lane owns again.
W3  The consumed position goes into the transaction with the metadata of a consumer of the lane's group that has no
    members yet, so it shows lag and fences nothing; transactional ids do that.
W4  Offsets: only the first and the last record of an append carry a receipt. A lane is its partitions' only writer, so
    what lies between is contiguous; where the two receipts say otherwise somebody else wrote there, and the commit
    says that its outcome is unknown rather than guess.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

from eventcore.errors import LogUnavailable, OutcomeUnknown, SystemFault, WrongUse
from eventcore.log.checks import check_lane_topic, check_records, lane_reader
from eventcore.log.kafka.bounded import BoundedCalls, CallHangs
from eventcore.log.kafka.client import Consumer, KafkaException, Producer, TopicPartition
from eventcore.log.kafka.faults import FENCED, code_of, error_of, fault
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.produce import hand_over
from eventcore.log.kafka.settings import RING, KafkaSettings
from eventcore.log.port import Record
from eventcore.topics import Topics

OWN_S = 30.0  # a slot is taken in 55 ms, with a transaction to abort 0.6 s, on a broker that just started 1-3 s
POSITION_S = 5.0  # for sending the consumed position; later than that counts as failed
GRACE_S = 15.0  # beyond every timeout that the library was given


class KafkaWriter:
    """The single writer of one lane's partition. One thread at a time."""

    def __init__(self, settings: KafkaSettings, topics: Topics, partition: int) -> None:
        self._settings = settings
        self._topics = topics
        self._partition = partition
        self._name = f"{lane_reader(topics)}[{partition}]"
        self._names = {topic: settings.name(topic) for topic in topics}
        self._group: Any = _group_metadata(settings, topics)
        self._calls = BoundedCalls(f"eventcore {self._name}")
        self._slots = [_Slot(settings, settings.transactional_id(topics, partition, slot)) for slot in range(RING)]
        self._turn = 0
        self._open: _Transaction | None = None
        self._finished: SystemFault | None = None
        self._closed = False
        self._own()

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Add records to the open transaction."""
        check_lane_topic(self._topics, topic)
        check_records(topic, records)
        self._check_usable()
        if not records:
            return
        transaction = self._begun()
        producer, name, partition = self._slots[self._turn].producer, self._names[topic], self._partition
        span = transaction.span(topic, len(records))
        try:
            hand_over(producer, name, partition, records, span.take, None)
        except (KafkaException, SystemError) as raised:
            raise self._finish(raised, f"appending to {topic}[{partition}]") from raised

    def commit(self, consumed: int | None) -> Mapping[str, Sequence[int]]:
        """Make the transaction visible; return the appended records' offsets by topic."""
        self._check_usable()
        if self._open is None and consumed is None:
            return {}
        transaction = self._begun()
        slot = self._slots[self._turn]
        if consumed is not None:
            self._bounded(lambda: self._send_position(slot.producer, consumed), POSITION_S, sent=False)
        self._bounded(lambda: self._commit(slot.producer), self._settings.transaction_ms / 1_000, sent=True)
        self._next_turn(slot)
        return self._offsets(transaction)

    def abort(self) -> None:
        """Drop the open transaction."""
        if self._open is None or self._finished is not None or self._closed:
            return
        slot = self._slots[self._turn]
        self._bounded(slot.producer.abort_transaction, self._settings.transaction_ms / 1_000, sent=False)
        self._next_turn(slot)

    def close(self) -> None:
        """Abort what is open and give the clients back. What cannot be aborted now is aborted by the next owner."""
        if self._closed:
            return
        try:
            self.abort()
        except SystemFault:  # the lane is being left: whoever owns it next decides what is open
            self._finished = None
        self._closed = True
        self._release()

    def _own(self) -> None:
        for slot in list(self._slots):
            self._bounded(functools.partial(slot.producer.init_transactions, OWN_S), OWN_S, sent=False)

    def _release(self) -> None:
        """Let go of the clients and the thread; an error that is kept may keep this writer alive for longer."""
        self._calls.end()
        self._slots.clear()

    def _check_usable(self) -> None:
        if self._closed:
            raise WrongUse("this writer was closed; own the lane again")
        if self._finished is not None:
            raise self._finished

    def _begun(self) -> _Transaction:
        if self._open is None:
            slot = self._slots[self._turn]
            try:
                slot.producer.poll(0)
                slot.lines.take_broken()  # what broke while nothing was under way, as an idle connection, does no harm
                slot.producer.begin_transaction()
            except (KafkaException, SystemError) as raised:
                raise self._finish(raised, f"beginning a transaction of {self._name}") from raised
            self._open = _Transaction()
        return self._open

    def _send_position(self, producer: Any, consumed: int) -> None:
        at = TopicPartition(self._names[self._topics.commands], self._partition, consumed)
        producer.send_offsets_to_transaction([at], self._group, POSITION_S)

    def _commit(self, producer: Any) -> None:
        """Commit, repeating the same call where the library asks for it: until the transaction would be too old."""
        deadline = time.monotonic() + self._settings.transaction_ms / 1_000
        while True:
            try:
                producer.commit_transaction()
            except KafkaException as raised:
                error = error_of(raised)
                again = error is not None and error.retriable() and not error.fatal() and not error.txn_requires_abort()
                if not again or time.monotonic() > deadline:
                    raise
            else:
                return

    def _bounded(self, call: Any, bound_s: float, *, sent: bool) -> None:
        """Make a call that decides something; whatever fails in it ends this writer."""
        try:
            self._calls.run(call, bound_s + GRACE_S)
        except (KafkaException, SystemError, CallHangs) as raised:
            raise self._finish(raised, f"writing {self._name}", sent=sent) from raised

    def _next_turn(self, slot: _Slot) -> None:
        """Go on to the next slot of the ring, unless the last one's talk with the coordinator broke (see `lines`)."""
        slot.producer.poll(0)
        self._open = None
        self._turn = (self._turn + 1) % RING
        if (line := slot.lines.take_broken()) is not None:
            self._finished = LogUnavailable(
                f"writing {self._name}: the last transaction is decided, but the talk with its coordinator at "
                f"{self._settings.bootstrap} broke meanwhile ({line}), and a late answer could hit the next one. "
                "Nothing more was written; own the lane again"
            )
            self._release()

    def _offsets(self, transaction: _Transaction) -> dict[str, Sequence[int]]:
        offsets: dict[str, Sequence[int]] = {}
        for span in transaction.spans:
            if span.last - span.first != span.count - 1:
                self._finished = OutcomeUnknown(
                    f"writing {self._name}: committed, but {span.count} records of {span.topic}[{self._partition}] got "
                    f"offsets {span.first} to {span.last}. Usual cause: another producer writes to this topic. "
                    "Own the lane again and read its log"
                )
                self._release()
                raise self._finished
            offsets[span.topic] = _joined(offsets.get(span.topic, range(0)), range(span.first, span.last + 1))
        return offsets

    def _finish(self, raised: BaseException, doing: str, *, sent: bool = False) -> SystemFault:
        """End this writer (W2), and say why: what is open is aborted if the cluster lets us, else by the next owner."""
        slot, transaction = self._slots[self._turn], self._open
        self._open = None
        age_ms = 0.0 if transaction is None else transaction.age_s() * 1_000
        if isinstance(raised, CallHangs):
            self._finished = _hung(raised, doing, self._settings.bootstrap, sent=sent)
        elif code_of(raised) in FENCED and age_ms > self._settings.transaction_ms:
            self._finished = LogUnavailable(
                f"{doing}: the transaction was {age_ms / 1_000:.1f} s old, and Kafka at {self._settings.bootstrap} "
                f"aborts it after {self._settings.transaction_ms / 1_000:.0f} s. Nothing was written; own the lane again"
            )
        else:
            error = error_of(raised)
            if error is not None and error.txn_requires_abort():
                sent = False
                self._abort_quietly(slot)
            self._finished = fault(raised, doing, self._settings.bootstrap, sent=sent)
        self._release()
        return self._finished

    def _abort_quietly(self, slot: _Slot) -> None:
        """Abort after a failure, so that readers need not wait for the next owner; a refusal changes nothing."""
        try:
            self._calls.run(slot.producer.abort_transaction, POSITION_S + GRACE_S)
        except (KafkaException, SystemError, CallHangs) as refused:
            slot.lines.log(20, "aborting after a failure was refused: %s", refused)


class _Slot:
    """One transactional id with its client."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self.lines = ClientLines()
        self.producer: Any = Producer(settings.transactional(transactional_id, self.lines))


class _Span:
    """What one append put into a topic: receipts of its first and last record."""

    __slots__ = ("count", "first", "last", "topic")

    def __init__(self, topic: str, count: int) -> None:
        self.topic = topic
        self.count = count
        self.first = -1
        self.last = -1

    def take(self, error: Any, message: Any) -> None:
        if error is None:
            offset = message.offset()
            if self.first < 0:
                self.first = offset
            self.last = offset


class _Transaction:
    """An open transaction: what was appended, and since when."""

    def __init__(self) -> None:
        self.spans: list[_Span] = []
        self._began = time.monotonic()

    def span(self, topic: str, count: int) -> _Span:
        """Note that `count` records of a topic follow."""
        span = _Span(topic, count)
        self.spans.append(span)
        return span

    def age_s(self) -> float:
        return time.monotonic() - self._began


def _joined(before: Sequence[int], after: range) -> Sequence[int]:
    """Two ascending runs of offsets as one: a range wherever they meet."""
    if not before:
        return after
    if isinstance(before, range) and before.stop == after.start:
        return range(before.start, after.stop)
    return [*before, *after]


def _hung(raised: CallHangs, doing: str, bootstrap: str, *, sent: bool) -> SystemFault:
    text = f"{doing}: {raised}. Kafka at {bootstrap} was probably restarted."
    if sent:
        return OutcomeUnknown(f"{text} It may have been written: own the lane again and look in its log")
    return LogUnavailable(f"{text} Nothing was written; own the lane again")


def _group_metadata(settings: KafkaSettings, topics: Topics) -> Any:
    """What the group coordinator wants to see with a position: the lane's group, without members (W3)."""
    consumer: Any = Consumer(settings.consumer(settings.group(lane_reader(topics)), ClientLines()))
    try:
        return consumer.consumer_group_metadata()
    finally:
        consumer.close()
