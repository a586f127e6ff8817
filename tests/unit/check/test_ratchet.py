"""The ratchet: the known region does not shrink unnoticed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from eventcore import Aggregate, Context, Value
from eventcore.check import Bounds, Checked, Scope, always, check, eventually, sometimes, strong
from eventcore.check.abstraction import Abstraction, derived
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.matrix import matrix_of
from eventcore.check.ratchet import Evidence, compare, evidence_of, read, written
from eventcore.check.ratchet_scope import less_tried, tried_by
from eventcore.errors import InvalidValue
from tests.unit.check.counter import PRICE, Order, Pay, Status, careless, decide, evolve, orders, timed


class Pour(Value):
    """Pour some."""

    amount: int


class Poured(Value):
    """It is in."""


class Glass(Value):
    """Whether there is anything in it."""

    full: bool = False


def pour(_glass: Glass, _command: Pour) -> list[Poured]:
    """Whatever it is."""
    return [Poured()]


def poured(glass: Glass, _event: Poured) -> Glass:
    """There is."""
    return replace(glass, full=True)


def many(amounts: range) -> Checked[Glass, Pour, Poured]:
    """A glass, and how much may be poured."""
    return Checked(Aggregate("glass", Glass, pour, poured), Scope({"amount": amounts}))


def shipped(order: Order) -> bool:
    """It is gone."""
    return order.status is Status.SHIPPED


def evidence(what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any], bounds: Bounds | None = None) -> Evidence:
    bounds = bounds or Bounds()
    return evidence_of(check(what, bounds=bounds, keep_going=True), matrix_of(what, bounds=bounds))


def test_the_same_check_shows_the_same() -> None:
    change = compare(evidence(orders), evidence(orders))
    assert change.holds
    assert (change.lapsed, change.other) == (False, [])


def test_evidence_is_read_as_it_was_written_and_two_writings_are_one() -> None:
    assert read(written(evidence(orders)), "known.json") == evidence(orders)
    assert written(evidence(orders)) == written(evidence(orders))


def test_a_search_that_is_cut_where_it_was_not_shrinks_the_known_region() -> None:
    states = Abstraction(derived(Order), Scope({"paid": (0, 1, 2, 3)}))
    before = evidence(Checked(orders, abstraction=states))
    change = compare(before, evidence(orders, Bounds(2)))
    assert not change.holds
    assert "the verdict was pass and is inconclusive" in change.shrunk
    assert any("unknown" in each for each in change.shrunk)


def test_a_narrower_scope_and_a_sample_are_noticed() -> None:
    assert (
        "Pay.part took 2 values and takes 1"
        in compare(
            evidence(Checked(orders, Scope({"Pay.part": (1, 2)}))), evidence(Checked(orders, Scope({"Pay.part": (1,)})))
        ).shrunk
    )
    change = compare(evidence(orders), evidence(Checked(orders, Scope(samples={"Pay.part": (1, 2)}))))
    assert "Pay.part was enumerated and is sampled" in change.shrunk
    assert "open / 0 / Pay was accepts (inductive) and is unknown" in change.shrunk


def test_a_command_that_is_gone_is_noticed() -> None:
    before = evidence(orders)
    assert compare(before, replace(before, commands=("Pay",))).shrunk == ["the command Ship is gone"]


def test_other_code_must_show_it_again_and_what_it_does_otherwise_is_listed() -> None:
    change = compare(evidence(orders), evidence(careless))
    assert change.lapsed
    assert "open / 0 / Ship was refuses and is violates (inductive)" in change.other


def test_more_evidence_is_never_a_complaint() -> None:
    change = compare(evidence(orders, Bounds(2)), evidence(orders))
    assert change.holds


def test_a_class_narrowed_to_an_instance_of_it_is_noticed() -> None:
    change = compare(evidence(orders), evidence(Checked(orders, Scope({Pay: (Pay(1),)}))))
    assert change.shrunk == ["Pay was enumerated, 2 of it, and is declared, 1 of it"]
    assert compare(evidence(Checked(orders, Scope({Pay: (Pay(1),)}))), evidence(orders)).holds


def test_instances_and_fields_are_compared_by_instances() -> None:
    by_field, by_class = Checked(orders, Scope({"part": (1, 2)})), Checked(orders, Scope({Pay: (Pay(1),)}))
    assert compare(evidence(by_field), evidence(by_class)).shrunk == ["Pay is no longer tried as Pay(part=2)"]
    assert compare(evidence(by_class), evidence(by_field)).holds


def test_other_values_are_noticed_though_they_are_as_many() -> None:
    one, two = (evidence(Checked(orders, Scope({"part": (part,)}))) for part in (1, 2))
    assert "Pay.part no longer takes 1" in compare(one, two).shrunk
    assert compare(one, evidence(Checked(orders, Scope({"part": (2, 1)})))).holds


def test_values_that_are_too_many_to_list_are_the_same_or_said_to_be_others() -> None:
    one, two, three = (tried_by(AggregateMachine(many(range(low, low + 1_500)))) for low in (0, 0, 1))
    assert list(less_tried(one, two)) == []
    (said,) = less_tried(one, three)
    assert said.startswith("Pour.amount no longer takes the same values, 1,500 then and 1,500 now")


def test_fewer_contexts_are_noticed() -> None:
    days = [Context.at(datetime(2026, 1, day, tzinfo=UTC), UUID(int=1)) for day in (1, 2)]
    two, one = (evidence(Checked(timed, Scope(contexts=given))) for given in (days, days[:1]))
    (said,) = compare(two, one).shrunk
    assert said.startswith("decide is no longer tried in Context(")
    assert compare(one, two).holds


def test_fewer_initial_states_are_noticed() -> None:
    two = evidence(Checked(orders, initial=lambda: [Order(), Order(paid=1)]))
    assert "the search began in 2 states and begins in 1" in compare(two, evidence(orders)).shrunk


def test_a_claim_that_is_gone_or_claims_less_is_noticed() -> None:
    def is_open(order: Order) -> bool:
        return order.paid >= 0

    often = evidence(Checked(orders, properties=[always(is_open)]))
    assert compare(often, evidence(orders)).shrunk == ["the claim is_open (always) is gone"]
    once = evidence(Checked(orders, properties=[sometimes(is_open)]))
    assert compare(often, once).shrunk == ["the claim is_open was always and is sometimes"]
    without = evidence(Aggregate("order", Order, decide, evolve))
    assert "the claim shipped_is_paid (invariant) is gone" in compare(evidence(orders), without).shrunk
    assert compare(evidence(orders), often).holds
    resting = evidence(Checked(orders, finished=lambda order: order.paid == PRICE))
    assert compare(resting, evidence(orders)).shrunk[0].startswith("the claim finished is gone")


def test_what_is_newly_left_to_the_turn_and_what_is_newly_assumed_to_be_fair_is_noticed() -> None:
    left = evidence(Checked(orders, enforced=["shipped_is_paid"]))
    assert compare(evidence(orders), left).shrunk == [
        "the claim shipped_is_paid is now left to the turn, which refuses what would break it"
    ]
    assert compare(left, evidence(orders)).holds
    can, fair = (
        evidence(Checked(orders, properties=[eventually(shipped, fair=assumed)])) for assumed in ([], [strong()])
    )
    assert any(each.startswith("the claim shipped now rests on strong") for each in compare(can, fair).shrunk)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 2}', b"\xff"])
def test_a_file_that_is_no_evidence_is_named(data: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"known\.json: is no file of evidence"):
        read(data, "known.json")


def test_a_file_of_another_format_is_named() -> None:
    with pytest.raises(InvalidValue, match="of format 7"):
        read(written(evidence(orders)).replace(b'"format": 2', b'"format": 7'), "known.json")
    with pytest.raises(InvalidValue, match="of format 1, and this is format 2. Remove it to begin anew"):
        read(b'{"format": 1, "name": "order"}', "known.json")
