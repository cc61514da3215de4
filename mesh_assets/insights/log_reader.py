"""From chunks of logs to events: records with their times, levels, shapes and numbers.

Lines are read many at once, by their forms (`log_lines`, `log_forms`); what a record and a timestamp are is decided in
`chunks.log_records`. What events say together is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from pathlib import PurePosixPath
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import ERROR_LEVELS, LogRecord, iter_records, level_of
from mesh_assets.chunks.timestamps import CLOCK_SKEW, SAMPLE_LINES, TimestampParser
from mesh_assets.insights.byte_text import ByteText, Flags, Places
from mesh_assets.insights.columns import column_of, rows_of
from mesh_assets.insights.locators import QUOTE_CHARACTERS, ChunkText, shorten
from mesh_assets.insights.log_forms import (
    ONE_BY_ONE,
    STAMPED,
    Form,
    FormTable,
    form_of,
    latest_of,
    times_of,
    whole_numbers,
)
from mesh_assets.insights.log_lines import LogLines
from mesh_assets.insights.log_shapes import shape
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
LEVEL_NAMES = ("error", "warning", "other", "none")


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

    `times` are seconds since 1970 UTC or NaN, `levels` places in `LEVEL_NAMES`, `shapes` places in `shape_list`:
    messages with what varies masked. Event `measured[i]` holds `values[i]` under the label `labels[i]`, a place in
    `label_list`.
    """

    times: NDArray[np.float64]
    levels: NDArray[np.int64]
    shapes: Places
    shape_list: list[Shape]
    measured: Places
    labels: Places
    label_list: list[str]
    values: NDArray[np.float64]
    witness: Callable[[int], Witness]


class LogReader:
    """Reads the events of chunks, remembering how each file writes its timestamps, and what its forms mean."""

    def __init__(self) -> None:
        self._parsers: dict[str, TimestampParser | None] = {}
        self._readers: dict[object, int] = {}
        self._forget()

    def _forget(self) -> None:
        self._table = FormTable()
        self._forms: dict[int, int] = {}
        self._shapes: dict[Shape, int] = {}
        self._table.add(Form(ONE_BY_ONE))  # the form of what has none
        self._of_form = [(_level(None), self._shape(()))]  # level and shape of each form

    def events(self, batch: SliceBatch) -> Iterator[tuple[str, Events]]:
        """The events of the logs in `batch`, with the log they are of. A tail of the chunk before is left out."""
        paths = batch.strings("path")
        sizes = batch.sizes
        for path, group in groupby(batch.rows_of("log"), key=lambda row: paths[row]):
            rows = list(group)
            while rows:
                part, held = 0, 0
                while part < len(rows) and (part == 0 or held + sizes[rows[part]] <= _MAX_BYTES):
                    held += int(sizes[rows[part]])
                    part += 1
                read, events = self._read(batch, path, rows[:part])
                yield source_of(path), events
                rows = rows[read:]

    def _read(self, batch: SliceBatch, path: str, rows: list[int]) -> tuple[int, Events]:
        """The events of the first of `rows`, and how many rows those are: up to where stamps are written otherwise."""
        latest = cast("list[datetime | None]", [batch.column("time_stop")[row] for row in rows])
        parser = self._parsers.get(path) or self._detect(batch, path, rows[0], latest[0])
        if parser is None:
            return 1, _without_times(batch.chunk(rows[0]))
        if max(len(self._forms), len(self._shapes)) > _MAX_FORMS:
            self._forget()
        lines = LogLines.of(
            ByteText.of(cast("pa.StringArray", rows_of(column_of(batch.chunks, "text"), np.array(rows))))
        )
        read = _Read(lines, self._forms_of(lines, parser), parser, latest)
        read.read_times(self._table)
        for row in read.rows_without_stamp():
            found = self._detect(batch, path, rows[row], latest[row])
            if found is not None and found.readers != parser.readers:
                # The rows from here on are read again, with the parser that was just found.
                return self._read(batch, path, rows) if row == 0 else (row, self._events(batch, rows, read, row))
        return len(rows), self._events(batch, rows, read, len(rows))

    def _detect(self, batch: SliceBatch, path: str, row: int, latest: datetime | None) -> TimestampParser | None:
        """How the stamps of a chunk are written; where that cannot be told, how those of its file were before."""
        lines = batch.strings("text")[row].split("\n", SAMPLE_LINES)[:SAMPLE_LINES]
        parser = TimestampParser.detect(lines, latest=latest) or self._parsers.get(path)
        if len(self._parsers) >= _MAX_PARSERS:
            self._parsers.pop(next(iter(self._parsers)))
        self._parsers[path] = parser
        return parser

    def _forms_of(self, lines: LogLines, parser: TimestampParser) -> Places:
        """The number of the form of each line; what a new one means is found from the first line that has it."""
        reader = self._readers.setdefault(parser.readers, len(self._readers) + 1)
        keys = lines.keys ^ np.uint64((reader * 0x9E3779B97F4A7C15) & (2**64 - 1))
        distinct, first, of = np.unique(keys, return_index=True, return_inverse=True)
        numbers = np.empty(len(distinct), np.int64)
        for place in np.argsort(first).tolist():
            key = int(distinct[place])
            number = self._forms.get(key)
            if number is None:
                line = int(first[place])
                form = form_of(lines.line(line), lines.digits_of(line), parser)
                number = self._forms[key] = self._table.add(form)
                self._of_form.append((_level(form.level), self._shape(form.shape)))
            numbers[place] = number
        forms = numbers[of]
        forms[lines.is_json] = 0
        return forms

    def _shape(self, found: Shape) -> int:
        return self._shapes.setdefault(found, len(self._shapes))

    def _events(self, batch: SliceBatch, rows: list[int], read: _Read, count: int) -> Events:
        """The events of the first `count` rows."""
        records = read.records(count)
        numbers = read.forms[records.lines]
        known = np.array(self._of_form, np.int64)
        levels, shapes = known[numbers, 0], known[numbers, 1]
        measured, labels, values = read.numbers(self._table, records)
        others: list[tuple[int, int, float]] = []
        alone = self._table.kinds[numbers] == ONE_BY_ONE
        for event in np.flatnonzero(records.has_more | alone).tolist():
            record = read.record(records, event)
            levels[event] = _level(level_of(record.text, record.stamp_stop))
            if alone[event]:
                said, found = shape(record)
                shapes[event] = self._shape(said)
                others += [(event, self._table.label(label), value) for label, value in found]
        if others:
            measured, labels, values = _merged(measured, labels, values, others)
        times = read.times[records.lines]
        witness = _Witnesses(batch, rows, read, records, times)
        known_labels = self._table.labels
        return Events(times, levels, shapes, list(self._shapes), measured, labels, known_labels, values, witness)


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


def _latest_of(parser: TimestampParser, latest: datetime | None) -> datetime:
    """The moment that no stamp of a chunk is after."""
    return parser.latest if latest is None or latest.year >= 9998 else latest + CLOCK_SKEW


class _Records(NamedTuple):
    """Records of some lines: the line that begins each, its row, its bytes, and whether it has more lines."""

    lines: Places
    rows: Places
    starts: Places
    stops: Places
    has_more: Flags


class _Read:
    """The lines of the chunks of one log, while their times are read and records are made of them."""

    def __init__(self, lines: LogLines, forms: Places, parser: TimestampParser, latest: list[datetime | None]) -> None:
        self.lines = lines
        self.forms = forms
        self.times = np.full(len(forms), np.nan)
        self._parser = parser
        self._latest = [_latest_of(parser, moment) for moment in latest]
        self._stamps: dict[int, tuple[int, int]] = {}
        self._table = FormTable()
        self.first_lines = np.searchsorted(lines.rows, np.arange(len(latest)))

    def read_times(self, table: FormTable) -> None:
        """Read the stamps of all lines."""
        self._table = table
        kinds, lines = table.kinds[self.forms], self.lines
        stamped = np.flatnonzero(kinds == STAMPED)
        latest = np.array([latest_of(moment) for moment in self._latest], np.int64)
        self.times[stamped] = times_of(
            table,
            lines.text.data,
            self.forms[stamped],
            lines.digits,
            lines.first_digits[stamped],
            latest[lines.rows[stamped]],
        )
        for line in np.flatnonzero(kinds == ONE_BY_ONE).tolist():
            found = replace(self._parser, latest=self._latest[int(lines.rows[line])]).stamps(lines.line(line))
            if found:
                self.times[line] = found[0].time.timestamp()
                self._stamps[line] = (found[0].start, found[0].stop)

    def rows_without_stamp(self) -> list[int]:
        """The rows none of whose lines has a time."""
        counts = np.bincount(self.lines.rows[~np.isnan(self.times)], minlength=len(self._latest))
        return np.flatnonzero(counts == 0).tolist()

    def records(self, count: int) -> _Records:
        """The records of the first `count` rows; lines without a time go on the record before in their row."""
        lines = self.lines
        starts = np.flatnonzero(~np.isnan(self.times) & (lines.rows < count))
        rows = lines.rows[starts]
        row_ends = np.searchsorted(lines.rows, rows, side="right")
        following = np.minimum(np.append(starts[1:], len(lines.rows)), row_ends)
        inside = np.minimum(following, len(lines.rows) - 1)
        stops = np.where(following < row_ends, lines.spans.starts[inside], lines.text.stops[rows])
        return _Records(starts, rows, lines.spans.starts[starts], stops, following - starts > 1)

    def numbers(self, table: FormTable, records: _Records) -> tuple[Places, Places, NDArray[np.float64]]:
        """The measured values of records by their forms: event, number of the label, value."""
        measures = table.numbers[self.forms[records.lines]]
        events, slots = np.nonzero(measures[:, :, 0] >= 0)
        label, run, fraction, sign = measures[events, slots].T
        first, digits, data = self.lines.first_digits[records.lines[events]], self.lines.digits, self.lines.text.data
        lengths = digits.stops - digits.starts
        values = whole_numbers(data, digits.starts[first + run], lengths[first + run]).astype(np.float64)
        has = np.flatnonzero(fraction >= 0)
        at = first[has] + fraction[has]
        values[has] += whole_numbers(data, digits.starts[at], lengths[at]) / 10.0 ** lengths[at]
        return events, label, sign * values

    def record(self, records: _Records, event: int) -> LogRecord:
        """A record with its text and where its stamp stands."""
        line = int(records.lines[event])
        text = self.lines.text.raw[records.starts[event] : records.stops[event]].decode("utf-8", "replace")
        form = self._table.forms[int(self.forms[line])]
        stamp = self._stamps.get(line, (form.stamp_start, form.stamp_stop))
        return LogRecord(None, None, 0, 0, 1, text, stamp_start=stamp[0], stamp_stop=stamp[1])


class _Witnesses:
    """Makes the witness of an event when asked for."""

    def __init__(
        self, batch: SliceBatch, rows: list[int], read: _Read, records: _Records, times: NDArray[np.float64]
    ) -> None:
        self._batch, self._rows, self._raw = batch, rows, read.lines.text.raw
        self._begins = read.lines.text.starts.tolist()
        self._first_lines = read.first_lines.tolist()
        self._of = (records.rows.tolist(), records.lines.tolist(), records.starts.tolist(), records.stops.tolist())
        self._times = times.tolist()
        self._chunks: dict[int, tuple[ChunkText, tuple[str, str, str], bool]] = {}

    def __call__(self, event: int) -> Witness:
        """Where the event can be seen."""
        row, line, start, stop = (int(column[event]) for column in self._of)
        known = self._chunks.get(row)
        if known is None:
            chunk = self._batch.chunk(self._rows[row])
            is_plain = chunk.text.isascii() and len(chunk.text) == chunk.byte_stop - chunk.byte_start
            known = self._chunks[row] = (chunk, (chunk.dataset, chunk.path, chunk.source_hash), is_plain)
        chunk, place, is_plain = known
        begin, number = self._begins[row], chunk.line_start + line - self._first_lines[row]
        if is_plain:
            record = self._raw[start:stop].rstrip()
            if b"\n" not in record and len(record) <= _MAX_CITED:  # as most are: its bytes are its characters
                first = chunk.byte_start + start - begin
                text = record[: 2 * QUOTE_CHARACTERS].decode()
                return Witness(self._times[event], place, first, first + len(record), number, text)
        before = len(self._raw[begin:start].decode("utf-8", "replace"))
        record_text = self._raw[start:stop].decode("utf-8", "replace")
        return _seen(chunk, before, record_text, self._times[event], number)


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


def _without_times(chunk: ChunkText) -> Events:
    """The records of a chunk without timestamps, by their levels alone."""
    records = [record for record in iter_records(chunk.text) if record.text.strip()]
    starts = np.cumsum([0, *(len(record.text) for record in records)])
    nothing = np.zeros(0, np.int64)
    return Events(
        np.full(len(records), np.nan),
        np.array([_level(record.level) for record in records], np.int64),
        np.zeros(len(records), np.int64),
        [()],
        nothing,
        nothing,
        [],
        np.zeros(0),
        lambda event: _seen(
            chunk, int(starts[event]), records[event].text, 0.0, chunk.line_start + records[event].line_start - 1
        ),
    )


def _level(level: str | None) -> int:
    if level is None:
        return LEVEL_NAMES.index("none")
    return LEVEL_NAMES.index("error" if level in ERROR_LEVELS else "warning" if level == "WARN" else "other")


_ROTATION = re.compile(r"(?:[._-](?:\d{1,14}|\d{2,4}[-_.]\d\d[-_.]\d\d(?:[-_.T]\d{1,6})?|gz|bz2|zst|xz|old))+(?=\.|$)")


@lru_cache(maxsize=1024)
def source_of(path: str) -> str:
    """The log that `path` is a part of: rotated files (`app.log.1`, `app-2024-05-03.log`) are one log."""
    name = PurePosixPath(path)
    plain = _ROTATION.sub("", name.name)
    return str(name.with_name(plain)) if plain and plain not in (".", "..") else path
