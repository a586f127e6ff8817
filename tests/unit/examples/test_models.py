"""The reference models have the sizes that others found for them: a changed number is a changed meaning."""

from collections.abc import Iterable
from typing import Any

import pytest

from eventcore import Aggregate
from examples.models import (
    alternating_bit,
    die_hard,
    increment,
    reservation,
    scheduling_allocator,
    simple_allocator,
    t_commit,
)
from tests.unit.examples.plain_search import Found, every_command, search

PACKETS = [reservation.Packet(participant, word) for participant in range(2) for word in reservation.Word]


def searched(aggregate: Aggregate[Any, Any, Any], **fields: Iterable[object]) -> Found[Any]:
    return search(aggregate, every_command(aggregate, **fields))


@pytest.mark.parametrize(
    ("managers", "counts"),
    [
        (1, (4, 5, 3)),
        (2, (12, 23, 5)),
        (3, (34, 94, 7)),
        (4, (96, 357, 9)),
        (5, (274, 1_296, 11)),
        (6, (792, 4_567, 13)),
    ],
)
def test_transaction_commit_has_its_size(managers: int, counts: tuple[int, int, int]) -> None:
    found = searched(t_commit.transaction_of(managers), manager=range(managers))
    assert found.counts == counts
    assert found.violation(t_commit.consistent) is None


def test_four_gallons_can_be_measured_in_six_steps() -> None:
    found = searched(die_hard.jugs, jug=die_hard.Jug, source=die_hard.Jug)
    assert found.counts == (16, 97, 8)
    assert found.violation(die_hard.never_four) == 7


@pytest.mark.parametrize(("resources", "counts"), [(2, (400, 1_633, 6)), (3, (8_000, 45_697, 7))])
def test_the_simple_allocator_has_its_size(resources: int, counts: tuple[int, int, int]) -> None:
    sets = simple_allocator.subsets(range(resources))
    assert searched(simple_allocator.allocator_of(3), client=range(3), resources=sets).counts == counts


def test_the_scheduling_allocator_has_its_size_and_refines_the_simple_one() -> None:
    sets, lines = simple_allocator.subsets(range(2)), scheduling_allocator.lines(3)
    found = searched(scheduling_allocator.scheduler_of(3), client=range(3), resources=sets, order=lines)
    simple = searched(simple_allocator.allocator_of(3), client=range(3), resources=sets)
    assert found.counts == (1_690, 5_854, 7)
    assert refined(found, simple, scheduling_allocator.without_line) == (1_323, 4_530, 0)
    assert len({scheduling_allocator.without_line(state) for state in found.levels}) == 376


def test_the_alternating_bit_protocol_has_its_size_and_refines_the_link() -> None:
    bits = alternating_bit
    links, wires = every_command(bits.links, data=bits.Data), every_command(bits.wires, data=bits.Data, slot=range(2))
    link = search(bits.links, links, bits.quiet_links())
    found = search(bits.wires, wires, bits.quiet_wires(), bits.short_queues)
    assert link.counts == (20, 36, 3)
    assert found.counts == (240, 1_392, 10)
    assert refined(found, link, bits.without_queues) == (1_216, 168, 0)
    assert {bits.without_queues(wire) for wire in found.levels} == set(link.levels)


@pytest.mark.parametrize(("threads", "counts"), [(2, (13, 15, 5)), (3, (84, 112, 7))])
def test_threads_without_a_lock_lose_an_increment_in_four_steps(threads: int, counts: tuple[int, int, int]) -> None:
    found = searched(increment.counter_of(threads), thread=range(threads))
    assert found.counts == counts
    assert found.violation(increment.counts_the_writers) == 5


def test_threads_with_a_lock_lose_nothing() -> None:
    found = searched(increment.locked_counter_of(2), thread=range(2))
    assert found.counts == (17, 17, 9)
    assert found.violation(increment.counts_the_writers) is None


@pytest.mark.parametrize(
    ("network", "counts"), [("fifo", (51, 85, 10)), ("bag", (75, 141, 10)), ("dup", (91, 169, 11))]
)
def test_a_saga_with_tombstones_settles_on_every_network(
    network: reservation.Network, counts: tuple[int, int, int]
) -> None:
    found = searched(reservation.reservation_on(network), packet=PACKETS, refuse=(False, True))
    assert found.counts == counts
    assert found.violation(reservation.finished_means_settled) is None
    assert found.stuck(reservation.is_finished) == 0


@pytest.mark.parametrize(("network", "distinct", "violation"), [("fifo", 51, None), ("bag", 83, 5), ("dup", 91, 5)])
def test_without_tombstones_a_cancellation_that_overtakes_leaves_a_place_held(
    network: reservation.Network, distinct: int, violation: int | None
) -> None:
    found = searched(reservation.reservation_on(network, tombstone=False), packet=PACKETS, refuse=(False, True))
    assert found.counts[0] == distinct
    assert found.violation(reservation.finished_means_settled) == violation
    assert found.stuck(reservation.is_finished) == 0


def refined(fine: Found[Any], coarse: Found[Any], to_coarse: Any) -> tuple[int, int, int]:
    """How many steps of `fine` leave the coarse state as it is, are steps of `coarse`, and are neither."""
    known = {(source, target) for source, _, target in coarse.steps}
    mapped = [(to_coarse(source), to_coarse(target)) for source, _, target in fine.steps]
    stutters = sum(source == target for source, target in mapped)
    steps = sum(source != target and (source, target) in known for source, target in mapped)
    return stutters, steps, len(mapped) - stutters - steps
