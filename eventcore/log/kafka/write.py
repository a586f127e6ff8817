"""The single writer of one lane: transactions on a ring of fenced ids.

Theory of operation. Every process that owns a lane uses the same transactional ids, one a slot of the ring.
`init_transactions` on an id fences its former user and decides what that one left open; the slots are used in turn. A
transaction is decided in a thread of the writer's (`bounded`), while the next one is written on the next slot.

W1  `own` initialises the slots *in order*, and a writer's first transaction uses slot 0. So of two processes that own
    at the same time, only the last at slot 0 can ever commit: whoever holds slot 1 without slot 0 fails at its first
    transaction. (Initialised in any order, each of the two could end up with one slot, and both would commit.)
W2  A single slot is never initialised again by itself: that could take one slot of a ring that somebody else owns by
    now. What makes a client unfit (a failure, a broken talk with the coordinator) ends the writer; the lane owns again.
W3  The consumed position goes into the transaction with the standing of the group's member, which the group's
    coordinator judges: the second fence, beside the ids. Without one it goes there as nobody's, and shows lag only.
W4  Every record has a receipt with its offset (0.3 µs). Offsets of one transaction have gaps: the marker that ends the
    transaction before is written after its commit has returned, anywhere among the records of the next one.
W5  A transaction's first record is handed over when the broker has the last one of the transaction before: so the order
    in the partition is the order of transactions. Commits are strictly serial. Where one fails, the next one, which is
    on another slot and stands on what failed, is dropped with the writer.
W6  A slot is used again when readers have come past its last transaction (`hanging`): a second thread looks, beside the
    commit that is under way on the other slot.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eventcore.errors import Fenced, LogUnavailable, OutcomeUnknown, SystemFault, WrongUse
from eventcore.log.checks import check_lane_topic, check_records, lane_reader
from eventcore.log.kafka.bounded import BoundedCalls, CallHangs, Pending
from eventcore.log.kafka.client import Consumer, KafkaException, TopicPartition
from eventcore.log.kafka.cluster import Cluster
from eventcore.log.kafka.faults import AWAY, FENCED, code_of, error_of, fault
from eventcore.log.kafka.hanging import PASSED_S, Ends
from eventcore.log.kafka.lines import ClientLines
from eventcore.log.kafka.member import KafkaStanding
from eventcore.log.kafka.produce import hand_over
from eventcore.log.kafka.read import BEGINS
from eventcore.log.kafka.settings import ANSWER_S, RING, KafkaSettings
from eventcore.log.kafka.states import At, judge
from eventcore.log.kafka.transaction import POSITION_S, Consumed, Slot, Transaction, insist
from eventcore.log.port import Hanging, Record, Standing
from eventcore.topics import Topics

OWN_S = 30.0  # a slot is taken in 55 ms, with a transaction to abort 0.6 s, on a broker that just started 1-3 s
POSITION_BOUND_S = POSITION_S + 5.0  # the library's own timeout was seen to fail: then the call is left behind
AGAIN_S = 0.05  # between two questions for a coordinator that is not ready
GRACE_S = 15.0  # beyond every timeout that the library was given


class KafkaWriter:
    """The single writer of one lane's partition. One thread at a time."""

    def __init__(self, settings: KafkaSettings, cluster: Cluster, topics: Topics, partition: int) -> None:
        self._settings = settings
        self._topics = topics
        self._partition = partition
        self._name = f"{lane_reader(topics)}[{partition}]"
        self._names = {topic: settings.name(topic) for topic in topics}
        self._decide_s = settings.transaction_ms / 1_000
        self._ends = Ends(settings, cluster, (topics.events, topics.outcomes, topics.snapshots), partition)
        self._slots = self._made()
        self._calls = BoundedCalls(
            f"eventcore {self._name}"
        )  # threads last: where a client cannot be made, none is left
        self._looks = BoundedCalls(f"eventcore {self._name} looks")
        self._turn = 0
        self._open: Transaction | None = None
        self._under_way: tuple[Transaction, Pending[None]] | None = None
        self._empty = False  # a commit of nothing was begun, and is to be settled
        self._finished: SystemFault | None = None
        self._closed = False
        try:
            self._nobody: Any = self._own()
        except BaseException:
            self._release()
            raise

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Add records to the open transaction; waits until the broker has those of the one that is being decided."""
        check_lane_topic(self._topics, topic)
        check_records(topic, records)
        self._check_usable()
        if not records:
            return
        transaction = self._begun()
        if transaction.begins(topic):
            first = records[0]
            headers = (*first.headers, (BEGINS, b""))
            begins = Record(first.key, first.value, first.envelope, first.time_ms, headers)
            records = [begins, *records[1:]]
        receipt = transaction.receipts(topic).take
        try:
            hand_over(transaction.slot.producer, self._names[topic], self._partition, records, receipt)
        except (KafkaException, SystemError) as raised:
            raise self._finish(raised, At.APPENDING, transaction) from raised

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:
        """Begin to decide the transaction in this writer's thread."""
        self._check_usable()
        if self._under_way is not None or self._empty:
            raise WrongUse("a commit is under way already; settle it first")
        if self._open is None and consumed is None:
            self._empty = True
            return
        transaction = self._begun()
        position = None if consumed is None else self._consumed(consumed, standing)
        commit = functools.partial(transaction.commit, position, self._decide_s)
        self._under_way = transaction, self._calls.start(commit)
        self._open = None
        self._turn = (self._turn + 1) % RING

    def settle(self) -> Mapping[str, Sequence[int]]:
        """Wait for the commit under way; return the offsets of its records by topic."""
        self._empty = False
        if self._under_way is None:
            self._check_usable()
            return {}
        transaction, pending = self._under_way
        try:
            _wait_for(transaction, pending, 2 * self._decide_s + GRACE_S)
        except (KafkaException, SystemError, CallHangs) as raised:
            raise self._finish(raised, transaction.stage, transaction) from raised
        self._under_way = None
        if last := transaction.last():
            transaction.slot.passed = self._looks.start(functools.partial(self._ends.passed, last))
        self._look_for_broken_talk(transaction.slot)
        return transaction.offsets()

    def settled(self) -> bool:
        """Whether `settle` would return, or raise, without waiting."""
        return self._under_way is None or self._under_way[1].done

    def commit(self, consumed: int | None, standing: Standing | None = None) -> Mapping[str, Sequence[int]]:
        """Make the transaction visible; return the appended records' offsets by topic."""
        self.begin_commit(consumed, standing)
        return self.settle()

    def abort(self) -> None:
        """Drop the open transaction. One that is being decided is decided first."""
        transaction = self._open
        if transaction is None or self._finished is not None or self._closed:
            return
        bound_s = 2 * self._decide_s if self._under_way is None else POSITION_S + 4 * self._decide_s
        self._bounded(
            functools.partial(insist, transaction.slot.producer.abort_transaction, At.ABORT, self._decide_s),
            bound_s,
            At.ABORT,
        )
        self._open = None
        if self._under_way is None:
            self._turn = (self._turn + 1) % RING  # else the next slot is not free yet
        self._look_for_broken_talk(transaction.slot)

    def hanging(self) -> Mapping[str, Hanging]:
        """What stands undecided in this lane's partition though every former owner was fenced, by topic."""
        self._check_usable()
        return self._ends.hanging()

    def end_hanging(self, records: Mapping[str, Record], *, commit: bool) -> None:
        """End it in the topics of `records`, by a transaction of every id of the ring. For one that wrote nothing yet."""
        self._check_usable()
        for slot in list(self._slots):
            transaction = self._open = Transaction(slot)
            last = self._bounded(
                functools.partial(self._end_one, transaction, records, commit=commit), OWN_S, At.OWNING
            )
            self._open = None
            if commit:
                slot.passed = self._looks.start(functools.partial(self._ends.passed, last))

    def _end_one(self, transaction: Transaction, records: Mapping[str, Record], *, commit: bool) -> dict[str, int]:
        producer = transaction.slot.producer
        producer.begin_transaction()
        for topic, record in records.items():
            receipt = transaction.receipts(topic).take
            hand_over(producer, self._names[topic], self._partition, [record], receipt)
        producer.flush(self._decide_s)
        if commit:
            insist(producer.commit_transaction, At.COMMIT, self._decide_s)
        else:
            insist(producer.abort_transaction, At.ABORT, self._decide_s)
        return transaction.last()

    def close(self) -> None:
        """Abort what is open and give the clients back. What cannot be aborted now is aborted by the next owner.

        A commit under way is decided before, or given up when its time is over.
        """
        if self._closed:
            return
        try:
            if self._finished is None:
                self.settle()
                self.abort()
        except SystemFault:  # the lane is being left: whoever owns it next decides what is open
            self._finished = None
        self._closed = True
        self._release()

    def _made(self) -> list[Slot]:
        ids = [self._settings.transactional_id(self._topics, self._partition, slot) for slot in range(RING)]
        try:
            return [Slot(self._settings, id_) for id_ in ids]
        except KafkaException as raised:
            raise LogUnavailable(
                f"owning {self._name}: making a client for {self._settings.bootstrap}: {raised.args[0].str()}. Nothing was "
                "written. Check the address and the options, and the files that they name"
            ) from raised

    def _own(self) -> Any:
        nobody = self._bounded(
            functools.partial(_memberless, self._settings, self._topics, self._partition), ANSWER_S, At.OWNING
        )
        # A client that is not connected yet asks for its coordinator in vain, and then again after 500 ms: a question that
        # waits for the connection makes owning take 110 ms instead of 520. (A transaction that must be aborted costs 500.)
        for slot in list(self._slots):
            look = functools.partial(slot.producer.list_topics, self._names[self._topics.events], ANSWER_S)
            self._bounded(look, ANSWER_S, At.OWNING)
        for slot in list(self._slots):
            self._bounded(functools.partial(slot.producer.init_transactions, OWN_S), OWN_S, At.OWNING)
        return nobody

    def _release(self) -> None:
        """Let go of the clients and the thread; an error that is kept may keep this writer alive for longer."""
        self._calls.end()
        self._looks.end()
        self._slots.clear()
        self._open = self._under_way = None

    def _check_usable(self) -> None:
        if self._closed:
            raise WrongUse("this writer was closed; own the lane again")
        if self._finished is not None:
            raise self._finished

    def _begun(self) -> Transaction:
        if self._open is None:
            if self._under_way is not None:
                self._wait_until_flushed(*self._under_way)
            slot = self._slots[self._turn]
            self._wait_until_passed(slot)
            try:
                slot.producer.poll(0)
                slot.lines.take_broken()  # what broke while nothing was under way, as an idle connection, does no harm
                slot.producer.begin_transaction()
            except (KafkaException, SystemError) as raised:
                raise self._finish(raised, At.APPENDING, None) from raised
            self._open = Transaction(slot)
        return self._open

    def _wait_until_flushed(self, transaction: Transaction, pending: Pending[None]) -> None:
        """Wait until what is being decided has its place in the partition (W5). Raises what made that impossible."""
        flushed = transaction.flushed
        if not flushed.wait(POSITION_BOUND_S) and (
            transaction.stage is At.POSITION or not flushed.wait(self._decide_s + GRACE_S)
        ):
            hangs = CallHangs("the transaction before did not come to its end in time")
            raise self._finish(hangs, transaction.stage, transaction) from hangs
        if pending.done:
            try:
                pending.wait(0.0)
            except (KafkaException, SystemError) as raised:
                raise self._finish(raised, transaction.stage, transaction) from raised

    def _wait_until_passed(self, slot: Slot) -> None:
        """Wait until readers have come past the slot's last transaction (W6). Raises what made that impossible."""
        if slot.passed is None:
            return
        try:
            slot.passed.wait(PASSED_S + 2 * ANSWER_S + GRACE_S)
        except (SystemFault, CallHangs) as raised:
            if isinstance(raised, SystemFault):
                self._finished = raised
            else:
                self._finished = _hung(raised, f"writing {self._name}", self._settings.bootstrap, sent=False)
            self._release()
            raise self._finished from raised
        slot.passed = None

    def _consumed(self, consumed: int, standing: Standing | None) -> Consumed:
        at = TopicPartition(self._names[self._topics.commands], self._partition, consumed)
        if standing is None:
            return Consumed(at, self._nobody)
        if not isinstance(standing, KafkaStanding):
            raise WrongUse(f"{standing!r} is no standing that a member of this log gave")
        if standing.metadata is None:
            self._abort_what_is_open()
            self._finished = Fenced(
                f"committing {self._name}: this process had no standing in the group when it read the commands. Nothing "
                "was written; own the lane again only if its partition is this process's"
            )
            self._release()
            raise self._finished
        return Consumed(at, standing.metadata)

    def _bounded(self, call: Callable[[], Any], bound_s: float, at: At) -> Any:
        """Make a call that decides something; whatever fails in it ends this writer."""
        try:
            return self._calls.run(call, bound_s + GRACE_S)
        except (KafkaException, SystemError, CallHangs) as raised:
            raise self._finish(raised, at, self._open) from raised

    def _look_for_broken_talk(self, slot: Slot) -> None:
        """End this writer if the talk of a decided transaction with its coordinator broke (see `lines`)."""
        slot.producer.poll(0)
        if (line := slot.lines.take_broken()) is not None:
            self._finished = LogUnavailable(
                f"writing {self._name}: the last transaction is decided, but the talk with its coordinator at "
                f"{self._settings.bootstrap} broke meanwhile ({line}), and a late answer could hit the next one. "
                "Nothing more was written; own the lane again"
            )
            self._abort_what_is_open()
            self._release()

    def _finish(self, raised: BaseException, at: At, transaction: Transaction | None) -> SystemFault:
        """End this writer (W2), and say why: what is open is aborted if the cluster lets us, else by the next owner."""
        doing = f"{at.value} {self._name}"
        bootstrap, bound_ms = self._settings.bootstrap, self._settings.transaction_ms
        age_ms = 0.0 if transaction is None else transaction.age_s() * 1_000
        verdict = judge(at, error_of(raised))
        if isinstance(raised, CallHangs):
            self._finished = _hung(raised, doing, bootstrap, sent=verdict.raised is OutcomeUnknown)
        elif code_of(raised) in FENCED and age_ms > bound_ms:
            self._finished = LogUnavailable(
                f"{doing}: the transaction was {age_ms / 1_000:.1f} s old, and Kafka at {bootstrap} "
                f"aborts it after {bound_ms / 1_000:.0f} s. Nothing was written; own the lane again"
            )
        else:
            if verdict.abort and transaction is not None:
                self._abort_quietly(transaction.slot)
                self._abort_what_is_open()
            self._finished = fault(raised, doing, bootstrap, sent=verdict.raised is OutcomeUnknown)
        self._release()
        return self._finished

    def _abort_what_is_open(self) -> None:
        """Drop the transaction that stands on a failed one, so that readers need not wait for the next owner."""
        if self._open is not None:
            self._abort_quietly(self._open.slot)
            self._open = None

    def _abort_quietly(self, slot: Slot) -> None:
        """Abort after a failure; a refusal changes nothing, since the next owner decides what is open."""
        try:
            self._calls.run(slot.producer.abort_transaction, POSITION_S + GRACE_S)
        except (KafkaException, SystemError, CallHangs) as refused:
            slot.lines.log(20, "aborting after a failure was refused: %s", refused)


def _wait_for(transaction: Transaction, pending: Pending[None], bound_s: float) -> None:
    """Wait until a transaction is decided. Raises what deciding it raised, and CallHangs."""
    if not pending.done_within(POSITION_BOUND_S) and transaction.stage is At.POSITION:
        raise CallHangs(f"the position was not taken within {POSITION_BOUND_S:.0f} s")
    pending.wait(bound_s)


def _hung(raised: CallHangs, doing: str, bootstrap: str, *, sent: bool) -> SystemFault:
    text = f"{doing}: {raised}. Kafka at {bootstrap} was probably restarted."
    if sent:
        return OutcomeUnknown(f"{text} It may have been written: own the lane again and look in its log")
    return LogUnavailable(f"{text} Nothing was written; own the lane again")


def _memberless(settings: KafkaSettings, topics: Topics, partition: int) -> Any:
    """What the group's coordinator wants to see with a position that is nobody's: the lane's group, no member (W3).

    Returns when that coordinator answers (60 ms). While it does not, as on a cluster that has never had a group, the call
    that sends a position hangs: in 4 of 4 tries for more than 12 s with a timeout of 5. A consumer of its own is asked,
    for undecided positions too: a long-lived administrative client was seen to end the process (an assertion of the
    library's) when its connection broke during this question.
    """
    config = settings.consumer(settings.group(lane_reader(topics)), ClientLines())
    consumer: Any = Consumer(config | {"isolation.level": "read_uncommitted"})
    at = TopicPartition(settings.name(topics.commands), partition)
    deadline = time.monotonic() + ANSWER_S
    try:
        while True:
            try:
                consumer.committed([at], timeout=ANSWER_S / 4)
            except KafkaException as raised:
                if code_of(raised) not in AWAY or time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN_S)
            else:
                return consumer.consumer_group_metadata()
    finally:
        consumer.close()
