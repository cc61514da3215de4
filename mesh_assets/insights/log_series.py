"""Counts and measurements of one log by time, in bounded memory, each with a line of the log that shows it.

Time is cut into buckets whose width grows as the log proves longer. What deviates is decided in `log_deviations`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.log_reader import Event, Witness
from mesh_assets.insights.log_templates import Room, TemplateTable

# Seconds; each divides the next, so that a coarser bucket is made of whole finer ones.
WIDTHS = (1, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800)
# Buckets with records that are kept for a log: a busy day has buckets of 30 s.
MAX_BUCKETS = 6000
# Cells (bucket of one series) of one log: about 0.5 KiB each with the line that shows it.
MAX_CELLS = 60_000
MAX_TEMPLATES = 2000


@dataclass(slots=True)
class Cell:
    """What one series has in one bucket: events, the moment of the last one, the first one's line."""

    count: int
    last: float
    first: Witness

    def add(self, other: Cell) -> None:
        """Take in another bucket's cell."""
        self.count += other.count
        self.last = max(self.last, other.last)
        if other.first.time < self.first.time:
            self.first = other.first


@dataclass(slots=True)
class Measured:
    """The values of one number of a template in one bucket, as log(1 + |value|), with the line of the largest."""

    count: int
    total: float
    squares: float
    largest: float
    shown: Witness

    def add(self, other: Measured) -> None:
        """Take in another bucket's values."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        if other.largest > self.largest:
            self.largest, self.shown = other.largest, other.shown


C = TypeVar("C", Cell, Measured)


@dataclass(slots=True)
class Numbers:
    """The values at one place of a template. `rises` and `falls` tell counters from measurements."""

    cells: dict[int, Measured] = field(default_factory=dict[int, Measured])
    rises: int = 0
    falls: int = 0
    before: float = math.nan

    @property
    def is_counter(self) -> bool:
        """Whether the values go (nearly) only one way, as sequence numbers and uptimes do."""
        return min(self.rises, self.falls) < 0.05 * (self.rises + self.falls)


@dataclass(slots=True)
class Series:
    """The events of one sort: all of a log, those of one level, or of one template."""

    name: str  # total, error, warning or template
    words: tuple[str, ...] = ()
    levels: dict[str, int] = field(default_factory=dict[str, int])
    count: int = 0
    cells: dict[int, Cell] = field(default_factory=dict[int, Cell])
    numbers: dict[int, Numbers] = field(default_factory=dict[int, Numbers])

    @property
    def level(self) -> str:
        """The level that most of its events have."""
        return max(self.levels, key=self.levels.__getitem__) if self.levels else "none"

    def absorb(self, other: Series) -> None:
        """Take in another series of the same log."""
        self.count += other.count
        for level, count in other.levels.items():
            self.levels[level] = self.levels.get(level, 0) + count
        _merge(self.cells, other.cells)
        for place, numbers in other.numbers.items():
            mine = self.numbers.setdefault(place, Numbers())
            _merge(mine.cells, numbers.cells)
            mine.rises += numbers.rises
            mine.falls += numbers.falls


def _merge(into: dict[int, C], cells: dict[int, C]) -> None:
    for bucket, cell in cells.items():
        known = into.get(bucket)
        if known is None:
            into[bucket] = cell
        else:
            known.add(cell)


class LogSeries:
    """All series of one log, filled event by event."""

    def __init__(self, source: str, room: Room) -> None:
        self.source = source
        self.width = WIDTHS[0]
        self.levels: dict[str, int] = {}
        self.records = 0
        self.total = Series("total")
        self.by_level = {"error": Series("error"), "warning": Series("warning")}
        self.templates: dict[int, Series] = {}
        self._table = TemplateTable(room)
        self._cells = 0

    def add(self, event: Event) -> None:
        """Count one event."""
        self.records += 1
        self.levels[event.level] = self.levels.get(event.level, 0) + 1
        if event.time is None:
            return
        bucket = int(event.time // self.width)
        template = self._template(event)
        shown: Witness | None = None
        for series in (self.total, self.by_level.get(event.level), template):
            if series is None:
                continue
            series.count += 1
            cell = series.cells.get(bucket)
            if cell is None:
                shown = shown or event.witness()
                series.cells[bucket] = Cell(1, event.time, shown)
                self._cells += 1
            else:
                cell.count += 1
                if event.time > cell.last:
                    cell.last = event.time
        if template is not None:
            template.levels[event.level] = template.levels.get(event.level, 0) + 1
            for place, value in event.numbers:
                self._measure(template, place, value, bucket, event, shown)
        if self._cells > MAX_CELLS or len(self.total.cells) > MAX_BUCKETS:
            self._shrink()

    def _template(self, event: Event) -> Series | None:
        number, merged = self._table.find(event.words)
        if number is None:
            return None
        series = self.templates.get(number)
        if series is None:
            series = self.templates[number] = Series("template", self._table.words[number])
        for old in merged:
            other = self.templates.pop(old, None)
            if other is not None:
                series.absorb(other)
        if len(self.templates) > MAX_TEMPLATES:  # the rarest would be found by no detector
            common = {n: s for n, s in self.templates.items() if s.count > 1 or n == number}
            self.templates = dict(list(common.items())[-MAX_TEMPLATES:])
            self.templates[number] = series
        return series

    def _measure(
        self, series: Series, place: int, value: float, bucket: int, event: Event, shown: Witness | None
    ) -> None:
        numbers = series.numbers.get(place)
        if numbers is None:
            numbers = series.numbers[place] = Numbers()
        numbers.rises += value > numbers.before
        numbers.falls += value < numbers.before
        numbers.before = value
        log = math.log1p(abs(value))
        cell = numbers.cells.get(bucket)
        if cell is None:
            numbers.cells[bucket] = Measured(1, log, log * log, log, shown or event.witness())
            self._cells += 1
            return
        cell.count += 1
        cell.total += log
        cell.squares += log * log
        if log > cell.largest:
            cell.largest, cell.shown = log, shown or event.witness()

    def _shrink(self) -> None:
        """Widen the buckets while there are many, else drop the rarer half of the templates."""
        if len(self.total.cells) > MAX_BUCKETS // 16:
            wider = next((width for width in WIDTHS if width > self.width), self.width * 8)
            factor = wider // self.width
            self.width = wider
            for series in self.all_series():
                series.cells = _coarser(series.cells, factor)
                for numbers in series.numbers.values():
                    numbers.cells = _coarser(numbers.cells, factor)
        else:
            ranked = sorted(self.templates.items(), key=lambda item: -item[1].count)
            self.templates = dict(ranked[: len(ranked) // 2])
        self._cells = sum(
            len(series.cells) + sum(len(numbers.cells) for numbers in series.numbers.values())
            for series in self.all_series()
        )

    def all_series(self) -> list[Series]:
        """Total, levels and templates."""
        return [self.total, *self.by_level.values(), *self.templates.values()]

    def span(self) -> tuple[int, int] | None:
        """First and last bucket of the log, far outliers (a clock that was wrong) left out; None without times."""
        if not self.total.cells:
            return None
        buckets = np.array(sorted(self.total.cells), dtype=np.int64)
        counts = np.array([self.total.cells[int(b)].count for b in buckets])
        return _main_span(buckets, counts)


def _coarser(cells: dict[int, C], factor: int) -> dict[int, C]:
    merged: dict[int, C] = {}
    for bucket, cell in cells.items():
        known = merged.get(bucket // factor)
        if known is None:
            merged[bucket // factor] = cell
        else:
            known.add(cell)
    return merged


# Records at one end that lie further away than all others span, and are fewer than this share, have a wrong time.
_STRAY_SHARE = 0.005


def _main_span(buckets: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[int, int]:
    first, last = 0, len(buckets) - 1
    total = int(counts.sum())
    while first < last:
        gaps = np.diff(buckets[first : last + 1])
        widest = int(gaps.argmax())
        cut = first + widest + 1
        left, right = int(counts[first:cut].sum()), int(counts[cut : last + 1].sum())
        rest = int(buckets[last] - buckets[first]) - int(gaps[widest])
        if gaps[widest] <= 2 * rest + 2 or min(left, right) > _STRAY_SHARE * total:
            break
        first, last = (cut, last) if left < right else (first, cut - 1)
    return int(buckets[first]), int(buckets[last])
