"""One place each views adapter: an adapter adds a line here, and no test of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from projections import Views, open_views
from projections.postgres_views import PostgresViews
from projections.sqlite_views import SqliteViews
from tests.contracts.views.bank import balances, dailies

POSTGRES = pytest.param("postgres", marks=pytest.mark.server)


class Place(NamedTuple):
    """Where views are kept: `open` opens them as another process would."""

    kind: str
    address: str
    open: Callable[[], Views]


@pytest.fixture(params=["sqlite", POSTGRES])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database of each kind that more than one process can open."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:{tmp_path / 'v.db'}"
    return Place(request.param, url, lambda: open_views(url))


@pytest.fixture
def views(place: Place) -> Iterator[Views]:
    """Views on that database, with the framework's tables and those of the bank's read models."""
    with contextlib.closing(place.open()) as opened:
        opened.upgrade()
        opened.prepare([balances, dailies])
        yield opened


@pytest.fixture
def adapter(place: Place) -> type[SqliteViews | PostgresViews]:
    """The adapter's class, for what only its constructor takes."""
    return PostgresViews if place.kind == "postgres" else SqliteViews
