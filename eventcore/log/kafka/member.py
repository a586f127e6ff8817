"""Membership of a lane's group: who may run which partition.

Theory of operation. A member is a consumer that reads nothing. It subscribes to the commands topic, so that the group's
coordinator shares out its partitions; what it is given it takes with an explicit offset and paused, since lanes read
through followers of their own (K1). Its standing - the group, its member id and the epoch - goes into each transaction
with the consumed position, and the coordinator refuses it once the partition was taken away.

M1  A standing is taken *before* the poll whose records are committed. Taken at the commit it let a former owner commit,
    with either group protocol. So an older one is as good, and it is the polling thread that takes it, each SLICE_S and
    with each assignment: the library lets one thread at a time use a consumer, and who asked while another polled in a
    loop was seen to wait for minutes.
M2  A consumer that was thrown out says that it is nobody, and the coordinator lets nobody commit anything: such a
    standing means "no group" to it. So a standing of nobody is refused here, before it is sent.
M3  A partition is given back when `revoked` has returned, not before: the next owner is told after that.
M4  The share is called in the thread that polls, out of the library's own callbacks; what it raises is raised by `poll`.
M5  A member that is nobody for REJOIN_S, with a cluster that answers, joins anew with another client. After a broker's crash
    the library's client was seen to end in a fatal state that `poll` does not tell, holding partitions for ever.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from eventcore.errors import LogUnavailable, NotSupported, WrongUse
from eventcore.log.checks import lane_reader
from eventcore.log.kafka.away import Away
from eventcore.log.kafka.bounded import BoundedCalls, CallHangs
from eventcore.log.kafka.client import Code, Consumer, KafkaError, KafkaException, TopicPartition
from eventcore.log.kafka.faults import NOT_ALLOWED, error_of, fault
from eventcore.log.kafka.lines import LOGGER, ClientLines
from eventcore.log.kafka.settings import KafkaSettings
from eventcore.log.port import Share
from eventcore.topics import Topics

SLICE_S = 0.1  # a poll returns to Python so often, for signals and for `close` from another thread
PROBE_S = 1.0  # how long we ask whether a cluster that seemed away is back
REJOIN_S = 10.0  # joining takes 0.1 s, and 3 s where nobody has ever used a group
LEAVE_S = 10.0  # how long leaving may take: after that the group finds out by itself
TOO_OLD = frozenset({Code.UNSUPPORTED_FEATURE, Code.UNSUPPORTED_VERSION})
_HEAD = b"CGMDv2:"  # what the library's group metadata begins with; the generation follows, as a C int


class KafkaStanding(NamedTuple):
    """The group's metadata as the library packs it; None for nobody, whom a commit refuses (M2)."""

    metadata: Any


NOBODY = KafkaStanding(None)


class KafkaMember:
    """A member of one lane's group. One thread polls; any thread may ask for the standing or close."""

    def __init__(self, settings: KafkaSettings, topics: Topics, share: Share, group: str | None) -> None:
        self._settings = settings
        self._topic = settings.name(topics.commands)
        self._name = group or lane_reader(topics)
        self._share = share
        self._given: set[int] = set()
        self._raised: BaseException | None = None
        self._standing = NOBODY
        self._away = Away()
        self._polling = threading.Lock()
        self._closed = False
        self._standing_at = time.monotonic()  # when this was a member last, or could first have been one
        self._consumer = self._subscribed()

    def poll(self, timeout_s: float) -> None:
        """Take part for up to `timeout_s`, or until the share was told something."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._polling:
                if self._closed:
                    raise WrongUse(f"this member has left the group of {self._name}; join again")
                before = set(self._given)
                self._serve(min(SLICE_S, max(deadline - time.monotonic(), 0.0)))
                self._join_anew_if_nobody()
                if self._given != before:
                    self._away.seen = False
                    return
            if time.monotonic() >= deadline:
                self._raise_if_away()
                return

    def _subscribed(self) -> Any:
        config = self._settings.member(self._settings.group(self._name), ClientLines()) | {"error_cb": self._away.hear}
        consumer: Any = Consumer(config)
        consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        return consumer

    def standing(self) -> KafkaStanding:
        """What this member is entitled to now; of one that left or was thrown out, a standing that is refused (M2)."""
        return self._standing

    def close(self) -> None:
        """Leave the group: what was given is revoked first. Takes LEAVE_S at most, and what `revoked` takes."""
        with self._polling:
            if self._closed:
                return
            try:
                self._leave()
            finally:
                self._closed = True
                self._standing = NOBODY
                self._drop(self._consumer)

    def _drop(self, consumer: Any) -> None:
        calls = BoundedCalls(f"eventcore leaving {self._name}")
        try:
            calls.run(consumer.close, LEAVE_S)
        except CallHangs:
            self._away.seen = True  # the thread is left behind, and the group finds out by itself
        except (KafkaException, SystemError) as refused:
            # Seen of a member that had been given up: it has left all the same.
            LOGGER.info("leaving the group of %s: %s", self._name, refused)
        calls.end()

    def _join_anew_if_nobody(self) -> None:
        """M5."""
        now = time.monotonic()
        if self._standing is not NOBODY or self._away.seen:
            self._standing_at = now
        elif now > self._standing_at + REJOIN_S:
            former, self._consumer = self._consumer, self._subscribed()
            self._standing_at = now
            given, self._given = sorted(self._given), set()
            self._tell(self._share.lost, given)
            self._drop(former)
            self._raise_what_the_share_raised()

    def _leave(self) -> None:
        try:
            self._consumer.unsubscribe()
        except KafkaException:
            self._away.seen = True  # its client is of no use any more (M5): nothing more is heard of the group
        deadline = time.monotonic() + LEAVE_S
        while self._given and time.monotonic() < deadline and not self._away.seen:
            self._serve(SLICE_S)
        if self._given:
            self._tell(self._share.revoked, sorted(self._given))
            self._given.clear()
            self._raise_what_the_share_raised()

    def _serve(self, wait_s: float) -> None:
        try:
            message = self._consumer.poll(wait_s)
        except (KafkaException, SystemError) as raised:
            self._raise_what_the_share_raised()
            raise self._fault(error_of(raised), raised) from raised
        self._stand(self._consumer)
        self._raise_what_the_share_raised()
        if message is not None and (error := message.error()) is not None and self._ends(error):
            raise self._fault(error, KafkaException(error))

    def _stand(self, consumer: Any) -> None:
        metadata = consumer.consumer_group_metadata()
        self._standing = KafkaStanding(metadata) if _generation(metadata) > 0 else NOBODY

    def _ends(self, error: KafkaError) -> bool:
        return error.fatal() or error.code() in NOT_ALLOWED or error.code() == Code.UNKNOWN_TOPIC

    def _fault(self, error: KafkaError | None, raised: BaseException) -> Exception:
        doing = f"taking part in the group of {self._name}"
        if error is not None and error.code() in TOO_OLD:
            return NotSupported(
                f"{doing}: the brokers at {self._settings.bootstrap} do not know its protocol ({error.str()}). Set the "
                "Kafka option group.protocol=classic, or use brokers of version 4.0 or later"
            )
        return fault(raised, doing, self._settings.bootstrap)

    def _assigned(self, consumer: Any, partitions: Collection[Any]) -> None:
        if consumer is not self._consumer:
            return  # that of a former life (M5)
        # Offset 0 is explicit, so nothing is looked up; paused, so nothing is read.
        at = [TopicPartition(self._topic, one.partition, 0) for one in partitions]
        consumer.incremental_assign(at)
        consumer.pause(at)
        self._stand(consumer)
        self._given |= (new := {one.partition for one in partitions})
        self._tell(self._share.assigned, sorted(new))

    def _revoked(self, consumer: Any, partitions: Collection[Any]) -> None:
        self._take_back(consumer, partitions, self._share.revoked)

    def _lost(self, consumer: Any, partitions: Collection[Any]) -> None:
        self._take_back(consumer, partitions, self._share.lost)

    def _take_back(self, consumer: Any, partitions: Collection[Any], tell: Callable[[Collection[int]], None]) -> None:
        if consumer is not self._consumer:
            return  # what it had is lost already (M5)
        gone = {one.partition for one in partitions}
        self._tell(tell, sorted(gone))
        self._given -= gone
        consumer.incremental_unassign(partitions)

    def _tell(self, tell: Callable[[Collection[int]], None], partitions: Collection[int]) -> None:
        """Call the share; the library's callbacks cannot raise, so what it raises is kept (M4)."""
        if not partitions:
            return
        try:
            tell(partitions)
        except BaseException as raised:  # noqa: BLE001 - raised by `poll` or `close`, which made us come here
            self._raised = self._raised or raised

    def _raise_what_the_share_raised(self) -> None:
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    def _raise_if_away(self) -> None:
        """Raise LogUnavailable when the cluster went away and is not back."""
        if not self._away.seen:
            return
        try:
            self._consumer.list_topics(self._topic, timeout=PROBE_S)
        except KafkaException as raised:
            raise LogUnavailable(
                f"taking part in the group of {self._name}: Kafka at {self._settings.bootstrap} does not answer "
                f"({raised.args[0].str()}). Poll again: the group is joined again by itself when it is back"
            ) from raised
        self._away.seen = False


def _generation(metadata: Any) -> int:
    """The generation or epoch in a group's metadata; a member's is above 0. Raises NotSupported for another library."""
    packed = bytes(metadata)
    if not packed.startswith(_HEAD):
        raise NotSupported(
            f"the Kafka client library packs a group's metadata as {packed[:8]!r}, expected {_HEAD!r}; without it a "
            "former owner cannot be told from a member. Use confluent-kafka 2.16"
        )
    return int.from_bytes(packed[len(_HEAD) : len(_HEAD) + 4], sys.byteorder, signed=True)
