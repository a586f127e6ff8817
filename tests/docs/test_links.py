"""Every relative link of every page leads to a file that is there, and to a heading of it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file())


def anchors(text: str) -> set[str]:
    """The names that headings of a page get, as forges make them: lower case, hyphens for spaces, no punctuation."""
    headings: list[str] = HEADING.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages())
def test_relative_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    path = ROOT / page
    text = path.read_text()
    for link in LINK.findall(CODE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        to, _, anchor = link.partition("#")
        target = (path.parent / to).resolve() if to else path
        assert target.exists(), f"{page} links to {link}, and there is no such file"
        assert target.is_relative_to(ROOT), f"{page} links to {link}, outside of the tree"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{page} links to {link}, and there is no such heading"


def test_every_page_of_docs_can_be_reached_from_its_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    linked = {link.partition("#")[0] for link in LINK.findall(index)}
    folders = {link.rpartition("/")[0] for link in linked if link.endswith("/README.md")}
    for page in sorted((ROOT / "docs").rglob("*.md")):
        name = str(page.relative_to(ROOT / "docs"))
        assert name == "README.md" or name in linked or name.rpartition("/")[0] in folders, (
            f"docs/{name} is in no index"
        )
