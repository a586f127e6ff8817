"""A lane that is killed anywhere, as often as you like, decides what a lane that never crashed decides, and once.

Random programs of commands (doubled, hostile, steps of sagas, turns that raise), of lanes that are driven through their
topic or by their caller, and of kills: between any two steps, before and after every append and commit. After each
restart the lane knows what the log says, which is what the lane before knew when it last committed.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from eventcore import Value
from eventcore.avro.envelope import Options, SagaStep, Source
from eventcore.avro.outcome import OutcomeRecord
from eventcore.lane.memory import LaneMemory, StepMemory
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Record
from tests.bank import (
    QUARANTINING,
    REFUSING,
    TOPICS,
    UNLUCKY,
    Deposit,
    Look,
    Misbehave,
    Split,
    Withdraw,
    command,
    everything,
    happened,
    id_of,
    lane_on,
    outcomes,
    provision,
    run,
)
from tests.dying import POINTS, DyingLog, Killed, Point

KEYS, IDS = ("alice", "bob", "carol"), 12

amounts = st.sampled_from([1, 2, 3, 5, 8, 400])
domain: st.SearchStrategy[Value] = st.one_of(
    st.builds(Deposit, amounts),
    st.builds(Withdraw, amounts),
    st.builds(Split, st.lists(amounts, max_size=3).map(tuple)),
    st.builds(Look),
)
rare: st.SearchStrategy[Value] = st.one_of(
    st.just(Deposit(UNLUCKY)), st.sampled_from([*QUARANTINING[:4], *REFUSING]).map(Misbehave)
)
steps = st.builds(
    SagaStep, st.just("transfer"), st.sampled_from(["t1", "t2"]), st.just("hold"), st.sampled_from(["do", "undo"])
)
options = st.one_of(
    st.just(Options()),
    st.builds(Options, step=steps, source=st.just(Source("bank.transfer.events", 0, 7))),
    st.builds(Options, expected_version=st.integers(0, 3)),
    st.just(Options(expires=1)),
)


@st.composite
def commands(draw: st.DrawFn) -> Record:
    """A command of few instances with few ids, so that they meet; now and then bytes that are none."""
    given_ = draw(st.one_of(domain, domain, domain, domain, rare))
    made = command(draw(st.sampled_from(KEYS)), given_, draw(st.integers(0, IDS)), options=draw(options))
    match draw(st.integers(0, 15)):
        case 0:
            return Record(made.key, b"garbage", made.envelope, 1_000)
        case 1:
            return Record(made.key, made.value, b"garbage", 1_000)
        case 2:
            return Record(b"\xff", made.value, made.envelope, 1_000)
        case _:
            return made


batches = st.lists(commands(), min_size=1, max_size=5)


class Send(NamedTuple):
    """Somebody appends commands to the topic."""

    records: list[Record]


class Decide(NamedTuple):
    """The caller of an embedded lane hands commands to it."""

    records: list[Record]


class Kill(NamedTuple):
    """The process dies at this point, after passing it so many times; at None, between two steps."""

    point: Point | None
    passes: int


Move = Send | Decide | Kill | Literal["step", "restart"]
moves: st.SearchStrategy[Move] = st.one_of(
    st.builds(Send, batches),
    st.builds(Decide, batches),
    st.builds(Decide, batches),
    st.builds(Kill, st.sampled_from(POINTS), st.integers(0, 2)),
    st.builds(Kill, st.none() | st.sampled_from(POINTS), st.integers(0, 1)),
    st.just("step"),
    st.just("step"),
    st.just("restart"),
)


def known(memory: LaneMemory) -> LaneMemory:
    """A copy of what a lane knows, without the term of who knows it."""
    return replace(copy.deepcopy(memory), term=0)


class World:
    """One log and the lane on it. `committed` is what the lane knew when it last committed."""

    def __init__(self) -> None:
        self.log = DyingLog()
        provision(self.log)
        self.lane = lane_on(self.log)
        self.lane.start()
        self.committed = known(self.lane.memory)
        self.kills = 0

    def go(self, move: Move) -> None:
        """Make one move; whatever dies in it is started again."""
        match move:
            case Send(records):
                self.log.append(TOPICS.commands, 0, records)
            case Kill(None, _):
                self.restart(self.committed)
            case Kill(point, passes):
                self.log.point, self.log.passes = point, passes
            case "restart":
                self.lane.close()
                self.restart(self.committed)
            case _:
                self.work(move)

    def work(self, move: Decide | Literal["step"]) -> None:
        """Let the lane decide, and perhaps die of it."""
        memory = self.lane.memory
        written = self.log.end(TOPICS.outcomes, 0)
        try:
            if isinstance(move, Decide):
                answers = self.lane.decide(move.records)
                assert [a.outcome.details.command for a in answers] == [r.value for r in move.records]
            else:
                self.lane.step(0.0)
            self.committed = known(memory)
        except Killed as killed:
            self.kills += 1
            if killed.args == ("after commit",):
                self.restart(known(memory))
            elif self.log.stable_end(TOPICS.outcomes, 0) == written:
                self.restart(self.committed)
            else:
                self.restart(None)  # `decide` committed what stood before its own, and died in that: an unknown middle

    def restart(self, expected: LaneMemory | None) -> None:
        """A new process: what it reads back is what was committed."""
        self.lane = lane_on(self.log)
        self.lane.start()
        restored = known(self.lane.memory)
        assert expected is None or restored == expected
        self.committed = restored

    def finish(self) -> None:
        """Decide everything that is left, undisturbed."""
        self.log.point = None
        run(self.lane, self.log)
        self.committed = known(self.lane.memory)
        self.lane.close()
        again = lane_on(self.log)
        again.start()
        assert known(again.memory) == self.committed
        again.close()


def undisturbed(records: list[Record]) -> tuple[MemoryLog, LaneMemory]:
    """The log of a lane that decides the same commands in the same order and never crashes, and what it knows."""
    log = MemoryLog()
    provision(log)
    lane = lane_on(log)
    lane.start()
    for record in records:
        log.append(TOPICS.commands, 0, [record])
        lane.step(0.0)
    return log, lane.memory


def decision(outcome: OutcomeRecord) -> tuple[Any, ...]:
    """An outcome without what differs between two runs: term, stamp, offsets, ids that follow from them, tracebacks."""
    own_id = outcome.command_id if outcome.command_id in {id_of(n) for n in range(IDS + 1)} else None
    details = msgspec.structs.replace(outcome.details, detail=None, message=timeless(outcome.details.message))
    return (own_id, outcome.version, outcome.count, outcome.sequence, outcome.events, details)


def timeless(message: str | None) -> str | None:
    """A message, unless it tells a time."""
    return None if message and message.startswith("expired at") else message


def without_times(steps_: dict[Any, StepMemory]) -> dict[Any, StepMemory]:
    """The steps, with messages that tell no time."""
    return {
        key: StepMemory(*(d and d._replace(message=timeless(d.message)) for d in (step.do, step.undo)))
        for key, step in steps_.items()
    }


@settings(max_examples=500)
@given(st.lists(moves, min_size=4, max_size=40))
def test_a_lane_that_is_killed_anywhere_decides_what_an_undisturbed_one_does(program: list[Move]) -> None:
    world = World()
    for move in program:
        world.go(move)
    world.finish()
    event(f"kills: {min(world.kills, 3)}")
    log = world.log
    commands_ = everything(log, TOPICS.commands)
    decided = outcomes(log)

    # N1: one outcome for each time a command stands in the topic, and one first decision for each id.
    assert [o.cause for o in decided] == [record.offset for record in commands_]
    first = Counter(o.command_id for o in decided if not o.details.repeated)
    assert set(first.values()) <= {1}
    assert set(first) == {o.command_id for o in decided}
    # N2: sequences without gaps, versions contiguous, terms that only grow.
    assert [o.sequence for o in decided] == list(range(1, len(decided) + 1))
    envelopes = [h.envelope for h in happened(log)]
    assert [e.sequence for e in envelopes] == list(range(1, len(envelopes) + 1))
    for key in KEYS:
        versions = [h.envelope.version for h in happened(log) if h.id == key]
        assert versions == list(range(1, len(versions) + 1))
    assert [o.term for o in decided] == sorted(o.term for o in decided)
    stamps = [o.stamp for o in decided]
    assert stamps == sorted(set(stamps))

    # The same as undisturbed: every decision, every event, and what is known in the end.
    other, memory = undisturbed([Record(r.key or b"", r.value, r.envelope, r.time_ms) for r in commands_])
    assert [decision(o) for o in decided] == [decision(o) for o in outcomes(other)]
    assert [(h.id, h.event) for h in happened(log)] == [(h.id, h.event) for h in happened(other)]
    assert without_times(world.committed.steps) == without_times(memory.steps)
    for name in ("instances", "quarantined", "event_sequence", "outcome_sequence"):
        assert getattr(world.committed, name) == getattr(memory, name), name
