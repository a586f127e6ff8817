"""Membership of an embedded log: whoever stands first in the line has every partition.

An embedded log belongs to one process, so its group has one member that counts. Should a process join twice, the second
member waits until the first has left: so it is on a cluster too, with more partitions to share (L6).
"""

from __future__ import annotations

import threading
import time

from eventcore.errors import WrongUse
from eventcore.log.port import Share, Standing


class Line:
    """Who takes part in one group of an embedded log, in the order of joining. Any thread may use it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._members: list[SoleMember] = []

    def join(self, partitions: int, share: Share) -> SoleMember:
        """Stand in line for all partitions."""
        member = SoleMember(self, partitions, share)
        with self._changed:
            self._members.append(member)
        return member

    def first(self, member: SoleMember, timeout_s: float) -> bool:
        """Whether the member stands first, waiting up to `timeout_s` for it."""
        with self._changed:
            return self._changed.wait_for(lambda: self._members[:1] == [member], timeout_s)

    def leave(self, member: SoleMember) -> None:
        """Leave the line, for the next one."""
        with self._changed:
            self._members = [other for other in self._members if other is not member]
            self._changed.notify_all()


class SoleMember:
    """A member that has all partitions, or none yet. One thread polls."""

    def __init__(self, line: Line, partitions: int, share: Share) -> None:
        self._line = line
        self._partitions = range(partitions)
        self._share = share
        self._told = False
        self._closing = threading.Event()

    def poll(self, timeout_s: float) -> None:
        """Tell the share that everything is its own, once it is; else wait."""
        if self._closing.is_set():
            raise WrongUse("this member has left its group; join again")
        deadline = time.monotonic() + timeout_s
        if not self._told and self._line.first(self, timeout_s):
            self._told = True
            self._share.assigned(self._partitions)
            return
        self._closing.wait(max(deadline - time.monotonic(), 0.0))

    def standing(self) -> Standing | None:
        """Always None: owning a lane is what an embedded log goes by."""
        return None

    def close(self) -> None:
        """Leave: the share is told that everything is to be given back."""
        if self._closing.is_set():
            return
        self._closing.set()
        try:
            if self._told:
                self._share.revoked(self._partitions)
        finally:
            self._line.leave(self)
