"""`eventcore check` on two-phase commit, beside a bare loop over the same functions, and a search over tuples by hand.

The bare loop calls the same `decide` and `evolve` and judges the same invariant, on typed states, and does nothing else:
no validation, no codec, no second run, no traces to show. The search by hand knows the protocol and no types.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from benchmarks.measure import Row, Taken, in_turn, rate, timed
from eventcore import Refusal
from eventcore.check import Bounds, check
from eventcore.check.domain import instances
from eventcore.check.memory import used_bytes
from eventcore.check.report import Report
from examples.models.two_phase import checked

MANAGERS = 6  # 50,816 states and 402,306 transitions: seconds, not minutes
LARGE = 7
LARGER = (8, 9)  # 1.7 and 10.3 million states: minutes
WORKERS = 2
TRANSITIONS = {6: 402_306, 7: 2_744_706}
STATES_MAX = 20_000_000
WORKING, PREPARED, COMMITTED, ABORTED = range(4)

Tuples = tuple[tuple[int, ...], int, tuple[bool, ...], tuple[bool, ...], bool, bool]


def rows(*, full: bool) -> list[Row]:
    """What a check does beside the two, and what a state costs."""
    ours, bare = in_turn(lambda: timed(_count(MANAGERS), _checked), lambda: timed(_count(MANAGERS), _bare))
    _, by_hand = in_turn(lambda: Taken(1, 1.0, 1.0), lambda: timed(_count(MANAGERS), _by_hand))
    found = [
        _beside(f"2PC({MANAGERS}), beside the bare loop", ours, bare, "0.60"),
        _beside(f"2PC({MANAGERS}), beside tuples by hand", ours, by_hand, ""),
    ]
    alone = _alone(LARGE)
    found += [_memory(LARGE, alone), _symmetric(), _shared(alone)]
    return [*found, *(_memory(managers, _alone(managers)) for managers in (LARGER if full else ()))]


def _count(managers: int) -> int:
    return TRANSITIONS[managers]


def _beside(what: str, ours: list[Taken], twin: list[Taken], goal: str) -> Row:
    ratio = min(one.cpu_s for one in twin) / min(one.cpu_s for one in ours)  # of processor time: others run as well
    cpu = f"CPU {min(one.cpu_s for one in ours):.1f} s, twin {min(one.cpu_s for one in twin):.1f} s"
    return Row(what, f"{rate(ours):,.0f} transitions/s", f"{rate(twin):,.0f}", f"{ratio:.2f}", goal, cpu)


def _alone(managers: int, how: str = "") -> dict[str, float]:
    """What a check takes in a process of its own, so that its memory is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.check", str(managers), how],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return cast("dict[str, float]", json.loads(done.stdout))


def _memory(managers: int, found: dict[str, float]) -> Row:
    note = f"{found['distinct']:,.0f} states, {found['transitions']:,.0f} transitions, CPU {found['cpu_s']:.1f} s, "
    note += f"{found['memory_mib']:,.0f} MiB in all"
    return Row(f"2PC({managers}), a state's memory", f"{found['bytes']:.0f} bytes", "-", "-", "350 bytes", note)


def _symmetric() -> Row:
    found = _alone(LARGE, "symmetric")
    note = f"{found['distinct']:,.0f} orbits, by the clock"
    return Row(f"2PC({LARGE}), symmetric", f"{found['wall_s']:.2f} s", "-", "-", "1 s", note)


def _shared(alone: dict[str, float]) -> Row:
    found = _alone(LARGE, "workers")
    ratio = f"{alone['wall_s'] / found['wall_s']:.2f}"
    note = "by the clock, one process beside it"
    return Row(
        f"2PC({LARGE}), {WORKERS} workers", f"{found['wall_s']:.1f} s", f"{alone['wall_s']:.1f} s", ratio, "", note
    )


def _checked() -> None:
    report = check(checked(MANAGERS), bounds=Bounds(STATES_MAX))
    assert (report.verdict, report.transitions) == ("pass", _count(MANAGERS)), report


def _bare() -> None:
    """A breadth-first loop over typed states that calls the aggregate's own functions."""
    scoped = checked(MANAGERS)
    aggregate: Any = scoped.aggregate
    commands, _ = instances(tuple(aggregate.command_checks), scoped.scope)
    decide, evolve, holds = aggregate.decide, aggregate.evolve, [guard.holds for guard in aggregate.guards]

    def following(state: Any) -> Iterator[Any]:
        for command in commands:
            try:
                events = decide(state, command)
            except Refusal:
                continue
            after = state
            for event in events:
                after = evolve(after, event)
            assert all(each(after) for each in holds)
            yield after

    assert _searched(aggregate.initial(), following) == _count(MANAGERS)


def _by_hand() -> None:
    """The protocol over nested tuples: managers' phases, decision, heard, said, commit, abort."""
    each = range(MANAGERS)
    nobody = (False,) * MANAGERS

    def following(state: Tuples) -> Iterator[Tuples]:
        phases, decision, heard, said, commit, abort = state
        if decision == WORKING:
            if all(heard):
                yield phases, COMMITTED, heard, said, True, abort
            yield phases, ABORTED, heard, said, commit, True
        for i in each:
            if decision == WORKING and said[i]:
                yield phases, decision, (*heard[:i], True, *heard[i + 1 :]), said, commit, abort
            if phases[i] == WORKING:
                prepared = (*phases[:i], PREPARED, *phases[i + 1 :])
                yield prepared, decision, heard, (*said[:i], True, *said[i + 1 :]), commit, abort
                yield (*phases[:i], ABORTED, *phases[i + 1 :]), decision, heard, said, commit, abort
            if commit:
                yield (*phases[:i], COMMITTED, *phases[i + 1 :]), decision, heard, said, commit, abort
            if abort:
                yield (*phases[:i], ABORTED, *phases[i + 1 :]), decision, heard, said, commit, abort

    def judged(state: Tuples) -> Iterator[Tuples]:
        for after in following(state):
            assert not (COMMITTED in after[0] and ABORTED in after[0])
            yield after

    assert _searched(((WORKING,) * MANAGERS, WORKING, nobody, nobody, False, False), judged) == _count(MANAGERS)


def _searched(initial: Any, following: Callable[[Any], Iterator[Any]]) -> int:
    """The transitions of a plain breadth-first search that keeps the parent of each state."""
    gc.disable()
    try:
        parents: dict[Any, Any] = {initial: None}
        queue, transitions = [initial], 1
        for state in queue:  # which grows while it is read
            for after in following(state):
                transitions += 1
                if after not in parents:
                    parents[after] = state
                    queue.append(after)
    finally:
        gc.enable()
    return transitions


def _measured(managers: int, how: str) -> dict[str, float]:
    before = used_bytes()
    scoped = checked(managers)
    workers = WORKERS if how == "workers" else None
    reports: list[Report] = []
    bounds, symmetric = Bounds(STATES_MAX), how == "symmetric"
    taken = timed(1, lambda: reports.append(check(scoped, bounds=bounds, symmetric=symmetric, workers=workers)))
    (report,) = reports
    assert report.verdict == "pass", report
    assert symmetric or report.transitions == TRANSITIONS.get(managers, report.transitions), report
    return {
        "distinct": report.distinct,
        "transitions": report.transitions,
        "bytes": (report.memory_bytes - before) / report.distinct,
        "memory_mib": report.memory_bytes / 2**20,
        "cpu_s": taken.cpu_s,
        "wall_s": taken.wall_s,
    }


if __name__ == "__main__":
    print(json.dumps(_measured(int(sys.argv[1]), sys.argv[2])))
