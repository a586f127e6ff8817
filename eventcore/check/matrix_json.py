"""A matrix for programs: plain dicts and lists."""

from __future__ import annotations

from typing import Any

from eventcore.check.matrix import Count, Matrix
from eventcore.check.matrix_cells import Cell
from eventcore.check.matrix_words import SIGNS


def matrix_data(matrix: Matrix) -> dict[str, Any]:
    """The whole matrix as JSON has it. Rows that were never met are only counted."""
    sets = matrix.sets
    return {
        "name": matrix.name,
        "cells": matrix.size,
        "unknown": matrix.unknown,
        "unknown_share": matrix.unknown_share,
        "verdicts": {verdict: matrix.count(verdict) for verdict in SIGNS},
        "conceivable": matrix.conceivable,
        "exhausted": matrix.exhausted,
        "gaps": list(matrix.gaps),
        "notes": list(matrix.notes),
        "findings": list(matrix.findings),
        "facets": list(matrix.facets),
        "not_told_apart": list(matrix.untold),
        "commands": list(matrix.columns),
        "sets": {
            "typed": _count(sets.typed),
            "satisfying": _count(sets.satisfying),
            "reachable": _count(sets.reachable),
            "seen": None if sets.seen is None else _count(sets.seen),
        },
        "rows": [
            {"row": list(row), "depth": matrix.depths.get(row), "cells": {name: _cell(c) for name, c in cells.items()}}
            for row, cells in matrix.rows.items()
        ],
        "edges": [
            {"from": list(one), "command": command, "to": list(other), "always": always}
            for (one, command, other), always in matrix.edges().items()
        ],
        "production": None
        if matrix.production is None
        else {"turns": matrix.production.turns, "instances": matrix.production.instances},
        "escapes": [
            {"instance": e.instance, "at": e.at, "row": list(e.row), "command": e.command, "what": e.what}
            for e in matrix.escapes
        ],
        "code_hash": matrix.code_hash,
    }


def _count(count: Count) -> dict[str, Any]:
    return {"states": count.states, "rows": count.rows, "at_least": count.least}


def _cell(cell: Cell) -> dict[str, Any]:
    seen = cell.observed
    return {
        "verdict": cell.verdict,
        "evidence": cell.level,
        "states": cell.tally.states,
        "accepting": cell.tally.accepting,
        "accepted": cell.tally.accepted,
        "refused": cell.tally.refused,
        "reasons": sorted(cell.tally.reasons),
        "broken": sorted(cell.tally.broken),
        "faults": sorted(cell.tally.faults),
        "escaped": cell.escaped,
        "seen": None if seen is None else {"count": seen.count, "first": seen.first, "last": seen.last},
    }
