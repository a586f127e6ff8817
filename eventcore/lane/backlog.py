"""The commands that wait behind quarantined instances: in order, by instance and by id, within bounds.

What does not fit is not kept, and its outcome says so (`backlog_full`): whoever sent it is told to send it again. So a
flood of commands for one poisoned instance, or many poisoned instances, cannot fill a lane's memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from eventcore.avro.envelope import Options

INSTANCE_MAX = 1_000  # commands behind one instance: a release decides them in one transaction
LANE_MAX = 10_000  # and behind all instances of a lane
LANE_BYTES_MAX = 64 * 1024 * 1024
OVERHEAD_BYTES = 1_024  # counted for each command beside its body: its options and what we keep of it

BACKLOG_FULL, DISCARDED = "backlog_full", "discarded"


class Waiting(NamedTuple):
    """A command that waits, and the outcome that it was given: `version`, `reason` and `message` of a parked one."""

    command_id: bytes
    value: bytes
    options: Options
    version: int
    reason: str
    message: str | None


@dataclass
class Backlog:
    """All that waits in one lane. `changed` holds the ids of what came to wait or went, until it is cleared."""

    count: int = 0
    size: int = 0
    _of: dict[bytes, dict[bytes, Waiting]] = field(default_factory=dict[bytes, dict[bytes, Waiting]])
    _keys: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    _places: dict[bytes, int] = field(default_factory=dict[bytes, int], compare=False)
    _next: int = field(default=0, compare=False)
    changed: set[bytes] = field(default_factory=set[bytes], compare=False)

    @property
    def known(self) -> Mapping[bytes, bytes]:
        """The instance that each waiting command waits behind, by its id; a view that follows what changes."""
        return self._keys

    def of(self, key: bytes) -> list[Waiting]:
        """What waits behind an instance, first come first."""
        return list(self._of.get(key, {}).values())

    def get(self, command_id: bytes) -> Waiting | None:
        """The waiting command of this id, or None."""
        key = self._keys.get(command_id)
        return None if key is None else self._of[key][command_id]

    def full(self, key: bytes, command_id: bytes, value: bytes) -> str | None:
        """Why a command cannot be kept, in words, or None where it can, or already is."""
        if command_id in self._keys:
            return None
        if len(self._of.get(key, ())) >= INSTANCE_MAX:
            return f"{INSTANCE_MAX:,} commands wait behind this instance"
        if self.count >= LANE_MAX:
            return f"{LANE_MAX:,} commands wait behind the quarantined instances of this lane"
        if self.size + len(value) + OVERHEAD_BYTES > LANE_BYTES_MAX:
            return f"{LANE_BYTES_MAX:,} bytes of commands wait behind the quarantined instances of this lane"
        return None

    def keep(self, key: bytes, waiting: Waiting) -> None:
        """Keep a command as the last of its instance; one that is kept already stays at its place."""
        if waiting.command_id not in self._keys:
            self._keys[waiting.command_id] = key
            self.count += 1
            self.size += len(waiting.value) + OVERHEAD_BYTES
            self._places[waiting.command_id] = self._next
            self._next += 1
        self.changed.add(waiting.command_id)
        self._of.setdefault(self._keys[waiting.command_id], {})[waiting.command_id] = waiting

    def drop(self, command_id: bytes) -> Waiting | None:
        """Forget a command that was decided or discarded; return it, or None where it did not wait."""
        key = self._keys.pop(command_id, None)
        if key is None:
            return None
        self.changed.add(command_id)
        del self._places[command_id]
        waiting = self._of[key].pop(command_id)
        if not self._of[key]:
            del self._of[key]
        self.count -= 1
        self.size -= len(waiting.value) + OVERHEAD_BYTES
        return waiting

    def ids(self) -> list[bytes]:
        """The ids of all that waits."""
        return list(self._keys)

    def placed(self, command_id: bytes) -> tuple[bytes, int, Waiting] | None:
        """The instance of a waiting command, its place among all that came to wait, and itself; or None."""
        key = self._keys.get(command_id)
        return None if key is None else (key, self._places[command_id], self._of[key][command_id])

    def restore(self, key: bytes, place: int, waiting: Waiting) -> None:
        """Keep a command again that waited at this place; `in_order` when all are kept."""
        self.keep(key, waiting)
        self._places[waiting.command_id] = place
        self._next = max(self._next, place + 1)

    def in_order(self) -> None:
        """Put what was restored in the order of its places."""
        self._of = {
            key: dict(sorted(held.items(), key=lambda item: self._places[item[0]])) for key, held in self._of.items()
        }
        self.changed.clear()
