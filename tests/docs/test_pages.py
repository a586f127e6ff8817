"""Every code block of README.md and docs/ runs, and prints what its page says it prints. How: see `page`."""

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import ELSEWHERE, KAFKA, POSTGRES, Wrong, blocks_of, looks_like_code, matches

ROOT = Path(__file__).parents[2]
RUNNER = Path(__file__).with_name("page.py")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "sh", "text", ""}
PAGE_S = 180  # the longest page starts the program about twenty times


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def environment() -> dict[str, str]:
    """The reader's: the environment's programs on the path, nothing set for eventcore.

    No module is kept compiled: what a page changes again within a second, to the same length, would be taken for unchanged.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EVENTCORE_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "COLUMNS": "120", "PYTHONDONTWRITEBYTECODE": "1"}


def run(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a command of a reader's in a folder, with everything that it starts; return its code and what it printed."""
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=PAGE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            return -signal.SIGKILL, f"{printed.decode()}\nkilled after {PAGE_S} s"
        return process.returncode, printed.decode()


def runnable(page: Path) -> str:
    return "".join(block.text for block in blocks_of(page.read_text()) if block.language in ("python", "sh"))


def needs_servers(page: Path) -> bool:
    return KAFKA.search(runnable(page)) is not None or POSTGRES.search(runnable(page)) is not None


ALONE = [pytest.param(page, id=name_of(page)) for page in PAGES if runnable(page) and not needs_servers(page)]
SERVED = [pytest.param(page, id=name_of(page)) for page in PAGES if runnable(page) and needs_servers(page)]


@pytest.mark.parametrize("page", ALONE)
def test_every_block_of_a_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    code, printed = run([sys.executable, "-W", "error", str(RUNNER), str(page)], tmp_path)
    assert code == 0, printed


@pytest.mark.parametrize("page", SERVED)
def test_every_block_of_a_page_that_names_servers_runs_against_them(
    page: Path, tmp_path: Path, kafka: str, kafka_prefix: str, postgres_url: str
) -> None:
    served = [f"{kafka}?prefix={kafka_prefix}", postgres_url.replace("postgresql+psycopg:", "postgresql:")]
    code, printed = run([sys.executable, "-W", "error", str(RUNNER), str(page), *served], tmp_path)
    assert code == 0, printed


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_a_program_what_one_prints_or_a_picture(page: Path) -> None:
    before = ""
    for block in blocks_of(page.read_text()):
        where = f"{name_of(page)}:{block.line}"
        assert block.language in LANGUAGES, f"{where} is in {block.language}, which no test runs"
        assert block.language or not looks_like_code(block.text), f"{where} has no language, and looks like a program"
        assert block.language != "text" or before in ("python", "sh"), f"{where} is printed by no block before it"
        before = block.language


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_names_one_address_of_each_server(page: Path) -> None:
    text = page.read_text()
    assert len({match[0] for match in KAFKA.finditer(runnable(page))}) <= 1, text
    assert len({match[0] for match in POSTGRES.finditer(runnable(page))}) <= 1, text


def test_what_pages_leave_to_other_tests_is_on_a_page_and_has_its_test() -> None:
    shown = {line for page in PAGES for line in runnable(page).splitlines()}
    for command, (reason, test) in ELSEWHERE.items():
        assert command in shown, f"{command!r} is on no page any more: drop the exception"
        assert reason
        assert exists(test), f"{test} is not there, and should run {command!r}"


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return False
    functions = ast.walk(ast.parse((ROOT / path).read_text()))
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in functions)


def test_every_target_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        named = set(re.findall(r"(?:^ *|`)make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE))
        assert named <= targets, f"{name_of(page)} names {sorted(named - targets)}"


def test_the_integration_script_runs_what_the_readme_says() -> None:
    assert re.search(r"^make test$", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_the_readme_has_at_most_120_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


# --- the runner itself -----------------------------------------------------------------------------------------------


def page_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(text)
    return path


BLOCK = "# A page\n\n```{language}\n{text}\n```\n"


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        pytest.param("python", "1 / 0", "ZeroDivisionError", id="a program that raises"),
        pytest.param("python", "print(5)", "prints", id="a program that prints what the page does not say"),
        pytest.param("python", "x: int = 5\n```\n```text\n5", "prints", id="a program that prints nothing"),
        pytest.param("python", "print(5)\n```\n```text\n6", "prints", id="a program that prints something else"),
        pytest.param("sh", "false\ntrue", "ends with 1", id="a command that fails"),
        pytest.param("sh", "echo 5\n```\n```text\n6", "prints", id="a command that prints something else"),
    ],
)
def test_a_page_that_says_something_false_is_told(tmp_path: Path, language: str, text: str, said: str) -> None:
    page = page_of(tmp_path, BLOCK.format(language=language, text=text))
    code, printed = run([sys.executable, str(RUNNER), str(page)], tmp_path)
    assert code == 1, printed
    assert said in printed
    assert f"{page}" in printed


def test_blocks_share_a_module_a_folder_and_exports(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        "```python\n# mine.py\nx = 5\n```\n```python\nimport mine\ny = mine.x\n```\n"
        "```sh\nexport Z=7\necho $Z > file\n```\n```sh\ncat file\necho $Z\n```\n```text\n7\n7\n```\n"
        "```python\nprint(y, __name__)\n```\n```text\n5 __main__\n```\n",
    )
    assert run([sys.executable, str(RUNNER), str(page)], tmp_path) == (0, "")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("5", "5\n", True),
        ("at … o'clock", "at 5 o'clock\n", True),
        ("a\n…\nd", "a\nb\nc\nd\n", True),
        ("a\n…\nd", "a\nd\n", True),
        ("a\n…", "a\n", True),
        ("a\n…\nd", "a\nb\n", False),
        ("a.c", "abc\n", False),
        ("", "", True),
        ("", "a\n", False),
        ("a", "", False),
        ("…b", "a\nb\n", False),
    ],
)
def test_an_ellipsis_stands_for_anything(expected: str, printed: str, *, same: bool) -> None:
    assert matches(expected, printed) is same


@pytest.mark.parametrize(
    "text", ["import this\n", "x = 5\n", "print(\n", "$ ls\n", "eventcore run\n", "make demo\n", "def f(): ...\n"]
)
def test_a_program_without_a_language_is_told_from_a_picture(text: str) -> None:
    assert looks_like_code(text) is (text != "print(\n")


def test_a_block_set_by_indentation_is_a_block() -> None:
    page = "Text\n\n    make demo\n\n    make test\n\n- a list\n    goes on\n"
    assert [block.text for block in blocks_of(page)] == ["make demo\n", "make test\n"]


def test_a_block_without_an_end_is_told() -> None:
    with pytest.raises(Wrong, match="line 2 has no end"):
        blocks_of("```sh\nls\n")
