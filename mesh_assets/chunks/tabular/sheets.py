"""Sheets of workbooks: where the tables in them begin and end, what names their columns, and what their cells say.

Rows come from the readers of each format. Blank rows end a table only where another one begins behind them: many
people leave some between groups.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

import numpy as np

from mesh_assets.chunks.tables import MAX_NAME
from mesh_assets.chunks.tabular.grids import BLOCK, NO_TIME, Grid, Rows, csv_line

# Rows that are looked at to tell what a block of rows is, and its columns.
HEAD = 20
# Rows above the header that say what the table is about.
MAX_TITLES = 5
_EPOCH = datetime(1970, 1, 1)  # cells have no zone: taken as UTC
# Last row of a sheet in any of these formats.
MAX_ROWS = 1 << 20
MAX_COLUMNS = 1 << 14


class Row(NamedTuple):
    """One row: its number in the sheet, from 1, and its cells (None, bool, number, moment or text)."""

    number: int
    cells: Sequence[object]


class Sheet:
    """The tables of one sheet, as its rows stream by. Each table must be read to its end before the next."""

    def __init__(self, name: str, rows: Iterator[Row]) -> None:
        self._name = name
        self._rows = rows
        self._waiting: deque[Row] = deque()
        self._tables = 0

    def grids(self) -> Iterator[Grid]:
        """Tables, and lines beside them, in order."""
        while self._peek(1):
            head = self._block()
            header = _header(head)
            titles = head[:header] if header is not None else head if _are_lines(head) else []
            if titles:
                yield self._lines(titles)
                for _ in titles:
                    self._waiting.popleft()
                head = head[len(titles) :]
            if head:
                yield self._table(head, is_named=header is not None)

    def _peek(self, count: int) -> bool:
        """Whether `count` more rows that are not blank wait, if there are as many."""
        while len(self._waiting) < count:
            row = next(self._rows, None)
            if row is None:
                return False
            if any(_is_filled(cell) for cell in row.cells):
                self._waiting.append(row)
        return True

    def _block(self) -> list[Row]:
        """The rows that follow without a blank one between them, as many as are looked at."""
        self._peek(HEAD)
        block: list[Row] = []
        for row in self._waiting:
            if len(block) == HEAD or (block and row.number != block[-1].number + 1):
                break
            block.append(row)
        return block

    def _lines(self, rows: list[Row]) -> Grid:
        text = "".join(csv_line([_said(cell) for cell in row.cells if _is_filled(cell)]) for row in rows)
        numbers = np.array([row.number for row in rows])
        return Grid("sheet", self._name, (), [Rows(text, None, numbers)], symbol=self._symbol(self._tables + 1))

    def _symbol(self, table: int) -> str:
        return self._name if table <= 1 else f"{self._name} ({table})"

    def _table(self, head: list[Row], *, is_named: bool) -> Grid:
        self._tables += 1
        filled = [at for row in head for at, cell in enumerate(row.cells) if _is_filled(cell)]
        first, stop = min(filled), max(filled) + 1
        names = [_said(cell) for cell in _part(head[0].cells, first, stop)] if is_named else []
        if is_named:
            self._waiting.popleft()
        body = head[is_named:]
        columns = tuple(
            (
                (names[at - first] if is_named else "") or f"column {at - first + 1}",
                _kind([row.cells[at] for row in body if at < len(row.cells)]),
            )
            for at in range(first, stop)
        )
        times = next((at for at, (_, kind) in enumerate(columns, first) if kind in ("timestamp", "date")), None)
        blocks = self._blocks((first, stop), times, head[0] if is_named else None)
        return Grid("sheet", self._name, columns, blocks, symbol=self._symbol(self._tables))

    def _blocks(self, span: tuple[int, int], times: int | None, header: Row | None) -> Iterator[Rows]:
        """The rows of a table up to the next one, in blocks. `times` is the column of its moments."""
        block = _Block(times)
        last = header.number if header else 0
        try:
            while self._peek(1):
                row = self._waiting[0]
                if last and row.number != last + 1 and self._begins_another(span, header):
                    break
                self._waiting.popleft()
                last = row.number
                # Cells beside those of the first rows stay with their row.
                start = next(at for at, cell in enumerate(row.cells) if _is_filled(cell))
                block.add(row, _part(row.cells, min(start, span[0]), span[1], more=True))
                if block.size >= BLOCK:
                    yield block.rows()
                    block = _Block(times)
        except Exception:  # whatever a library says of a broken file
            if block.size:
                yield block.rows()
            raise
        if block.size:
            yield block.rows()

    def _begins_another(self, span: tuple[int, int], header: Row | None) -> bool:
        """Whether the next block, behind blank rows, is no more of the table in the columns `span`."""
        block = self._block()
        at = _header(block)
        if at is None:
            return _are_lines(block) and span[1] - span[0] > 1
        if at > 0:
            return True
        names, body = block[0], block[1:]
        if header is not None and [*map(_said, names.cells)] == [*map(_said, header.cells)]:
            return True
        others = [at for row in block for at, cell in enumerate(row.cells) if _is_filled(cell)]
        if (min(others), max(others) + 1) != span and len(block) > 1:
            return True
        # Words above values: names of columns. In a table of words they are as likely one more row.
        return any(
            at < len(row.cells) and _is_filled(row.cells[at]) and not isinstance(row.cells[at], str)
            for row in body[:3]
            for at, cell in enumerate(names.cells)
            if _is_filled(cell)
        )


class _Block:
    """Rows that wait to be handed on; `times` is the column of their moments."""

    def __init__(self, times: int | None) -> None:
        self.size = 0
        self._times = times
        self._lines: list[str] = []
        self._moments: list[int] = []
        self._numbers: list[int] = []

    def add(self, row: Row, cells: Sequence[object]) -> None:
        """One more row, of which these cells are the table's."""
        at = self._times
        self._lines.append(csv_line([_said(cell) for cell in cells]))
        self._moments.append(NO_TIME if at is None or at >= len(row.cells) else _moment(row.cells[at]))
        self._numbers.append(row.number)
        self.size += len(self._lines[-1])

    def rows(self) -> Rows:
        """All of them."""
        times = None if self._times is None else np.array(self._moments, np.int64)
        return Rows("".join(self._lines), times, np.array(self._numbers, np.int64))


def _part(cells: Sequence[object], first: int, stop: int, *, more: bool = False) -> list[object]:
    """The cells from `first` up to `stop`, blank where there are none; with `more`, those behind that are filled."""
    last = stop
    if more:
        last = max((at + 1 for at in range(stop, len(cells)) if _is_filled(cells[at])), default=stop)
    return [cells[at] if at < len(cells) else None for at in range(first, last)]


def _is_filled(cell: object) -> bool:
    return cell is not None and cell != ""


def _filled(row: Row) -> list[object]:
    return [cell for cell in row.cells if _is_filled(cell)]


def _are_lines(block: list[Row]) -> bool:
    """Whether the rows are lines of text, not a table."""
    return len(block) <= MAX_TITLES and all(len(_filled(row)) == 1 for row in block)


def _header(block: list[Row]) -> int | None:
    """Which of the first rows names the columns of a block; None where none does.

    It has words only, all different, about as many as the rows below have cells; rows above it have fewer.
    """
    for at, row in enumerate(block[: MAX_TITLES + 1]):
        names = _filled(row)
        widest = max((len(_filled(below)) for below in block[at + 1 :]), default=0)
        if widest and len(names) >= max(0.6 * widest, min(widest, 2)):
            is_header = all(isinstance(name, str) and len(name) <= MAX_NAME for name in names)
            return at if is_header and len({str(name) for name in names}) == len(names) else None
    return None


def _kind(cells: list[object]) -> str:
    """The type of most cells of a column in a word."""
    words = [word for cell in cells if _is_filled(cell) for word in [_word(cell)]]
    if not words:
        return "empty"
    best = max(set(words), key=lambda word: (words.count(word), word))
    return "number" if best == "integer" and "number" in words else best


def _word(cell: object) -> str:
    if isinstance(cell, bool):
        return "boolean"
    if isinstance(cell, int) or (isinstance(cell, float) and cell.is_integer()):
        return "integer"
    if isinstance(cell, datetime):
        return "timestamp"
    kinds = ((float, "number"), (date, "date"), (time, "time"), (timedelta, "duration"))
    return next((word for kind, word in kinds if isinstance(cell, kind)), "text")


def _said(cell: object) -> str:
    """What a cell says, numbers as short as they can be read back."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat() if (cell.hour, cell.minute, cell.second) == (0, 0, 0) else cell.isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell)


def _moment(cell: object) -> int:
    if isinstance(cell, datetime):
        return (cell.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)
    if isinstance(cell, date):
        return (cell - _EPOCH.date()) // timedelta(microseconds=1)
    return NO_TIME
