"""`check` beyond its verdict: the matrix, induction, the ratchet and grades, from the command line."""

import json
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Program

TWO_PHASE = "examples.models.two_phase:three"
ORDERS = "tests.unit.check.counter:orders"
CARELESS = "tests.unit.check.counter:careless"


def test_the_matrix_follows_the_report(program: Program) -> None:
    ran = program("check", ORDERS, "--matrix", "text", app=None)
    assert (ran.code, ran.err) == (0, "")
    assert "order: pass" in ran.out
    assert "order: 12 cells, 0 of them unknown (0 %)" in ran.out


@pytest.mark.parametrize(("form", "first"), [("html", "<!doctype html>"), ("markdown", "**order: 12 cells")])
def test_a_document_stands_alone(program: Program, form: str, first: str) -> None:
    ran = program("check", ORDERS, "--matrix", form, app=None)
    assert ran.code == 0
    assert ran.out.startswith(first)
    assert "How this could be wrong" not in ran.out


def test_json_holds_the_report_and_all_that_was_asked_for(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    asked = ["--matrix", "json", "--inductive", "--grade", "--ratchet", str(file)]
    ran = program("check", ORDERS, *asked, app=None)
    assert ran.code == 0
    assert (ran.data["verdict"], ran.data["exit_code"]) == ("pass", 0)
    assert ran.data["matrix"]["unknown"] == 0
    assert ran.data["induction"]["verdict"] == "pass"
    assert ran.data["grade"]["changes"] == len(ran.data["grade"]["marks"])
    assert ran.data["ratchet"]["new"]
    assert json.loads(file.read_bytes())["name"] == "order"


def test_the_ratchet_fails_where_less_is_known_and_leaves_the_file(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    assert program("check", TWO_PHASE, "--ratchet", str(file), app=None).code == 0
    kept = file.read_bytes()
    assert program("check", TWO_PHASE, "--ratchet", str(file), app=None).code == 0
    cut = program("check", TWO_PHASE, "--states", "100", "--ratchet", str(file), app=None)
    assert cut.code == 1
    assert "the known region has shrunk" in cut.out
    assert "no longer: the verdict was pass and is inconclusive" in cut.out
    assert file.read_bytes() == kept


def test_a_counterexample_to_induction_that_is_reachable_fails(program: Program) -> None:
    ran = program("check", CARELESS, "--inductive", app=None)
    assert ran.code == 1
    assert "it is a bug" in ran.out


def test_code_that_fails_is_not_graded_and_the_program_says_so(program: Program) -> None:
    ran = program("check", CARELESS, "--grade", app=None)
    assert ran.code == 3
    assert "grade it when it passes" in ran.err


def test_an_unknown_format_is_named_with_those_that_there_are(program: Program) -> None:
    ran = program("check", ORDERS, "--matrix", "svg", app=None)
    assert ran.code == 3
    assert all(each in ran.err for each in ("svg", "text", "markdown", "json", "html"))
