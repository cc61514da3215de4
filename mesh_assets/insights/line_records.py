"""Lines of the chunks of one log, and the records that they make: their times, bytes, numbers and sources.

Lines come with their forms (`log_forms`); which chunks are read together, and with what parser, is decided in
`log_reader`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import LogRecord, record_stamps
from mesh_assets.chunks.timestamps import CLOCK_SKEW, TimestampParser
from mesh_assets.insights.byte_text import Flags, Places
from mesh_assets.insights.log_forms import ONE_BY_ONE, STAMPED, FormTable, latest_of, times_of, whole_numbers
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_lines import LogLines


def _latest_of(parser: TimestampParser, latest: datetime | None) -> datetime:
    """The moment that no stamp of a chunk is after."""
    return parser.latest if latest is None or latest.year >= 9998 else latest + CLOCK_SKEW


class Records(NamedTuple):
    """Records of some lines: the line that begins each, its row, its bytes, and whether it has more lines."""

    lines: Places
    rows: Places
    starts: Places
    stops: Places
    has_more: Flags


class ReadLines:
    """The lines of the chunks of one log, while their times are read and records are made of them."""

    def __init__(self, lines: LogLines, forms: Places, table: FormTable, layout: LogLayout) -> None:
        self.lines = lines
        self.forms = forms
        self.layout = layout
        self.times = np.full(len(forms), np.nan)
        self._begins = np.zeros(len(forms), np.bool_)
        self._stamps: dict[int, tuple[int, int]] = {}
        self._table = table
        self.first_lines = np.searchsorted(lines.rows, np.arange(len(lines.text.starts)))

    def read_times(self, parser: TimestampParser, latest: list[datetime | None]) -> None:
        """Read the stamps of all lines: those begin records. `latest` is the last moment of each row."""
        table, lines = self._table, self.lines
        kinds = table.kinds[self.forms]
        stamped = np.flatnonzero(kinds == STAMPED)
        until = [_latest_of(parser, moment) for moment in latest]
        self.times[stamped] = times_of(
            table,
            lines.text.data,
            self.forms[stamped],
            lines.digits,
            lines.first_digits[stamped],
            np.array([latest_of(moment) for moment in until], np.int64)[lines.rows[stamped]],
        )
        for line in np.flatnonzero(kinds == ONE_BY_ONE).tolist():
            found = replace(parser, latest=until[int(lines.rows[line])]).stamps(lines.line(line))
            if found:
                self.times[line] = found[0].time.timestamp()
                self._stamps[line] = (found[0].start, found[0].stop)
        self._begins = ~np.isnan(self.times)

    def begin_without_times(self) -> None:
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
            self._begins[np.searchsorted(self.lines.spans.starts, start + at)] = True

    def rows_without_stamp(self) -> list[int]:
        """The rows none of whose lines has a time."""
        counts = np.bincount(self.lines.rows[~np.isnan(self.times)], minlength=len(self.lines.text.starts))
        return np.flatnonzero(counts == 0).tolist()

    def records(self, count: int) -> Records:
        """The records of the first `count` rows; lines that begin none go on the one before in their row."""
        lines = self.lines
        starts = np.flatnonzero(self._begins & (lines.rows < count))
        rows = lines.rows[starts]
        row_ends = np.searchsorted(lines.rows, rows, side="right")
        following = np.minimum(np.append(starts[1:], len(lines.rows)), row_ends)
        inside = np.minimum(following, len(lines.rows) - 1)
        stops = np.where(following < row_ends, lines.spans.starts[inside], lines.text.stops[rows])
        return Records(starts, rows, lines.spans.starts[starts], stops, following - starts > 1)

    def numbers(self, records: Records) -> tuple[Places, Places, NDArray[np.float64]]:
        """The measured values of records by their forms: event, number of the label, value."""
        measures = self._table.numbers[self.forms[records.lines]]
        events, slots = np.nonzero(measures[:, :, 0] >= 0)
        label, run, fraction, sign = measures[events, slots].T
        first, digits, data = self.lines.first_digits[records.lines[events]], self.lines.digits, self.lines.text.data
        lengths = digits.stops - digits.starts
        values = whole_numbers(data, digits.starts[first + run], lengths[first + run]).astype(np.float64)
        has = np.flatnonzero(fraction >= 0)
        at = first[has] + fraction[has]
        values[has] += whole_numbers(data, digits.starts[at], lengths[at]) / 10.0 ** lengths[at]
        return events, label, sign * values

    def record(self, records: Records, event: int) -> LogRecord:
        """A record with its text and where its stamp stands."""
        line = int(records.lines[event])
        text = self.lines.text.raw[records.starts[event] : records.stops[event]].decode("utf-8", "replace")
        form = self._table.forms[int(self.forms[line])]
        stamp = self._stamps.get(line, (form.stamp_start, form.stamp_stop))
        return LogRecord(None, None, 0, 0, 1, text, stamp_start=stamp[0], stamp_stop=stamp[1])

    def sources(self, records: Records, alone: Mapping[int, str | None]) -> list[str | None]:
        """What wrote each record; `alone` has those that were read one by one."""
        forms = self.forms[records.lines]
        distinct, of = np.unique(forms, return_inverse=True)
        held = [self._table.forms[int(number)] for number in distinct]
        named: list[str | None] = [form.source for form in held]
        found = [named[int(place)] for place in of]
        varies = np.array([form.varies for form in held], np.bool_)
        for event in np.flatnonzero(varies[of]).tolist():
            found[event] = self.layout.source_of(self.lines.line(int(records.lines[event])))
        for event, source in alone.items():
            found[event] = source
        return found
