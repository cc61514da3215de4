"""Counts and measurements of one log by time, in bounded memory, each with a line of the log that shows it.

Time is cut into buckets whose width grows as the log proves longer. What deviates is decided in `log_deviations`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.byte_text import Places, widths
from mesh_assets.insights.earlier_templates import NO_EARLIER, EarlierTemplates
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

    def count_levels(self, counts: Sequence[int]) -> None:
        """Count events by their levels, in the order of `LEVEL_NAMES`."""
        self.count, self.coming = self.count + sum(counts), 0
        for level, count in zip(LEVEL_NAMES, counts, strict=True):
            if count:
                self.levels[level] = self.levels.get(level, 0) + count


class _Seen:
    """The events with a time of one call: which those are, their buckets, times and levels.

    Event `i` of them is of the template `held[numbers[i]]`, None where there was no room for it.
    """

    def __init__(self, events: Events, timed: Places, width: int, templates: KnownTemplates[Series]) -> None:
        self.times = events.times[timed]
        self.buckets = np.floor(self.times / width).astype(np.int64)
        self.levels = events.levels[timed]
        self.numbers, self.held = templates.of(events.shapes[timed], events.shape_list)
        self._told = np.flatnonzero(np.array([template is not None for template in self.held])[self.numbers])
        self._timed = timed
        self._witness = events.witness
        self._made: dict[int, Witness] = {}

    def witness(self, place: int) -> Witness:
        """Where an event can be seen, made when it is asked for."""
        made = self._made.get(place)
        if made is None:
            made = self._made[place] = self._witness(int(self._timed[place]))
        return made

    def count(self, levels: Sequence[Series], total: Series) -> int:
        """Count the events in their series: the total, those of the first levels, templates. How many cells are new."""
        series: list[Series | None] = [total, *levels, *self.held]
        parts = [np.arange(len(self.times)), *(np.flatnonzero(self.levels == level) for level in range(len(levels)))]
        numbers = [np.full(len(part), number) for number, part in enumerate(parts)]
        of: Places = np.concatenate((*numbers, len(parts) + self.numbers[self._told]))
        members: Places = np.concatenate((*parts, self._told))
        of_level = np.bincount(of * len(LEVEL_NAMES) + self.levels[members], minlength=len(series) * len(LEVEL_NAMES))
        for each, counts in zip(series, of_level.reshape(len(series), -1).tolist(), strict=True):
            if each is not None:
                each.count_levels(counts)
        order = np.lexsort((self.buckets[members], of))
        of, members = of[order], members[order]
        begins = _begins(of, self.buckets[members])
        firsts, lasts = members[begins], np.maximum.reduceat(self.times[members], begins).tolist()
        counts, buckets = widths(begins, len(of)).tolist(), self.buckets[firsts].tolist()
        new = 0
        for number, bucket, first, count, last in zip(
            of[begins].tolist(), buckets, firsts.tolist(), counts, lasts, strict=True
        ):
            cells = cast("Series", series[number]).cells
            cell = cells.get(bucket)
            if cell is None:
                cells[bucket] = Cell(count, last, self.witness(first))
                new += 1
            else:
                cell.count += count
                cell.last = max(cell.last, last)
        return new

    def measure(self, events: Events) -> int:
        """Take in the numbers of the templates' events; how many cells are new."""
        place = np.full(len(events.times), -1)
        place[self._timed[self._told]] = self._told
        rows = np.flatnonzero(place[events.measured] >= 0)
        if not len(rows):
            return 0
        at, labels, values = place[events.measured[rows]], events.labels[rows], events.values[rows]
        of = self.numbers[at]
        numbers, group_begins = self._numbers(of, labels, values, events.label_list)
        order = np.lexsort((self.buckets[at], labels, of))
        of, at, labels, logs = of[order], at[order], labels[order], np.log1p(np.abs(values[order]))
        begins = _begins(of, labels, self.buckets[at])
        counts = widths(begins, len(order))
        largest = np.maximum.reduceat(logs, begins)
        highest = np.flatnonzero(logs == np.repeat(largest, counts))
        shown = at[highest[np.searchsorted(highest, begins)]]  # of each bucket, the first of its largest
        groups = np.searchsorted(group_begins, begins, side="right") - 1
        totals, squared = (np.add.reduceat(part, begins).tolist() for part in (logs, logs * logs))
        of_group = zip(groups.tolist(), self.buckets[at[begins]].tolist(), shown.tolist(), strict=True)
        measured = zip(counts.tolist(), totals, squared, largest.tolist(), strict=True)
        new = 0
        for (group, bucket, seen), (count, total, squares, most) in zip(of_group, measured, strict=True):
            cells = numbers[int(group)].cells
            cell = cells.get(bucket)
            if cell is None:
                cells[bucket] = Measured(count, total, squares, most, self.witness(seen))
                new += 1
                continue
            if most > cell.largest:
                cell.largest, cell.shown = most, self.witness(seen)
            cell.count += count
            cell.total += total
            cell.squares += squares
        return new

    def _numbers(
        self, of: Places, labels: Places, values: NDArray[np.float64], label_list: list[str]
    ) -> tuple[list[Numbers], Places]:
        """The numbers that values are of, by template and label, and where those of each begin in that order.

        How they rise and fall from event to event is counted.
        """
        order = np.lexsort((labels, of))
        of, labels, values = of[order], labels[order], values[order]
        begins = _begins(of, labels)
        steps = np.zeros(len(values))
        np.subtract(values[1:], values[:-1], out=steps[1:])
        steps[begins] = 0
        ways: list[list[int]] = [
            np.add.reduceat(way.astype(np.int64), begins).tolist() for way in (steps > 0, steps < 0)
        ]
        lasts = values[begins + widths(begins, len(values)) - 1].tolist()
        named = zip(of[begins].tolist(), labels[begins].tolist(), strict=True)
        moved = zip(values[begins].tolist(), lasts, *ways, strict=True)
        found: list[Numbers] = []
        for (number, label), (first, last, rise, fall) in zip(named, moved, strict=True):
            numbers = cast("Series", self.held[number]).numbers.setdefault(label_list[int(label)], Numbers())
            numbers.rises += rise + (first > numbers.before)
            numbers.falls += fall + (first < numbers.before)
            numbers.before = last
            found.append(numbers)
        return found, begins


def _begins(*columns: Places) -> Places:
    """Where rows begin that are equal in all of some columns of at least one row, which are sorted."""
    changes = np.ones(len(columns[0]), np.bool_)
    changes[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.flatnonzero(changes)


def _merge(into: dict[int, C], cells: dict[int, C]) -> None:
    for bucket, cell in cells.items():
        known = into.get(bucket)
        if known is None:
            into[bucket] = cell
        else:
            known.add(cell)


class LogSeries:
    """All series of one log, filled event by event."""

    def __init__(self, source: str, room: Room, earlier: EarlierTemplates = NO_EARLIER) -> None:
        self.source = source
        self.earlier = earlier
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
        seen = _Seen(events, timed, self.width, self._templates)
        self._cells += seen.count(list(self.by_level.values()), self.total) + seen.measure(events)
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


def _main_span(buckets: Places, counts: Places) -> tuple[int, int]:
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
