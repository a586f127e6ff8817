"""docs/guarantees.md promises nothing without naming the tests that show it, and the tests are there."""

import re
from pathlib import Path

import pytest

from tests.docs.test_pages import exists

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/guarantees.md"
CITED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def promises() -> list[tuple[str, str]]:
    """The sections of the page that are promises: those below the heading "Promises", each with its text."""
    text = PAGE.read_text().partition("\n## Promises\n")[2].partition("\n## ")[0]
    parts = text.split("\n### ")[1:]
    return [(heading, body) for heading, _, body in (part.partition("\n") for part in parts)]


@pytest.mark.parametrize(("promise", "text"), promises(), ids=lambda part: str(part)[:60])
def test_a_promise_says_what_it_excludes_and_which_tests_show_it(promise: str, text: str) -> None:
    assert "**Not promised.**" in text, promise
    assert "**Under.**" in text, promise
    assert CITED.findall(text), f"no test is cited for: {promise}"


def test_every_test_that_is_cited_exists() -> None:
    cited = CITED.findall(PAGE.read_text())
    assert len(cited) >= 20
    missing = [f"{path}::{name}" for path, name in cited if not exists(f"{path}::{name}")]
    assert not missing, "\n".join(missing)


def test_nothing_that_looks_like_a_test_is_cited_in_another_form() -> None:
    text = PAGE.read_text()
    assert len(re.findall(r"test_\w+\b(?!\.py)", text)) == len(CITED.findall(text))
