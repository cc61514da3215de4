"""The reading of a file of tables, and its chunks: every table as a line that describes it, a header, and CSV rows.

A row is one line. So whatever reads the chunks of CSV files reads these too. What is a table of a format, and what
its cells say, belongs to the readers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, fitted_context, line_cuts
from mesh_assets.chunks.members import room_of, take_room
from mesh_assets.chunks.moments import LineTimes, line_starts
from mesh_assets.chunks.protocol import NO_MOMENT, Part, Pieces, Source
from mesh_assets.chunks.tables import SAMPLE
from mesh_assets.chunks.tabular.opening import format_errors
from mesh_assets.chunks.timestamps import TimestampParser
from mesh_assets.chunks.units import Units, unit_pieces
from mesh_assets.chunks.windows import WINDOW_BYTES, Window, codec_for
from mesh_assets.schemas.rejects import Reject

# Characters of rows that a reader gathers before it hands them on: hundreds of chunks.
BLOCK = 1 << 18
# A longer row is cut as text, window by window: the sums of its tokens would take ten times its size.
MAX_ROW = 1 << 20
# Bytes of a cell that is no text, said in hexadecimal.
SHOWN_BYTES = 64
# Names of columns that a description lists.
MAX_DESCRIBED = 500
# No moment: what NumPy says for NaT.
NO_TIME = np.iinfo(np.int64).min
_BREAKS = re.compile("[\r\n\v\f\x1c-\x1e\x85\u2028\u2029\0]+")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x7f]")
# What a `datetime` reaches to, in us since 1970 UTC.
_FIRST, _LAST = ((each - datetime(1970, 1, 1)) // timedelta(microseconds=1) for each in (datetime.min, datetime.max))
_UTF8 = codec_for("utf-8")


class Rows(NamedTuple):
    """Some rows of a table: one line each in `text`, with its line break.

    `times` are moments in us since 1970 UTC, `NO_TIME` where a row has none; None where the text may say them.
    `numbers` are what the format calls the rows; None where it counts them from 0.
    """

    text: str
    times: NDArray[np.int64] | None = None
    numbers: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """One table of a file: what it is called, names and types of its columns, and its rows as they stream.

    Without columns it is not a table but lines of text beside one. `noun` says what the format calls it: table, sheet.
    Rows are lines of CSV, or with `is_json` objects as JSON lines, which need no header.
    """

    noun: str
    name: str | None
    columns: tuple[tuple[str, str], ...]
    blocks: Iterable[Rows | Reject]
    rows: int | None = None
    symbol: str | None = None
    is_json: bool = False

    @property
    def place(self) -> str:
        """What its places begin with: `sheet Q1`; nothing for the only table of a file."""
        return f"{self.noun} {self.name}" if self.name else ""

    @property
    def described(self) -> str:
        """The line that describes the table."""
        subject = f"{self.noun} {self.name}" if self.name else self.noun
        names = [f"{cell_text(name)} ({kind})" for name, kind in self.columns[:MAX_DESCRIBED]]
        if left := len(self.columns) - MAX_DESCRIBED:
            names += [f"and {left:,} more"] if left > 0 else []
        count = "" if self.rows is None else f"{self.rows:,} row{'' if self.rows == 1 else 's'}, "
        noun = "column" if len(self.columns) == 1 else "columns"
        return f"{subject[0].upper()}{subject[1:]}: {count}{len(self.columns):,} {noun}: {', '.join(names)}\n"


class GridChunker:
    """Cuts files of which `grids` reads the tables. What it raises is told as what is wrong with a file of `form`."""

    def __init__(self, form: str, grids: Callable[[Source], Iterator[Grid | Reject]]) -> None:
        self._form = form
        self._grids = grids

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Part | Pieces]:
        """Groups of rows, each with the header of its table as context, as of CSV files.

        `row_start` and `row_stop` count data rows of the table, whose name is the `symbol`.
        """
        source = replace(source, room=room_of(source))  # one for all that is unpacked of it
        reading = _Reading(source, chunk_tokens)
        with format_errors(source, self._form):
            for grid in self._grids(source):
                if isinstance(grid, Reject):
                    yield reading.placed(grid)
                elif grid.columns:
                    yield from reading.table(grid)
                else:
                    yield from reading.lines(grid)


@dataclass(slots=True)
class _Reading:
    """Where the reading has come to: bytes of UTF-8 and lines before what comes next."""

    source: Source
    limit: int
    byte: int = 0
    line: int = 1

    def placed(self, reject: Reject) -> Reject:
        """`reject` as one of a part, at this place of the reading."""
        return Reject(reject.path, reject.reason, reject.remedy, reject.detail, self.byte, self.byte)

    def lines(self, grid: Grid) -> Iterator[Part | Pieces]:
        """Lines beside the tables of a sheet: titles and remarks."""
        for block in grid.blocks:
            if isinstance(block, Reject):
                yield self.placed(block)
                continue
            numbers = block.numbers
            place = None if numbers is None else _place(grid.place, int(numbers[0]), int(numbers[-1]))
            yield from self._text(block.text, grid.symbol, place)

    def _text(
        self, text: str, symbol: str | None, place: str | None, rows: tuple[int, int] | None = None
    ) -> Iterator[Part | Pieces]:
        """`text` cut by lines, in windows that fit in memory."""
        for start in range(0, len(text), WINDOW_BYTES):
            window = self._window(text[start : start + WINDOW_BYTES])
            cutter = Cutter.of(window, "structured")
            for cut in line_cuts(window.text, cutter.meter, 0, len(window.text), self.limit):
                yield cutter.cut(cut, symbol=symbol, place=place, rows=rows)
            self._advance(window)

    def _window(self, text: str) -> Window:
        size = len(text) if text.isascii() else len(text.encode())
        return Window(text, self.byte, self.byte + size, self.line, _UTF8, final=True)

    def _advance(self, window: Window) -> None:
        """What of `window` is not held has been given."""
        held = window.text[len(window.text) - window.held :] if window.held else ""
        self.byte = window.byte_stop - (len(held) if held.isascii() else len(held.encode()))
        self.line = window.line + window.text.count("\n", 0, len(window.text) - window.held)

    def table(self, grid: Grid) -> Iterator[Part | Pieces]:
        """The description, then the header and the rows."""
        yield from self._text(grid.described, grid.symbol, grid.place or None)
        names = [name for name, _ in grid.columns]
        header = ", ".join(map(cell_text, names)) if grid.is_json else csv_line(names)
        context = fitted_context(header.strip(), self.limit // CONTEXT_SHARE, "structured")
        waiting = _Waiting(grid, context, self.source.modified)
        if not grid.is_json:
            waiting.add(Rows(header))
        try:
            for block in grid.blocks:
                if isinstance(block, Reject):
                    yield self.placed(block)
                    continue
                take_room(room_of(self.source), len(block.text), self.source.path)
                for rows in _parts(block):
                    yield from self._add(waiting, rows)
        except Exception:  # whatever a library says of a broken file: what was read before is used
            yield from self._rows(waiting, final=True)
            raise
        yield from self._rows(waiting, final=True)

    def _add(self, waiting: _Waiting, rows: Rows) -> Iterator[Part | Pieces]:
        """Let `rows` wait, and give what has waited enough; one row that is too long for a window at once."""
        if len(rows.text) <= MAX_ROW:
            waiting.add(rows)
            if waiting.size >= BLOCK:
                yield from self._rows(waiting, final=False)
            return
        yield from self._rows(waiting, final=True)
        waiting.add(rows)
        place = waiting.place(waiting.row, waiting.row + 1)
        yield from self._text(rows.text, waiting.grid.symbol, place, (waiting.row, waiting.row + 1))
        waiting.drop(1)

    def _rows(self, waiting: _Waiting, *, final: bool) -> Iterator[Part | Pieces]:
        """Pieces of the rows that wait; those at the end that others may still join go on waiting, if not `final`."""
        text = "".join(waiting.texts)
        if not text:
            return
        window = self._window(text)
        cutter = Cutter.of(window, "structured")
        ends = (cutter.meter.breaks + 1).tolist()
        times, grid = waiting.moments(text, cutter.meter.codes), waiting.grid
        units = Units(ends, waiting.context, waiting.row, times, grid.symbol, waiting.place)
        count = yield from unit_pieces(cutter, units, self.limit, may_go_on=not final)
        self._advance(window)
        waiting.drop(count, held=text[len(text) - window.held :] if window.held else "")


class _Waiting:
    """Rows of a table that were read and not yet given. The first has the number `row`, -1 for the header."""

    def __init__(self, grid: Grid, context: tuple[str, int], latest: datetime) -> None:
        self.grid, self.context, self.row = grid, context, 0 if grid.is_json else -1
        self.texts: list[str] = []
        self.size = 0
        self._count = 0
        self._latest = latest
        self._parser: TimestampParser | None = None
        self._is_typed: bool | None = None
        self._times: list[NDArray[np.int64]] = []
        self._numbers: list[NDArray[np.int64]] = []

    def add(self, rows: Rows) -> None:
        """More rows."""
        count = rows.text.count("\n")
        if self.row + self._count >= 0 and self._is_typed is None:
            self._is_typed = rows.times is not None
            if not self._is_typed:
                parser = TimestampParser.detect(rows.text[:SAMPLE].splitlines(), latest=self._latest)
                self._parser = parser if parser and parser.format != "epoch" else None
        first = self.row + self._count
        self._times.append(np.full(count, NO_TIME) if rows.times is None else rows.times)
        self._numbers.append(np.arange(first, first + count) if rows.numbers is None else rows.numbers)
        self.texts.append(rows.text)
        self.size += len(rows.text)
        self._count += count

    def drop(self, count: int, *, held: str = "") -> None:
        """The first `count` rows were given; `held` is the text of the others."""
        self._times = [np.concatenate(self._times)[count:]]
        self._numbers = [np.concatenate(self._numbers)[count:]]
        self.row, self._count = self.row + count, self._count - count
        self.texts, self.size = [held] if held else [], len(held)

    def place(self, first: int, stop: int) -> str:
        """Where the rows from `first` up to `stop` are, as the format counts them, the last one included."""
        numbers = self._numbers[0] if len(self._numbers) == 1 else np.concatenate(self._numbers)
        self._numbers = [numbers]
        low, high = int(numbers[max(first, 0) - self.row]) if stop > 0 else 0, int(numbers[stop - 1 - self.row])
        return _place(self.grid.place, low, high)

    def moments(self, text: str, codes: NDArray[np.uint8]) -> LineTimes | None:
        """The moments of all waiting rows, whose `text` has these `codes`."""
        if not self._is_typed:
            return self._parser.moments(text, codes) if self._parser else None
        times = np.concatenate(self._times)
        return LineTimes(line_starts(codes), np.where(times == NO_TIME, NO_MOMENT, np.clip(times, _FIRST, _LAST)))


def _place(prefix: str, first: int, last: int) -> str:
    rows = f"row {first}" if first == last else f"rows {first} to {last}"
    return f"{prefix}, {rows}" if prefix else rows


def _parts(rows: Rows) -> Iterator[Rows]:
    """`rows` in parts of about `BLOCK` characters; a row of more than that is a part of its own."""
    text, start, row = rows.text, 0, 0
    while start < len(text):
        stop = text.rfind("\n", start, start + BLOCK) + 1 or text.find("\n", start) + 1 or len(text)
        last = row + text.count("\n", start, stop)
        times = None if rows.times is None else rows.times[row:last]
        numbers = None if rows.numbers is None else rows.numbers[row:last]
        yield Rows(text[start:stop], times, numbers)
        start, row = stop, last


def cell_text(text: str) -> str:
    """`text` on one line, and in UTF-8: what a cell may hold."""
    if text.isascii() and text.isprintable():  # as nearly all are
        return text
    if _BREAKS.search(text):
        text = _BREAKS.sub(" ", text).strip()
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def binary_text(value: bytes) -> str:
    """Bytes as the text that they are, else the first of them in hexadecimal."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if _CONTROLS.search(text):
        return f"0x{value[:SHOWN_BYTES].hex()}{'…' if len(value) > SHOWN_BYTES else ''}"
    return text


def csv_line(cells: Sequence[str]) -> str:
    """`cells` as one line of CSV, quoted where they need it, with a line break."""
    made = [cell_text(cell) for cell in cells]
    line = ",".join(made)
    if made and made[0] and '"' not in line and line.count(",") == len(made) - 1:
        return f"{line}\n"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(made)
    return out.getvalue()
