"""Cuts of a bank in motion: consistent whenever they are captured, and a cut that is not is found out.

The children of the app are stepped one at a time in any order, one record a step, so that every transfer stands at every
stage of its way while another one moves.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from eventcore import Cut, Position
from eventcore.app import Embedded
from eventcore.app.cuts import _Capture, capture, check_cut, last_record
from eventcore.app.outcome import command_record
from eventcore.app.wiring import provision
from eventcore.avro.envelope import Options, Source, command_envelope, read_envelope, write_envelope
from eventcore.avro.outcome import read_outcome
from eventcore.errors import DataError
from eventcore.lane.checkpoint import trust_of
from eventcore.log.memory import MemoryLog
from eventcore.log.port import Log, Record
from eventcore.topics import partition_of
from examples.bank.account import CEILING, Deposit, accounts
from examples.bank.app import app
from examples.bank.conservation import money_is_conserved
from examples.bank.transfer import RequestTransfer, transfers
from projections import open_views
from tests.bank import everything

wiring = app.wiring
TOPICS = wiring.topics()
trust_of_the_bank = cache(trust_of)
OWNERS = ("alice", "bob", "carol")
PARTITIONS = 2


@pytest.fixture(autouse=True, scope="module")
def one_at_a_time() -> Iterator[None]:
    """Lanes and relays take one record a step. The bank's code, which stays as it is, is walked once for all its lanes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("lane.lane", "lane.restore"):
            patch.setattr(f"eventcore.{module}.trust_of", trust_of_the_bank)
        patch.setattr("eventcore.lane.intake.BATCH_TURNS_MAX", 1)
        patch.setattr("eventcore.relay.BATCH_RECORDS_MAX", 1)
        yield


@contextlib.contextmanager
def bank_on(log: Log) -> Generator[Embedded]:
    """The bank on a log, with money in it."""
    provision(log, wiring, PARTITIONS)
    views = open_views("memory:")
    views.upgrade()
    views.prepare(list(wiring.projections.values()))
    with Embedded(wiring, log, views) as bank:
        bank.start()
        for owner in OWNERS:
            bank.send(accounts.to(owner, Deposit(CEILING - 100)))
        yield bank


class Ask(NamedTuple):
    """Somebody asks for a transfer."""

    source: str
    target: str
    amount: int


Move = int | Ask  # a step of the nth child, or a transfer: small ones complete, large ones break their target's ceiling
PAIRS = [(source, target) for source in OWNERS for target in OWNERS if source != target]
children = st.integers(0, 6)
requests = st.sampled_from([Ask(*pair, amount) for pair in PAIRS for amount in (10, 60, 400)])
programs = st.lists(st.one_of(children, children, children, requests), max_size=60)


def go(bank: Embedded, move: Move, number: int) -> None:
    """Make one move."""
    if isinstance(move, int):
        bank._children()[move].step(0.0)
        return
    bank.send(transfers.to(f"transfer-{number}", RequestTransfer(*move)))


def check_now(bank: Embedded, log: Log) -> Cut:
    """Capture a cut, prove it, judge the money in it."""
    cut = capture(log, TOPICS)
    assert check_cut(log, TOPICS, cut) == []
    verdict = bank.audit(money_is_conserved, cut)
    assert verdict.holds, str(verdict)
    return cut


@given(programs)
def test_a_cut_is_consistent_at_every_stage_of_every_transfer(program: list[Move]) -> None:
    log = MemoryLog()
    with bank_on(log) as bank:
        cuts = [check_now(bank, log)]
        for number, move in enumerate(program):
            go(bank, move, number)
            cuts.append(check_now(bank, log))
        assert all(before <= after for before, after in itertools.pairwise(cuts))
        bank.run_until_idle()
        # What was consistent stays so, and two consistent cuts have a consistent join and meet.
        for one, other in zip(cuts, cuts[::-1], strict=True):
            assert check_cut(log, TOPICS, one | other) == []
            assert check_cut(log, TOPICS, one & other) == []
        assert check_now(bank, log) == bank.cut()


class RacingLog(MemoryLog):
    """A log on which something else happens each time that somebody has asked where a partition ends."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] = lambda: None

    def stable_end(self, topic: str, partition: int) -> int:
        """Where it ended before that."""
        end = super().stable_end(topic, partition)
        happens, self.meanwhile = self.meanwhile, lambda: None  # not again while it happens
        happens()
        self.meanwhile = happens
        return end


def moves_of(started: list[Ask], steps: list[int]) -> list[Move]:
    """First the transfers, then the steps."""
    return [*started, *steps]


in_flight = st.lists(requests, min_size=3, max_size=6)
rounds = st.lists(st.permutations(range(7)), min_size=1, max_size=8)
far: st.SearchStrategy[list[int]] = st.lists(st.permutations(range(7)), min_size=5, max_size=25).map(
    lambda orders: [child for order in orders for child in order]
)  # far enough for credits to be refused and holds to be released


@settings(max_examples=200)
@given(in_flight, st.lists(children, max_size=30), rounds)
def test_a_cut_is_consistent_though_everything_runs_on_while_it_is_captured(
    started: list[Ask], before: list[int], meanwhile: list[list[int]]
) -> None:
    """Each time that the capture has asked for one end, every child makes a step, in any order."""
    log = RacingLog()
    with bank_on(log) as bank:
        for number, move in enumerate(moves_of(started, before)):
            go(bank, move, number)
        turns = itertools.cycle(meanwhile)

        def happens() -> None:
            for child in next(turns):
                bank._children()[child].step(0.0)

        log.meanwhile = happens
        cut = capture(log, TOPICS)
        log.meanwhile = lambda: None
        assert check_cut(log, TOPICS, cut) == []
        assert bank.audit(money_is_conserved, cut).holds


def ends_of(log: Log) -> dict[tuple[str, int], int]:
    """Where everything ends now."""
    topics = [topic for topics in TOPICS for topic in (topics.outcomes, topics.events)]
    return {(topic, p): log.end(topic, p) for topic in topics for p in range(PARTITIONS)}


def closed(log: Log, ends: dict[tuple[str, int], int], *, before: dict[tuple[str, int], int] | None = None) -> Cut:
    """The closure of ends under causes, looking at everything that is not in `before`."""
    return _Capture(log, TOPICS, before if before is not None else dict.fromkeys(ends, 0), dict(ends)).close()


# --- what is not consistent is found --------------------------------------------------------------------------------


def causes_of(log: Log) -> list[tuple[Position, list[Position]]]:
    """The oracle: every effect in the log with what must be in a cut beside it, read off the records one by one."""
    effects: list[tuple[Position, list[Position]]] = []
    for topics in TOPICS:
        for partition in range(PARTITIONS):
            by_sequence: dict[int, Position] = {}
            turns: dict[tuple[bytes, int], list[Position]] = {}
            for record in everything(log, topics.events, partition):
                envelope = read_envelope(record.envelope)
                at = Position(topics.events, partition, record.offset)
                by_sequence[envelope.sequence] = at
                turn = turns.setdefault((envelope.command_id, envelope.cause), [])
                turn.append(at)
                source = envelope.options.source
                effects.append((at, turn + ([source.position()] if source else [])))
                effects += [(earlier, [at]) for earlier in turn]
            for record in everything(log, topics.outcomes, partition):
                outcome = read_outcome(record.value)
                needs = [by_sequence[outcome.events]] if outcome.events else []
                if outcome.details.source is not None:
                    needs.append(outcome.details.source.position())
                effects.append((Position(topics.outcomes, partition, record.offset), needs))
    return effects


def is_consistent(effects: list[tuple[Position, list[Position]]], cut: Cut) -> bool:
    """Whether every effect in the cut has all that it needs in it."""
    return all(cut.holds(need) for effect, needs in effects if cut.holds(effect) for need in needs)


def least_closure(effects: list[tuple[Position, list[Position]]], cut: Cut) -> Cut:
    """The oracle of closing: raise the cut by whatever is missing, until nothing is."""
    while True:
        missing = [need for effect, needs in effects if cut.holds(effect) for need in needs if not cut.holds(need)]
        if not missing:
            return cut
        for need in missing:
            cut = cut | need.cut()


@settings(max_examples=50)
@given(in_flight, st.lists(children, max_size=60), st.data())
def test_a_cut_is_found_consistent_exactly_when_no_effect_in_it_lacks_a_cause(
    started: list[Ask], steps: list[int], data: st.DataObject
) -> None:
    log = MemoryLog()
    with bank_on(log) as bank:
        for number, move in enumerate(moves_of(started, steps)):
            go(bank, move, number)
        whole = check_now(bank, log)
        effects = causes_of(log)
        for _ in range(10):
            cut = Cut({at: data.draw(st.integers(max(0, end - 4), end)) for at, end in whole.items()})
            assert (check_cut(log, TOPICS, cut) == []) == is_consistent(effects, cut)


def whole_turns(log: Log) -> dict[tuple[str, int], list[int]]:
    """The ends of each partition that split no turn."""
    ends: dict[tuple[str, int], list[int]] = {}
    for topic, partition in ends_of(log):
        records = everything(log, topic, partition)
        if topic.endswith(".outcomes"):
            after = [record.offset + 1 for record in records]
        else:
            envelopes = [(record.offset, read_envelope(record.envelope)) for record in records]
            after = [offset + 1 for offset, envelope in envelopes if envelope.index + 1 == envelope.count]
        ends[topic, partition] = [0, *after]
    return ends


@settings(max_examples=100)
@given(in_flight, far, st.data())
def test_a_capture_raises_what_it_first_saw_to_the_least_consistent_cut_above(
    started: list[Ask], steps: list[int], data: st.DataObject
) -> None:
    log = MemoryLog()
    with bank_on(log) as bank:
        for number, move in enumerate(moves_of(started, steps)):
            go(bank, move, number)
        effects, possible = causes_of(log), whole_turns(log)
        for _ in range(10):
            first = {at: data.draw(st.sampled_from(ends)) for at, ends in possible.items()}
            assert closed(log, first) == least_closure(effects, Cut(first))


class Kept(MemoryLog):
    """A log that outlives the app that closes it."""

    def close(self) -> None:
        """Stay."""


def finished_bank(log: Log) -> Cut:
    """A bank in which one transfer has completed; its whole cut."""
    with bank_on(log) as bank:
        bank.send(transfers.to("t", RequestTransfer("alice", "bob", 60)))
        bank.run_until_idle()
        return bank.cut()


def test_the_last_outcome_of_a_partition_brings_its_events_along_though_it_is_not_new() -> None:
    """On a broker an outcome may be readable a moment before the events of its own transaction."""
    log = Kept()
    whole = finished_bank(log)
    for at, end in whole.items():
        if at[0].endswith(".events"):
            ends = {**ends_of(log), at: end - 1}
            assert closed(log, ends, before=ends) == whole


def test_a_breach_names_the_effect_and_what_it_lacks() -> None:
    log = Kept()
    whole = finished_bank(log)
    partition = partition_of(b"t", PARTITIONS)
    broken = Cut({**whole, ("bank.transfer.events", partition): 1})
    said = [f"{breach.at}: {breach.problem}" for breach in check_cut(log, TOPICS, broken)]
    assert f"bank.transfer.events[{partition}]@0: the cut splits its turn: event 1 of 2" in said
    source = f"its cause bank.transfer.events[{partition}]@1 is not in the cut"
    assert any(source in line and line.startswith("bank.account.events") for line in said)
    assert any(source in line and line.startswith("bank.account.outcomes") for line in said)
    assert f"bank.transfer.outcomes[{partition}]@0: its event of sequence 2 is not in the cut" in said


# --- records that lie -----------------------------------------------------------------------------------------------


def raised(log: Log) -> Cut:
    """A capture that looks at everything."""
    return closed(log, ends_of(log))


LIES = [
    Source("bank.account.outcomes", 0, 10**12),
    Source("bank.transfer.events", 1, 10**12),
    Source("bank.account.outcomes", 99, 0),
    Source("bank.account.outcomes", -1, -1),
    Source("elsewhere.account.events", 0, 5),
]


@pytest.mark.parametrize("source", LIES)
def test_a_command_that_lies_about_its_cause_does_not_stop_cuts(source: Source) -> None:
    log = MemoryLog()
    with bank_on(log) as bank:
        lying = command_record(wiring.machine("account"), accounts.to("bob", Deposit(5)), 0)
        lying = replace(lying, envelope=command_envelope(bytes(16), Options(source=source)))
        log.append("bank.account.commands", partition_of(lying.key, PARTITIONS), [lying])
        bank.run_until_idle()
        cut = bank.cut()
        assert raised(log) == cut
        problems = {breach.problem for breach in check_cut(log, TOPICS, cut)}
        ours = source.topic.startswith("bank.") and source.offset >= 0
        assert problems == ({f"its cause {source.position()} is not in the cut"} if ours else set())


@pytest.mark.parametrize("envelope", [None, b"garbage"])
def test_foreign_records_at_the_end_of_a_topic_do_not_stop_cuts(envelope: bytes | None) -> None:
    log = MemoryLog()
    with bank_on(log) as bank:
        before = bank.cut()
        for topic, partition in ends_of(log):
            log.append(topic, partition, [Record(b"bob", b"hello", envelope, 1_000)] * 20)
        cut = bank.cut()
        assert before <= cut == raised(log)
        assert check_cut(log, TOPICS, cut) == []


def test_an_outcome_that_counts_events_nobody_wrote_does_not_stop_cuts() -> None:
    log = MemoryLog()
    with bank_on(log) as bank:
        partition = partition_of(b"bob", PARTITIONS)
        forged = everything(log, "bank.account.outcomes", partition)[-1].value or b""
        forged = forged[:64] + (10**6).to_bytes(8, "big") + forged[72:]
        assert read_outcome(forged).events == 10**6
        log.append("bank.account.outcomes", partition, [Record(b"bob", forged, None, 1_000)])
        cut = bank.cut()
        assert raised(log) == cut
        assert [b.problem for b in check_cut(log, TOPICS, cut)] == ["its event of sequence 1000000 is not in the cut"]


def test_an_event_that_lies_about_its_turn_does_not_stop_cuts() -> None:
    """Its turn has no end: the cut that holds it is not consistent, and says so."""
    log = MemoryLog()
    with bank_on(log) as bank:
        partition = partition_of(b"bob", PARTITIONS)
        last = everything(log, "bank.account.events", partition)[-1]
        endless = write_envelope(replace(read_envelope(last.envelope), count=9))
        log.append("bank.account.events", partition, [Record(b"bob", last.value, endless, 1_000)])
        cut = bank.cut()
        assert raised(log) == cut
        assert [b.problem for b in check_cut(log, TOPICS, cut)] == ["the cut splits its turn: event 1 of 9"]


# --- the last record below an offset ----------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=80), st.integers(0, 80))
def test_the_last_record_below_an_offset_is_found_across_gaps(kept: list[bool], end: int) -> None:
    """Aborted transactions leave gaps of any width."""
    log = MemoryLog()
    topics = TOPICS[0]
    log.provision(wiring.plans(1))
    writer = log.own(topics, 0)
    for number, keep in enumerate(kept):
        writer.append(topics.events, [Record(str(number).encode(), b"", None, 1_000)])
        if keep:
            writer.commit(None)
        else:
            writer.abort()
    end = min(end, len(kept))
    found = last_record(log, topics.events, 0, end)
    wanted = [number for number, keep in enumerate(kept) if keep and number < end]
    assert (found.offset if found else None) == (wanted[-1] if wanted else None)


def test_foreign_records_are_no_errors_of_ours() -> None:
    """The two readers that decide what is foreign raise DataError and nothing else."""
    readers: list[Callable[[Any], object]] = [read_envelope, read_outcome]
    for read in readers:
        with pytest.raises(DataError):
            read(b"garbage")
