"""A matrix as one HTML file that needs nothing else: no script, no style sheet, no font from anywhere.

A cell opens when it is clicked: what was counted, and the shortest way to one of its states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from eventcore.check.matrix import Matrix
from eventcore.check.matrix_cells import Cell
from eventcore.check.matrix_text import shown_rows
from eventcore.check.matrix_words import MEANINGS, heading, legend, remarks, sets, sign, sums, trace_to
from eventcore.check.render_text import trace_lines

TRACES_MAX = 2_000  # cells with a trace: a file of some megabytes
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem; } h1 { font-size: 1.2rem; } table { border-collapse: collapse; margin: 1rem 0; }
th, td { border: 1px solid #8886; padding: .2rem .6rem; text-align: left; vertical-align: top; }
pre { margin: .3rem 0; font-size: .85rem; } summary { cursor: pointer; list-style: none; }
.accepts { background: #2a93; } .refuses { background: #8882; } .mixed { background: #2a91; }
.violates, .raises, .escaped { background: #d228; font-weight: bold; } .unknown, .sampled, .none
{ background: repeating-linear-gradient(45deg, #ea06, #ea06 6px, #ea02 6px, #ea02 12px); }
.unreachable { color: #888; } label { margin-right: 1rem; }
body:has(#unknown:checked) tr.proved, body:has(#escaped:checked) tr.stayed { display: none; }
"""


def matrix_html(matrix: Matrix) -> str:
    """The page."""
    return "\n".join(_page(matrix))


def _page(matrix: Matrix) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield f"<title>{escape(matrix.name)}: the known and the unknown</title><style>{STYLE}</style></head><body>"
    yield f"<h1>{escape(heading(matrix))}</h1><p>{escape(sums(matrix))}</p>"
    yield from _table(["", "states", "rows"], sets(matrix))
    yield '<label><input type="checkbox" id="unknown"> only what is unknown</label>'
    yield '<label><input type="checkbox" id="escaped"> only what escaped</label>'
    heads = "".join(f"<th>{escape(head)}</th>" for head in ("depth", *matrix.facets, *matrix.columns))
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
    left = TRACES_MAX
    for row in shown_rows(matrix):
        cells = matrix.rows[row]
        proved = "proved" if all(cell.known for cell in cells.values()) else "open"
        stayed = "escaped-row" if any(cell.escaped for cell in cells.values()) else "stayed"
        yield f'<tr class="{proved} {stayed}"><td>{matrix.depths.get(row, "")}</td>'
        yield "".join(f"<th>{escape(label)}</th>" for label in row)
        for column in matrix.columns:
            yield from _cell(matrix, cells[column], with_trace=left > 0)
            left -= 1
        yield "</tr>"
    yield f"</tbody></table><p>{escape(legend(matrix))}</p>"
    yield "".join(f"<p>{escape(each)}</p>" for each in remarks(matrix))
    if matrix.escapes:
        yield f"<h1>{len(matrix.escapes):,} instances left the model</h1>"
        yield from _table(["position", "instance", "what"], [(e.at, e.instance, e.what) for e in matrix.escapes])
    yield f"<p>Code {escape(matrix.code_hash)}</p></body></html>"


def _cell(matrix: Matrix, cell: Cell, *, with_trace: bool) -> Iterator[str]:
    kind = "escaped" if cell.escaped else cell.level if not cell.known else cell.verdict
    yield f'<td class="{kind}"><details><summary>{escape(sign(cell))}</summary><pre>'
    yield escape("\n".join(_told(matrix, cell, with_trace=with_trace)))
    yield "</pre></details></td>"


def _told(matrix: Matrix, cell: Cell, *, with_trace: bool) -> Iterator[str]:
    tally = cell.tally
    yield f"{cell.verdict}: {MEANINGS[cell.verdict]}; evidence: {cell.level}"
    yield f"{tally.states:,} states, {tally.accepting:,} of them accept; {tally.accepted:,} accepted, {tally.refused:,} refused"
    for what, names in (("refused for", tally.reasons), ("breaks", tally.broken), ("raises in", tally.faults)):
        if names:
            yield f"{what} {', '.join(sorted(names))}"
    if cell.observed is not None:
        yield f"seen {cell.observed.count:,} times, first at {cell.observed.first}, last at {cell.observed.last}"
    trace = trace_to(matrix, cell) if with_trace else None
    if trace is not None:
        yield from trace_lines(trace)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"<table><thead><tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    yield "</tbody></table>"
