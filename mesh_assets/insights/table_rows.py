"""Rows of tables, read again from the texts of their chunks: cells by column name, with the characters of each row.

A row that cannot be read, or has other columns than its table, is left out; what to say of the rows is in `tables`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import NamedTuple, cast

from mesh_assets.insights.locators import ChunkText

MAX_COLUMNS = 64
_MAX_CELL = 1000  # characters; a longer one is a text, not a value
_DELIMITERS = ",;\t|"


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
        lines = list(_lines(chunk.text))
        if self._names is None and lines:
            header = context.strip().split("\n")[-1] if context.strip() else chunk.text[lines[0][0] : lines[0][1]]
            self._learn(header.strip("\ufeff\r\n"), in_text=not context.strip())
            if not context.strip() and self._has_header:
                lines.pop(0)
        for start, stop in lines:
            cells = _cells(chunk.text[start:stop], self._delimiter)
            if self._names is not None and len(cells) == len(self._names):
                yield Row(dict(zip(self._names[:MAX_COLUMNS], cells, strict=False)), start, stop)

    def _learn(self, line: str, *, in_text: bool) -> None:
        if self._form != "tsv":
            self._delimiter = max(_DELIMITERS, key=line.count)
        cells = [cell.strip() for cell in _cells(line, self._delimiter)]
        named = all(cells) and len(set(cells)) == len(cells) and all(number(cell) is None for cell in cells)
        self._has_header = named or not in_text
        self._names = cells if named else [f"column {i + 1}" for i in range(len(cells))]


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Characters of each row: a line, or several where a quoted cell holds line breaks."""
    start = at = 0
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        if text.count('"', start, stop) % 2 == 0 or stop - start > 64 * _MAX_CELL:
            if text[start:stop].strip():
                yield start, stop
            start = stop + 1
        at = stop + 1


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
