"""Frozen schema files: written once, compared as JSON, a new version for a changed schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventcore.avro.frozen import differences, freeze, stem_of
from eventcore.errors import DataError

STEM = stem_of("bank.accounts.Deposited")
V1, V2 = Path(f"{STEM}.v1.avsc"), Path(f"{STEM}.v2.avsc")
OLD, NEW = {STEM: '"long"\n'}, {STEM: '"string"\n'}


def test_a_new_schema_becomes_version_1(tmp_path: Path) -> None:
    assert freeze(tmp_path, OLD) == [(V1, "written")]
    assert (tmp_path / V1).read_text() == '"long"\n'
    assert freeze(tmp_path, OLD) == [(V1, "unchanged")]


def test_a_changed_schema_gets_the_next_number_and_the_old_file_stays(tmp_path: Path) -> None:
    freeze(tmp_path, OLD)
    assert freeze(tmp_path, NEW) == [(V2, "written")]
    assert (tmp_path / V1).read_text() == '"long"\n'
    assert differences(tmp_path, NEW) == []


def test_the_newest_version_is_found_by_number(tmp_path: Path) -> None:
    for version in (9, 10):
        path = tmp_path / f"{STEM}.v{version}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"{version}"')
    assert freeze(tmp_path, NEW) == [(Path(f"{STEM}.v11.avsc"), "written")]


def test_rewriting_replaces_the_newest_file(tmp_path: Path) -> None:
    freeze(tmp_path, OLD)
    assert freeze(tmp_path, NEW, rewrite=True) == [(V1, "rewritten")]
    assert (tmp_path / V1).read_text() == '"string"\n'
    assert not (tmp_path / V2).exists()


def test_layout_is_no_difference(tmp_path: Path) -> None:
    freeze(tmp_path, {STEM: '{"type": "long", "unit": "s"}'})
    assert differences(tmp_path, {STEM: '{\n  "unit": "s",\n  "type": "long"\n}\n'}) == []


def test_differences_name_the_file_and_show_the_lines(tmp_path: Path) -> None:
    (missing,) = differences(tmp_path, OLD)
    assert (missing.path, missing.problem) == (V1, f"{STEM} is not frozen yet")
    freeze(tmp_path, OLD)
    (changed,) = differences(tmp_path, NEW)
    assert changed.path == V1
    assert '-"long"\n+"string"\n' in changed.diff


def test_a_file_of_a_class_that_is_gone_is_history(tmp_path: Path) -> None:
    freeze(tmp_path, OLD)
    assert differences(tmp_path, {}) == []
    assert freeze(tmp_path, {}) == []


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    freeze(tmp_path, OLD)
    (tmp_path / V1).write_text("{")
    with pytest.raises(DataError, match=r"Deposited\.v1\.avsc is no JSON"):
        differences(tmp_path, OLD)
