"""Timestamps of log lines: the format is found once from a sample of lines, then read from every line.

All times are aware and in UTC. A stamp without a zone is taken as UTC: the machine that wrote it is not here to ask.
A stamp without a year gets the year that puts it at or before `latest`. What a record is, and its level, belong to
`log_records`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.chunks.moments import DOUBT, HEAD, NONE, NOTATIONS, LineTimes, Times, line_starts, may_hold, moments

# Lines that show the format of a file.
SAMPLE_LINES = 400
# Clocks differ: a stamp without a year may lie this much after `latest` and still belong to its year.
CLOCK_SKEW = timedelta(days=1)
# The share of the lines left by the best format that a second one must read to be used beside it.
SECOND_SHARE = 0.1
# So few lines are read by the pattern in less time than NumPy takes to begin.
_FEW_LINES = 16
# 29 February exists in one of any eight successive years (1900 was none).
_YEARS_BACK = 8

# `latest` plus the clock skew must be a date.
_LAST = datetime(9999, 12, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_MONTH = f"({'|'.join(_MONTHS)})"
_CLOCK = r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_FRACTION = r"(?:[.,]([0-9]{1,9}))?"

Convert = Callable[["re.Match[str]", datetime], datetime]


class Stamp(NamedTuple):
    """One timestamp in a text: where its line starts, where it stands itself (characters), and the moment."""

    line: int
    start: int
    stop: int
    time: datetime


class LineStamps(NamedTuple):
    """Of each line its moment, or `NONE`, where its stamp starts (character), and which of the readers read it."""

    times: Times
    places: Times
    readers: Times


@dataclass(frozen=True, slots=True)
class Format:
    """One way of writing a moment: its name, its pattern and how a match becomes a time (ValueError: it is none).

    `anchored` matches at the start of a line, `within` anywhere in the head of a line that is not indented.
    """

    name: str
    anchored: re.Pattern[str]
    within: re.Pattern[str]
    convert: Convert


def _format(name: str, body: str, convert: Convert) -> Format:
    # A line may start with a byte order mark, a syslog priority (RFC 5424 adds its version) and a bracket.
    lead = r"^\ufeff?(?:<[0-9]{1,3}>(?:1 )?)?[\[(\"']?"
    stamp = rf"(?P<stamp>{body})"
    return Format(
        name,
        re.compile(lead + stamp, re.MULTILINE | re.ASCII),
        re.compile(rf"^(?![ \t])[^\n]{{0,{HEAD}}}?(?<![0-9A-Za-z]){stamp}", re.MULTILINE | re.ASCII),
        convert,
    )


def _microseconds(fraction: str | None) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _zone(text: str | None) -> timezone:
    if not text or text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _iso(match: re.Match[str], latest: datetime) -> datetime:
    written = match[1]
    if match[9] is None and written[4] == written[7] == "-" and written[13] == written[16] == ":":
        return datetime.fromisoformat(written).replace(tzinfo=UTC)
    year, month, day, hour, minute, second, fraction, zone = match.groups()[1:]
    moment = datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second), _microseconds(fraction), tzinfo=UTC
    )
    return moment if zone is None or zone == "Z" else moment.replace(tzinfo=_zone(zone)).astimezone(UTC)


def _common_log(match: re.Match[str], latest: datetime) -> datetime:
    _, day, month, year, hour, minute, second, zone = match.groups()
    clock = int(hour), int(minute), int(second)
    return datetime(int(year), _MONTHS[month], int(day), *clock, tzinfo=_zone(zone)).astimezone(UTC)


def _ctime(match: re.Match[str], latest: datetime) -> datetime:
    _, month, day, hour, minute, second, fraction, year = match.groups()
    clock = int(hour), int(minute), int(second), _microseconds(fraction)
    return datetime(int(year), _MONTHS[month], int(day), *clock, tzinfo=UTC)


def _java_util(match: re.Match[str], latest: datetime) -> datetime:
    _, month, day, year, hour, minute, second, half = match.groups()
    hours = int(hour) % 12 + (12 if half == "PM" else 0) if half else int(hour)
    return datetime(int(year), _MONTHS[month], int(day), hours, int(minute), int(second), tzinfo=UTC)


def _without_year(latest: datetime, month: int, day: int, clock: tuple[int, int, int, int]) -> datetime:
    """The last moment of that month, day and clock that is not after `latest`."""
    for year in range(latest.year, latest.year - _YEARS_BACK - 1, -1):
        try:
            moment = datetime(year, month, day, *clock, tzinfo=UTC)
        except ValueError:
            if (month, day) != (2, 29):
                raise
            continue
        if moment <= latest:
            return moment
    raise ValueError("no such day")


def _syslog(match: re.Match[str], latest: datetime) -> datetime:
    _, month, day, year, hour, minute, second, fraction = match.groups()
    clock = int(hour), int(minute), int(second), _microseconds(fraction)
    if year:
        return datetime(int(year), _MONTHS[month], int(day), *clock, tzinfo=UTC)
    return _without_year(latest, _MONTHS[month], int(day), clock)


def _android(match: re.Match[str], latest: datetime) -> datetime:
    _, month, day, hour, minute, second, fraction = match.groups()
    clock = int(hour), int(minute), int(second), _microseconds(fraction)
    return _without_year(latest, int(month), int(day), clock)


def _short_year(match: re.Match[str], latest: datetime) -> datetime:
    _, year, month, day, hour, minute, second = match.groups()
    return datetime(2000 + int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)


def _epoch(match: re.Match[str], latest: datetime) -> datetime:
    _, seconds, millis, fraction = match.groups()
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=_microseconds(millis or fraction))


# Ordered: of two formats that read equally many lines at the same column, the earlier one is used.
FORMATS = (
    _format(
        "iso",  # also log4j's comma, nginx's and Go's slashes, BGL's dashes and dots
        rf"([0-9]{{4}})[-/.]([0-9]{{2}})[-/.]([0-9]{{2}})[T _-]([0-9]{{2}})[:.]([0-9]{{2}})[:.]([0-9]{{2}}){_FRACTION}"
        r"(?: ?(Z|[+-][0-9]{2}:?[0-9]{2})(?![0-9A-Za-z]))?",
        _iso,
    ),
    _format("common log", rf"([0-9]{{2}})/{_MONTH}/([0-9]{{4}}):{_CLOCK} ([+-][0-9]{{4}})", _common_log),
    _format(
        "ctime",
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} {{1,2}}([0-9]{{1,2}}) {_CLOCK}{_FRACTION} ([0-9]{{4}})",
        _ctime,
    ),
    _format(
        "java.util.logging",
        rf"{_MONTH} ([0-9]{{1,2}}), ([0-9]{{4}}),? ([0-9]{{1,2}}):([0-9]{{2}}):([0-9]{{2}})(?: (AM|PM))?",
        _java_util,
    ),
    _format("syslog", rf"{_MONTH} {{1,2}}([0-9]{{1,2}})(?: ([0-9]{{4}}))? {_CLOCK}{_FRACTION}", _syslog),
    _format("android", rf"([0-9]{{2}})-([0-9]{{2}}) {_CLOCK}\.([0-9]{{3,6}})", _android),
    _format("short year", rf"([0-9]{{2}})/([0-9]{{2}})/([0-9]{{2}}) {_CLOCK}(?![0-9])", _short_year),
    _format(
        "hdfs",
        r"([0-9]{2})([0-9]{2})([0-9]{2}) ([0-9]{2})([0-9]{2})([0-9]{2})(?![0-9])",
        _short_year,
    ),
    # Seconds from 2001 to 2033, so that other numbers of ten digits are mostly none.
    _format("epoch", r"(1[0-9]{9})(?:([0-9]{3})|\.([0-9]{1,9}))?(?![0-9A-Za-z.:-])", _epoch),
)


@dataclass(frozen=True, slots=True)
class TimestampParser:
    """Reads the timestamps of one file: its format, a second one where the sample showed two.

    A stamp without a year is given the one that puts it at or before `latest`.
    """

    readers: tuple[tuple[re.Pattern[str], Format], ...]
    latest: datetime

    @classmethod
    def detect(
        cls, sample_lines: Iterable[str], *, default_year: int | None = None, latest: datetime | None = None
    ) -> TimestampParser | None:
        """The parser of the file that `sample_lines` begin, or None where none of them has a timestamp.

        Stamps without a year get the one that puts them at or before `latest` plus a day (the file's last modification,
        or the end of a chunk), or the `default_year`; with neither, the clock's now stands for `latest`.
        """
        lines: list[str] = [line[: 2 * HEAD] for line in islice(sample_lines, SAMPLE_LINES) if line.strip()]
        if any("\n" in line for line in lines):
            lines = [line.partition("\n")[0] for line in lines]
        if latest is None:
            year_end = datetime(min(default_year, 9998) + 1, 1, 1, tzinfo=UTC) - _TICK if default_year else None
            latest = year_end - CLOCK_SKEW if year_end else datetime.now(UTC)
        latest = min(latest, _LAST) + CLOCK_SKEW
        readers: list[tuple[re.Pattern[str], Format]] = []
        while lines and len(readers) < 2:
            used = [form for _, form in readers]
            sample = _Lines.of("".join([f"{line}\n" for line in lines]))
            best = _best_score([form for form in FORMATS if form not in used], sample, latest)
            if best.lines == 0 or (readers and best.lines < SECOND_SHARE * len(lines)):
                break
            readers.append((best.pattern, best.form))
            lines = [line for line, is_read in zip(lines, best.are_read.tolist(), strict=True) if not is_read]
        return cls(tuple(readers), latest) if readers else None

    @property
    def format(self) -> str:
        """Name of the format that most lines of the sample have."""
        return self.readers[0][1].name

    def parse(self, line: str) -> datetime | None:
        """The moment of `line`, None where it has none: a continuation of the record before it."""
        for pattern, form in self.readers:
            stamp = _read(pattern, form, line, self.latest)
            if stamp is not None:
                return stamp.time
        return None

    def moments(self, text: str, codes: NDArray[np.uint8]) -> LineTimes:
        """The moments of all lines of `text`.

        `codes` is the text, one byte a character, as `TokenMeter` has it. Faster than `stamps` for many lines.
        """
        starts = line_starts(codes)
        return LineTimes(starts, self.line_stamps(text, codes, starts).times)

    def line_stamps(self, text: str, codes: NDArray[np.uint8], starts: Times) -> LineStamps:
        """The stamps of lines of `text`, which start at `starts` (characters); `codes` as for `moments`."""
        lines = _Lines(text, codes, starts)
        times, places = _moments(*self.readers[0], lines, self.latest)
        readers = np.zeros(len(times), np.int64)
        for number, (pattern, form) in enumerate(self.readers[1:], 1):
            others = times == NONE
            found, at = _moments(pattern, form, lines, self.latest)
            times, places = np.where(others, found, times), np.where(others, at, places)
            readers[others] = number
        return LineStamps(times, places, readers)

    def stamps(self, text: str) -> list[Stamp]:
        """The timestamps of all lines of `text`, at most one a line, in order."""
        found = list(_all(*self.readers[0], text, self.latest))
        if len(self.readers) > 1:
            by_line = {stamp.line: stamp for stamp in _all(*self.readers[1], text, self.latest)}
            by_line.update((stamp.line, stamp) for stamp in found)
            found = [by_line[line] for line in sorted(by_line)]
        return found


class _Lines(NamedTuple):
    """A text, one byte for each of its characters (`?` for those that Latin-1 lacks), and where its lines start."""

    text: str
    codes: NDArray[np.uint8]
    starts: Times

    @classmethod
    def of(cls, text: str) -> _Lines:
        codes = np.frombuffer(text.encode("latin-1", "replace"), np.uint8)
        return cls(text, codes, line_starts(codes))


class _Score(NamedTuple):
    """What a format makes of a sample: how many lines it reads, at which mean column, with which pattern."""

    lines: int
    column: float
    pattern: re.Pattern[str]
    form: Format
    are_read: NDArray[np.bool_]


def _best_score(forms: list[Format], sample: _Lines, latest: datetime) -> _Score:
    none = np.zeros(len(sample.starts), np.bool_)
    scores = [_Score(0, 0.0, forms[0].anchored, forms[0], none)]
    may_be = may_hold([NOTATIONS[form.name] for form in forms], sample.codes)
    for form in (form for form, may in zip(forms, may_be, strict=True) if may):
        scores.append(_score(form, sample, latest))
        if scores[-1].column == 0 and scores[-1].are_read.all():  # none of the others is better
            return scores[-1]
    return max(scores, key=lambda score: (score.lines, -score.column))


def _score(form: Format, sample: _Lines, latest: datetime) -> _Score:
    anchored = _moments(form.anchored, form, sample, latest)[0] != NONE
    if not anchored.all():
        times, places = _moments(form.within, form, sample, latest)
        are_read = times != NONE
        lines = int(are_read.sum())
        # Nearly all at the start: a stamp elsewhere is part of a message.
        if anchored.sum() < 0.9 * lines:
            column = int((places - sample.starts)[are_read].sum()) / lines
            return _Score(lines, column, form.within, form, are_read)
    return _Score(int(anchored.sum()), 0.0, form.anchored, form, anchored)


def _moments(pattern: re.Pattern[str], form: Format, lines: _Lines, latest: datetime) -> tuple[Times, Times]:
    """The moments of lines, or `NONE`, and where their stamps start."""
    if len(lines.starts) <= _FEW_LINES:
        times, places = np.full(len(lines.starts), DOUBT, np.int64), np.zeros(len(lines.starts), np.int64)
    else:
        anchored = pattern is form.anchored
        times, places = moments(NOTATIONS[form.name], lines.codes, lines.starts, latest, anchored=anchored)
    last, known = "", None
    for line in np.flatnonzero(times == DOUBT).tolist():
        match = pattern.match(lines.text, int(lines.starts[line]))
        if match is not None and match[1] != last:  # as in `_all`
            last, known = match[1], _time(match, form, latest)
        if match is None or known is None:
            times[line] = NONE
        else:
            times[line], places[line] = (known - _EPOCH) // _TICK, match.start(1)
    return times, places


def _read(pattern: re.Pattern[str], form: Format, line: str, latest: datetime) -> Stamp | None:
    match = pattern.match(line)
    time = None if match is None else _time(match, form, latest)
    return None if match is None or time is None else Stamp(0, match.start(1), match.end(1), time)


def _time(match: re.Match[str], form: Format, latest: datetime) -> datetime | None:
    try:
        return form.convert(match, latest)
    except (ValueError, OverflowError):
        return None


def _all(pattern: re.Pattern[str], form: Format, text: str, latest: datetime) -> Iterator[Stamp]:
    # Records of one second mostly have one stamp.
    last, time = "", None
    for match in pattern.finditer(text):
        written = match[1]
        if written != last:
            last, time = written, _time(match, form, latest)
        if time is not None:
            yield Stamp(match.start(), match.start(1), match.end(1), time)
