"""What users install is what is tested: the wheel's files, and the wheel used in an environment that holds nothing else."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = ("eventcore", "projections", "sagas")
MIGRATIONS = "eventcore_migrations"

SMALL_PROGRAM = '''
"""One aggregate, one turn accepted, one refused, by the bare install."""

from datetime import UTC, datetime
from uuid import UUID

import eventcore, projections, sagas
from eventcore import Accepted, Aggregate, Context, Refused, Value, require, take_turn

class Deposited(Value):
    amount: int

class Deposit(Value):
    amount: int

class Account(Value):
    balance: int = 0

def decide(account: Account, command: Deposit) -> list[Deposited]:
    require(account.balance + command.amount <= 10, "too_much")
    return [Deposited(command.amount)]

def evolve(account: Account, event: Deposited) -> Account:
    return Account(account.balance + event.amount)

accounts = Aggregate("account", Account, decide, evolve)
context = Context.at(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1))
first = take_turn(accounts, Account(), Deposit(7), context)
assert isinstance(first, Accepted), first
assert first.events == [Deposited(7)], first
assert isinstance(take_turn(accounts, first.state, Deposit(7), context), Refused)
print(*(package.__file__ for package in (eventcore, projections, sagas)), sep="\\n")
'''


@dataclass(frozen=True)
class Environment:
    """A virtual environment outside the tree, and a folder outside the tree to run things in."""

    folder: Path
    elsewhere: Path

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of this environment elsewhere; returns what it printed. Fails with all of that when it fails."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EVENTCORE_"))}
        done = subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=self.elsewhere,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A clean environment that holds the wheel and what it depends on, without extras; tests install nothing into it."""
    made = Environment(tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("elsewhere"))
    venv.create(made.folder, with_pip=True)
    made.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    return made


def on_top_of(environment: Environment, folders: pytest.TempPathFactory) -> Environment:
    """An environment of a test's own: it sees what is installed in the other one, and what it installs is its own."""
    made = Environment(folders.mktemp("environment"), folders.mktemp("elsewhere"))
    venv.create(made.folder)
    packages, below = site_packages(made), site_packages(environment)
    (packages / "below.pth").write_text(f"{below}\n", encoding="utf-8")
    return made


def site_packages(environment: Environment) -> Path:
    (packages,) = environment.folder.glob("lib/python*/site-packages")
    return packages


def files_in_git(folder: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


def test_the_wheel_holds_what_git_holds_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    migrations = {f"{MIGRATIONS}/{name.removeprefix('migrations/')}" for name in files_in_git("migrations")}
    assert shipped == set[str]().union(migrations, *(files_in_git(package) for package in PACKAGES))


def test_the_wheel_carries_its_licence_and_says_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.rpartition("/")[2] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


def test_the_bare_install_runs_a_small_program_from_a_foreign_folder(environment: Environment) -> None:
    (environment.elsewhere / "small.py").write_text(SMALL_PROGRAM)
    printed = environment.run("python", "-W", "error", "small.py")
    for place in printed.splitlines():
        assert Path(place).is_relative_to(environment.folder), f"{place} is not the installed one"


def test_the_bare_install_runs_the_first_program_of_the_readme(environment: Environment) -> None:
    first = re.search(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert first is not None, "README.md has no program"
    (environment.elsewhere / "bank.py").write_text(first[1], encoding="utf-8")
    assert environment.run("python", "-W", "error", "bank.py").splitlines()[:2] == [
        "accepted",
        "refused: insufficient_funds",
    ]


def test_the_bare_install_brings_no_driver_and_no_tool(environment: Environment) -> None:
    installed = environment.run("python", "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check").lower()
    for name in ("confluent", "psycopg", "fastavro", "pytest", "hypothesis"):
        assert name not in installed


def test_nothing_of_the_tree_besides_the_packages_can_be_imported(environment: Environment) -> None:
    look = "import importlib.util as i; print([n for n in ('tests', 'migrations', 'schemas', 'examples') if i.find_spec(n)])"
    assert environment.run("python", "-c", look).strip() == "[]"


def test_the_installed_packages_pass_their_own_dependency_check(environment: Environment) -> None:
    environment.run("python", "-m", "pip", "check")


def test_a_new_project_passes_its_tests_where_only_the_wheel_is_installed(
    environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = on_top_of(environment, tmp_path_factory)
    assert "make test" in replace(environment, elsewhere=own.elsewhere).run("eventcore", "new", "shop")
    make = ["make", "-C", str(own.elsewhere / "shop"), "test", f"PYTHON={own.folder / 'bin' / 'python'}"]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
