"""The ratchet: the known region does not shrink unnoticed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from eventcore import Aggregate
from eventcore.check import Bounds, Checked, Scope, check
from eventcore.check.abstraction import Abstraction, derived
from eventcore.check.matrix import matrix_of
from eventcore.check.ratchet import Evidence, compare, evidence_of, read, written
from eventcore.errors import InvalidValue
from tests.unit.check.counter import Order, careless, orders


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


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 1}', b"\xff"])
def test_a_file_that_is_no_evidence_is_named(data: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"known\.json: is no file of evidence"):
        read(data, "known.json")


def test_a_file_of_another_format_is_named() -> None:
    with pytest.raises(InvalidValue, match="of format 7"):
        read(written(evidence(orders)).replace(b'"format": 1', b'"format": 7'), "known.json")
