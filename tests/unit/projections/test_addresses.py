"""Addresses say where views are kept; what is wrong with one is said in words."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from eventcore.errors import EventcoreError, InvalidValue, NotSupported, UnknownName, ViewsUnavailable, WrongUse
from projections import default_views_for, open_views


@pytest.mark.parametrize(
    ("address", "kind", "problem"),
    [
        ("", UnknownName, "the views scheme names here are: memory:, postgresql:, sqlite:"),
        ("bank.db", UnknownName, "no views scheme is named 'bank.db'"),
        ("mysql://x", UnknownName, "no views scheme is named 'mysql'"),
        ("memory:x", InvalidValue, "views in memory have none"),
        ("sqlite:", InvalidValue, "is not of the form sqlite:PATH"),
        ("sqlite:///bank.db", InvalidValue, "is not of the form sqlite:PATH"),
        ("postgresql:bank", InvalidValue, "is not of the form postgresql://USER@HOST/DATABASE"),
    ],
)
def test_an_address_that_names_nothing_is_refused(address: str, kind: type[EventcoreError], problem: str) -> None:
    with pytest.raises(kind, match=problem):
        open_views(address)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql:ada:hunter2@host/bank",
        "postgresql://ada:hunter2@host:port/bank",
        "postgresql://ada:hunter2@host:5432:1/bank",
        "postgresql://ada:hunter2@host:0/bank",
        "postgresql://ada:hunter2@host:70000/bank",
        "postgresql://ada:some@hunter2@host/bank",
        "ada:hunter2@host/bank",
        "memory:ada:hunter2@host",
        "sqlite://ada:hunter2@host",
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_its_password(address: str) -> None:
    with pytest.raises((InvalidValue, UnknownName)) as refused:
        open_views(address)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))
    if "//" in address:
        assert "***@host" in str(refused.value)


def test_a_log_without_views_is_named_without_its_password() -> None:
    with pytest.raises(NotSupported) as refused:
        default_views_for("kafka://ada:hunter2@host:9092")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("log", "views"),
    [
        ("memory:", "memory:"),
        ("sqlite:bank.db", "sqlite:bank.views.db"),
        ("sqlite:/var/lib/bank", "sqlite:/var/lib/bank.views"),
        ("sqlite:a.b/bank.sqlite3", "sqlite:a.b/bank.views.sqlite3"),
    ],
)
def test_an_embedded_log_s_views_stand_beside_it(log: str, views: str) -> None:
    assert default_views_for(log) == views


def test_a_log_on_a_server_has_no_views_of_its_own() -> None:
    with pytest.raises(NotSupported, match="name a database"):
        default_views_for("kafka://localhost:9092")


@pytest.mark.parametrize(
    "address", ["postgresql://u@127.0.0.1:1/d", "postgres://127.0.0.1:1/d", "postgresql+psycopg://127.0.0.1:1/d"]
)
def test_a_server_that_does_not_answer_is_found_out_when_it_is_asked(address: str) -> None:
    with (
        contextlib.closing(open_views(address)) as views,
        pytest.raises(ViewsUnavailable, match=r"127.0.0.1:1/d does not"),
    ):
        views.check()


def test_a_missing_driver_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("projections.postgres_")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr("projections.postgres_views", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(NotSupported, match=r"need psycopg .*pip install 'eventcore-framework\[postgres\]'"):
        open_views("postgresql://localhost/d")


def test_opening_a_file_needs_no_driver_of_a_server() -> None:
    program = "import sys, projections; projections.open_views('memory:').close(); sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_folder_that_is_not_there_and_a_file_of_another_kind_are_told(tmp_path: Path) -> None:
    with pytest.raises(ViewsUnavailable, match="unable to open database file"):
        open_views(f"sqlite:{tmp_path / 'no' / 'v.db'}")
    (tmp_path / "text.db").write_text("not a database, but long enough to be read as the head of one\n" * 20)
    with pytest.raises(WrongUse, match="file is not a database"):
        open_views(f"sqlite:{tmp_path / 'text.db'}")
