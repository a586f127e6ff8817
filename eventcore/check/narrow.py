"""Why a search does not end: how fast it grows, and which field of the state takes ever more values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from eventcore.check.search import Explored

LOOKED_AT = 20_000  # states at the end of the search
NAMED = 3  # fields


def explosion(typed: int | None, found: Explored) -> str:
    """What is known of a search that was cut, in two sentences: its growth, and where it comes from."""
    said = [_growth(found.levels, len(found.states) - found.expanded)]
    if typed is not None and typed < 10**15:
        said.append(f"The type of the state has {typed:,} values in all.")
    widest = widest_fields(found.states[-LOOKED_AT:])
    if widest:
        fields = ", ".join(f"{name} ({count:,} values)" for name, count in widest)
        said.append(f"What varies most among the last {min(LOOKED_AT, len(found.states)):,} states: {fields}.")
    return " ".join(said)


def widest_fields(states: Sequence[Any]) -> list[tuple[str, int]]:
    """The fields of the states that take the most values, the widest first."""
    if not states or not isinstance(states[0], Struct):
        return []
    names = states[0].__struct_fields__
    counts = [(name, len({getattr(state, name) for state in states})) for name in names]
    return sorted((each for each in counts if each[1] > 1), key=lambda each: -each[1])[:NAMED]


def _growth(levels: Sequence[int], waiting: int) -> str:
    full = levels[:-1] if len(levels) > 1 else levels  # the last level may not be complete
    if len(full) < 3:
        return f"Level {len(levels)} was being searched, {waiting:,} states waited."
    rate = (full[-1] / full[-3]) ** 0.5
    if rate <= 1.02:
        return f"Level {len(levels)} was being searched; levels no longer grow, {waiting:,} states waited."
    more = full[-1] * rate**10
    return (
        f"Each level is {rate:.2f} times the one before: ten levels on, one of them alone would have about {more:,.0f} "
        "states."
    )
