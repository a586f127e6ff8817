"""Where the processor time of a turn goes on Kafka: the lane's thread by its calls, the rest of the process as one.

The calls of a lane that decides and commits at full speed are timed by their thread's processor time: what it reads, what
it decides, what it hands to the client, what commits. What other threads use is the process's time less this thread's:
the client library's own work, and the thread that commits. What the lane's decisions are made of is then timed part by
part on the same records; what is left are envelopes, outcomes, records and the loop.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.job import SMALL, Job, drain
from benchmarks.kafka import COUNT, open_kafka
from benchmarks.measure import Row, runs
from benchmarks.mixed import MIXED
from eventcore.context import Context
from eventcore.errors import Refusal
from eventcore.lane.runner import LaneRunner
from eventcore.turn import take_turn
from tests.servers import kafka

Spent = dict[str, float]  # microseconds of processor time a turn, by stage
PART = 5_000  # records that the parts are timed on

CONSUME, DECIDE, PRODUCE, COMMIT, LOOP, OTHERS = (
    "consume: messages to records",
    "in the lane",
    "produce: records to the client",
    "commit: begin and settle, in the lane's thread",
    "the runner's loop",
    "other threads: the client library, the commit's thread",
)


def rows(*, full: bool = False) -> list[Row]:  # noqa: ARG001 - of one size only
    """A line a stage, for small and for mixed records."""
    with kafka() as server:
        return [row for job in (SMALL, MIXED) for row in _rows(server.bootstrap, job)]


def _rows(bootstrap: str, job: Job) -> list[Row]:
    taken = [_spent(bootstrap, job) for _ in range(runs())]
    spent = {stage: statistics.median(one[stage] for one in taken) for stage in taken[0]}
    parts = _parts(job)
    parts["envelopes, outcomes, records, the loop"] = max(0.0, spent[DECIDE] - sum(parts.values()))
    total = sum(spent.values())
    lines: list[Row] = []
    for stage, us in spent.items():
        lines.append(Row(f"{job.name}: {stage}", f"{us:.2f} µs", "", f"{us / total:.0%}", ""))
        if stage == DECIDE:
            lines += [
                Row(f"    {part}", f"{each:.2f} µs", "", f"{each / total:.0%}", "") for part, each in parts.items()
            ]
    goal = "≤ 10 µs" if job is SMALL else "≤ 14 µs"
    return [*lines, Row(f"{job.name}: all processor time of a turn", f"{total:.1f} µs", "", "100%", goal)]


def _spent(bootstrap: str, job: Job) -> Spent:
    log = open_kafka(bootstrap)
    try:
        runner = job.started(log)
        log.append(job.topics.commands, 0, job.records(COUNT))
        ledger = _watched(runner)
        process, thread = time.process_time(), time.thread_time()
        drain(runner, COUNT, 1.0)
        process, thread = time.process_time() - process, time.thread_time() - thread
        runner.close()
    finally:
        log.close()
    spent = {stage: ledger[stage] / COUNT * 1e6 for stage in (CONSUME, DECIDE, PRODUCE, COMMIT)}
    return {**spent, LOOP: thread / COUNT * 1e6 - sum(spent.values()), OTHERS: (process - thread) / COUNT * 1e6}


def _watched(runner: LaneRunner) -> dict[str, float]:
    """Time the calls of a started lane: seconds of its thread's processor time by stage."""
    ledger: defaultdict[str, float] = defaultdict(float)

    def watch(owner: Any, name: str, stage: str) -> None:
        call = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            began = time.thread_time()
            try:
                return call(*arguments)
            finally:
                ledger[stage] += time.thread_time() - began

        setattr(owner, name, watched)

    watch(runner._intake, "take", CONSUME)  # noqa: SLF001 - looked at from outside, so that it need not look at itself
    watch(runner._lane, "take", DECIDE)  # noqa: SLF001
    watch(runner._writer, "append", PRODUCE)  # noqa: SLF001
    for name in ("begin_commit", "settle", "settled"):
        watch(runner._writer, name, COMMIT)  # noqa: SLF001
    return ledger


def _parts(job: Job) -> Spent:
    """What a decision is made of, each part timed alone on the same records."""
    aggregate = job.aggregate
    records = job.records(PART)
    values = [record.value or b"" for record in records]
    commands = [job.commands.decode(value) for value in values]
    context = Context(1 << 60, bytes(16))
    states: list[Any] = []
    events: list[Any] = []
    held: dict[bytes, Any] = {}
    for record, command in zip(records, commands, strict=True):
        state = held.get(record.key) or aggregate.initial()
        states.append(state)
        turn: Any = take_turn(aggregate, state, command, context)
        events += [(state, event, turn.state) for event in getattr(turn, "events", ())]
        held[record.key] = getattr(turn, "state", state)
    ids = [(record.envelope or b"")[10:26] for record in records]
    decided: dict[bytes, int] = {}
    share = len(events) / PART

    def deduplicate(at: int) -> None:
        if ids[at] not in decided and records[at].key in held:
            decided[ids[at]] = at

    def decide(at: int) -> None:
        with contextlib.suppress(Refusal):
            aggregate.decide(states[at], commands[at])  # type: ignore[call-arg]  # these take no context

    def judge(one: tuple[Any, Any, Any]) -> None:
        aggregate.event_checks[type(one[1])](one[1])
        aggregate.state_check(one[2])
        for guard in aggregate.guards:
            guard.holds(one[2])

    return {
        "decode": _each(job.commands.decode, values),
        "deduplicate": _each(deduplicate, range(PART)),
        "decide (the user's)": _each(decide, range(PART)),
        "evolve (the user's)": _each(lambda one: aggregate.evolve(one[0], one[1]), events) * share,
        "types and invariants": _each(judge, events) * share,
        "encode": _each(lambda one: job.events.encode(one[1]), events) * share,
    }


def _each(call: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Microseconds of processor time a call, the loop's own taken off."""
    took: list[float] = []
    for _ in range(runs()):
        began = time.thread_time()
        for argument in arguments:
            call(argument)
        between = time.thread_time()
        for _argument in arguments:
            pass
        took.append(2 * between - began - time.thread_time())
    return max(0.0, statistics.median(took) / len(arguments) * 1e6)
