"""Rows of tables, read again from the texts of their chunks: cells by column name, with the characters of each row.

A row that cannot be read, or has other columns than its table, is left out; what to say of the rows is in `tables`.
How a table is written is told as the chunker told it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import NamedTuple, cast

from mesh_assets.chunks.tables import SAMPLE, Dialect, row_ends
from mesh_assets.insights.locators import ChunkText

MAX_COLUMNS = 64
_MAX_CELL = 1000  # characters; a longer one is a text, not a value


class Row(NamedTuple):
    """Cells by column, and the characters of the row in its chunk's text."""

    cells: dict[str, str]
    start: int
    stop: int


class TableReader:
    """Reads the chunks of one file, in order. It learns delimiter and header from the first one."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._delimiter = "\t"
        self._names: list[str] | None = None

    def rows(self, chunk: ChunkText, context: str) -> Iterator[Row]:
        """The rows of `chunk`; `context` holds the header where the chunk does not."""
        if self._form == "jsonl":
            yield from _json_rows(chunk.text)
            return
        first = 0
        if self._names is None:
            first = self._learn(chunk.text, context)
        starts = [0, *row_ends(chunk.text, self._delimiter)]
        for start, end in islice(pairwise(starts), first, None):
            line = chunk.text[start:end].rstrip("\r\n")
            cells = _cells(line, self._delimiter)
            if line.strip() and self._names is not None and len(cells) == len(self._names):
                yield Row(dict(zip(self._names[:MAX_COLUMNS], cells, strict=False)), start, start + len(line))

    def _learn(self, text: str, context: str) -> int:
        """Delimiter and names as the chunker saw them; the number of rows of `text` that are the header."""
        sample = f"{context}\n{text}" if context else text
        dialect = Dialect.of(sample[:SAMPLE], self._form)
        self._delimiter = dialect.delimiter
        header = context or text[: next(iter(row_ends(text, dialect.delimiter)), 0)]
        cells = [cell.strip() for cell in _cells(header.strip("\ufeff\r\n"), dialect.delimiter)]
        is_named = dialect.header or bool(context)
        self._names = [(is_named and cell) or f"column {i + 1}" for i, cell in enumerate(cells)]
        return int(is_named and not context)


def _cells(line: str, delimiter: str) -> list[str]:
    empty: list[str] = []
    if '"' not in line:
        return line.rstrip("\r").split(delimiter)
    try:
        return next(csv.reader([line.replace("\r", " ").replace("\n", " ")], delimiter=delimiter), empty)
    except csv.Error:
        return empty


def _json_rows(text: str) -> Iterator[Row]:
    at = 0
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict):
            items = list(cast("dict[str, object]", fields).items())[:MAX_COLUMNS]
            cells = {
                key[:80]: "" if value is None else str(value)[:_MAX_CELL]
                for key, value in items
                if not isinstance(value, dict | list)
            }
            yield Row(cells, start, start + len(line.rstrip("\r\n")))


def number(cell: str) -> float | None:
    """The number that `cell` is, None where it is none. Not-a-number and the infinities are none."""
    if len(cell) > 40:
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None
