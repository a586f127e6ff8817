"""One place a log adapter, and the two groups of them that some guarantees are about."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from eventcore.log.memory import MemoryLog
from eventcore.log.port import Log
from tests.contracts.log.places import TOPICS, Place, plans


@pytest.fixture(params=["memory"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An empty log of each kind, with the suite's topics."""
    yield from _place(request)


def _place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        opener = _opener(request)
        place = Place(request.param, opener(), opener)
        stack.callback(place.log.close)
        place.log.provision(plans(TOPICS))
        yield place


def _opener(request: pytest.FixtureRequest) -> Callable[[], Log]:
    log = MemoryLog()
    return lambda: log


@pytest.fixture
def log(place: Place) -> Log:
    """An empty log of each kind, with the suite's topics."""
    return place.log


@pytest.fixture(params=["memory"])
def embedded(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A log of each kind that lives in the process of its users."""
    yield from _place(request)
