"""`check`: targets, exit codes, JSON with the four names, and tests that it writes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import ROOT, Program, Start
from tests.integration.cli.endless import BEGUN

LAMP = '''
"""A lamp that somebody may break."""
from eventcore import Aggregate, Value, require
from eventcore.app import App
from eventcore.check import Checked, Scope


class Lit(Value):
    watts: int


class Light(Value):
    watts: int


class Lamp(Value):
    watts: int = 0


def decide(lamp: Lamp, command: Light) -> list[Lit]:
    require(lamp.watts + command.watts <= 60, "too_bright")  # the guard
    return [Lit(command.watts)]


def evolve(lamp: Lamp, event: Lit) -> Lamp:
    return Lamp(lamp.watts + event.watts)


def never_too_hot(lamp: Lamp) -> bool:
    return lamp.watts <= 60


lamps = Aggregate("lamp", Lamp, decide, evolve, invariants=[never_too_hot])
app = App("lamps", [lamps])
checked = Checked(lamps, Scope(domains={"watts": (20, 40)}))
'''
GUARD = '    require(lamp.watts + command.watts <= 60, "too_bright")  # the guard\n'


@pytest.fixture
def lamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the test's folder, imported anew."""
    name = f"lamp_{tmp_path.name}"
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / f"{name}.py"


def test_the_published_model_prints_its_size_and_ends_with_0(program: Program) -> None:
    ran = program("check", "examples.models.two_phase:three", app=None)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "two_phase: pass"
    assert lines[1].startswith(
        "288 states, 1,146 transitions, depth 11; 17 commands, every argument tried (5 as declared)"
    )
    assert lines[1].endswith("; nothing was cut")


def test_json_has_the_four_names(program: Program) -> None:
    data = program("check", "examples.models.two_phase:three", "--json", app=None).data
    assert (data["distinct"], data["transitions"], data["depth"], data["verdict"]) == (288, 1_146, 11, "pass")


def test_the_bank_passes_within_what_its_module_declares(program: Program) -> None:
    ran = program("check", "account", "--json", app="examples.bank.app:app")
    assert (ran.code, ran.data["verdict"], ran.data["distinct"]) == (0, "pass", 66)


def test_an_aggregate_without_a_scope_is_inconclusive_and_ends_with_2(program: Program, lamp: Path) -> None:
    lamp.write_text(LAMP)
    ran = program("check", f"{lamp.stem}:lamps", "--states", "500", app=None)
    assert ran.code == 2
    assert "stopped at 500 states" in ran.out
    assert "to look at it: --states 5000" in ran.out
    assert 'to look at it: Scope(domains={"Light.watts": (...)})' in ran.out


def test_a_guard_that_is_taken_away_gives_a_test_that_fails_until_it_is_back(program: Program, lamp: Path) -> None:
    target = f"{lamp.stem}:checked"
    lamp.write_text(LAMP.replace(GUARD, ""))
    ran = program("check", target, "--pytest", "test_found.py", app=None)
    assert ran.code == 1
    assert "never_too_hot: an invariant is broken" in ran.out
    assert "in 3 states:" in ran.out
    assert "watts: 40 -> 80" in ran.out
    assert pytest_fails(lamp.parent)
    lamp.write_text(LAMP)
    assert not pytest_fails(lamp.parent)


def test_what_is_put_right_passes(program: Program, lamp: Path) -> None:
    lamp.write_text(LAMP)
    ran = program("check", "lamp", "--json", app=f"{lamp.stem}:app")
    assert (ran.code, ran.data["distinct"], ran.data["depth"]) == (0, 4, 3)


def pytest_fails(folder: Path) -> bool:
    """Whether the test that was written fails for the reason that was found."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_found.py"]
    path = {"PYTHONPATH": f"{ROOT}:{folder}", "PATH": ""}
    done = subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout
    assert done.returncode == 0 or "this turn would break the invariant never_too_hot" in done.stdout
    return done.returncode == 1


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nobody", "no aggregate of pantry is named 'nobody'"),
        ("tests.integration.cli.pantry:nothing", "no aggregate or Checked in tests.integration.cli.pantry is named"),
        ("tests.integration.cli.pantry:app", "is of type App; it should be an Aggregate"),
        ("nowhere.at_all:x", "no module is named 'nowhere', so what is to be checked in nowhere.at_all cannot"),
    ],
)
def test_what_could_not_run_ends_with_3_and_says_why(program: Program, target: str, said: str) -> None:
    ran = program("check", target)
    assert ran.code == 3
    assert said in ran.err


def test_a_size_that_is_none_could_not_run(program: Program) -> None:
    ran = program("check", "jar", "--memory", "much")
    assert (ran.code, "'much' is no size; write it as 500M or 2G" in ran.err) == (3, True)


def test_a_wrong_option_could_not_run_and_is_no_verdict(program: Program) -> None:
    ran = program("check", "jar", "--sates", "5")
    assert (ran.code, "--sates" in ran.err) == (3, True)


def test_ctrl_c_ends_a_search_with_a_report_of_what_it_found(start: Start) -> None:
    search = start("check", "tests.integration.cli.endless:checked", "--states", "1000000000", "--json")
    search.wait_for(BEGUN)
    search.popen.send_signal(signal.SIGINT)
    ran = search.ended()
    assert (ran.code, ran.data["verdict"], ran.data["cut"]) == (2, "inconclusive", ["interrupted"])
    assert ran.data["distinct"] >= 1_000
    assert "not expanded" in ran.data["reasons"][0]["what"]


def test_instances_that_are_alike_are_taken_for_one_where_it_is_asked_for(program: Program) -> None:
    ran = program("check", "examples.models.two_phase:three", "--symmetric", "--json", app=None)
    assert ran.code == 0
    said = json.loads(ran.out)
    assert (said["verdict"], said["distinct"], said["transitions"], said["depth"]) == ("pass", 80, 318, 11)
    assert said["instances"] == 3
    ran = program("check", "examples.models.die_hard:puzzle", "--symmetric", app=None)
    assert ran.code == 3
    assert "die_hard declares no symmetry" in ran.err


def test_several_workers_print_what_one_prints(program: Program) -> None:
    ran = program("check", "examples.models.two_phase:three", "--workers", "2", "--json", app=None)
    assert ran.code == 0
    said = json.loads(ran.out)
    assert (said["verdict"], said["distinct"], said["transitions"], said["depth"]) == ("pass", 288, 1_146, 11)
    ran = program("check", "examples.models.two_phase:three", "--workers", "0", app=None)
    assert ran.code == 3
    assert "1 to 64 workers, not 0" in ran.err


def test_a_way_that_goes_round_for_ever_is_shown_as_one(program: Program, lamp: Path) -> None:
    claims = (
        "\nfrom eventcore.check import eventually, strong\n"
        "burns = eventually(lambda lamp: lamp.watts == 60, fair=[strong()], name='burns')\n"
        "endless = Checked(lamps, Scope(domains={'watts': (20, 40)}), properties=[burns])\n"
        "waits = Checked(lamps, Scope(domains={'watts': (40,)}), properties=[burns])\n"
    )
    lamp.write_text(LAMP + claims)
    ran = program("check", f"{lamp.stem}:endless", app=None)
    assert ran.code == 0
    ran = program("check", f"{lamp.stem}:waits", app=None)
    assert ran.code == 1
    assert "burns need never be true: this way rests in its last state" in ran.out
    assert "and nothing more, for ever" in ran.out
