"""Counts and measurements of one log by time, in bounded memory, each with a line of the log that shows it.

Time is cut into buckets whose width grows as the log proves longer. What deviates is decided in `log_deviations`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.known_templates import KnownTemplates, Room
from mesh_assets.insights.log_reader import LEVEL_NAMES, Events, Witness
from mesh_assets.insights.template_miner import Shape

# Seconds; each divides the next, so that a coarser bucket is made of whole finer ones.
WIDTHS = (1, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800)
# Buckets with records that are kept for a log: a busy day has buckets of 30 s.
MAX_BUCKETS = 6000
# Cells (bucket of one series) of one log: about 0.5 KiB each with the line that shows it.
MAX_CELLS = 60_000


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
    """The values under one label of a template. `rises` and `falls` tell counters from measurements."""

    cells: dict[int, Measured] = field(default_factory=dict[int, Measured])
    rises: int = 0
    falls: int = 0
    before: float = math.nan

    @property
    def is_counter(self) -> bool:
        """Whether the values go (nearly) only one way, as sequence numbers and uptimes do."""
        return min(self.rises, self.falls) < 0.05 * (self.rises + self.falls)

    def take(self, seen: _Seen, values: _Values, rows: NDArray[np.int64], buckets: NDArray[np.int64]) -> int:
        """Add the values in `rows`, which lie in `buckets`; how many cells are new."""
        steps = np.diff(values.values[rows], prepend=self.before)
        self.rises += int((steps > 0).sum())
        self.falls += int((steps < 0).sum())
        self.before = float(values.values[rows[-1]])
        order = np.argsort(buckets, kind="stable")
        held, logs = buckets[order], values.logs[rows[order]]
        begins = np.flatnonzero(np.diff(held, prepend=held[0] - 1))
        counts = np.diff(begins, append=len(order)).tolist()
        sums = [np.add.reduceat(part, begins).tolist() for part in (logs, logs * logs)]
        largest = np.maximum.reduceat(logs, begins)
        highest = np.flatnonzero(logs == np.repeat(largest, counts))
        shown = order[highest[np.searchsorted(highest, begins)]]  # of each bucket, the first of its largest
        seen_at = np.searchsorted(seen.events, values.events[rows[shown]]).tolist()
        new = 0
        for bucket, at, count, total, squares, most in zip(
            held[begins].tolist(), seen_at, counts, *sums, largest.tolist(), strict=True
        ):
            cell = self.cells.get(bucket)
            if cell is None:
                self.cells[bucket] = Measured(count, total, squares, most, seen.witness(at))
                new += 1
                continue
            if most > cell.largest:
                cell.largest, cell.shown = most, seen.witness(at)
            cell.count += count
            cell.total += total
            cell.squares += squares
        return new


@dataclass(slots=True)
class Series:
    """The events of one sort: all of a log, those of one level, or of one template."""

    name: str  # total, error, warning or template
    words: Shape = ()
    levels: dict[str, int] = field(default_factory=dict[str, int])
    count: int = 0
    coming: int = 0  # events of a new series that are not counted yet
    cells: dict[int, Cell] = field(default_factory=dict[int, Cell])
    numbers: dict[str, Numbers] = field(default_factory=dict[str, Numbers])

    @property
    def level(self) -> str:
        """The level that most of its events have."""
        return max(self.levels, key=self.levels.__getitem__) if self.levels else "none"

    def absorb(self, other: Series) -> None:
        """Take in another series of the same log."""
        self.count += other.count
        self.coming += other.coming
        for level, count in other.levels.items():
            self.levels[level] = self.levels.get(level, 0) + count
        _merge(self.cells, other.cells)
        for label, numbers in other.numbers.items():
            mine = self.numbers.setdefault(label, Numbers())
            _merge(mine.cells, numbers.cells)
            mine.rises += numbers.rises
            mine.falls += numbers.falls

    def take(self, seen: _Seen, members: NDArray[np.int64]) -> int:
        """Count some of the events seen; the number of cells that are new."""
        self.count += len(members)
        self.coming = 0
        return _counted(self.cells, seen, members)

    def count_levels(self, levels: NDArray[np.int64]) -> None:
        """Count the levels of events, as places in `LEVEL_NAMES`."""
        for level, count in enumerate(np.bincount(levels).tolist()):
            if count:
                self.levels[LEVEL_NAMES[level]] = self.levels.get(LEVEL_NAMES[level], 0) + count

    def measure(self, seen: _Seen, values: _Values, events: NDArray[np.int64]) -> int:
        """Take in the numbers of the series' events; how many cells are new."""
        firsts, lasts = (np.searchsorted(values.events, events, side=side) for side in ("left", "right"))
        counts = lasts - firsts
        if not counts.any():
            return 0
        inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(firsts, counts) + inside
        buckets = seen.buckets[np.searchsorted(seen.events, values.events[rows])]
        new = 0
        for number in np.unique(values.labels[rows]):
            chosen = np.flatnonzero(values.labels[rows] == number)
            label = values.label_list[int(number)]
            numbers = self.numbers.get(label)
            if numbers is None:
                numbers = self.numbers[label] = Numbers()
            new += numbers.take(seen, values, rows[chosen], buckets[chosen])
        return new


def _counted(cells: dict[int, Cell], seen: _Seen, members: NDArray[np.int64]) -> int:
    """Add events to cells by their buckets; how many cells are new."""
    if not len(members):
        return 0
    order = members[np.argsort(seen.buckets[members], kind="stable")]
    buckets, times = seen.buckets[order], seen.times[order]
    begins = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    counts = np.diff(begins, append=len(order)).tolist()
    lasts = np.maximum.reduceat(times, begins).tolist()
    new = 0
    for bucket, first, count, last in zip(buckets[begins].tolist(), order[begins].tolist(), counts, lasts, strict=True):
        cell = cells.get(bucket)
        if cell is None:
            cells[bucket] = Cell(count, last, seen.witness(first))
            new += 1
        else:
            cell.count += count
            cell.last = max(cell.last, last)
    return new


class _Seen:
    """The events with a time of one call: their buckets and times, and where each can be seen, made when asked for."""

    def __init__(self, events: Events, buckets: NDArray[np.int64], timed: NDArray[np.int64]) -> None:
        self.events = timed
        self.buckets = buckets
        self.times = events.times[timed]
        self._witness = events.witness
        self._made: dict[int, Witness] = {}

    def witness(self, place: int) -> Witness:
        """Where an event with a time can be seen; `place` counts those."""
        made = self._made.get(place)
        if made is None:
            made = self._made[place] = self._witness(int(self.events[place]))
        return made


class _Values(NamedTuple):
    """Measured values in the order of their events, and as log(1 + |value|)."""

    events: NDArray[np.int64]
    labels: NDArray[np.int64]
    label_list: list[str]
    values: NDArray[np.float64]
    logs: NDArray[np.float64]


def _values_of(events: Events) -> _Values:
    return _Values(events.measured, events.labels, events.label_list, events.values, np.log1p(np.abs(events.values)))


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
        self._templates = KnownTemplates(room, lambda shape: Series("template", shape))
        self._cells = 0

    def add(self, events: Events) -> None:
        """Count the next events."""
        self.records += len(events.times)
        for level, count in zip(LEVEL_NAMES, np.bincount(events.levels, minlength=4).tolist(), strict=True):
            if count:
                self.levels[level] = self.levels.get(level, 0) + count
        timed = np.flatnonzero(~np.isnan(events.times))
        if not len(timed):
            return
        seen = _Seen(events, np.floor(events.times[timed] / self.width).astype(np.int64), timed)
        numbers, series = self._templates.of(events.shapes[timed], events.shape_list)
        self._cells += self.total.take(seen, np.arange(len(timed)))
        for level, name in enumerate(LEVEL_NAMES[:2]):
            self._cells += self.by_level[name].take(seen, np.flatnonzero(events.levels[timed] == level))
        order = np.argsort(numbers, kind="stable")
        bounds = np.flatnonzero(np.diff(numbers[order], prepend=-2, append=-3))
        values = _values_of(events)
        for start, stop in pairwise(bounds.tolist()):
            members = order[start:stop]
            template = series[int(numbers[members[0]])]
            if template is not None:
                self._cells += template.take(seen, members)
                template.count_levels(events.levels[timed[members]])
                self._cells += template.measure(seen, values, timed[members])
        if self._cells > MAX_CELLS or len(self.total.cells) > MAX_BUCKETS:
            self._shrink()

    def _shrink(self) -> None:
        """Merge series, then widen the buckets while there are many, else drop the rarer half of the templates."""
        if self._cells > MAX_CELLS and self._count_cells() <= MAX_CELLS // 2:
            return
        if len(self.total.cells) > MAX_BUCKETS // 16:
            wider = next((width for width in WIDTHS if width > self.width), self.width * 8)
            factor = wider // self.width
            self.width = wider
            for series in self.all_series():
                series.cells = _coarser(series.cells, factor)
                for numbers in series.numbers.values():
                    numbers.cells = _coarser(numbers.cells, factor)
        else:
            self._templates.forget(len(self.templates) // 2)
        self._count_cells()

    def _count_cells(self) -> int:
        self._cells = sum(
            len(series.cells) + sum(len(numbers.cells) for numbers in series.numbers.values())
            for series in self.all_series()
        )
        return self._cells

    @property
    def templates(self) -> list[Series]:
        """The series of the templates that the shapes seen so far have."""
        return self._templates.merged()

    def all_series(self) -> list[Series]:
        """Total, levels and templates."""
        return [self.total, *self.by_level.values(), *self.templates]

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
