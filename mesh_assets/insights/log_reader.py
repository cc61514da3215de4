"""From chunks of logs to events: records with their times, levels, shapes and numbers.

Lines are read many at once, by their forms (`log_lines`, `log_forms`); what a record and a timestamp are is decided in
`chunks.log_records`. What events say together is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from pathlib import PurePosixPath
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import ERROR_LEVELS, LEVELS, level_of
from mesh_assets.chunks.timestamps import SAMPLE_LINES, TimestampParser
from mesh_assets.insights.byte_text import ByteText, Places, Spans
from mesh_assets.insights.columns import column_of, rows_of
from mesh_assets.insights.line_records import ReadLines, Records, numbers_in, sources_in
from mesh_assets.insights.locators import QUOTE_CHARACTERS, ChunkText, shorten
from mesh_assets.insights.log_forms import READ_ALONE, FormTable, form_of, level_number
from mesh_assets.insights.log_layout import SAMPLE_LINES as LAYOUT_LINES
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_lines import LogLines
from mesh_assets.insights.log_shapes import said_in
from mesh_assets.insights.protocol import SliceBatch
from mesh_assets.insights.secrets import mask
from mesh_assets.insights.template_miner import Shape
from mesh_assets.schemas.citations import Citation

# A record longer than this is cited by its first line: nobody reads more as evidence.
_MAX_CITED = 4000
# Parsers kept for the files that were read last; chunks of one file come together.
_MAX_PARSERS = 64
# Forms and shapes that are remembered; a log of free text has a new one with every line.
_MAX_FORMS = 50_000
# Bytes of logs that are read at once: the arrays are many times the text.
_MAX_BYTES = 2 << 20
# Layouts of logs that are remembered.
_MAX_LAYOUTS = 4096
LEVEL_NAMES = ("error", "warning", "other", "none")
# Of each of `LEVELS`, and of none, the place in `LEVEL_NAMES`.
_SORT_OF_LEVEL = np.array([*(0 if level in ERROR_LEVELS else 1 if level == "WARN" else 2 for level in LEVELS), 3])


class Witness(NamedTuple):
    """Where an event can be seen. The line is masked when it is cited, not for each of millions of events."""

    time: float
    chunk: tuple[str, str, str]  # dataset, path, source hash
    byte_start: int
    byte_stop: int
    line: int
    text: str

    def citation(self) -> Citation:
        """The event's bytes, quoted by its first and last line."""
        dataset, path, source_hash = self.chunk
        quote = shorten(mask(self.text))
        return Citation(dataset, path, self.byte_start, self.byte_stop, source_hash, self.line, quote)


@dataclass(frozen=True)
class Events:
    """Records of one log, in order.

    `rows` are those of the batch, `spans` bytes of their texts in UTF-8, continuation lines included. `times` are
    seconds since 1970 UTC or NaN, `named_levels` places in `LEVELS` or -1, `shapes` places in `shape_list`: messages
    with what varies masked. Event `measured[i]` holds `values[i]` under the label `labels[i]`, a place in `label_list`.
    `sources` gives for each event what wrote it. All are of a log with that `layout`.
    """

    layout: LogLayout
    rows: Places
    spans: Spans
    times: NDArray[np.float64]
    named_levels: Places
    shapes: Places
    shape_list: list[Shape]
    measured: Places
    labels: Places
    label_list: list[str]
    values: NDArray[np.float64]
    witness: Callable[[int], Witness]
    sources: Callable[[], list[str | None]]

    @property
    def levels(self) -> Places:
        """The levels as places in `LEVEL_NAMES`."""
        return _SORT_OF_LEVEL[self.named_levels]


class LogReader:
    """Reads the events of chunks, remembering how each file writes its timestamps, and what its forms mean.

    Where messages begin is told by the first batch that a log is in.
    """

    def __init__(self) -> None:
        self._layouts: dict[str, LogLayout] = {}
        self._parsers: dict[str, TimestampParser | None] = {}
        self._readers: dict[object, int] = {}
        self._forget()

    def _forget(self) -> None:
        self._table = FormTable()
        self._forms: dict[int, int] = {0: self._table.add(READ_ALONE)}

    def events(self, batch: SliceBatch) -> Iterator[tuple[str, Events]]:
        """The events of the logs in `batch`, with the log they are of. A tail of the chunk before is left out."""
        paths = batch.strings("path")
        sizes = batch.sizes
        self._find_layouts(batch)
        for path, group in groupby(batch.rows_of("log"), key=lambda row: paths[row]):
            rows, log = list(group), source_of(path)
            while rows:
                part, held = 0, 0
                while part < len(rows) and (part == 0 or held + sizes[rows[part]] <= _MAX_BYTES):
                    held += int(sizes[rows[part]])
                    part += 1
                read, events = self._read(batch, path, rows[:part], self._layouts[log])
                yield log, events
                rows = rows[read:]

    def _find_layouts(self, batch: SliceBatch) -> None:
        """Find how messages begin in the logs that were not read before."""
        paths = batch.strings("path")
        new: dict[str, list[int]] = {}
        for row in batch.rows_of("log"):
            log = source_of(paths[row])
            if log not in self._layouts:
                new.setdefault(log, []).append(row)
        # Those of this batch are never forgotten here: there are no more than it has rows.
        for log in list(self._layouts)[: max(0, len(self._layouts) - _MAX_LAYOUTS)]:
            del self._layouts[log]
        for log, rows in new.items():
            self._layouts[log] = LogLayout.detect(_first_lines(batch, rows))

    def _read(self, batch: SliceBatch, path: str, rows: list[int], layout: LogLayout) -> tuple[int, Events]:
        """The events of the first of `rows`, and how many rows those are: up to where stamps are written otherwise."""
        moments = cast("list[datetime | None]", batch.column("time_stop"))
        latest = [moments[row] for row in rows]
        parser = self._parsers.get(path) or self._detect(batch, path, rows[0], latest[0])
        if parser is None:
            count = 1
            while count < len(rows) and self._detect(batch, path, rows[count], latest[count]) is None:
                count += 1
            rows, latest = rows[:count], latest[:count]
        if max(len(self._forms), len(self._table.shapes)) > _MAX_FORMS:
            self._forget()
        lines = LogLines.of(
            ByteText.of(cast("pa.StringArray", rows_of(column_of(batch.chunks, "text"), np.array(rows))))
        )
        read = ReadLines(lines, parser, latest)
        count = len(rows)
        for row in read.rows_without_stamp():
            found = self._detect(batch, path, rows[row], latest[row])
            if parser is not None and found is not None and found.readers != parser.readers:
                if row == 0:
                    return self._read(batch, path, rows, layout)
                # The rows from here on are read again, with the parser that was just found.
                count = row
                break
        return count, self._events(batch, rows, read, layout, count)

    def _detect(self, batch: SliceBatch, path: str, row: int, latest: datetime | None) -> TimestampParser | None:
        """How the stamps of a chunk are written; where that cannot be told, how those of its file were before."""
        lines = cast(str, batch.value("text", row)).split("\n", SAMPLE_LINES)[:SAMPLE_LINES]
        parser = TimestampParser.detect(lines, latest=latest) or self._parsers.get(path)
        if len(self._parsers) >= _MAX_PARSERS:
            self._parsers.pop(next(iter(self._parsers)))
        self._parsers[path] = parser
        return parser

    def _forms_of(self, read: ReadLines, layout: LogLayout, at: Places) -> Places:
        """The number of the form of the lines `at`; what a new one means is found from the first line that has it."""
        lines = read.lines
        known = read.parser.readers if read.parser else None, layout
        reader = self._readers.setdefault(known, len(self._readers) + 1)
        salt = ((reader << 1) + read.readers[at] << 12) + np.minimum(read.stamp_runs[at], 4095)
        keys = lines.keys[at] ^ (salt.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        keys[lines.is_json[at]] = 0
        distinct, first, of = np.unique(keys, return_index=True, return_inverse=True)
        numbers = np.empty(len(distinct), np.int64)
        for place in np.argsort(first).tolist():
            key = int(distinct[place])
            number = self._forms.get(key)
            if number is None:
                line = int(at[first[place]])
                form = form_of(lines.line(line), lines.digits_of(line), read.stamp_of(line), layout)
                number = self._forms[key] = self._table.add(form)
            numbers[place] = number
        return numbers[of]

    def _events(self, batch: SliceBatch, rows: list[int], read: ReadLines, layout: LogLayout, count: int) -> Events:
        """The events of the first `count` rows."""
        table, lines, records = self._table, read.lines, read.records(count)
        forms = self._forms_of(read, layout, records.lines)
        alone, levels, shapes = table.facts(forms)
        measured, labels, values = numbers_in(lines, table, forms, records.lines)
        others: list[tuple[int, int, float]] = []
        sources: dict[int, str | None] = {}
        for event in np.flatnonzero(records.has_more | (alone > 0)).tolist():
            record = read.record(records, event)
            levels[event] = level_number(level_of(record.text, record.stamp_stop))
            if alone[event]:
                said = said_in(record, layout)
                shapes[event], sources[event] = table.shape(said.shape), said.source
                others += [(event, table.label(number.label), number.value) for number in said.numbers]
        if others:
            measured, labels, values = _merged(measured, labels, values, others)
        times, begins = read.times[records.lines], lines.text.starts[records.rows]
        return Events(
            layout=layout,
            rows=np.array(rows)[records.rows],
            spans=Spans(records.starts - begins, records.stops - begins),
            times=times,
            named_levels=levels,
            shapes=shapes,
            shape_list=table.shapes,
            measured=measured,
            labels=labels,
            label_list=table.labels,
            values=values,
            witness=_Witnesses(batch, rows, read, records, times),
            sources=lambda: sources_in(lines, table, layout, forms, records.lines, sources),
        )


def _merged(
    measured: Places, labels: Places, values: NDArray[np.float64], others: list[tuple[int, int, float]]
) -> tuple[Places, Places, NDArray[np.float64]]:
    """Numbers of events with those that were read one by one, in the order of the events."""
    events, more_labels, more_values = zip(*others, strict=True)
    measured = np.concatenate((measured, np.array(events, np.int64)))
    order = np.argsort(measured, kind="stable")
    labels = np.concatenate((labels, np.array(more_labels, np.int64)))
    values = np.concatenate((values, np.array(more_values, np.float64)))
    return measured[order], labels[order], values[order]


class _Witnesses:
    """Makes the witness of an event when asked for."""

    def __init__(
        self, batch: SliceBatch, rows: list[int], read: ReadLines, records: Records, times: NDArray[np.float64]
    ) -> None:
        text = read.lines.text
        self._batch, self._raw, self._times = batch, text.raw, times.tolist()
        self._rows = np.array(rows)[records.rows].tolist()
        self._begins = text.starts[records.rows].tolist()
        self._starts, self._stops = records.starts.tolist(), records.stops.tolist()
        lines = batch.whole("line_start")[rows] - read.first_lines
        self._lines = (lines[records.rows] + records.lines).tolist()
        # As most are: of such chunks the bytes are the characters.
        is_plain = text.stops - text.starts == batch.sizes[rows]
        is_plain[np.searchsorted(text.starts, text.leads, side="right") - 1] = False
        self._is_plain = is_plain[records.rows].tolist()
        self._first_bytes = batch.whole("byte_start")[rows][records.rows].tolist()
        self._dataset, self._path = str(batch.value("dataset", rows[0])), str(batch.value("path", rows[0]))
        self._hashes = batch.strings("source_hash")

    def __call__(self, event: int) -> Witness:
        """Where the event can be seen."""
        start, stop = self._starts[event], self._stops[event]
        row, begin, number = self._rows[event], self._begins[event], self._lines[event]
        if self._is_plain[event]:
            record = self._raw[start:stop].rstrip()
            if b"\n" not in record and len(record) <= _MAX_CITED:
                first = self._first_bytes[event] + start - begin
                text = record[: 2 * QUOTE_CHARACTERS].decode()
                place = self._dataset, self._path, self._hashes[int(row)]
                return Witness(self._times[event], place, first, first + len(record), number, text)
        before = len(self._raw[begin:start].decode("utf-8", "replace"))
        record_text = self._raw[start:stop].decode("utf-8", "replace")
        return _seen(self._batch.chunk(row), before, record_text, self._times[event], number)


def _seen(chunk: ChunkText, start: int, record: str, time: float, line: int) -> Witness:
    """Where a record can be seen: the whole of it, or the first line of one that is very long.

    The text is its first line and, of a stack trace, its last, which names the cause.
    """
    whole = record.rstrip()
    lines = whole.splitlines() or [""]
    shown = whole if len(whole) <= _MAX_CITED else lines[0]
    text = (
        lines[0]
        if len(lines) == 1 or shown is lines[0]
        else f"{lines[0][: QUOTE_CHARACTERS // 2]}\n… {lines[-1].strip()}"
    )
    byte_start, byte_stop = chunk.byte_span(start, start + len(shown))
    place = (chunk.dataset, chunk.path, chunk.source_hash)
    return Witness(time, place, byte_start, byte_stop, line, text[: 2 * QUOTE_CHARACTERS])


def _first_lines(batch: SliceBatch, rows: list[int]) -> list[str]:
    """Lines of those chunks, spread evenly, without what is indented: about as many as show a layout."""
    step = -(-len(rows) // LAYOUT_LINES)
    chosen = rows[::step]
    found: list[str] = []
    for row in chosen:
        text = cast(str, batch.value("text", row))
        lines = [line for line in text.split("\n") if line.strip() and line[0] not in " \t"]
        found += lines[:: max(1, len(lines) * len(chosen) // LAYOUT_LINES)]
    return found


_ROTATION = re.compile(r"(?:[._-](?:\d{1,14}|\d{2,4}[-_.]\d\d[-_.]\d\d(?:[-_.T]\d{1,6})?|gz|bz2|zst|xz|old))+(?=\.|$)")


@lru_cache(maxsize=1024)
def source_of(path: str) -> str:
    """The log that `path` is a part of: rotated files (`app.log.1`, `app-2024-05-03.log`) are one log."""
    name = PurePosixPath(path)
    plain = _ROTATION.sub("", name.name)
    return str(name.with_name(plain)) if plain and plain not in (".", "..") else path
