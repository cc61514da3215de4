"""Tables as text: CSV and TSV, in groups of rows with their header as context.

A row is never split where it fits, also where a quoted cell holds line breaks. The header's own bytes, and what is
above it, belong to the first chunk. JSON lines and documents belong to `json_text`.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, fitted_context
from mesh_assets.chunks.protocol import Pieces, Source
from mesh_assets.chunks.timestamps import TimestampParser
from mesh_assets.chunks.units import Units, unit_pieces
from mesh_assets.chunks.windows import head_text, text_windows
from mesh_assets.schemas.rejects import Reject

# Characters that show the dialect, the header and the times of a table.
SAMPLE = 1 << 14
# A quote that is not closed within this many characters is part of its cell, and the row ends with its line.
MAX_QUOTED = 1 << 16
DELIMITERS = ",;\t|"
# A longer cell is no name of a column.
MAX_NAME = 80
# Rows that show the dialect, and rows above a table that are none of it.
SAMPLE_ROWS = 50
MAX_PREAMBLE = 20
# Rejects of one extent, each ending a chunk: with more it is no damaged table but one of rows that differ.
MAX_REJECTS = 1000
# The share of rows that have as many cells as the others, from which on those that do not are bad ones.
_WIDTH_SHARE = 0.9
# Where a delimiter cuts fewer rows into the same number of cells, spaces may align the columns of more rows than this.
_ALIGNED_BELOW, _LEAST_ALIGNED = 0.5, 2
_SAID_DELIMITER = re.compile("\ufeff?sep=([,;\t|])\r?\n", re.IGNORECASE)

_DATE = re.compile(r"[0-9]{1,4}[-/.:][0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written: what separates its cells, what is above its rows, how its times read.

    The delimiter is a space where columns are aligned by them. `header` says whether a row names the columns, behind
    `preamble` rows that are none: comments, a title, Excel's `sep=;`. `width` is how many cells a row has, 0 where rows
    differ.
    """

    delimiter: str
    header: bool
    times: TimestampParser | None
    preamble: int = 0
    width: int = 0

    @classmethod
    def of(cls, sample: str, form: str, *, latest: datetime | None = None) -> Dialect:
        """The dialect of the table that `sample` begins; `latest` is as `TimestampParser.detect` reads it."""
        said = _SAID_DELIMITER.match(sample)
        delimiter = said[1] if said else "\t" if form == "tsv" else _delimiter(sample)
        rows = _sample_rows(sample, delimiter)
        preamble = _preamble(rows, is_said=said is not None)
        header = _has_header(rows[preamble:])
        width = _width(rows[preamble:], header=header)
        lines = sample.splitlines()[preamble:]
        parser = TimestampParser.detect(lines[1:] or lines, latest=latest)
        # Numbers of ten digits are mostly no times.
        return cls(delimiter, header, parser if parser and parser.format != "epoch" else None, preamble, width)

    @property
    def top(self) -> int:
        """Rows of the file before its first data row."""
        return self.preamble + self.header

    def header_of(self, head: str) -> str:
        """The row of `head`, the start of the file, that names the columns; nothing where none does."""
        if not self.header:
            return ""
        ends = [0, *islice(_quoted_ends(head, self.delimiter, final=True), self.top), len(head)]
        return head[ends[self.preamble] : ends[self.preamble + 1]].strip(" \t\r\n\ufeff")

    def bad_rows(self, text: str, ends: Sequence[int], codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which rows of `text` have more or fewer cells than the table; `codes` are its characters, a byte each.

        A blank row is none of them, nor is one with a delimiter too many at its end.
        """
        stops = np.array(ends, np.int64)
        if not self.width or self.delimiter == " " or not len(stops):
            return np.zeros(len(stops), np.bool_)
        starts = np.concatenate(([0], stops[:-1]))
        found = np.flatnonzero(codes == ord(self.delimiter))
        counts = np.searchsorted(found, stops) - np.searchsorted(found, starts)
        if '"' in text:
            quotes = np.flatnonzero(codes == ord('"'))
            row_of = np.repeat(np.arange(len(stops)), counts)
            inside = (np.searchsorted(quotes, found) - np.searchsorted(quotes, starts)[row_of]) % 2
            counts = counts - np.bincount(row_of, weights=inside, minlength=len(stops)).astype(np.int64)
        bad = counts != self.width - 1
        for row in np.flatnonzero(bad).tolist():
            bad[row] = self._is_bad(text[starts[row] : stops[row]])
        return bad

    def _is_bad(self, row: str) -> bool:
        cells = cells_of(row, self.delimiter)
        if len(cells) == self.width + 1 and not cells[-1].strip():
            return False
        return len(cells) != self.width and bool(row.strip())


class TableChunker:
    """Cuts texts whose format is csv or tsv."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Pieces | Reject]:
        """Groups of rows. `row_start` and `row_stop` count data rows of the extent; what is above them is none.

        An extent that starts later in its file has the header of the file's head as context. A row that has more or
        fewer cells than all others is a reject; after `MAX_REJECTS` of them such rows are kept.
        """
        dialect = Dialect(",", header=False, times=None)
        context = ("", 0)
        row, left = 0, MAX_REJECTS
        for window in text_windows(source):
            text = window.text
            top = 0
            if window.byte_start == 0:
                head = head_text(source) if source.start else text
                dialect = Dialect.of(head[:SAMPLE], source.format, latest=source.modified)
                context = fitted_context(dialect.header_of(head), chunk_tokens // CONTEXT_SHARE, "structured")
                top = 0 if source.start else dialect.top
                row = -top
            cutter = Cutter.of(window, "structured")
            ends = row_ends(text, dialect.delimiter, final=window.final)
            bad = dialect.bad_rows(text, ends, cutter.meter.codes) if left else np.zeros(len(ends), np.bool_)
            bad[:top] = False
            bad[len(ends) - (not window.final) :] = False  # the last row may go on
            times = dialect.times.moments(text, cutter.meter.codes) if dialect.times else None
            for first, stop in _runs(bad):
                if bad[first] and left:
                    left -= 1
                    found = (stop - first, dialect.width)
                    yield _bad_rows(cutter, source.path, ends[stop - 1], found, is_last=not left)
                    continue
                is_open = stop == len(ends) and not window.final
                units = Units(ends[first:stop], context, row, times)
                row += yield from unit_pieces(cutter, units, chunk_tokens, may_go_on=is_open)


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Runs of equal flags: (first, stop) of each."""
    edges: list[int] = [0, *(np.flatnonzero(flags[1:] != flags[:-1]) + 1).tolist(), len(flags)]
    return pairwise(edges) if len(flags) else iter(())


def _bad_rows(cutter: Cutter, path: str, stop: int, found: tuple[int, int], *, is_last: bool) -> Reject:
    """One reject for all rows up to the character `stop`: so many, where a row should have so many cells."""
    line, start = cutter.line, cutter.byte
    last = line + cutter.skip(stop).rstrip().count("\n")
    where = f"line {line}" if last == line else f"lines {line} to {last}"
    rows, width = found
    detail = f"{where}: {'a row' if rows == 1 else f'{rows:,} rows'} without {width} cells"
    return Reject(
        path=path,
        reason="row with too many or too few cells",
        remedy="Correct it, or quote cells that hold the delimiter; the other rows of the file are used.",
        detail=f"{detail}; further ones are kept" if is_last else detail,
        byte_start=start,
        byte_stop=cutter.byte,
    )


def row_ends(text: str, delimiter: str, *, final: bool = True) -> list[int]:
    """Where each row of `text` ends (character), its line break included: line breaks within quotes end none.

    A quote that is open at the end of the text belongs to its cell, unless more text follows (not `final`).
    """
    codes = np.frombuffer(text.encode("latin-1", "replace"), np.uint8)
    breaks = np.flatnonzero(codes == ord("\n"))
    quotes = np.flatnonzero(codes == ord('"'))
    if len(quotes):
        # Every other quote opens a cell, or is the second of a pair within one: then rows are told by counting.
        opening, before = quotes[::2], codes[quotes[::2] - 1]
        begins = (before == ord(delimiter)) | (before == ord("\n")) | (opening == 0)
        begins[1:] |= opening[1:] == quotes[1:-1:2] + 1
        if not begins.all() or (final and len(quotes) % 2):
            return list(_quoted_ends(text, delimiter, final=final))
        breaks = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
    ends = (breaks + 1).tolist()
    if text and (not ends or ends[-1] < len(text)):
        ends.append(len(text))
    if len(quotes) and max(stop - start for start, stop in pairwise([0, *ends])) > MAX_QUOTED:
        return list(_quoted_ends(text, delimiter, final=final))
    return ends


def _quoted_ends(text: str, delimiter: str, *, final: bool) -> Iterator[int]:
    """As `row_ends`, for quotes of any kind, line by line."""
    start = opened = 0
    is_open = False
    while start < len(text):
        stop = text.find("\n", start) + 1 or len(text)
        if is_open or text.find('"', start, stop) >= 0:
            is_open = _stays_open(text, start, stop, delimiter, is_open=is_open)
        if is_open and (stop - opened > MAX_QUOTED or (stop == len(text) and final)):
            is_open = False
            stop = text.find("\n", opened) + 1 or len(text)
        if not is_open:
            yield stop
            opened = stop
        start = stop
    if opened < len(text):
        yield len(text)


def _stays_open(text: str, start: int, stop: int, delimiter: str, *, is_open: bool) -> bool:
    """Whether a quoted cell is open at the end of the line from `start` to `stop`. Quotes within a cell open none."""
    at = start
    while at < stop:
        if not is_open:
            if text[at] != '"':
                at = text.find(delimiter, at, stop) + 1 or stop
                continue
            is_open, at = True, at + 1
        at = text.find('"', at, stop) + 1
        if at == 0:
            return True
        if text[at : at + 1] == '"':
            at += 1
        else:
            is_open = False
            at = text.find(delimiter, at, stop) + 1 or stop
    return is_open


def _delimiter(sample: str) -> str:
    """The delimiter that cuts most rows into the same number of cells, of those the one that makes more cells.

    Not csv.Sniffer: its expressions take quadratic time, and it takes letters and spaces for delimiters. A space is one
    only where no other is, and every row has as many words.
    """
    best = (0.0, 0, ",")
    for delimiter in (delimiter for delimiter in DELIMITERS if delimiter in sample):
        widths = Counter(len(row) for row in _sample_rows(sample, delimiter) if row)
        width, count = max(widths.items(), key=lambda item: (item[0] > 1, item[1], item[0]), default=(0, 0))
        if width > 1:
            best = max(best, (count / widths.total(), width, delimiter), key=lambda found: found[:2])
    if best[0] < _ALIGNED_BELOW:
        widths = Counter(len(row) for row in _sample_rows(sample, " ") if row)
        if len(widths) == 1 and widths.total() > _LEAST_ALIGNED and 1 not in widths:
            return " "
    return best[2]


def cells_of(row: str, delimiter: str) -> list[str]:
    """The cells of one row; none where it is blank, or cannot be read."""
    if delimiter == " ":
        return row.split()
    row = row.strip("\r\n")
    if '"' not in row:
        return row.split(delimiter) if row else []
    empty: list[str] = []
    try:
        return next(csv.reader([row.replace("\r", " ").replace("\n", " ")], delimiter=delimiter), empty)
    except csv.Error:
        return empty


def _sample_rows(sample: str, delimiter: str) -> list[list[str]]:
    """The first rows of the sample, without a last one that the sample cuts."""
    ends = [0, *islice(_quoted_ends(sample, delimiter, final=True), SAMPLE_ROWS)]
    return [cells_of(sample[start:stop].strip("\ufeff"), delimiter) for start, stop in pairwise(ends)]


def _preamble(rows: Sequence[Sequence[str]], *, is_said: bool) -> int:
    """How many rows are above the table: what has one cell, or is a comment, where the rows below have more."""
    widths = Counter(len(row) for row in rows if row)
    usual = max(widths, key=lambda width: (widths[width], width), default=0)
    at = int(is_said)
    while usual > 1 and at < min(len(rows) - 1, MAX_PREAMBLE):
        row, below = rows[at], rows[at + 1]
        is_comment = bool(row) and row[0].lstrip().startswith("#")
        # A header may begin with that sign too: it has the cells of a row, and is followed by one.
        is_header = len(row) == usual and not (below and below[0].lstrip().startswith("#"))
        if len(row) > 1 and (not is_comment or is_header):
            return at
        at += 1
    return int(is_said)


def _width(rows: Sequence[Sequence[str]], *, header: bool) -> int:
    """How many cells a row has, by those that most have; 0 where too many have others."""
    widths = Counter(len(row) for row in rows[header:] if row)
    if not widths:
        return 0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    is_named = len(rows[0]) == width and 2 * count > widths.total()
    return width if width > 1 and (is_named or count >= _WIDTH_SHARE * widths.total()) else 0


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: short words, all different, none of them a number or a date.

    Years may be names too, beside a word: that is a wide table.
    """
    names = [cell.strip() for cell in rows[0]] if rows else []
    words = [name for name in names if name and not _is_value(name)]
    others = [name for name in names if name and _is_value(name)]
    distinct = len(set(names)) == len(names)
    years = all(len(name) == 4 and name.isdecimal() and name[:2] in ("18", "19", "20") for name in others)
    return distinct and bool(words) and years and all(len(name) <= MAX_NAME for name in words)


def _is_value(cell: str) -> bool:
    """Whether `cell` is a number, or begins as a date or a time."""
    return _DATE.match(cell) is not None or _is_number(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
