"""What a turn may know of the world: its time, its command's id, and ids derived from them. Nothing else.

A stamp is a hybrid logical clock in one integer: 48 bits of Unix milliseconds, then 16 bits that count within one.
Source: Kulkarni et al., *Logical Physical Clocks* (OPODIS 2014), with the logical part bounded to 16 bits.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from eventcore.value import Value

COUNTER_BITS = 16
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Context(Value):
    """A turn's time and identity, given to a `decide` that takes a third parameter; the same again in every replay.

    `stamp` is the lane's hybrid clock at the turn, `command` the 16 bytes of the command's id.
    """

    stamp: int
    command: bytes

    @property
    def time(self) -> datetime:
        """The turn's time, to the millisecond, in UTC."""
        return EPOCH + timedelta(milliseconds=self.stamp >> COUNTER_BITS)

    @property
    def command_id(self) -> UUID:
        """The id of the command being decided."""
        return UUID(bytes=self.command)

    def uuid(self, name: str) -> UUID:
        """An id that is the same whenever this command is decided: a UUIDv5 of `name` under the command's id."""
        return uuid5(self.command_id, name)

    @staticmethod
    def at(time: datetime, command_id: UUID) -> Context:
        """The context of a turn at an aware `time`: for tests and scenarios."""
        return Context((time - EPOCH) // timedelta(milliseconds=1) << COUNTER_BITS, command_id.bytes)
