"""The app: a value that names its aggregates, projections, sagas and global invariants, and can be opened in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eventcore.aggregate import Aggregate
from eventcore.app.embedded import Embedded, open_embedded
from eventcore.app.invariant import GlobalInvariant
from eventcore.app.wiring import Wiring, wire
from eventcore.lane.restore import Progress, no_progress
from projections import Projection
from sagas import Saga

PARTITIONS = 4  # enough to spread lanes over a machine's cores; fixed once the topics exist


@dataclass(frozen=True, eq=False)
class App:
    """A whole service: `App("bank", [accounts], projections=[balances], sagas=[transfers])`.

    `name` is a prefix of every topic and schema name: it is storage format. Where the app runs is not said here.
    Raises NotSupported where names clash or a part belongs to no aggregate of the app.
    """

    name: str
    aggregates: Sequence[Aggregate[Any, Any, Any]]
    projections: Sequence[Projection[Any, Any]] = ()
    sagas: Sequence[Saga[Any]] = ()
    invariants: Sequence[GlobalInvariant[Any]] = ()
    wiring: Wiring = field(init=False, repr=False)

    def __post_init__(self) -> None:
        wiring = wire(self.name, self.aggregates, self.projections, self.sagas, self.invariants)
        object.__setattr__(self, "wiring", wiring)  # a frozen dataclass derives fields this way

    def open(
        self,
        log: str = "memory:",
        views: str | None = None,
        *,
        partitions: int = PARTITIONS,
        progress: Progress = no_progress,
    ) -> Embedded:
        """Run the app in this process, in the caller's thread: worker and client in one. Use it as a context manager.

        `log` and `views` are addresses: `memory:`, `sqlite:bank.db`, `kafka://…`; `postgresql://…` for views. Views
        of an embedded log stand beside it by default (`bank.views.db`). `progress` is told how far the log is read.
        Raises OwnedElsewhere where a worker has it.
        """
        return open_embedded(self.wiring, log, views, partitions, progress)
