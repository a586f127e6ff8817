"""A matrix as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eventcore.check.matrix import Matrix
from eventcore.check.matrix_words import heading, legend, remarks, sets, sign, sums

ROWS_MAX = 100  # beyond that, --matrix html


def matrix_text(matrix: Matrix) -> str:
    """The sums, the four sets, a row for each kind of state that was reached or seen, the escapes, the legend."""
    return "\n".join(_lines(matrix))


def _lines(matrix: Matrix) -> Iterator[str]:
    yield heading(matrix)
    yield sums(matrix)
    yield ""
    yield from aligned([("", "states", "rows"), *sets(matrix)], right=(1, 2))
    yield ""
    shown = shown_rows(matrix)
    rows = [["depth", *matrix.facets, *matrix.columns]]
    for row in shown[:ROWS_MAX]:
        cells = matrix.rows[row]
        rows.append([f"{matrix.depths.get(row, '-')}", *row, *(sign(cells[column]) for column in matrix.columns)])
    yield from aligned(rows, right=(0,))
    if len(shown) > ROWS_MAX:
        yield f"and {len(shown) - ROWS_MAX:,} more rows: --matrix html or json shows all"
    yield ""
    yield legend(matrix)
    yield from remarks(matrix)
    if matrix.escapes:
        yield ""
        yield f"{len(matrix.escapes):,} instances left the model:"
        yield from aligned([(each.at, each.instance, each.what) for each in matrix.escapes], indent=2)


def shown_rows(matrix: Matrix) -> list[tuple[str, ...]]:
    """The rows that were reached, nearest first, then those that only production has seen."""
    reached = sorted(matrix.depths, key=lambda row: matrix.depths[row])
    seen = [
        row
        for row, cells in matrix.rows.items()
        if row not in matrix.depths and any(cell.observed is not None for cell in cells.values())
    ]
    met = {each.row for each in matrix.escapes if each.row in matrix.rows and each.row not in matrix.depths}
    return [*reached, *dict.fromkeys([*seen, *sorted(met)])]


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: int = 0) -> Iterator[str]:
    """Rows of cells under each other."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield " " * indent + "  ".join(cells).rstrip()
