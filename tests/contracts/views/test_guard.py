"""V1 to V3: one owner at a time; whatever is not the owner's is not written at all."""

from __future__ import annotations

import contextlib

import pytest

from eventcore.cut import Cut
from eventcore.errors import Fenced, NotSupported
from projections import Views
from projections.views import Advance, Batch, Parked, Standing
from tests.contracts.views.bank import TOPIC, Balance, balances
from tests.contracts.views.conftest import Place

ALICE = Balance("alice", 5, 1)


def advance(before: Standing, next_offset: int, partition: int = 0) -> Advance:
    return Advance(partition, before, next_offset, before.sequence + 1, 1)


def test_a_new_projection_stands_at_the_beginning(views: Views) -> None:
    assert views.take_over(balances, TOPIC, [0, 1]) == {0: Standing(1, 0, 0, 0), 1: Standing(1, 0, 0, 0)}
    assert views.position(balances) == Cut()


def test_the_next_owner_stands_where_the_last_one_committed(views: Views) -> None:
    standing = views.take_over(balances, TOPIC, [0])[0]
    views.commit(balances, Batch(TOPIC, [Advance(0, standing, 7, 3, 2)]))
    assert views.take_over(balances, TOPIC, [0]) == {0: Standing(2, 7, 3, 2)}


def test_an_owner_goes_on_from_its_own_commits(views: Views) -> None:
    step = advance(views.take_over(balances, TOPIC, [0])[0], 4)
    views.commit(balances, Batch(TOPIC, [step], [ALICE]))
    views.commit(balances, Batch(TOPIC, [advance(step.after(), 9)], deleted=["alice"]))
    assert views.ask(balances, "alice").cut == Cut({(TOPIC, 0): 9})


def test_a_former_owner_writes_nothing(views: Views, place: Place) -> None:
    ours = views.take_over(balances, TOPIC, [0])[0]
    with contextlib.closing(place.open()) as rival:
        theirs = rival.take_over(balances, TOPIC, [0])[0]
        rival.commit(balances, Batch(TOPIC, [advance(theirs, 3)], [ALICE]))
    parked = Parked(0, 0, "foreign", "", None, None, None)
    with pytest.raises(Fenced, match=r"stands at bank.account.events\[0\]@3, but epoch 2 belongs .* \(ours is 1\)"):
        views.commit(
            balances, Batch(TOPIC, [advance(ours, 9)], [Balance("bob", 1, 1)], deleted=["alice"], parked=[parked])
        )
    assert views.ask(balances, "alice").row == ALICE
    assert views.ask(balances, "bob").row is None
    assert views.position(balances) == Cut({(TOPIC, 0): 3})
    assert views.parked(balances) == []


def test_a_batch_committed_twice_is_written_once(views: Views) -> None:
    batch = Batch(TOPIC, [advance(views.take_over(balances, TOPIC, [0])[0], 4)], [ALICE])
    views.commit(balances, batch)
    with pytest.raises(Fenced, match="in the same epoch, 1"):
        views.commit(balances, batch)
    assert views.position(balances) == Cut({(TOPIC, 0): 4})


def test_one_lost_partition_stops_the_whole_batch(views: Views, place: Place) -> None:
    ours = views.take_over(balances, TOPIC, [0, 1, 2])
    with contextlib.closing(place.open()) as rival:
        rival.take_over(balances, TOPIC, [2])
    with pytest.raises(Fenced, match="nothing was written"):
        views.commit(balances, Batch(TOPIC, [advance(ours[p], 4, p) for p in range(3)], [ALICE]))
    assert views.position(balances) == Cut()
    assert views.ask(balances, "alice").row is None


def test_other_partitions_of_a_projection_are_not_disturbed(views: Views, place: Place) -> None:
    ours = views.take_over(balances, TOPIC, [0, 1])
    with contextlib.closing(place.open()) as rival:
        rival.take_over(balances, TOPIC, [1])
    views.commit(balances, Batch(TOPIC, [advance(ours[0], 4)], [ALICE]))
    assert views.ask(balances, "alice").row == ALICE


def test_a_position_that_is_gone_fences(views: Views) -> None:
    with pytest.raises(Fenced, match="is gone"):
        views.commit(balances, Batch(TOPIC, [advance(Standing(1, 0, 0, 0), 4)], [ALICE]))


def test_a_projection_cannot_be_fed_from_two_topics(views: Views) -> None:
    views.take_over(balances, TOPIC, [0])
    with pytest.raises(NotSupported, match="fed from bank.account.events before, and now from shop.account.events"):
        views.take_over(balances, "shop.account.events", [0])
