"""What every adapter refuses before it writes: names, partitions and records that no log can keep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from eventcore.errors import DataError, InvalidValue, NotSupported, WrongUse
from eventcore.log.port import ENVELOPE_HEADER, RECORD_BYTES_MAX, Record, TopicPlan
from eventcore.topics import Topics

TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # what a broker accepts, so that every log can move to one
SURELY_SMALL = RECORD_BYTES_MAX // 4  # three parts of this size stay below the limit whatever they hold


def check_records(topic: str, records: Iterable[Record]) -> None:
    """Raise InvalidValue when one of the records is larger than RECORD_BYTES_MAX or stamped before 1970.

    Called before anything is written. Most records are small: three comparisons (0.1 µs) settle those.
    """
    for record in records:
        value, envelope = record.value, record.envelope
        if (
            (value is not None and len(value) > SURELY_SMALL)
            or len(record.key) > SURELY_SMALL
            or (envelope is not None and len(envelope) > SURELY_SMALL)
            or record.headers
            or record.time_ms < 0
        ):
            _check_closely(topic, record)


def _check_closely(topic: str, record: Record) -> None:
    size = len(record.key) + len(record.value or b"") + len(record.envelope or b"")
    size += sum(len(name.encode()) + len(value) for name, value in record.headers)
    if size > RECORD_BYTES_MAX:
        raise InvalidValue(
            topic,
            f"a record has at most {RECORD_BYTES_MAX:,} bytes of key, value and headers; the one with key "
            f"{record.key[:40]!r} has {size:,}. Keep large documents elsewhere and write a reference",
        )
    if any(name == ENVELOPE_HEADER for name, _ in record.headers):
        raise InvalidValue(topic, f"the header {ENVELOPE_HEADER!r} is the envelope's; give yours another name")
    if record.time_ms < 0:
        raise InvalidValue(topic, f"a record's time is Unix milliseconds from 1970 on, this one says {record.time_ms}")


def check_plans(plans: Iterable[TopicPlan]) -> None:
    """Raise InvalidValue for a topic name that a broker would refuse, or fewer than one partition."""
    for plan in plans:
        if TOPIC.fullmatch(plan.name) is None or plan.name in {".", ".."}:
            raise InvalidValue("topic", f"{plan.name!r} is not a topic name: 1 to 249 of A-Z a-z 0-9 . _ -")
        if plan.partitions < 1:
            raise InvalidValue(plan.name, f"a topic has at least one partition, not {plan.partitions}")


def check_counts(plans: Iterable[TopicPlan], existing: Mapping[str, int]) -> None:
    """Raise NotSupported, naming each, where a topic exists with another number of partitions than its plan says."""
    others = [
        f"{plan.name} has {existing[plan.name]}, planned are {plan.partitions}"
        for plan in plans
        if existing.get(plan.name, plan.partitions) != plan.partitions
    ]
    if others:
        raise NotSupported(
            f"the number of partitions of a topic is fixed, since it says where each id lives: {'; '.join(others)}. "
            "Plan with the numbers that exist, or copy the log into new topics"
        )


def check_partition(topic: str, partition: int, count: int) -> None:
    """Raise InvalidValue unless `partition` is one of the topic's."""
    if not 0 <= partition < count:
        raise InvalidValue(f"{topic}[{partition}]", f"the topic has {count} partitions, 0 to {count - 1}")


def check_start(topic: str, partition: int, start: int, beginning: int, end: int) -> None:
    """Raise DataError unless a reader that starts at `start` would miss nothing and has not read too far."""
    if start > end:
        raise DataError(
            f"{topic}[{partition}] ends at {end}, and the start asked for is {start}. Usual causes: the position "
            "was saved for another log, or the topic was deleted and made anew"
        )
    if start < beginning:
        raise DataError(
            f"{topic}[{partition}] begins at {beginning}: records from {start} on were deleted by its retention. "
            "Start at its beginning if they are not needed"
        )


def check_lane_topic(topics: Topics, topic: str) -> None:
    """Raise WrongUse for a topic that the lane does not write alone; commands come from everybody."""
    if topic == topics.commands or topic not in topics:
        raise WrongUse(f"this lane's transactions write {', '.join(topics[1:])}, not {topic!r}: everybody writes there")


def lane_reader(topics: Topics) -> str:
    """The reader's name under which a lane's consumed position is saved, as `bank.account`."""
    return topics.commands.removesuffix(".commands")
