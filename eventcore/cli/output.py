"""What a command prints: text for people, or JSON for programs; one document, or a line a record."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventcore.cli.faults import printable

WIDE = 100_000  # columns of what is no terminal: nothing is wrapped or cut there


@dataclass(frozen=True)
class Grid:
    """A table for people. Columns whose every cell is a number stand to the right."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


Shown = str | Grid


@dataclass(frozen=True)
class Output:
    """Where a command's answer goes. With `json`, stdout holds JSON and nothing else."""

    json: bool

    def document(self, data: Mapping[str, object], shown: Iterable[Shown]) -> None:
        """Print the one answer of a command."""
        if self.json:
            _write_json(data)
            return
        for part in shown:
            self._show(part)

    def entry(self, data: Mapping[str, object], line: str) -> None:
        """Print one of many answers: a line of JSON, or of text."""
        if self.json:
            _write_json(data)
        else:
            _write(line)

    def note(self, sentence: str) -> None:
        """Tell people on stderr what is not the answer. Programs are told nothing."""
        if not self.json:
            sys.stderr.write(f"{printable(sentence)}\n")

    def _show(self, part: Shown) -> None:
        if isinstance(part, str):
            _write(part)
            return
        console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left", header_style="bold")
        for number, head in enumerate(part.heads):
            numeric = all(row[number].replace(",", "").lstrip("-").isdigit() for row in part.rows)
            table.add_column(Text(head), justify="right" if numeric and part.rows else "left", overflow="fold")
        for row in part.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        with console.capture() as captured:
            console.print(table)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _write(text: str) -> None:
    sys.stdout.write(f"{printable(text)}\n")


def _write_json(data: Mapping[str, object]) -> None:
    sys.stdout.write(msgspec.json.encode(data).decode() + "\n")
