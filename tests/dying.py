"""A log whose writer dies with its process: from a chosen point on nothing it is told to do happens any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from eventcore.log.memory import MemoryLog, MemoryWriter
from eventcore.log.port import Record, Standing
from eventcore.topics import Topics

Point = Literal["before append", "after append", "before commit", "after commit"]
POINTS: tuple[Point, ...] = ("before append", "after append", "before commit", "after commit")


class Killed(BaseException):
    """The process is gone: nothing may catch this, and nothing runs after it."""


class DyingLog(MemoryLog):
    """A log in memory that kills its writer at `point`, after letting it pass that point `passes` times."""

    def __init__(self) -> None:
        super().__init__()
        self.point: Point | None = None
        self.passes = 0

    def own(self, topics: Topics, partition: int) -> MemoryWriter:
        """Become the single writer."""
        return DyingWriter(self, super().own(topics, partition))

    def reach(self, point: Point) -> None:
        """Die here, if it is time."""
        if point == self.point:
            if self.passes == 0:
                self.point = None
                raise Killed(point)
            self.passes -= 1


class DyingWriter(MemoryWriter):
    """A writer that may die at each of its calls; what it left open is for the next owner to abort."""

    def __init__(self, log: DyingLog, writer: MemoryWriter) -> None:
        self._log = log
        self._writer = writer
        self._dead = False

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Append, or die before or after it."""
        self._reach("before append")
        self._writer.append(topic, records)
        self._reach("after append")

    def receive(self, records: Sequence[Record]) -> int:
        """Receive, or die before or after it."""
        self._reach("before append")
        first = self._writer.receive(records)
        self._reach("after append")
        return first

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:
        """Commit, or die before it, or after it and before anybody is told."""
        self._reach("before commit")
        self._writer.begin_commit(consumed, standing)
        self._reach("after commit")

    def settle(self) -> Mapping[str, Sequence[int]]:
        """What was committed."""
        return self._writer.settle()

    def abort(self) -> None:
        """Abort; the dead do not."""
        if not self._dead:
            self._writer.abort()

    def close(self) -> None:
        """Close; the dead do not."""
        if not self._dead:
            self._writer.close()

    def _reach(self, point: Point) -> None:
        try:
            self._log.reach(point)
        except Killed:
            self._dead = True
            raise
