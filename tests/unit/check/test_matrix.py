"""The matrix of the known and the unknown: its numbers on two-phase commit are others', its honesty is ours."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count, product
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import force_setattr

from eventcore import Aggregate, Context, Value, require
from eventcore.check import Bounds, Checked, Scope, Step, always, always_step
from eventcore.check.abstraction import Abstraction, derived, labelled, multiset, predicate
from eventcore.check.matrix import Matrix, matrix_of
from eventcore.check.matrix_cells import Cell, Tally, settled
from eventcore.check.matrix_words import SIGNS, trace_to
from eventcore.errors import InvalidValue, NotSupported, UnknownName
from examples.models.t_commit import Phase
from examples.models.two_phase import TwoPhase, checked, three
from tests.unit.check.counter import Moved, Open, Order, Parcel, Pay, careless, move, orders, parcels, timed


class Became(Value):
    """It is something else."""

    what: Any


class Anything(Value):
    """Something of which nobody has said what it is."""

    is_now: Any = None


def decide_anything(thing: Anything, _command: Open) -> list[Became]:
    """There and back."""
    return [Became("open" if thing.is_now is None else None)]


def become(_thing: Anything, event: Became) -> Anything:
    """What the event says."""
    return Anything(event.what)


FACETS = [*derived(TwoPhase, "decision"), multiset("phases", Phase, 3)]


@pytest.fixture(scope="module")
def two_phase() -> Matrix:
    return matrix_of(three, Abstraction(FACETS))


def test_two_phase_commit_of_three_has_the_published_cells(two_phase: Matrix) -> None:
    assert two_phase.conceivable == 60
    assert len(two_phase.depths) == 24
    assert two_phase.size == 420
    counts = {
        verdict: two_phase.count(verdict) for verdict in ("unreachable", "refuses", "accepts", "mixed", "unknown")
    }
    assert counts == {"unreachable": 252, "refuses": 113, "accepts": 54, "mixed": 1, "unknown": 0}
    assert two_phase.unknown_share == 0


def test_its_rows_are_joined_by_the_published_edges(two_phase: Matrix) -> None:
    edges = two_phase.edges()
    assert (len(edges), sum(edges.values())) == (65, 64)
    assert [edge for edge, always in edges.items() if not always] == [
        (("none", "prepared*3"), "DecideToCommit", ("commit", "prepared*3"))
    ]


def test_its_sets_lie_within_each_other() -> None:
    sets = matrix_of(orders).sets
    assert (sets.typed.states, sets.typed.rows) == (8, 6)
    assert (sets.satisfying.states, sets.satisfying.rows) == (5, 4)
    assert (sets.reachable.states, sets.reachable.rows, sets.reachable.least) == (5, 4, False)


def test_a_declared_part_of_the_states_is_not_all_that_the_types_allow() -> None:
    phases, bits = list(product(Phase, repeat=2)), list(product((False, True), repeat=2))
    facets = [*derived(TwoPhase, "decision"), multiset("phases", Phase, 2)]
    matrix = matrix_of(checked(2), Abstraction(facets, Scope({"phases": phases, "heard": bits, "said": bits})))
    assert (matrix.sets.typed.states, matrix.sets.typed.rows) == (None, 30)
    assert (matrix.sets.satisfying.states, matrix.sets.satisfying.rows) == (None, None)
    assert (matrix.sets.reachable.states, matrix.sets.reachable.least) == (56, False)
    assert {cell.level for _, _, cell in matrix.cells()} == {"exhausted"}
    assert any(note.startswith("TwoPhase.heard took") for note in matrix.notes)


def test_nothing_is_inductive_of_a_declared_part_of_the_states_when_the_search_is_cut() -> None:
    states = Abstraction(derived(Order), Scope({"paid": (0, 1)}))
    matrix = matrix_of(Checked(careless, abstraction=states), bounds=Bounds(2))
    assert not any(cell.known for _, _, cell in matrix.cells())
    assert matrix.unknown == matrix.size
    assert matrix.notes == ["Order.paid took 0, 1, as declared, so the states that the types allow were not all tried"]


def test_what_was_met_and_is_wrong_is_not_hidden_by_what_was_counted_otherwise() -> None:
    broken = Tally(states=1, accepting=1, broken={"shipped_is_paid"})
    fine = Tally(states=9, accepting=9)
    assert settled(broken, fine, exhausted=False) == Cell("violates", "sampled", broken)
    assert settled(broken, fine, exhausted=True) == Cell("violates", "exhausted", broken)
    raising = Tally(states=9, accepting=9, faults={"decide"})
    assert settled(broken, raising, exhausted=False) == Cell("violates", "sampled", broken)
    assert settled(broken, broken, exhausted=False) == Cell("violates", "inductive", broken)


def test_where_types_have_no_end_nobody_says_how_many_states_there_are(two_phase: Matrix) -> None:
    assert two_phase.sets.typed.states is None
    assert two_phase.sets.satisfying.states is None


def test_a_cut_search_shows_nothing_as_safe() -> None:
    matrix = matrix_of(three, Abstraction(FACETS), bounds=Bounds(100))
    assert not matrix.exhausted
    assert matrix.count("unreachable") == 0
    assert {cell.level for _, _, cell in matrix.cells()} == {"none", "sampled"}
    assert matrix.unknown == matrix.size
    assert matrix.sets.reachable.least


def test_what_was_sampled_is_not_known() -> None:
    sampled = Checked(three.aggregate, Scope(samples={"manager": range(3)}))
    matrix = matrix_of(sampled, Abstraction(FACETS))
    assert matrix.found.exhausted
    assert matrix.unknown == matrix.size
    assert "was sampled" in matrix.gaps[0]


def test_typed_states_make_a_column_known_though_another_column_was_sampled() -> None:
    matrix = matrix_of(Checked(orders, Scope(samples={"Pay.part": (1,)})))
    levels = {(column, cell.level) for _, column, cell in matrix.cells()}
    assert levels == {("Ship", "inductive"), ("Pay", "sampled")}
    assert 0 < matrix.unknown_share < 1


def test_what_is_sampled_within_a_nested_value_makes_its_command_sampled() -> None:
    matrix = matrix_of(parcels)
    assert {(column, cell.level) for _, column, cell in matrix.cells()} == {("Send", "sampled"), ("Open", "inductive")}


def test_a_decision_that_takes_a_context_is_sampled_until_contexts_are_declared() -> None:
    assert matrix_of(timed).unknown == matrix_of(timed).size
    declared = Checked(
        timed, Scope(contexts=[Context.at(datetime(2026, 1, day, tzinfo=UTC), UUID(int=1)) for day in (1, 2)])
    )
    assert matrix_of(declared).unknown == 0


def test_a_step_that_breaks_an_invariant_shows_in_its_cell() -> None:
    matrix = matrix_of(careless)
    assert matrix.rows["open", "0"]["Ship"].verdict == "violates"
    assert matrix.rows["open", "3"]["Ship"].verdict == "accepts"
    assert matrix.findings


def test_a_step_that_breaks_a_property_of_steps_shows_in_its_cell() -> None:
    def keeps_open(step: Step) -> bool:
        return bool(step.after.status == step.before.status)

    matrix = matrix_of(Checked(orders, properties=[always_step(keeps_open)]))
    cell = matrix.rows["open", "3"]["Ship"]
    assert (cell.verdict, cell.tally.broken) == ("violates", {"keeps_open"})
    assert matrix.rows["open", "0"]["Pay"].verdict == "accepts"
    trace = trace_to(matrix, cell)
    assert trace is not None
    assert trace.steps[-1].outcome == "keeps_open is false of this step"


def test_a_claim_that_raises_shows_in_the_cells_that_lead_to_where_it_does() -> None:
    claims = [always(lambda order: 1 // (order.paid - 3) < 1, name="raising")]
    matrix = matrix_of(Checked(orders, properties=claims))
    assert matrix.rows["open", "1..2"]["Pay"].verdict == "raises"
    assert matrix.rows["open", "1..2"]["Pay"].tally.faults == {"raising"}


def test_each_cell_has_a_state_and_a_step_to_show() -> None:
    matrix = matrix_of(orders)
    for row, column, cell in matrix.cells():
        if row in matrix.depths:
            assert cell.tally.example is not None
            number, label = cell.tally.example
            assert matrix.abstraction.row(matrix.found.states[number]) == row
            assert type(label).__name__ == column


def test_derived_facets_tell_zero_the_bounds_and_what_lies_between() -> None:
    status, paid = derived(Order)
    assert status.labels == ("open", "shipped")
    assert paid.labels == ("0", "1..2", "3")
    assert [paid.label(Order(paid=number)) for number in (-1, 0, 1, 3, 4)] == ["<0", "0", "1..2", "3", ">3"]


def test_a_reachable_state_that_the_abstraction_does_not_declare_is_refused() -> None:
    narrow = labelled("paid", lambda order: str(order.paid), ["0", "1"])
    with pytest.raises(InvalidValue, match="paid is one of 0, 1, not 2"):
        matrix_of(orders, Abstraction([narrow]))


def test_a_typed_state_that_the_abstraction_does_not_declare_is_in_no_row_and_is_told() -> None:
    open_only = labelled("status", lambda order: order.status.value, ["open"])
    paying = Checked(orders, Scope({Pay: (Pay(1),)}), abstraction=Abstraction([open_only]))
    matrix = matrix_of(paying, bounds=Bounds(1))
    assert (matrix.size, list(matrix.rows)) == (2, [("open",)])
    assert sum(matrix.count(verdict) for verdict in SIGNS) == matrix.size
    assert 0 <= matrix.unknown <= matrix.size
    assert matrix.sets.satisfying.rows == 1
    (note,) = matrix.notes
    assert note.startswith("1 of the states that the invariants allow are in no row that is declared, as Order(status=")
    assert note.endswith("status is one of open, not shipped")


def test_a_field_of_which_the_type_says_nothing_is_a_gap_unless_rows_show_it() -> None:
    """An event's is in no row; a state's has one for anything else, which is unknown."""
    anything: Aggregate[Anything, Open, Became] = Aggregate("anything", Anything, decide_anything, become)
    matrix = matrix_of(anything)
    assert matrix.gaps == ["Became.what is Any, so nobody knows what else it may hold"]
    assert not matrix.exhausted
    assert matrix.unknown == matrix.size
    assert matrix.count("unreachable") == 0
    untold = matrix_of(anything, Abstraction([labelled("one", lambda _: "all", ["all"])]))
    assert untold.gaps == ["Anything.is_now is Any, so nobody knows what else it may hold", *matrix.gaps]


def test_code_that_gives_two_results_for_one_input_leaves_nothing_known() -> None:
    turns = count(1)

    def decide_by_turns(parcel: Parcel, command: Open) -> list[Moved]:
        require(next(turns) % 3 != 1, "not_now")
        return [Moved(not parcel.sent)] if command == Open() else []

    matrix = matrix_of(Aggregate("parcel", Parcel, decide_by_turns, move))
    assert "decide gave two results for one input, so there may be states that no search met" in matrix.gaps
    assert not matrix.exhausted
    assert matrix.unknown == matrix.size


def test_a_state_that_is_changed_in_place_leaves_nothing_known() -> None:
    def decide_and_change(parcel: Parcel, _command: Open) -> list[Moved]:
        force_setattr(parcel, "sent", True)
        return [Moved(sent=True)]

    matrix = matrix_of(Aggregate("parcel", Parcel, decide_and_change, move))
    assert any("changed in place" in gap for gap in matrix.gaps)
    assert matrix.unknown == matrix.size


def test_a_within_that_raises_is_a_gap() -> None:
    matrix = matrix_of(Checked(orders, Scope(within=lambda order: order.paid < 1 or 1 // 0 > 0)))
    assert "Scope(within=...) raises, so nobody knows which states it would let in" in matrix.gaps
    assert matrix.count("unreachable") == 0


def test_a_facet_that_raises_is_refused_with_the_state() -> None:
    told = Abstraction([predicate(lambda order: 1 // order.paid > 0, name="one")])
    with pytest.raises(NotSupported, match=r"the facet one raises ZeroDivisionError .* for Order\(.*paid=0\)"):
        matrix_of(orders, told)


def test_facets_are_named_once_and_fields_must_exist() -> None:
    with pytest.raises(NotSupported, match="two facets"):
        Abstraction([*derived(Order, "paid"), *derived(Order, "paid")])
    with pytest.raises(UnknownName, match="payed"):
        derived(Order, "payed")
