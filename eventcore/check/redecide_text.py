"""Decisions taken anew, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eventcore.check.redecide import Redecided
from eventcore.check.refine_text import times
from eventcore.check.replay import Broken
from eventcore.check.source import shown

BROKEN_SHOWN = 12  # instances


def redecided_text(found: Redecided) -> str:
    """The whole answer."""
    return "\n".join(_lines(found))


def _lines(found: Redecided) -> Iterator[str]:
    differ = "none differs" if not found.differing else f"{found.differing:,} differ{'s' * (found.differing == 1)}"
    yield f"{found.name}: {found.turns:,} recorded commands decided again, {differ}"
    yield f"{found.events:,} events of {found.instances:,} instances folded, {len(found.broken):,} instances broken"
    for group in found.groups:
        yield ""
        yield f"{group.command}, {times(group.count)}: {group.was} -> {group.now}"
        example = group.example
        yield f"  first {example.at}, {example.instance}: {shown(example.command)} on {shown(example.before)}"
        yield f"    was  {example.was}"
        yield f"    now  {example.now}"
        if group.count > 1:
            yield f"  last  {group.last}"
    if found.broken:
        yield ""
        yield "Events that the new code does not take:"
        yield from map(_broken, found.broken[:BROKEN_SHOWN])
        if len(found.broken) > BROKEN_SHOWN:
            yield f"  and {len(found.broken) - BROKEN_SHOWN:,} more instances; --json lists all"
        yield f"  {found.lost:,} commands of these instances came later and were not decided again"
    if found.passed_over:
        yield ""
        yield "No decisions of this code, and passed over:"
        yield from (f"  {why}: {count:,}" for why, count in sorted(found.passed_over.items()))


def _broken(broken: Broken) -> str:
    return f"  {broken.at}, {broken.instance}: {broken.what}"


def redecided_data(found: Redecided) -> dict[str, Any]:
    """The same as JSON has it."""
    return {
        "name": found.name,
        "turns": found.turns,
        "differing": found.differing,
        "groups": [
            {
                "command": group.command,
                "was": group.was,
                "now": group.now,
                "count": group.count,
                "last": group.last,
                "example": {
                    "position": group.example.at,
                    "instance": group.example.instance,
                    "before": shown(group.example.before),
                    "command": shown(group.example.command),
                    "was": str(group.example.was),
                    "now": str(group.example.now),
                },
            }
            for group in found.groups
        ],
        "events": found.events,
        "instances": found.instances,
        "broken": [
            {"position": each.at, "instance": each.instance, "event": shown(each.event), "what": each.what}
            for each in found.broken
        ],
        "lost": found.lost,
        "passed_over": dict(found.passed_over),
    }
