"""Commands, poison, releases, discards and kills in any order: each instance's commands are decided in order, each once.

The lane runs now the old code, in which a command raises, now the mended one; it is killed at any point and started
again. In the end everything is released by mended code. The judge reads the log alone: it knows of a command when it
first stood in the topic, and which outcomes are final.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from hypothesis import event, given, settings
from hypothesis import strategies as st

from eventcore import Aggregate, Context, Value
from eventcore.avro.control import Control, Discard, Release, is_control, write_control
from eventcore.avro.envelope import command_envelope, read_envelope
from eventcore.avro.outcome import OutcomeRecord
from eventcore.lane.memory import LaneMemory
from eventcore.log.port import Record
from tests.bank import (
    TOPICS,
    UNLUCKY,
    Account,
    Deposit,
    Event,
    Look,
    Misbehave,
    Split,
    Stamp,
    Withdraw,
    accounts,
    command,
    decide,
    everything,
    evolve,
    happened,
    id_of,
    lane_on,
    outcomes,
    provision,
    run,
)
from tests.dying import POINTS, DyingLog, Killed, Point

KEYS, IDS = ("alice", "bob"), 30


def mended(
    account: Account, command: Deposit | Withdraw | Split | Look | Stamp | Misbehave, context: Context
) -> list[Event]:
    """The code after somebody corrected it."""
    return [] if isinstance(command, Misbehave) else decide(account, command, context)


CODE: dict[str, Aggregate[Any, Any, Any]] = {
    "old": accounts,
    "mended": Aggregate("account", Account, mended, evolve, invariants=list(accounts.guards)),
}


CODES: tuple[Literal["old"], Literal["mended"]] = ("old", "mended")


class Deploy(NamedTuple):
    """The lane ends, and starts again with this code."""

    code: Literal["old", "mended"]


class Step(NamedTuple):
    """The lane decides all that stands in its topic."""


class Kill(NamedTuple):
    """The process dies when it reaches this point."""

    point: Point


given_commands: st.SearchStrategy[Value] = st.one_of(
    st.builds(Deposit, st.integers(1, 9)),
    st.builds(Withdraw, st.integers(1, 9)),
    st.just(Misbehave("raise")),
    st.just(Deposit(UNLUCKY)),
)
sent = st.builds(command, st.sampled_from(KEYS), given_commands, st.integers(0, IDS))
orders: st.SearchStrategy[Control] = st.one_of(
    st.just(Release()), st.just(Release()), st.just(Discard(first_only=True)), st.just(Discard())
)


def order(key: str, control: Control, name: int) -> Record:
    """An operator's order, as it stands in the commands topic."""
    return Record(key.encode(), write_control(control), command_envelope(id_of(name)), 1_000)


ordered = st.builds(order, st.sampled_from(KEYS), orders, st.integers(1_000, 1_030))
Move = Deploy | Kill | list[Record] | Step
moves: st.SearchStrategy[Move] = st.one_of(
    st.lists(st.one_of(sent, sent, sent, ordered), min_size=1, max_size=6),
    st.lists(st.one_of(sent, sent, sent, ordered), min_size=1, max_size=6),
    st.builds(Step),
    st.builds(Deploy, st.sampled_from(CODES)),
    st.builds(Kill, st.sampled_from(POINTS)),
)


class World:
    """One log and the lane on it."""

    def __init__(self) -> None:
        self.log = DyingLog()
        provision(self.log)
        self.start("old")

    def start(self, code: str) -> None:
        """A new process with this code."""
        self.code = code
        self.lane = lane_on(self.log, aggregate=CODE[code])
        self.lane.start()

    def go(self, move: Move) -> None:
        """Make one move."""
        match move:
            case Deploy(code):
                before = known(self.lane.memory)
                self.lane.close()
                self.start(code)
                assert known(self.lane.memory) == before
            case Kill(point):
                self.log.point, self.log.passes = point, 0
            case Step():
                try:
                    run(self.lane, self.log)
                except Killed:
                    self.start(self.code)
            case records:
                self.log.append(TOPICS.commands, 0, records)

    def finish(self) -> None:
        """Release with mended code whatever is stopped, until nothing is: an unlucky deposit stops its instance again."""
        self.log.point = None
        self.lane.close()
        self.start("mended")
        run(self.lane, self.log)
        for number in range(200):
            if not self.lane.memory.quarantined:
                break
            key = min(self.lane.memory.quarantined)
            self.log.append(TOPICS.commands, 0, [order(key.decode(), Release(), 2_000 + number)])
            run(self.lane, self.log)
        assert not self.lane.memory.quarantined
        assert (self.lane.memory.waiting.count, self.lane.memory.waiting.size) == (0, 0)


def known(memory: LaneMemory) -> LaneMemory:
    """A copy of what a lane knows, without the term of who knows it."""
    return replace(copy.deepcopy(memory), term=0)


def is_final(outcome: OutcomeRecord) -> bool:
    """Whether nothing else will be decided of its command."""
    details = outcome.details
    return details.kind != "parked" or details.reason not in {"raised", "instance_quarantined"}


@settings(max_examples=400)
@given(st.lists(moves, min_size=4, max_size=30))
def test_whatever_happens_each_command_is_decided_once_and_in_the_order_of_its_instance(program: list[Move]) -> None:
    world = World()
    for move in program:
        world.go(move)
    world.finish()
    log = world.log

    arrived: dict[bytes, bytes] = {}  # the id of each command, in the order of their first coming, and its instance
    for record in everything(log, TOPICS.commands):
        if not is_control(record.value or b""):
            arrived.setdefault(read_envelope(record.envelope).command_id, record.key or b"")
    decided = [o for o in outcomes(log) if not o.details.repeated and o.command_id in arrived]
    final = [o for o in decided if is_final(o)]
    assert Counter(o.command_id for o in final) == Counter(list(arrived))
    for key in KEYS:
        mine = [command_id for command_id, whose in arrived.items() if whose == key.encode()]
        assert [o.command_id for o in final if arrived[o.command_id] == key.encode()] == mine
        versions = [h.envelope.version for h in happened(log) if h.id == key]
        assert versions == list(range(1, len(versions) + 1))
    parked = Counter(o.command_id for o in decided if o.details.reason == "instance_quarantined")
    assert set(parked.values()) <= {1}

    # Every event is of a command that was accepted, and the other way round.
    written = Counter(h.envelope.command_id for h in happened(log))
    assert written == Counter({o.command_id: o.count for o in final if o.count})
    every = outcomes(log)
    assert [o.sequence for o in every] == list(range(1, len(every) + 1))
    assert [o.cause for o in every] == sorted(o.cause for o in every)
    stamps = [o.stamp for o in every]
    assert stamps == sorted(set(stamps))
    event(f"waited: {min(len(parked), 5)}")
    event(f"discarded: {min(sum(o.details.reason == 'discarded' for o in final), 3)}")
