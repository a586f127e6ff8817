"""A poisoned instance on every log: its commands wait, its neighbours go on, and a release with mended code drains them."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import pytest

from eventcore import Aggregate, Context
from eventcore.avro.control import Control, Discard, Release, write_control
from eventcore.avro.envelope import command_envelope
from eventcore.lane.runner import LaneRunner
from eventcore.log.port import Log, Record
from tests.bank import (
    TOPICS,
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
    evolve,
    happened,
    id_of,
    kinds,
    lane_on,
    outcomes,
    provision,
    run,
    send,
)
from tests.logs import EVERY_LOG, opened, opener_of

WAIT_S = 10.0


def mended(
    account: Account, command: Deposit | Withdraw | Split | Look | Stamp | Misbehave, context: Context
) -> list[Event]:
    """The code after somebody corrected it."""
    return [] if isinstance(command, Misbehave) else decide(account, command, context)


fixed = Aggregate("account", Account, mended, evolve, invariants=list(accounts.guards))


@pytest.fixture(params=EVERY_LOG)
def log(request: pytest.FixtureRequest) -> Generator[Log]:
    """An empty log of each kind with the topics."""
    with opened(opener_of(request, request.param)) as made:
        provision(made)
        yield made


@contextlib.contextmanager
def working(log: Log, *, code_is_mended: bool) -> Generator[LaneRunner]:
    """A started lane with the old code or the mended."""
    lane = lane_on(log, aggregate=fixed if code_is_mended else accounts)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # of these commands
    lane.start()
    yield lane
    lane.close()


def order(control: Control, name: str) -> Record:
    """An operator's order for alice."""
    return Record(b"alice", write_control(control), command_envelope(id_of(name)), 1_000)


def poison(log: Log) -> None:
    """Let alice's second command raise, and three of hers come after it, one of them twice."""
    with working(log, code_is_mended=False) as lane:
        send(log, command("alice", Deposit(5), 1), command("alice", Misbehave("raise"), 2))
        send(log, command("bob", Deposit(5), 3), command("alice", Withdraw(4), 4), command("alice", Withdraw(4), 5))
        send(log, command("alice", Withdraw(4), 4), command("bob", Deposit(5), 6))
        run(lane, log, WAIT_S)
    assert kinds(outcomes(log)) == [
        *("accepted", "parked raised", "accepted", "parked instance_quarantined", "parked instance_quarantined"),
        *("parked instance_quarantined*", "accepted"),
    ]


def test_what_waits_is_drained_in_order_by_a_release_with_mended_code(log: Log) -> None:
    poison(log)
    with working(log, code_is_mended=True) as lane:
        assert [waiting.command_id for waiting in lane.memory.waiting.of(b"alice")] == [id_of(n) for n in (2, 4, 5)]
        send(log, command("alice", Deposit(1), 7), order(Release(), "release"), command("alice", Withdraw(2), 8))
        run(lane, log, WAIT_S)
        assert not lane.memory.quarantined
    assert kinds(outcomes(log)[7:]) == [
        "parked instance_quarantined",
        *("accepted", "accepted", "refused insufficient_funds", "accepted", "accepted"),
        "accepted",
    ]
    assert [o.command_id for o in outcomes(log)[8:]] == [id_of(n) for n in (2, 4, 5, 7, "release", 8)]
    assert [h.envelope.version for h in happened(log) if h.id == "alice"] == [1, 2, 3, 4]


def test_what_a_caller_of_the_lane_is_answered_is_about_its_own_commands(log: Log) -> None:
    poison(log)
    with working(log, code_is_mended=True) as lane:
        answers = lane.decide([order(Release(), "release"), command("alice", Deposit(9), 9)])
    assert [answer.outcome.command_id for answer in answers] == [id_of("release"), id_of(9)]
    assert kinds(answer.outcome for answer in answers) == ["accepted", "accepted"]


def test_what_waits_is_known_to_every_later_lane_until_it_is_discarded(log: Log) -> None:
    poison(log)
    for name, left in (("first", 2), ("second", 1)):
        with working(log, code_is_mended=False) as lane:
            send(log, order(Discard(first_only=True), name))
            run(lane, log, WAIT_S)
            assert len(lane.memory.waiting.of(b"alice")) == left
    with working(log, code_is_mended=False) as lane:
        send(log, order(Discard(), "all"), command("alice", Withdraw(5), 10), order(Release(), "late"))
        run(lane, log, WAIT_S)
    assert kinds(outcomes(log)[-4:]) == ["parked discarded", "accepted", "accepted", "refused not_quarantined"]
    with working(log, code_is_mended=False) as lane:
        assert not lane.memory.quarantined
        assert lane.position[TOPICS.commands, 0] == log.end(TOPICS.commands, 0)
