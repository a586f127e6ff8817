"""The pictures of a matrix: all of them say the same, and none needs anything from elsewhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from eventcore import Aggregate
from eventcore.check import Bounds
from eventcore.check.abstraction import Abstraction, derived, multiset
from eventcore.check.matrix import Matrix, matrix_of
from eventcore.check.matrix_html import matrix_html
from eventcore.check.matrix_json import matrix_data
from eventcore.check.matrix_markdown import matrix_markdown
from eventcore.check.matrix_text import matrix_text
from eventcore.check.matrix_words import share, trace_to
from examples.models.t_commit import Phase
from examples.models.two_phase import TwoPhase, three
from tests.unit.check.counter import (
    Order,
    Paid,
    Pay,
    Ship,
    Shipped,
    careless,
    decide,
    evolve,
    orders,
    shipped_is_paid,
)

FACTS = Abstraction([*derived(TwoPhase, "decision"), multiset("phases", Phase, 3)])


@pytest.fixture(scope="module")
def two_phase() -> Matrix:
    return matrix_of(three, FACTS)


def test_the_table_of_an_order() -> None:
    assert matrix_text(matrix_of(orders)) == (
        "order: 12 cells, 0 of them unknown (0 %); 6 conceivable rows of states, 2 kinds of commands\n"
        "3 accepts, 5 refuses, 4 unreachable\n"
        "\n"
        "                        states  rows\n"
        "allowed by the types         8     6\n"
        "and by the invariants        5     4\n"
        "reachable in the scope       5     4\n"
        "\n"
        "depth  status   paid  Pay  Ship\n"
        "    1  open     0     +=   -=\n"
        "    2  open     1..2  +=   -=\n"
        "    3  open     3     -=   +=\n"
        "    4  shipped  3     -=   -=\n"
        "\n"
        "+ accepts: every state accepts some command of the kind; - refuses: none accepts any; "
        "= of every typed state that satisfies the invariants, reachable or not\n"
        "2 rows were not reached: unreachable in this scope."
    )


def test_every_picture_has_every_reached_row_and_the_sums(two_phase: Matrix) -> None:
    text, markdown, page = matrix_text(two_phase), matrix_markdown(two_phase), matrix_html(two_phase)
    for shown in (text, markdown, page):
        assert "420 cells, 0 of them unknown" in shown
        assert "54 accepts, 113 refuses, 1 mixed, 0 unreachable".replace("0 un", "252 un") in shown
    assert sum(line.strip()[:1].isdigit() for line in text.splitlines()[7:]) == 25
    assert markdown.count("\n| ") - 3 - 2 == 24
    assert page.count("<tr class=") == 24


def test_json_can_be_written_and_its_verdicts_sum_up_to_all_cells(two_phase: Matrix) -> None:
    data = json.loads(json.dumps(matrix_data(two_phase)))
    assert sum(data["verdicts"].values()) == data["cells"] == 420
    assert len(data["edges"]) == 65
    assert data["sets"]["reachable"] == {"states": 288, "rows": 24, "at_least": False}


def test_the_page_loads_nothing_and_is_well_formed(two_phase: Matrix) -> None:
    page = matrix_html(two_phase)
    assert not re.search(r"(?:src|href)=|@import|url\(|<script", page)
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "input"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Reader().feed(page)
    assert opened == []


def test_the_way_to_a_cell_is_a_trace_that_ends_in_it(two_phase: Matrix) -> None:
    row, column = ("commit", "committed*3"), "Commit"
    trace = trace_to(two_phase, two_phase.rows[row][column])
    assert trace is not None
    assert two_phase.abstraction.row(trace.steps[-1].before) == row
    assert trace.states == two_phase.depths[row] + 1


def test_the_way_to_a_cell_that_breaks_something_ends_in_the_step_that_does() -> None:
    def decide_in_parts(order: Order, command: Pay | Ship) -> list[Paid | Shipped]:
        overpaid = isinstance(command, Pay) and command.part == 1 and order.paid == 0
        return [Paid(2), Paid(2)] if overpaid else decide(order, command)

    matrix = matrix_of(Aggregate("order", Order, decide_in_parts, evolve, invariants=[shipped_is_paid]))
    cell = matrix.rows["open", "0"]["Pay"]
    assert (cell.verdict, cell.tally.accepted) == ("violates", 1)
    trace = trace_to(matrix, cell)
    assert trace is not None
    assert (trace.steps[-1].command, trace.steps[-1].after) == (Pay(1), Order(paid=4))
    assert trace.steps[-1].outcome.startswith("this turn would break the invariant valid_state")


def test_the_page_of_what_is_wrong_shows_the_step() -> None:
    page = matrix_html(matrix_of(careless))
    assert 'class="violates"' in page
    assert "breaks shipped_is_paid" in page


def test_what_is_cut_is_said_beside_the_table() -> None:
    shown = matrix_text(matrix_of(three, FACTS, bounds=Bounds(100)))
    assert "Not known in full: the search was cut (states)" in shown
    assert "~ only sampled, so nothing is proved" in shown
    assert "420 of them unknown (100 %)" in shown
    assert "unreachable" not in shown


def test_a_share_is_never_rounded_to_nothing_or_to_everything() -> None:
    assert [share(each) for each in (0.0, 1e-9, 0.5, 1 - 1e-9, 1.0)] == [
        "0 %",
        "less than 0.1 %",
        "50 %",
        "more than 99.9 %",
        "100 %",
    ]
