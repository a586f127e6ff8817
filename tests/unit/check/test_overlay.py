"""Production over the model: what was seen where, and where it left the model."""

from __future__ import annotations

from eventcore import Aggregate
from eventcore.check import Bounds
from eventcore.check.matrix import matrix_of
from eventcore.check.matrix_text import matrix_text
from eventcore.check.overlay import Seen, overlay
from tests.unit.check.counter import (
    PRICE,
    Order,
    Paid,
    Pay,
    Ship,
    Shipped,
    Status,
    careless,
    decide,
    evolve,
    orders,
    shipped_is_paid,
)

GONE = Status.SHIPPED


def turn(at: int, before: Order, command: str, after: Order, instance: str = "a") -> Seen:
    return Seen(f"shop.order.events[0]@{at}", instance, before, command, after)


FINE = [
    turn(1, Order(), "Pay", Order(paid=1)),
    turn(2, Order(paid=1), "Pay", Order(paid=3)),
    turn(3, Order(paid=3), "Ship", Order(GONE, 3)),
]


def test_what_production_does_within_the_model_is_counted_with_its_first_and_last_position() -> None:
    again = [turn(at, Order(), "Pay", Order(paid=1), f"b{at}") for at in (7, 9)]
    matrix = overlay(matrix_of(orders), [*FINE, *again])
    assert matrix.escapes == []
    observed = matrix.rows["open", "0"]["Pay"].observed
    assert observed is not None
    assert (observed.count, observed.first, observed.last) == (3, "shop.order.events[0]@1", "shop.order.events[0]@9")
    assert matrix.sets.seen is not None
    assert (matrix.sets.seen.states, matrix.sets.seen.rows) == (4, 4)
    shown = matrix_text(matrix)
    assert "Production: 5 turns of 3 instances, of which 3 (100 %) stayed within what the model knows." in shown
    assert "Of 3 reached cells that accept something, production has used 3." in shown


def test_an_escape_is_the_first_position_at_which_an_instance_is_where_nothing_can_be() -> None:
    turns = [turn(4, Order(paid=1), "Ship", Order(GONE, 1)), turn(6, Order(GONE, 1), "Pay", Order(GONE, 2))]
    matrix = overlay(matrix_of(orders), [*FINE, *turns, turn(5, Order(paid=1), "Ship", Order(GONE, 1), "b")])
    assert [(each.instance, each.at) for each in matrix.escapes] == [
        ("a", "shop.order.events[0]@4"),
        ("b", "shop.order.events[0]@5"),
    ]
    assert matrix.rows["shipped", "1..2"]["Pay"].escaped
    assert "2 instances left the model" in matrix_text(matrix)


def test_a_turn_that_the_model_always_refuses_is_an_escape_though_its_states_are_reachable() -> None:
    (escape,) = overlay(matrix_of(orders), [turn(4, Order(), "Ship", Order(paid=1))]).escapes
    assert escape.what == "Ship was accepted in status open, paid 0, which the model refuses: not_paid"


def test_a_turn_that_leads_where_no_turn_of_its_kind_does_is_an_escape_though_its_states_are_reachable() -> None:
    turns = [
        turn(4, Order(), "Pay", Order(paid=PRICE)),  # the most that one part pays is less than the price
        turn(5, Order(paid=1), "Pay", Order(paid=PRICE), "b"),
        turn(6, Order(paid=1), "", Order(), "c"),  # what was asked is not kept, and nothing at all leads there
        turn(7, Order(paid=PRICE), "", Order(GONE, PRICE), "d"),
    ]
    assert [(escape.instance, escape.what) for escape in overlay(matrix_of(orders), turns).escapes] == [
        ("a", "Pay led from status open, paid 0 to status open, paid 3, as in no state of the model"),
        ("c", "a turn led from status open, paid 1..2 to status open, paid 0, as in no state of the model"),
    ]
    assert overlay(matrix_of(orders, bounds=Bounds(2)), turns).escapes == []


def test_a_command_that_the_model_has_not_is_an_escape_of_any_model() -> None:
    for bounds in (Bounds(), Bounds(2)):
        (escape,) = overlay(matrix_of(orders, bounds=bounds), [turn(4, Order(), "Refund", Order(paid=1))]).escapes
        assert escape.what == "Refund was accepted in status open, paid 0, and the model has no such command"


def test_a_turn_that_only_breaks_something_or_raises_in_the_model_is_an_escape() -> None:
    (escape,) = overlay(matrix_of(careless), [turn(4, Order(), "Ship", Order(paid=1))]).escapes
    assert escape.what == "Ship was accepted in status open, paid 0, where it breaks: shipped_is_paid"

    def decide_badly(order: Order, command: Pay | Ship) -> list[Paid | Shipped]:
        match command:
            case Pay():
                return decide(order, command)
            case Ship():
                raise RuntimeError("no ship")

    raising = Aggregate("order", Order, decide_badly, evolve, invariants=[shipped_is_paid])
    (escape,) = overlay(matrix_of(raising), [turn(4, Order(), "Ship", Order(paid=1))]).escapes
    assert escape.what == "Ship was accepted in status open, paid 0, where it raises in: decide"


def test_a_state_that_not_even_the_types_allow_is_an_escape() -> None:
    (escape,) = overlay(matrix_of(orders), [turn(4, Order(), "Pay", Order(paid=-1))]).escapes
    assert "not even the types of the model allow" in escape.what


def test_a_turn_whose_command_is_no_longer_kept_is_judged_by_its_states() -> None:
    matrix = overlay(matrix_of(orders), [turn(4, Order(), "", Order(paid=1)), turn(5, Order(), "", Order(GONE, 1))])
    assert [escape.at for escape in matrix.escapes] == ["shop.order.events[0]@5"]


def test_of_what_nobody_searched_nobody_says_that_it_cannot_be() -> None:
    matrix = overlay(matrix_of(orders, bounds=Bounds(2)), [turn(4, Order(paid=1), "Ship", Order(GONE, 1))])
    assert matrix.escapes == []
    assert matrix.rows["shipped", "1..2"]["Ship"].verdict == "unknown"
