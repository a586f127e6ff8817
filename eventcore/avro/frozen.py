"""Frozen schema files: `<app>/<aggregate>/<Type>.v<N>.avsc` below one folder, written once and never changed.

Code and files are compared as JSON, so that only what a schema says counts. A class whose schema changed gets the next
number and keeps its old file: records written with it are still in the log. Until the first release that has users'
data, `rewrite` may put the new text into the newest file instead.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from eventcore.errors import DataError

VERSION = re.compile(r"\.v([1-9][0-9]{0,8})\.avsc")


class Frozen(NamedTuple):
    """What `freeze` did with one schema; `path` is relative to the folder."""

    path: Path
    done: Literal["unchanged", "written", "rewritten"]


class Difference(NamedTuple):
    """A schema of the code that no newest file says: `path` is that file, or the one to be written."""

    path: Path
    problem: str
    diff: str


def stem_of(name: str) -> str:
    """The place of a full Avro name, as `freeze` takes it: `bank.accounts.Deposited` is `bank/accounts/Deposited`."""
    return name.replace(".", "/")


def freeze(folder: Path, schemas: Mapping[str, str], *, rewrite: bool = False) -> list[Frozen]:
    """Write the schemas, texts by stem, that the newest files do not say yet; what was done with each, by stem.

    A new schema becomes v1, a changed one the next number; with `rewrite` a changed one replaces its newest file.
    """
    return [_freeze(folder, stem, schemas[stem], rewrite=rewrite) for stem in sorted(schemas)]


def differences(folder: Path, schemas: Mapping[str, str]) -> list[Difference]:
    """The schemas, texts by stem, that the newest files do not say. Files that no schema names are history: no matter."""
    found = (_difference(folder, stem, schemas[stem]) for stem in sorted(schemas))
    return [difference for difference in found if difference is not None]


def newest(folder: Path, stem: str) -> tuple[int, Path] | None:
    """The highest version frozen under this stem and its file, relative to the folder; None where there is none."""
    place = Path(stem)
    files = (folder / place.parent).glob(f"{place.name}.v*.avsc")
    matches = ((VERSION.fullmatch(path.name.removeprefix(place.name)), path) for path in files)
    versions = [(int(match[1]), path.relative_to(folder)) for match, path in matches if match]
    return max(versions, default=None)


def _freeze(folder: Path, stem: str, text: str, *, rewrite: bool) -> Frozen:
    latest = newest(folder, stem)
    if latest is None:
        return _write(folder, Path(f"{stem}.v1.avsc"), text, "written")
    version, path = latest
    if _parsed(folder / path) == json.loads(text):
        return Frozen(path, "unchanged")
    if rewrite:
        return _write(folder, path, text, "rewritten")
    return _write(folder, Path(f"{stem}.v{version + 1}.avsc"), text, "written")


def _write(folder: Path, path: Path, text: str, done: Literal["written", "rewritten"]) -> Frozen:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8", newline="\n")
    return Frozen(path, done)


def _difference(folder: Path, stem: str, text: str) -> Difference | None:
    latest = newest(folder, stem)
    if latest is None:
        return Difference(Path(f"{stem}.v1.avsc"), f"{stem} is not frozen yet", text)
    _, path = latest
    if _parsed(folder / path) == json.loads(text):
        return None
    frozen = (folder / path).read_text(encoding="utf-8")
    lines = difflib.unified_diff(frozen.splitlines(), text.splitlines(), f"frozen {path}", "the code", lineterm="")
    return Difference(path, f"the code says another schema than {path}", "\n".join(lines) + "\n")


def _parsed(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as broken:
        raise DataError(
            f"{path} is no JSON: {broken}. Take it from version control again; frozen files never change."
        ) from broken
