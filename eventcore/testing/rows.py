"""Scenarios of a projection: events of one instance, and the rows that they add up to.

Rows are folded and checked as a projection's runner folds them, and pass through the columns of a table on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eventcore.aggregate import Event
from eventcore.avro.catalogue import Catalogue
from eventcore.lane.lineage import Mark
from eventcore.testing.story import NAMESPACE, Line, fail, stored
from eventcore.value import Value
from projections.folding import Folder
from projections.folding import Taken as Batch
from projections.models import model_of
from projections.projection import Key, Projection
from projections.sqlite_forms import sqlite_form

Row = TypeVar("Row", bound=Value)


@dataclass(frozen=True)
class GivenEvents(Generic[Row, Event]):
    """A read model that has taken the events of one instance; `rows` by key, None where one was deleted."""

    projection: Projection[Row, Event]
    id: str
    past: tuple[Event, ...]
    rows: Mapping[Key, Row | None]

    def when(self, event: Event) -> Folded[Row, Event]:
        """Fold one more event. Raises FoldFailed where the fold raises, or gives a row that cannot be its key's."""
        __tracebackhide__ = True
        return Folded(self, event, _folded(self.projection, self.id, self.rows, event))


@dataclass(frozen=True)
class Folded(Generic[Row, Event]):
    """Rows after an event; each `then…` returns it, and `rows` are there for assertions of your own."""

    given: GivenEvents[Row, Event]
    event: Event
    rows: Mapping[Key, Row | None]

    def then(self, *rows: Row) -> Folded[Row, Event]:
        """The instance now has exactly these rows, in any order."""
        __tracebackhide__ = True
        projection = self.given.projection
        expected = sorted(rows, key=lambda row: repr(projection.key_of(row)))
        got = sorted(
            (row for row in self.rows.values() if row is not None), key=lambda row: repr(projection.key_of(row))
        )
        if got != expected:
            lines: list[Line] = [("given", self.given.past), ("when", self.event)]
            fail(f"scenario of {projection.name}, instance {self.given.id!r}", lines, expected, got)
        return self

    def when(self, event: Event) -> Folded[Row, Event]:
        """Go on: fold a further event into these rows."""
        __tracebackhide__ = True
        before = self.given
        return GivenEvents(before.projection, before.id, (*before.past, self.event), self.rows).when(event)


def given_events(projection: Projection[Row, Event], past: Sequence[Event], id: str) -> GivenEvents[Row, Event]:  # noqa: A002 - the field's word
    """A read model that has taken `past`. Raises FoldFailed as `GivenEvents.when` does."""
    __tracebackhide__ = True
    rows: Mapping[Key, Row | None] = {}
    for event in past:
        rows = _folded(projection, id, rows, event)
    return GivenEvents(projection, id, tuple(past), rows)


def _folded(
    projection: Projection[Row, Event],
    id: str,  # noqa: A002 - the field's word
    rows: Mapping[Key, Row | None],
    event: Event,
) -> dict[Key, Row | None]:
    __tracebackhide__ = True
    event_classes: Any = tuple(projection.source.event_checks)
    event = stored(Catalogue(event_classes, NAMESPACE), event, projection.name)  # type: ignore[assignment]  # of the class that went in
    key: Key = id if projection.key_for is None else projection.key_for(id, event)
    batch = Batch([key], [id], [event], [0], set(), [], Mark())
    after = Folder(projection, projection.source.name).fold(0, batch, {key: rows.get(key)})
    return {**rows, **{key: _kept(projection, row) for key, row in after.items()}}


def _kept(projection: Projection[Row, Any], row: Row | None) -> Row | None:
    """The row as it comes back from a table."""
    __tracebackhide__ = True
    if row is None:
        return None
    model = model_of(projection, None, sqlite_form)
    back = model.load(model.store(row))
    if back != row:
        fail(f"{projection.name}: a row does not survive its table", [], row, back)
    return back
