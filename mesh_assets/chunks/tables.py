"""Tables as text: CSV and TSV, in groups of rows with their header as context.

A row is never split where it fits, also where a quoted cell holds line breaks. The header's own bytes belong to the
first chunk. JSON lines and documents belong to `json_text`.
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

from mesh_assets.chunks.cutting import CONTEXT_SHARE, Cutter, Units, fitted_context
from mesh_assets.chunks.protocol import Piece, Source
from mesh_assets.chunks.timestamps import TimestampParser
from mesh_assets.chunks.windows import head_text, text_windows

# Characters that show the dialect, the header and the times of a table.
SAMPLE = 1 << 14
# A quote that is not closed within this many characters is part of its cell, and the row ends with its line.
MAX_QUOTED = 1 << 16
DELIMITERS = ",;\t|"
# A longer cell is no name of a column.
MAX_NAME = 80

_DATE = re.compile(r"[0-9]{1,4}[-/.:][0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written: what separates its cells, whether its first row names its columns, how its times read."""

    delimiter: str
    header: bool
    times: TimestampParser | None

    @classmethod
    def of(cls, sample: str, form: str, *, latest: datetime | None = None) -> Dialect:
        """The dialect of the table that `sample` begins; `latest` is as `TimestampParser.detect` reads it."""
        delimiter = "\t" if form == "tsv" else _delimiter(sample)
        rows = _sample_rows(sample, delimiter)
        lines = sample.splitlines()
        parser = TimestampParser.detect(lines[1:] or lines, latest=latest)
        # Numbers of ten digits are mostly no times.
        return cls(delimiter, _has_header(rows), parser if parser and parser.format != "epoch" else None)


class TableChunker:
    """Cuts texts whose format is csv or tsv."""

    def chunk(self, source: Source, *, chunk_tokens: int) -> Iterator[Piece]:
        """Groups of rows. `row_start` and `row_stop` count data rows of the extent; the header is none.

        An extent that starts later in its file has the header of the file's head as context.
        """
        dialect = Dialect(",", header=False, times=None)
        context = ("", 0)
        row = 0
        for window in text_windows(source):
            text = window.text
            if window.byte_start == 0:
                head = head_text(source) if source.start else text
                dialect = Dialect.of(head[:SAMPLE], source.format, latest=source.modified)
                if dialect.header:
                    context = _header(head, dialect.delimiter, chunk_tokens)
                    row = 0 if source.start else -1
            cutter = Cutter.of(window, "structured")
            ends = row_ends(text, dialect.delimiter, final=window.final)
            times = dialect.times.moments(text, cutter.meter.codes) if dialect.times else None
            # The last row may go on in the next window, or others may join it.
            units = Units(ends, context, row, times=times)
            row += yield from cutter.units(units, chunk_tokens, may_go_on=not window.final)


def _header(head: str, delimiter: str, chunk_tokens: int) -> tuple[str, int]:
    header = head[: next(_quoted_ends(head, delimiter, final=True), 0)].strip(" \t\r\n\ufeff")
    return fitted_context(header, chunk_tokens // CONTEXT_SHARE, "structured")


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

    Not csv.Sniffer: its expressions take quadratic time, and it takes letters and spaces for delimiters.
    """
    best = (0.0, 0, ",")
    for delimiter in (delimiter for delimiter in DELIMITERS if delimiter in sample):
        widths = Counter(len(row) for row in _sample_rows(sample, delimiter))
        width, count = max(widths.items(), key=lambda item: (item[0] > 1, item[1], item[0]), default=(0, 0))
        if width > 1:
            best = max(best, (count / widths.total(), width, delimiter), key=lambda found: found[:2])
    return best[2]


def _sample_rows(sample: str, delimiter: str) -> list[list[str]]:
    """The first rows of the sample, without a last one that the sample cuts."""
    ends = islice(_quoted_ends(sample, delimiter, final=True), 20)
    parts = [sample[start:stop].strip("\r\n\ufeff") for start, stop in pairwise([0, *ends])]
    rows: list[list[str]] = []
    for part in parts:
        try:
            rows += csv.reader([part.replace("\n", " ").replace("\r", " ")], delimiter=delimiter)
        except csv.Error:
            continue
    return rows


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
