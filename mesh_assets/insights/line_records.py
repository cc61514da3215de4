"""Lines of the chunks of one log, and the records that they make: their times, bytes, numbers and sources.

What lines say comes from their forms (`log_forms`); which chunks are read together, and with what parser, is decided in
`log_reader`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import LogRecord, record_stamps
from mesh_assets.chunks.moments import NONE
from mesh_assets.chunks.timestamps import CLOCK_SKEW, TimestampParser
from mesh_assets.insights.byte_text import Flags, Places
from mesh_assets.insights.log_forms import FormTable, stamp_in, whole_numbers
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_lines import LogLines

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class Records(NamedTuple):
    """Records of some lines: the line that begins each, its row, its bytes, and whether it has more lines."""

    lines: Places
    rows: Places
    starts: Places
    stops: Places
    has_more: Flags


class ReadLines:
    """The lines of the chunks of one log, while their times are read and records are made of them.

    Line `i` begins a record where `begins[i]`. Where the log has timestamps it then has one: `times` are seconds since
    1970 UTC (else NaN), `stamp_runs` the numbers of the line's visible runs of digits at which the stamps start, and
    `readers` which reader of the parser read them.
    """

    def __init__(self, lines: LogLines, parser: TimestampParser | None, latest: list[datetime | None]) -> None:
        """Read the times of the lines; `latest` is the last moment of each row."""
        self.lines = lines
        self.parser = parser
        self.times = np.full(len(lines.rows), np.nan)
        self.begins = np.zeros(len(lines.rows), np.bool_)
        self.stamp_runs = self.readers = np.zeros(len(lines.rows), np.int64)
        self.first_lines = np.searchsorted(lines.rows, np.arange(len(lines.text.starts)))
        if parser is None:
            self._begin_without_times()
        elif len(lines.rows):
            self._read_times(parser, [_latest_of(parser, moment) for moment in latest])

    def _read_times(self, parser: TimestampParser, latest: list[datetime]) -> None:
        text, lines = self.lines.text, self.lines
        begin, end = int(text.starts[0]), int(text.stops[-1]) + 1
        content = text.data[begin:end].copy()
        content[text.stops - begin] = ord("\n")
        written = content.tobytes().decode("utf-8", "replace")
        codes, starts = content, lines.spans.starts - begin
        characters = None
        if len(written) != len(content):
            codes = np.frombuffer(written.encode("latin-1", "replace"), np.uint8)
            characters = np.flatnonzero(content & 0xC0 != 0x80)
            starts = np.searchsorted(characters, starts)
        times, places, self.readers = replace(parser, latest=max(latest)).line_stamps(written, codes, starts)
        # A stamp without a year is of the last one in which it is not after its own chunk.
        until = np.array([(moment - _EPOCH) // _TICK for moment in latest], np.int64)
        for line in np.flatnonzero(times > until[lines.rows]).tolist():
            moment = replace(parser, latest=latest[int(lines.rows[line])]).parse(lines.line(line))
            times[line] = NONE if moment is None else (moment - _EPOCH) // _TICK
        self.begins = times != NONE
        self.times[self.begins] = times[self.begins] / 1e6
        stamps = begin + (places if characters is None else characters[places])
        self.stamp_runs = np.searchsorted(lines.digits.starts, stamps) - lines.first_digits

    def _begin_without_times(self) -> None:
        """Let records begin where those of a log without stamps do."""
        text = self.lines.text
        for start, stop in zip(text.starts.tolist(), text.stops.tolist(), strict=True):
            shown = text.raw[start:stop].decode("utf-8", "replace")
            begins = [place for place, _ in record_stamps(shown, None)]
            spans = zip(begins, [*begins[1:], len(shown)], strict=True)
            at = np.array([first for first, last in spans if shown[first:last].strip()], np.int64)
            if len(shown) != stop - start:
                sizes = np.array([len(character.encode("utf-8", "replace")) for character in shown], np.int64)
                at = np.concatenate(([0], np.cumsum(sizes)))[at]
            self.begins[np.searchsorted(self.lines.spans.starts, start + at)] = True

    def rows_without_stamp(self) -> list[int]:
        """The rows none of whose lines has a stamp, in a log that has them."""
        if self.parser is None:
            return []
        counts = np.bincount(self.lines.rows[~np.isnan(self.times)], minlength=len(self.lines.text.starts))
        return np.flatnonzero(counts == 0).tolist()

    def records(self, count: int) -> Records:
        """The records of the first `count` rows; lines that begin none go on the one before in their row."""
        lines = self.lines
        starts = np.flatnonzero(self.begins & (lines.rows < count))
        rows = lines.rows[starts]
        row_ends = np.searchsorted(lines.rows, rows, side="right")
        following = np.minimum(np.append(starts[1:], len(lines.rows)), row_ends)
        inside = np.minimum(following, len(lines.rows) - 1)
        stops = np.where(following < row_ends, lines.spans.starts[inside], lines.text.stops[rows])
        return Records(starts, rows, lines.spans.starts[starts], stops, following - starts > 1)

    def stamp_of(self, line: int) -> re.Pattern[str] | None:
        """The pattern of the stamp of a line that begins a record; None where the log has none."""
        return None if self.parser is None else self.parser.readers[int(self.readers[line])][0]

    def record(self, records: Records, event: int) -> LogRecord:
        """A record with its text and where its stamp stands."""
        line = int(records.lines[event])
        text = self.lines.text.raw[records.starts[event] : records.stops[event]].decode("utf-8", "replace")
        return LogRecord(text, *stamp_in(text, self.stamp_of(line)))


def _latest_of(parser: TimestampParser, latest: datetime | None) -> datetime:
    """The moment that no stamp of a chunk is after."""
    return parser.latest if latest is None or latest.year >= 9998 else latest + CLOCK_SKEW


def numbers_in(
    lines: LogLines, table: FormTable, forms: Places, at: Places
) -> tuple[Places, Places, NDArray[np.float64]]:
    """The measured values of the lines `at`, which have these forms: place in `at`, number of the label, value."""
    measures = table.numbers(forms)
    events, slots = np.nonzero(measures[:, :, 0] >= 0)
    label, run, fraction, sign = measures[events, slots].T
    first, digits, data = lines.first_digits[at[events]], lines.digits, lines.text.data
    lengths = digits.stops - digits.starts
    values = whole_numbers(data, digits.starts[first + run], lengths[first + run]).astype(np.float64)
    has = np.flatnonzero(fraction >= 0)
    fractions = first[has] + fraction[has]
    values[has] += whole_numbers(data, digits.starts[fractions], lengths[fractions]) / 10.0 ** lengths[fractions]
    return events, label, sign * values


def sources_in(
    lines: LogLines, table: FormTable, layout: LogLayout, forms: Places, at: Places, alone: Mapping[int, str | None]
) -> list[str | None]:
    """What wrote the lines `at`, which have these forms; `alone` has those that were read one by one."""
    distinct, of = np.unique(forms, return_inverse=True)
    held = [table.forms[int(number)] for number in distinct]
    named: list[str | None] = [form.source for form in held]
    found = [named[int(place)] for place in of]
    varies = np.array([form.varies for form in held], np.bool_)
    for event in np.flatnonzero(varies[of]).tolist():
        found[event] = layout.source_of(lines.line(int(at[event])))
    for event, source in alone.items():
        found[event] = source
    return found
