"""A matrix as Markdown, for a review or a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eventcore.check.matrix import Matrix
from eventcore.check.matrix_text import shown_rows
from eventcore.check.matrix_words import heading, legend, remarks, sets, sign, sums


def matrix_markdown(matrix: Matrix) -> str:
    """The same as the table for a terminal; every row is shown."""
    return "\n".join(_lines(matrix))


def _lines(matrix: Matrix) -> Iterator[str]:
    yield f"**{_plain(heading(matrix))}**"
    yield ""
    yield f"{sums(matrix)}."
    yield ""
    yield from _table(["", "states", "rows"], sets(matrix))
    yield ""
    rows = [
        [f"{matrix.depths.get(row, '-')}", *row, *(f"`{sign(matrix.rows[row][column])}`" for column in matrix.columns)]
        for row in shown_rows(matrix)
    ]
    yield from _table(["depth", *matrix.facets, *matrix.columns], rows)
    yield ""
    yield _plain(legend(matrix))
    yield ""
    yield from (f"- {_plain(each)}" for each in remarks(matrix))
    if matrix.escapes:
        yield ""
        yield f"{len(matrix.escapes):,} instances left the model:"
        yield ""
        yield from _table(["position", "instance", "what"], [(e.at, e.instance, e.what) for e in matrix.escapes])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(_plain, heads))} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell if cell.startswith('`') else _plain(cell) for cell in row)} |"


def _plain(text: str) -> str:
    """Text in which nothing means anything to Markdown."""
    for letter in "\\|*_<>~`":
        text = text.replace(letter, f"\\{letter}")
    return text
