"""V1, for any events in any batches: rows = fold(log up to the position), with restarts, rivals and foreign records."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventcore.cut import Cut
from eventcore.errors import Fenced
from eventcore.log.port import Record
from projections import Projection, ProjectionRunner, Views, open_views
from tests.contracts.views.bank import (
    TOPIC,
    Bank,
    Closed,
    Deposited,
    Event,
    Withdrawn,
    balances,
    catalogue,
    dailies,
    new_bank,
)

PARTITIONS = 2
numbers = count()
Action = list[tuple[int, str, Event]] | Literal["foreign", "step", "restart", "rival"]

days = st.dates(date(2024, 1, 1), date(2024, 1, 3))
amounts = st.integers(0, 1_000)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Deposited, amounts, days), st.builds(Withdrawn, amounts, days), st.builds(Closed, days)
)
placed = st.tuples(st.integers(0, PARTITIONS - 1), st.sampled_from("abc"), events)
actions: st.SearchStrategy[Action] = st.one_of(
    st.lists(placed, min_size=1, max_size=8),
    st.sampled_from(["foreign", "step", "step", "restart", "rival"]),
)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.server)])
def views(request: pytest.FixtureRequest) -> Iterator[Views]:
    """Views of each kind, shared by all examples."""
    address = request.getfixturevalue("postgres_url") if request.param == "postgres" else "memory:"
    with contextlib.closing(open_views(address)) as opened:
        opened.upgrade()
        yield opened


class Model:
    """What the rows must be: the same fold, one event at a time, with no batches, caches or database."""

    def __init__(self, projection: Projection[Any, Any]) -> None:
        self._projection = projection
        self._rows: dict[Any, Any] = {}

    def take(self, account: str, event: Event) -> None:
        """Fold one event."""
        projection = self._projection
        key = account if projection.key_for is None else projection.key_for(account, event)
        row = projection.fold(self._rows.get(key), account, event)
        if row is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = row

    def rows(self) -> list[Any]:
        """The rows in the order of their keys."""
        return [self._rows[key] for key in sorted(self._rows)]


class Run:
    """One example: a bank, the projection's runners, and the model of what has been written to the log."""

    def __init__(self, projection: Projection[Any, Any], views: Views) -> None:
        self.projection = projection
        self.views = views
        self.bank: Bank = new_bank(PARTITIONS)
        self.runner = self._new_runner()
        self.written: list[list[tuple[str, Event] | None]] = [[] for _ in range(PARTITIONS)]  # None is foreign

    def _new_runner(self) -> ProjectionRunner[Any]:
        return ProjectionRunner(self.projection, self.bank.log, self.views, catalogue, TOPIC)

    def do(self, action: Action) -> None:
        """Do one thing, and compare."""
        match action:
            case "foreign":
                self.bank.lanes[0].append([Record(b"a", b"junk", None)])
                self.written[0].append(None)
            case "step":
                self.runner.step(0)
            case "restart":
                self.runner = self._new_runner()
                self.runner.start()
            case "rival":
                self._be_fenced()
            case placed_events:
                for partition, account, event in placed_events:
                    self.bank.lanes[partition].write([(f"{account}{partition}", event)])
                    self.written[partition].append((f"{account}{partition}", event))
        self.compare()

    def _be_fenced(self) -> None:
        """A second runner takes over; the first one, which still believes, tries to write."""
        former, self.runner = self.runner, self._new_runner()
        former.start()
        self.runner.start()
        with contextlib.suppress(Fenced):  # it has nothing to write where there is nothing new
            former.step(0)

    def compare(self) -> None:
        """The rows are the fold of what lies below the position."""
        with self.views.rows(self.projection) as answer:
            model = Model(self.projection)
            for partition, records in enumerate(self.written):
                for each in records[: answer.cut[TOPIC, partition]]:
                    if each is not None:
                        model.take(*each)
            assert list(answer) == model.rows()

    def finish(self) -> None:
        """Read to the end."""
        while self.runner.step(0):
            pass
        ends = Cut({(TOPIC, partition): len(records) for partition, records in enumerate(self.written)})
        assert self.views.position(self.projection) == ends
        assert len(self.views.parked(self.projection)) == self.written[0].count(None)
        self.compare()


def anew(projection: Projection[Any, Any]) -> Projection[Any, Any]:
    """The same read model under a name that no example has had."""
    name = f"{projection.name}{next(numbers)}"
    return Projection(name, projection.source, projection.row, projection.fold, projection.key)


@pytest.mark.parametrize("projection", [balances, dailies], ids=lambda projection: projection.name)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(actions, max_size=12))
def test_rows_are_the_fold_of_the_log_up_to_the_position(
    views: Views, projection: Projection[Any, Any], steps: list[Action]
) -> None:
    fresh = anew(projection)
    views.prepare([fresh])
    run = Run(fresh, views)
    for action in steps:
        run.do(action)
    run.finish()
