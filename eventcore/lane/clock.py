"""The lane's hybrid clock: stamps that only grow, close to the wall clock, and always after what was received.

Source: Kulkarni et al., *Logical Physical Clocks* (OPODIS 2014). A stamp is one integer: 48 bits of Unix milliseconds,
16 bits that count. Stamps are unique within a lane, so 65,536 turns in a millisecond run into the next one.
"""

from __future__ import annotations

from eventcore.context import COUNTER_BITS

AHEAD_MAX_MS = 60_000  # a stamp further ahead than this is a broken clock somewhere, not skew


def after(last: int, now_ms: int) -> int:
    """The first stamp of a batch taken at wall time `now_ms`, above `last`; count on from it."""
    return max(last + 1, now_ms << COUNTER_BITS)


def too_far_ahead(stamp: int, now_ms: int) -> bool:
    """Say whether a received stamp lies so far in the future that its clock must be wrong."""
    return (stamp >> COUNTER_BITS) > now_ms + AHEAD_MAX_MS
