"""A log in memory that is away when a test says so; everything it keeps stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventcore.errors import LogUnavailable
from eventcore.log.memory import MemoryLog, MemoryWriter
from eventcore.log.port import Record, Standing
from eventcore.topics import Topics


class FailingLog(MemoryLog):
    """A log of which `commits` and `appends` fail that many times from now on, and which survives its app.

    Those of the partitions in `away` fail always. While it is `mute`, what is posted is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.commits = self.appends = 0
        self.away: set[int] = set()
        self.mute = False
        self.fault: BaseException = LogUnavailable("the log is away")

    def own(self, topics: Topics, partition: int) -> MemoryWriter:
        """Become the single writer."""
        return FailingWriter(self, super().own(topics, partition), partition)

    def append(self, topic: str, partition: int, records: Sequence[Record]) -> Sequence[int]:
        """Append, or fail with nothing written."""
        if self.appends > 0:
            self.appends -= 1
            raise self.fault
        if partition in self.away:
            raise self.fault
        return super().append(topic, partition, records)

    def post(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Post, or lose it, as a worker does that stops between its commit and its replies."""
        if self.mute:
            self.dropped += len(records)
        else:
            super().post(topic, partition, records)

    def close(self) -> None:
        """Stay open, to be looked at."""


class FailingWriter(MemoryWriter):
    """A writer whose commits fail when its log says so."""

    def __init__(self, log: FailingLog, writer: MemoryWriter, partition: int) -> None:
        self._log = log
        self._writer = writer
        self._partition = partition

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Append."""
        self._writer.append(topic, records)

    def receive(self, records: Sequence[Record]) -> int:
        """Receive."""
        return self._writer.receive(records)

    def begin_commit(self, consumed: int | None, standing: Standing | None = None) -> None:
        """Commit, or fail with nothing written."""
        if self._log.commits > 0:
            self._log.commits -= 1
            raise self._log.fault
        if self._partition in self._log.away:
            raise self._log.fault
        self._writer.begin_commit(consumed, standing)

    def settle(self) -> Mapping[str, Sequence[int]]:
        """What was committed."""
        return self._writer.settle()

    def abort(self) -> None:
        """Abort."""
        self._writer.abort()

    def close(self) -> None:
        """Close."""
        self._writer.close()
