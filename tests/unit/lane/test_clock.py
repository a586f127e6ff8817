"""The lane's clock only grows, stays close to the wall clock, and tells skew from a broken clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventcore.context import COUNTER_BITS
from eventcore.lane.clock import AHEAD_MAX_MS, after, too_far_ahead

moments = st.integers(0, 2**47)


@given(st.integers(0, 2**63), moments)
def test_a_batch_begins_after_everything_before_it_and_not_before_the_wall_clock(last: int, now_ms: int) -> None:
    first = after(last, now_ms)
    assert first > last
    assert first >> COUNTER_BITS >= now_ms
    assert first in (last + 1, now_ms << COUNTER_BITS)


@given(st.lists(st.tuples(moments, st.integers(1, 1_000)), max_size=20))
def test_stamps_are_unique_and_grow_whatever_the_wall_clock_does(batches: list[tuple[int, int]]) -> None:
    last, stamps = 0, list[int]()
    for now_ms, count in batches:
        first = after(last, now_ms)
        last = first + count - 1
        stamps += [first, last]
    assert stamps == sorted(stamps)
    assert all(a < b for a, b in zip(stamps[1::2], stamps[2::2], strict=False))


@given(moments, st.integers(0, 2**16 - 1))
def test_only_more_than_a_minute_ahead_is_a_broken_clock(now_ms: int, count: int) -> None:
    limit = now_ms + AHEAD_MAX_MS
    assert not too_far_ahead((limit << COUNTER_BITS) + count, now_ms)
    assert too_far_ahead((limit + 1 << COUNTER_BITS) + count, now_ms)
    assert not too_far_ahead(0, now_ms)
