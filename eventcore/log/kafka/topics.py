"""What a topic's settings must be so that nothing is lost, and how one that exists differs from its plan.

A topic is made with its own settings, so that no default of the cluster deletes what must be kept. Whoever made a topic
otherwise, or changed one since, is told what each setting would do. What is never done here is changing a topic that
exists: whose it is, and what else depends on it, is not ours to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from eventcore.log.kafka.settings import BATCH_BYTES_MAX
from eventcore.log.port import KEEP_FOREVER, Difference, TopicPlan

FOREVER_MS: Final = 2**63 - 1
TWO_IN_SYNC_FROM: Final = 3  # with so many replicas, two must have a record before it counts


Verdict = tuple[str, object, object, str, bool]  # the fields of a Difference, without the topic
LOSES, HARMLESS = True, False


class Found(msgspec.Struct, frozen=True):
    """A topic as it is: its partitions, the replicas of the one that has the fewest, and its settings by name."""

    partitions: int
    replication: int
    settings: Mapping[str, str]


def settings_of(plan: TopicPlan, replication: int) -> dict[str, str]:
    """The settings that a new topic is made with."""
    kept = "-1" if plan.kept_ms == KEEP_FOREVER else str(plan.kept_ms)
    settings = {
        "cleanup.policy": plan.cleanup,
        "retention.ms": kept,
        "retention.bytes": "-1" if plan.kept_bytes is None else str(plan.kept_bytes),
        "message.timestamp.type": "CreateTime",
        # A record is never refused for its stamp: that would end the producer, and every other record with it. Lanes
        # judge stamps themselves, and park what lies too far ahead.
        "message.timestamp.after.max.ms": str(FOREVER_MS),
        "max.message.bytes": str(BATCH_BYTES_MAX),
        "unclean.leader.election.enable": "false",
    }
    if plan.kept_bytes is not None:
        settings["segment.bytes"] = str(plan.kept_bytes // 8)  # only whole segments are deleted
    if replication >= TWO_IN_SYNC_FROM:
        settings["min.insync.replicas"] = "2"
    return settings


def differences(plan: TopicPlan, found: Found, replication: int | None) -> Iterator[Difference]:
    """How a topic that exists differs from its plan, with what each difference does. Those that lose data say so."""
    for setting, is_, wanted, means, loses in _verdicts(plan, found, replication):
        yield Difference(plan.name, setting, str(is_), str(wanted), means, loses)


def _verdicts(plan: TopicPlan, found: Found, replication: int | None) -> Iterator[Verdict]:
    if found.partitions != plan.partitions:
        means = "instances would live elsewhere than their past"
        yield ("partitions", found.partitions, plan.partitions, means, LOSES)
    if replication is not None and found.replication != replication:
        yield ("replicas", found.replication, replication, "it is as durable as its replicas", HARMLESS)
    if plan.kept_bytes is None:  # a topic of a bounded size is for posts, which nobody may count on
        yield from _kept(plan, found)
        yield from _accepted(found)
        yield from _replicated(found)


def _kept(plan: TopicPlan, found: Found) -> Iterator[Verdict]:
    """Whether the cluster deletes what must be kept, or keeps for ever what compaction is to clear."""
    policies = {policy.strip() for policy in found.settings.get("cleanup.policy", "delete").split(",")}
    if policies != {plan.cleanup}:
        means = (
            "older records of an instance would be dropped"
            if "compact" in policies
            else "the last record of an instance would be deleted with the old ones"
        )
        yield ("cleanup.policy", ",".join(sorted(policies)), plan.cleanup, means, LOSES)
    if "delete" not in policies or plan.cleanup != "delete":
        return
    kept = int(found.settings.get("retention.ms", "-1"))
    if plan.kept_ms == KEEP_FOREVER and kept != KEEP_FOREVER:
        yield (
            "retention.ms",
            kept,
            -1,
            f"records older than {_days(kept)} are deleted, and these are the truth",
            LOSES,
        )
    elif 0 <= kept < plan.kept_ms:
        means = f"commands that wait longer than {_days(kept)} are deleted before they are decided"
        yield ("retention.ms", kept, plan.kept_ms, means, LOSES)
    elif kept != plan.kept_ms:
        yield ("retention.ms", kept, plan.kept_ms, "records are kept longer than planned", HARMLESS)
    if (size := int(found.settings.get("retention.bytes", "-1"))) != -1:
        yield ("retention.bytes", size, -1, "the oldest records are deleted beyond that size", LOSES)


def _accepted(found: Found) -> Iterator[Verdict]:
    """Whether the cluster takes our records as they are."""
    if (kind := found.settings.get("message.timestamp.type", "CreateTime")) != "CreateTime":
        yield ("message.timestamp.type", kind, "CreateTime", "the lanes' stamps, which cuts go by, are replaced", LOSES)
    if (after := int(found.settings.get("message.timestamp.after.max.ms", FOREVER_MS))) < FOREVER_MS:
        means = "a record stamped further ahead is refused, and the others of its batch with it"
        yield ("message.timestamp.after.max.ms", after, FOREVER_MS, means, LOSES)
    if (before := int(found.settings.get("message.timestamp.before.max.ms", FOREVER_MS))) < FOREVER_MS:
        means = "a record stamped earlier is refused, and the others of its batch with it"
        yield ("message.timestamp.before.max.ms", before, FOREVER_MS, means, LOSES)
    if (size := int(found.settings.get("max.message.bytes", BATCH_BYTES_MAX))) < BATCH_BYTES_MAX:
        yield ("max.message.bytes", size, BATCH_BYTES_MAX, "a batch of this size is refused", LOSES)


def _replicated(found: Found) -> Iterator[Verdict]:
    """Whether what was acknowledged outlives the machine that acknowledged it."""
    least = int(found.settings.get("min.insync.replicas", "1"))
    if found.replication >= TWO_IN_SYNC_FROM and least < 2:
        means = "what a single replica has would count, and be lost with its machine"
        yield ("min.insync.replicas", least, 2, means, LOSES)
    if least > found.replication:
        means = f"with {found.replication} replicas no record can be written"
        yield ("min.insync.replicas", least, found.replication, means, LOSES)
    if found.replication > 1 and found.settings.get("unclean.leader.election.enable", "false") == "true":
        means = "a replica that lags may lead, and what it lacks is lost"
        yield ("unclean.leader.election.enable", "true", "false", means, LOSES)


def _days(ms: int) -> str:
    days = ms / 86_400_000
    return f"{days:g} days" if days >= 1 else f"{ms / 1000:g} s"
