"""Rows of tables, read again from the texts of their chunks: cells by column name, with the characters of each row.

A row that cannot be read, or has other columns than its table, is left out; what to say of the rows is in `tables`.
How a table is written is told as the chunker told it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from typing import IO, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from mesh_assets.chunks.tables import SAMPLE, Dialect, cells_of, row_ends
from mesh_assets.insights.byte_text import gathered
from mesh_assets.insights.protocol import SliceBatch

MAX_COLUMNS = 64
# Formats of tables, and how the texts of their chunks are written.
TABLE_FORMS = {
    **{form: form for form in ("csv", "tsv", "jsonl")},
    **dict.fromkeys(("parquet", "arrow", "sqlite", "xlsx", "xls", "ods"), "csv"),
    "xml": "jsonl",
    "json": "json",
}
# Records of a JSON document that is a list of records, as their chunks are named.
_RECORDS = re.compile(r"\$\[\d+(?::\d+)?\]")
_DECODER = json.JSONDecoder()
# Formats whose chunks are all rows; of the others, descriptions and remarks are none.
_PLAIN = frozenset({"csv", "tsv", "jsonl"})
# Formats whose files hold one table, which has no name but theirs.
_UNNAMED = _PLAIN | {"json"}
_MAX_CELL = 1000  # characters; a longer one is a text, not a value


# A number with a comma for its point, and perhaps points between its thousands.
_COMMA_NUMBER = r"^[+-]?\d{1,3}(\.?\d{3})*,\d+$"


def comma_numbers(texts: pl.Expr) -> pl.Expr:
    """Cells with those that are such numbers as programs write them."""
    plain = texts.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return pl.when(texts.str.contains(_COMMA_NUMBER)).then(plain).otherwise(texts)


def tables_of(batch: SliceBatch, *kinds: str) -> Iterator[tuple[tuple[str, str], list[int]]]:
    """Path and name of each table of a batch with its neighbouring chunks that hold rows.

    The name is that of a table or sheet in its file, where that has several; nothing for CSV and the like. A row that
    is longer than a chunk is left out: a part of it may look like a whole one.
    """
    candidates = batch.rows_of(*kinds)
    if not candidates:
        return
    forms, paths = batch.strings("format"), batch.strings("path")
    symbols, firsts, stops = batch.column("symbol"), batch.column("row_start"), batch.column("row_stop")
    rows = [
        row
        for row in candidates
        if forms[row] in TABLE_FORMS
        and (forms[row] in _PLAIN if firsts[row] is None else firsts[row] != stops[row])
        and (forms[row] != "json" or _RECORDS.fullmatch(str(symbols[row])))
    ]
    parts = Counter((paths[row], symbols[row], firsts[row]) for row in rows if firsts[row] is not None)
    rows = [row for row in rows if parts[paths[row], symbols[row], firsts[row]] <= 1]
    for key, group in groupby(rows, key=lambda row: (paths[row], symbols[row] if forms[row] not in _UNNAMED else None)):
        yield (key[0], cast(str, key[1] or "")), list(group)


@dataclass(frozen=True)
class Cells:
    """Rows of one table: their cells as strings by column, null where a row has none, and where each row stands.

    `chunks` are numbers of the chunks that were given, `starts` and `stops` characters of their texts.
    """

    frame: pl.DataFrame
    chunks: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]


class TableReader:
    """Reads the chunks of one file, in order. It learns delimiter and header from the first one."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._delimiter = "\t"
        self._names: list[str] | None = None

    def cells(self, texts: list[str], context: str) -> Cells:
        """The rows of neighbouring chunks; `context` holds the header where the first one does not."""
        if self._form == "jsonl":
            return _collected(_json_rows(texts))
        if self._form == "json":
            return _collected(_json_records(texts))
        skipped = 0
        if self._names is None:
            skipped = self._learn(texts[0], context)
        names = self._names or []
        if self._delimiter != " " and not any('"' in text or text.count("\r") != text.count("\r\n") for text in texts):
            return _plain(texts, self._delimiter, names, skipped)
        return _collected(_quoted(texts, self._delimiter, names, skipped))

    @property
    def may_have_comma_numbers(self) -> bool:
        """Whether a comma in a cell may be the point of a number: it separates no cells."""
        return self._form not in ("json", "jsonl") and self._delimiter != ","

    def _learn(self, text: str, context: str) -> int:
        """Delimiter and names as the chunker saw them; the number of rows of `text` that are the header."""
        sample = f"{context}\n{text}" if context else text
        dialect = Dialect.of(sample[:SAMPLE], self._form)
        self._delimiter = dialect.delimiter
        header = context or dialect.header_of(text)
        cells = [cell.strip() for cell in cells_of(header.strip("\ufeff\r\n"), dialect.delimiter)]
        width = dialect.width or len(cells) or len(cells_of(text.split("\n", 1)[0], dialect.delimiter))
        names = (cells + [""] * width)[:width]
        self._names = [cell or f"column {i + 1}" for i, cell in enumerate(names)]
        return 0 if context else dialect.top


_Row = tuple[dict[str, str], int, int, int]  # cells by column, chunk, first and last character


def _plain(texts: list[str], delimiter: str, names: list[str], skipped: int) -> Cells:
    """Rows without quotes or other breaks, of which every line is one: cut by the CSV reader of Arrow, all at once."""
    content = "\0".join(texts)  # marks the end of a chunk, that a row cut in two is none
    data = np.frombuffer(content.encode("utf-8", "surrogatepass"), np.uint8)
    ends = np.flatnonzero((data == 10) | (data == 0))
    starts = np.concatenate(([0], ends + 1))
    stops = np.concatenate((ends, [len(data)]))
    stops: NDArray[np.int64] = stops - ((stops > starts) & (data[np.maximum(stops, 1) - 1] == 13))
    delimiters = np.flatnonzero(data == ord(delimiter))
    cells = np.searchsorted(delimiters, stops) - np.searchsorted(delimiters, starts) + 1
    good = (cells == len(names)) & (stops > starts)
    good[:skipped] = False
    if len(names) == 1:  # a blank line would be a cell
        good &= np.array([bool(content_line.strip()) for content_line in _lines(data, starts, stops)], np.bool_)
    rows = np.flatnonzero(good)
    begins = np.concatenate(([0], np.cumsum([len(text.encode("utf-8", "surrogatepass")) + 1 for text in texts])))
    chunks = np.searchsorted(begins, starts[rows], side="right") - 1
    frame = _parsed(data, starts[rows], stops[rows], delimiter, names)
    places = [starts[rows] - begins[chunks], stops[rows] - begins[chunks]]
    if len(data) != len(content):
        places = [_characters(texts, chunks, column) for column in places]
    return Cells(frame, chunks, *places)


def _lines(data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Iterator[bytes]:
    raw = data.tobytes()
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        yield raw[start:stop]


def _parsed(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    delimiter: str,
    names: list[str],
) -> pl.DataFrame:
    """The cells of lines that have as many as there are `names`."""
    columns = [f"{number}" for number in range(len(names))]
    lines, _ = gathered(data, starts, stops - starts, gaps=np.ones(len(starts), np.int64), filler="\n")
    if not len(lines):
        return pl.DataFrame({name: pl.Series([], dtype=pl.String) for name in _distinct(names)})
    table = pacsv.read_csv(
        cast("IO[bytes]", pa.BufferReader(lines.tobytes())),
        read_options=pacsv.ReadOptions(
            column_names=columns, use_threads=False, block_size=max(len(lines), 1 << 16), encoding="utf8"
        ),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, quote_char=False, ignore_empty_lines=False),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False, check_utf8=False
        ),
    )
    frame = cast("pl.DataFrame", pl.from_arrow(table))
    return frame.select([pl.col(c).alias(name) for c, name in zip(columns, _distinct(names), strict=False)])


def _distinct(names: list[str]) -> list[str]:
    """The first `MAX_COLUMNS` names; of equal ones, the later get a number."""
    met: dict[str, int] = {}
    made: list[str] = []
    for name in names[:MAX_COLUMNS]:
        met[name] = met.get(name, 0) + 1
        made.append(name if met[name] == 1 else f"{name} ({met[name]})")
    return made


def _characters(texts: list[str], chunks: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes of the UTF-8 of a chunk's text as characters."""
    made = places.copy()
    for chunk in cast("list[int]", np.unique(chunks).tolist()):
        if not texts[chunk].isascii():
            data = np.frombuffer(texts[chunk].encode("utf-8", "surrogatepass"), np.uint8)
            firsts = np.concatenate(([0], np.cumsum((data & 0xC0) != 0x80)))
            made[chunks == chunk] = firsts[places[chunks == chunk]]
    return made


def _quoted(texts: list[str], delimiter: str, names: list[str], skipped: int) -> Iterator[_Row]:
    """Rows that may have quotes, which is told row by row."""
    columns = _distinct(names)
    for chunk, text in enumerate(texts):
        starts = [0, *row_ends(text, delimiter)]
        for start, end in islice(pairwise(starts), 0 if chunk else skipped, None):
            line = text[start:end].rstrip("\r\n")
            cells = cells_of(line, delimiter)
            if line.strip() and len(cells) == len(names):
                yield dict(zip(columns, cells, strict=False)), chunk, start, start + len(line)


def _json_rows(texts: list[str]) -> Iterator[_Row]:
    for chunk, text in enumerate(texts):
        at = 0
        for line in text.splitlines(keepends=True):
            start, at = at, at + len(line)
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(fields, dict):
                yield _json_cells(cast("dict[str, object]", fields)), chunk, start, start + len(line.rstrip("\r\n"))


def _json_records(texts: list[str]) -> Iterator[_Row]:
    """Records that stand in a list, on a line or on several; what cannot be read of a chunk is left out."""
    for chunk, text in enumerate(texts):
        at = text.find("{")
        while at >= 0:
            try:
                fields, stop = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError):
                break
            yield _json_cells(cast("dict[str, object]", fields)), chunk, at, stop
            at = text.find("{", stop)


def _json_cells(fields: dict[str, object]) -> dict[str, str]:
    return {
        key[:80]: "" if value is None else str(value)[:_MAX_CELL]
        for key, value in islice(fields.items(), MAX_COLUMNS)
        if not isinstance(value, dict | list)
    }


def _collected(rows: Iterable[_Row]) -> Cells:
    """Rows one by one as columns."""
    found = list(rows)
    names = list(islice(dict.fromkeys(name for row in found for name in row[0]), MAX_COLUMNS))
    columns = {name: pl.Series(name, [row[0].get(name) for row in found], dtype=pl.String) for name in names}
    places = np.array([row[1:] for row in found], np.int64).reshape(-1, 3)
    return Cells(pl.DataFrame(columns), places[:, 0], places[:, 1], places[:, 2])
