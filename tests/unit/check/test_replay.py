"""What one version recorded, folded by another: right, or broken at the first event that is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from eventcore import Aggregate
from eventcore.check.replay import Happened, Streams, replay
from examples.bank import account
from examples.bank.account import Account, Credited, Deposited, Event, Withdrawn
from examples.bank.versions import closable
from tests.unit.check import conserved
from tests.unit.check.conserved import Pots, Put, Taken

AMOUNTS = st.integers(1, 1_000)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob"]),
        st.one_of(st.builds(Deposited, AMOUNTS), st.builds(Credited, AMOUNTS)),
    )
)


def itself(event: Any) -> Sequence[Any]:
    return (event,)


def recorded(events: list[tuple[str, Event]]) -> list[Happened]:
    return [Happened(f"events@{number}", instance, event) for number, (instance, event) in enumerate(events)]


@given(EVENTS)
def test_streams_of_the_first_version_replay_under_the_second_and_map_back(events: list[tuple[str, Event]]) -> None:
    streams = replay(Streams(closable.accounts, itself, account.accounts, closable.as_before), recorded(events))
    assert streams.broken == {}
    assert (streams.events, streams.instances) == (len(events), len({instance for instance, _ in events}))
    for instance in ("alice", "bob"):
        folded = Account()
        for each, event in events:
            folded = account.evolve(folded, event) if each == instance else folded
        assert closable.as_before(streams.state(instance)) == folded


def test_a_state_that_breaks_an_invariant_of_the_new_version_is_named_at_the_event_that_made_it() -> None:
    def never_rich(state: Account) -> bool:
        return state.balance <= 100

    new = Aggregate("account", Account, account.decide, account.evolve, invariants=[never_rich])
    events: list[tuple[str, Event]] = [("alice", Deposited(90)), ("bob", Deposited(1)), ("alice", Deposited(20))]
    streams = replay(Streams(new, itself), recorded([*events, ("alice", Withdrawn(100)), ("bob", Deposited(1))]))
    (broken,) = streams.broken.values()
    assert (broken.at, broken.instance, broken.before) == ("events@2", "alice", Account(balance=90))
    assert "the state after Deposited(amount=20) breaks the invariant never_rich" in broken.what
    assert streams.state("bob") == Account(balance=2)


def test_a_fold_that_forgets_a_case_or_an_upcaster_that_raises_is_named() -> None:
    def forgetful(state: Account, event: Event) -> Account:
        if isinstance(event, Withdrawn):
            return None  # type: ignore[return-value] # pyright: ignore[reportReturnType] - the mistake under test
        return account.evolve(state, event)

    new = Aggregate("account", Account, account.decide, forgetful)
    (broken,) = replay(Streams(new, itself), recorded([("a", Deposited(5)), ("a", Withdrawn(5))])).broken.values()
    assert "is folded to None, which is no Account" in broken.what

    def raising(event: Event) -> Sequence[Event]:
        raise LookupError(type(event).__name__)

    (lost,) = replay(Streams(account.accounts, raising), recorded([("a", Deposited(5))])).broken.values()
    assert "Deposited(amount=5) cannot be folded: LookupError: Deposited" in lost.what


def test_a_state_that_maps_elsewhere_is_named_with_both() -> None:
    def twice(event: Event) -> Sequence[Event]:
        return (event, event) if isinstance(event, Credited) else (event,)

    streams = Streams(closable.accounts, twice, account.accounts, closable.as_before)
    (broken,) = replay(streams, recorded([("a", Deposited(5)), ("a", Credited(2))])).broken.values()
    assert broken.at == "events@1"
    assert "the old version comes to Account(balance=7, held=0, credited=2" in broken.what
    assert "maps to Account(balance=9" in broken.what


def test_invariants_and_the_map_are_asked_after_a_turn_and_not_in_its_middle() -> None:
    def mapped(pots: Pots) -> Pots:
        assert conserved.conserved(pots), "no state of the old version's is like that"
        return pots

    told = [Happened("t@0", "a", Taken(), last=False), Happened("t@1", "a", Put())]
    streams = replay(Streams(conserved.pots, itself, conserved.pots, mapped), told)
    assert (streams.broken, streams.state("a")) == ({}, Pots(1, 1))


def test_a_turn_that_ends_badly_is_named_with_all_of_its_events_and_the_state_it_began_in() -> None:
    told = [Happened("t@0", "a", Taken(), last=False), Happened("t@1", "a", Taken())]
    (broken,) = replay(Streams(conserved.pots, itself), told).broken.values()
    assert (broken.at, broken.before) == ("t@1", Pots())
    assert broken.what == "the state after Taken(), Taken() breaks the invariant conserved"


def test_a_fold_that_raises_in_the_middle_of_a_turn_is_named_there() -> None:
    def raising(event: Any) -> Sequence[Any]:
        raise LookupError(type(event).__name__)

    told = [Happened("t@0", "a", Taken(), last=False), Happened("t@1", "a", Put())]
    streams = replay(Streams(conserved.pots, raising), told)
    assert [each.at for each in streams.broken.values()] == ["t@0"]
    assert (streams.events, streams.state("a")) == (2, Pots())
