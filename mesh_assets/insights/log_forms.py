"""What a form of log lines means: found from one line of it, and then read from all others by their digits alone.

The line that stands for a form is read by the parser of its file and by `log_shapes`, as any line could be. Where a
part of a time or a number is not told by digits that the form leaves visible, its lines are read one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.log_records import BEFORE_STAMP, BEHIND_STAMP, LogRecord, level_of
from mesh_assets.chunks.timestamps import Format, TimestampParser
from mesh_assets.insights.byte_text import Bytes, Places, Spans
from mesh_assets.insights.log_layout import LogLayout
from mesh_assets.insights.log_shapes import MAX_NUMBERS, Measurement, number_spans, said_in
from mesh_assets.insights.template_miner import Shape, may_end_before_status

# Parts of a time, in the order of `_Form.parts`.
PARTS = ("year", "month", "day", "hour", "minute", "second", "fraction", "zone", "epoch", "zone minute")
# What the groups of each format of `chunks.timestamps` mean, from the second on (the first is the whole stamp).
_GROUPS = {
    "iso": ("year", "month", "day", "hour", "minute", "second", "fraction", "zone"),
    "common log": ("day", "name", "year", "hour", "minute", "second", "zone"),
    "ctime": ("name", "day", "hour", "minute", "second", "fraction", "year"),
    "java.util.logging": ("name", "day", "year", "hour", "minute", "second", "half"),
    "syslog": ("name", "day", "year", "hour", "minute", "second", "fraction"),
    "android": ("month", "day", "hour", "minute", "second", "fraction"),
    "short year": ("year", "month", "day", "hour", "minute", "second"),
    "hdfs": ("year", "month", "day", "hour", "minute", "second"),
    "epoch": ("epoch", "fraction", "fraction"),
}
_MONTHS = {name: n for n, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
# A part that the stamp does not write.
ABSENT = -1
# No year: the last one that puts the stamp at or before the latest moment possible.
NO_YEAR = -2
_DIGITS = re.compile(r"[0-9]+")

# A line that begins no record; one that a stamp or, in a log without stamps, its place begins; one that is read alone.
CONTINUED, STAMPED, UNSTAMPED, ONE_BY_ONE = 0, 1, 2, 3
# What a form does not tell of a source, because it is masked there.
_MASKED = frozenset("0123456789/")


_ALL_ZERO = str.maketrans("123456789", "000000000")


class Part(NamedTuple):
    """Digits `offset` up to `offset + length` of the visible run `run` of a line; `length` 0 is up to its end.

    Without a run, `constant` is the value (or `ABSENT`, `NO_YEAR`).
    """

    run: int = -1
    offset: int = 0
    length: int = 0
    constant: int = ABSENT


_KNOWN_PARTS: dict[object, tuple[tuple[Part, ...], int] | None] = {}
_MAX_KNOWN_PARTS = 4096


class Measure(NamedTuple):
    """A measured number: its label, its run, that of its fraction (or -1), and its sign."""

    label: str
    run: int
    fraction: int
    sign: int


@dataclass(frozen=True, slots=True)
class Form:
    """What the lines of a form are: `kind` is one of those above; the rest is told of (un)stamped ones only.

    `zone_sign` is 0 where the stamp has no zone in digits; `level` is that of a record of one line. `source` is what
    wrote the line; where it `varies` within the form it is that of one line.
    """

    kind: int
    parts: tuple[Part, ...] = ()
    zone_sign: int = 0
    stamp_start: int = 0
    stamp_stop: int = 0
    level: str | None = None
    shape: Shape = ()
    numbers: tuple[Measure, ...] = ()
    source: str | None = None

    @property
    def varies(self) -> bool:
        """Whether lines of this form may name other sources."""
        return self.source is not None and not _MASKED.isdisjoint(self.source)


def form_of(line: str, digits: list[tuple[int, int]], parser: TimestampParser | None, layout: LogLayout) -> Form:
    """The form of `line` of a log of that layout, whose visible runs of digits are the bytes `digits` of it.

    Without a parser its log has no stamps.
    """
    if "{" in line[:3]:  # JSON: its fields may come in any order
        return Form(ONE_BY_ONE)
    if parser is None:
        said = said_in(LogRecord(None, None, 0, 0, 1, line), layout)
        return Form(UNSTAMPED, level=level_of(line), shape=said.shape, source=said.source)
    for pattern, form in parser.readers:
        match = pattern.match(line)
        if match is None:
            continue
        try:
            form.convert(match, parser.latest)
        except (ValueError, OverflowError):
            return Form(ONE_BY_ONE)
        return _stamped(line, digits, form, match, layout)
    return Form(CONTINUED)


def _stamped(line: str, digits: list[tuple[int, int]], form: Format, match: re.Match[str], layout: LogLayout) -> Form:
    runs = digits if line.isascii() else [(_characters(line, start), _characters(line, stop)) for start, stop in digits]
    start, stop = match.start("stamp"), match.end("stamp")
    # Most stamps of a log are written alike: their digits are other ones.
    alike = form.name, start, match["stamp"].translate(_ALL_ZERO), *(run for run in runs if run[0] < stop)
    if alike not in _KNOWN_PARTS:
        if len(_KNOWN_PARTS) >= _MAX_KNOWN_PARTS:
            _KNOWN_PARTS.clear()
        _KNOWN_PARTS[alike] = _parts(form, match, runs)
    parts = _KNOWN_PARTS[alike]
    record = LogRecord(None, None, 0, 0, 1, line, stamp_start=start, stamp_stop=stop)
    if parts is None or _reads_otherwise(line, start, stop):
        return Form(ONE_BY_ONE)
    said = said_in(record, layout)
    measures = _measures(record, said.numbers, runs)
    if measures is None:
        return Form(ONE_BY_ONE)
    level = level_of(line, stop)
    return Form(STAMPED, parts[0], parts[1], start, stop, level, said.shape, measures, said.source)


def _reads_otherwise(line: str, start: int, stop: int) -> bool:
    """Whether quotes or a status mean something else in the message, which is without the stamp, than in the line."""
    before = line[:start]
    shown = before.strip(BEFORE_STAMP)
    if not shown and '"' not in before:
        return False
    odd = before.count('"') % 2 or shown.count('"') % 2
    return bool(odd) or (line[stop:].lstrip(BEHIND_STAMP)[:1].isdigit() and may_end_before_status(shown))


def _characters(line: str, byte: int) -> int:
    return len(line.encode("utf-8", "replace")[:byte].decode("utf-8", "ignore"))


def _parts(form: Format, match: re.Match[str], runs: list[tuple[int, int]]) -> tuple[tuple[Part, ...], int] | None:
    """The parts of the stamp as digits of visible runs, and the sign of the zone; None where one is not visible."""
    found: dict[str, Part | None] = dict.fromkeys(PARTS, Part())
    zone_sign = 0
    for number, name in enumerate(_GROUPS[form.name], 2):
        written, (start, stop) = match[number], match.span(number)
        if written is None or written == "Z":
            continue
        if name == "name":
            found["month"] = Part(constant=_MONTHS[written])
            continue
        if name == "zone":
            zone_sign = -1 if written[0] == "-" else 1
            found["zone minute"] = _in_run(runs, stop - 2, stop)
            start, stop = start + 1, start + 3
        found[name] = _in_run(runs, start, stop)
    if None in found.values() or "half" in found:  # clocks of twelve hours are rare enough to be read one by one
        return None
    parts = cast("dict[str, Part]", found)
    if form.name in ("syslog", "android") and parts["year"].run < 0:
        parts["year"] = Part(constant=NO_YEAR)
    if parts["fraction"].run >= 0:
        parts["fraction"] = parts["fraction"]._replace(length=0)
    return tuple(parts[name] for name in PARTS), zone_sign


def _in_run(runs: list[tuple[int, int]], start: int, stop: int) -> Part | None:
    for number, (first, last) in enumerate(runs):
        if first <= start and stop <= last:
            return Part(number, start - first, stop - start)
    return None


def _measures(
    record: LogRecord, numbers: tuple[Measurement, ...], runs: list[tuple[int, int]]
) -> tuple[Measure, ...] | None:
    """The numbers of a line as visible runs; None where one is not visible."""
    if not numbers:
        return ()
    found: list[Measure] = []
    starts = {first: number for number, (first, _) in enumerate(runs)}
    for measured, (start, stop) in zip(numbers, number_spans(record, numbers), strict=True):
        sign = -1 if record.text[start] == "-" else 1
        start += sign < 0
        written = record.text[start:stop]
        run = starts.get(start)
        fraction = starts.get(start + written.index(".") + 1) if "." in written else -1
        if run is None or fraction is None:
            return None
        found.append(Measure(measured.label, run, fraction, sign))
    return tuple(found)


# --- reading many lines ---------------------------------------------------------------------------------------------


class FormTable:
    """Forms as arrays: what is looked up for many lines at once. Row `i` is the form that was added as number `i`."""

    def __init__(self) -> None:
        self.forms: list[Form] = []
        self._labels: dict[str, int] = {}
        self._rows: list[tuple[list[tuple[int, ...]], list[tuple[int, ...]]]] = []
        self._known = 0
        self._parts = np.zeros((0, len(PARTS), 4), np.int64)
        self._numbers = np.zeros((0, MAX_NUMBERS, 4), np.int64)
        self._signs = np.zeros(0, np.int64)
        self._kinds = np.zeros(0, np.int64)

    def add(self, form: Form) -> int:
        """The number of a new form."""
        parts = [tuple(part) for part in form.parts] or [tuple(Part())] * len(PARTS)
        numbers = [(self.label(measure.label), *measure[1:]) for measure in form.numbers]
        self._rows.append((parts, numbers + [(-1, -1, -1, 1)] * (MAX_NUMBERS - len(numbers))))
        self.forms.append(form)
        return len(self.forms) - 1

    def label(self, label: str) -> int:
        """The number of a label."""
        return self._labels.setdefault(label, len(self._labels))

    @property
    def labels(self) -> list[str]:
        """The labels by their numbers."""
        return list(self._labels)

    def _update(self) -> None:
        if self._rows:
            new = self.forms[-len(self._rows) :]
            self._parts = np.concatenate((self._parts, np.array([row[0] for row in self._rows], np.int64)))
            self._numbers = np.concatenate((self._numbers, np.array([row[1] for row in self._rows], np.int64)))
            self._signs = np.concatenate((self._signs, np.array([form.zone_sign for form in new], np.int64)))
            self._kinds = np.concatenate((self._kinds, np.array([form.kind for form in new], np.int64)))
            self._rows = []

    @property
    def parts(self) -> NDArray[np.int64]:
        """The parts of stamps, of shape (forms, parts, 4)."""
        self._update()
        return self._parts

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The measures, of shape (forms, `MAX_NUMBERS`, 4); those that are none have the label -1."""
        self._update()
        return self._numbers

    @property
    def signs(self) -> NDArray[np.int64]:
        """The signs of the zones."""
        self._update()
        return self._signs

    @property
    def kinds(self) -> NDArray[np.int64]:
        """The kinds."""
        self._update()
        return self._kinds


def whole_numbers(data: Bytes, starts: Places, lengths: Places) -> NDArray[np.int64]:
    """The numbers that digits write, of at most 18 each."""
    values = np.zeros(len(starts), np.int64)
    at = np.arange(len(starts))
    for place in range(int(lengths.max()) if len(lengths) else 0):
        at = at[lengths[at] > place]
        values[at] = values[at] * 10 + (data[starts[at] + place].astype(np.int64) - ord("0"))
    return values


def times_of(
    table: FormTable, data: Bytes, forms: Places, digits: Spans, first: Places, latest: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Seconds since 1970 UTC of stamped lines, NaN where a stamp is no moment.

    `forms` are the forms of the lines, `first` the numbers of their first runs in `digits`; `latest` is the year, and
    then the second, that a stamp without a year may be at most: shape (lines, 2).
    """
    signs, lines = table.signs, table.parts[forms]
    run, offset, length, constant = (lines[:, :, column] for column in range(4))
    at = np.minimum(np.maximum(first[:, None] + run, 0), max(len(digits.starts) - 1, 0))
    starts = digits.starts[at] + offset
    length = np.where(length == 0, digits.stops[at] - starts, length)
    values = whole_numbers(data, starts.ravel(), np.where(run >= 0, np.minimum(length, 18), 0).ravel())
    values = np.where(run >= 0, values.reshape(run.shape), constant)
    held = {name: values[:, number] for number, name in enumerate(PARTS)}
    fraction = np.where(run[:, 6] >= 0, held["fraction"] / 10.0 ** length[:, 6], 0.0)
    fraction = np.floor(fraction * 1e6 + 0.5 * (length[:, 6] <= 6)) / 1e6
    zone = signs[forms] * np.where(run[:, 7] >= 0, held["zone"] * 3600 + held["zone minute"] * 60, 0)
    year = held["year"]
    year = np.where((year >= 0) & (year < 100) & (length[:, 0] == 2), year + 2000, year)
    seconds = _moments(year, held, latest)
    is_epoch = run[:, 8] >= 0
    return np.where(is_epoch, held["epoch"].astype(np.float64), seconds - zone) + fraction


def _moments(
    year: NDArray[np.int64], held: dict[str, NDArray[np.int64]], latest: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Seconds since 1970 of dates and clocks, NaN where one does not exist."""
    month, day = held["month"], held["day"]
    clock = held["hour"] * 3600 + held["minute"] * 60 + held["second"]
    real = (
        (month >= 1) & (month <= 12) & (day >= 1) & (held["hour"] < 24) & (held["minute"] < 60) & (held["second"] < 60)
    )
    unknown = year == NO_YEAR
    found = np.where(unknown, latest[:, 0], year)
    for _ in range(8):  # back to a year that has the day, at or before the latest moment
        days, exists = _days(found, month, day)
        late = unknown & real & (~exists | (days * 86_400 + clock > latest[:, 1]))
        if not late.any():
            break
        found = found - late
    days, exists = _days(found, month, day)
    real &= exists & (found >= 1) & (found <= 9999)
    return np.where(real, (days * 86_400 + clock).astype(np.float64), np.nan)


def _days(year: Places, month: Places, day: Places) -> tuple[Places, NDArray[np.bool_]]:
    """Days since 1970, and whether the month has that day."""
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + day - 1, day <= following - first


def latest_of(moment: datetime) -> tuple[int, int]:
    """A latest moment as `times_of` takes it: its year, and its seconds since 1970."""
    return moment.year, int(moment.timestamp())
