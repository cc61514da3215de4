"""The series of a log as arrays at several bucket widths, and what is said of one that strays: `Deviation`.

What strays is decided in `log_scan` and `log_slow_changes`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.log_deviations import Run
from mesh_assets.insights.log_reader import Witness
from mesh_assets.insights.log_series import WIDTHS, Cell, LogSeries, Measured, Series

# Buckets of a scale: fewer have no baseline, more only cost time.
MIN_BUCKETS = 16
MAX_BUCKETS = 6000
PLOT_POINTS = 240
# Seconds; a shorter log is a single episode, with nothing usual to compare with.
MIN_SPAN = 300
WEIGHTS = {"error": 1.0, "warning": 0.8, "total": 0.7, "other": 0.5, "shift": 1.2, "drift": 1.0, "silence": 0.9}
_SAYS_FATAL = re.compile(
    r"(?i)panic|fatal|out of memory|segfault|killed process|corrupt|exhausted|data loss|no space left"
)
_SAYS_ERROR = re.compile(
    r"(?i)error|exception|fail|fatal|panic|exhaust|refus|denied|timeout|timed out|unavailable|unreachable|abort|crash"
    r"|corrupt|cannot|unable|lost|killed|out of memory|overflow|reset by peer|rejected|deadlock|invalid|broken|critical"
)


@dataclass(frozen=True, slots=True)
class Plot:
    """A series to draw: times (seconds since 1970 UTC), values, the seconds of a step, first and last marked index."""

    times: tuple[float, ...]
    y: tuple[float, ...]
    seconds: float
    marked: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One series that strayed from `start` to `stop` (seconds since 1970 UTC, `stop` exclusive).

    `kind` is burst, silence, shift (of a measured value), drift (of a rate) or new. `observed` and `expected` are
    events, of a shift typical values. `width` is the bucket width in seconds of the scale it was found at.
    """

    source: str
    kind: str
    series: Series
    severity: str
    start: float
    stop: float
    observed: float
    expected: float
    strength: float
    width: int
    is_new: bool = False
    label: str = ""
    shown: tuple[Witness, ...] = ()
    plot: Plot = Plot((), (), 1.0, (0, 0))

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return max(self.stop - self.start, 1.0)


class Cells(NamedTuple):
    """Cells as arrays: their buckets, and columns of what they hold."""

    buckets: NDArray[np.int64]
    columns: NDArray[np.float64]

    @classmethod
    def of(cls, cells: Mapping[int, Cell]) -> Cells:
        """With the column of the counts."""
        counts = np.fromiter((cell.count for cell in cells.values()), np.float64, len(cells))
        return cls(np.fromiter(cells, np.int64, len(cells)), counts[None, :])

    @classmethod
    def measured(cls, cells: Mapping[int, Measured]) -> Cells:
        """With columns of counts, totals and squares."""
        columns = np.array([(cell.count, cell.total, cell.squares) for cell in cells.values()], np.float64).T
        return cls(np.fromiter(cells, np.int64, len(cells)), columns)


@dataclass(frozen=True, slots=True)
class Scale:
    """Buckets of `width` seconds: bucket `first` of the log is index 0; `factor` stored buckets make one."""

    width: int
    factor: int
    first: int
    length: int

    def counts(self, cells: Cells) -> NDArray[np.float64]:
        """Events by bucket."""
        return self._sum(cells.buckets, cells.columns[0])

    def measured(self, cells: Cells) -> tuple[NDArray[np.float64], ...]:
        """How many values, their mean and their mean square by bucket."""
        held = [self._sum(cells.buckets, column) for column in cells.columns]
        many = np.maximum(held[0], 1.0)
        return held[0], held[1] / many, held[2] / many

    def _sum(self, buckets: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        at = buckets // self.factor - self.first
        inside = (at >= 0) & (at < self.length)
        return np.bincount(at[inside], weights=values[inside], minlength=self.length).astype(np.float64)

    def time(self, index: int) -> float:
        """When bucket `index` begins."""
        return float((self.first + index) * self.width)


def scales_of(log: LogSeries) -> list[Scale]:
    """The scales at which a log can be looked at, finest first; none of a log without times or that is too short."""
    span = log.span()
    if span is None:
        return []
    widths = [log.width, *(width for width in WIDTHS if width > log.width)]
    scales: list[Scale] = []
    for width in widths:
        factor = width // log.width
        first, last = span[0] // factor, span[1] // factor
        # A bucket that the log covers in part only would look like a collapse.
        first += (span[0] - first * factor) > factor // 5
        last -= ((last + 1) * factor - 1 - span[1]) > factor // 5
        length = last - first + 1
        if MIN_BUCKETS <= length <= MAX_BUCKETS and length * width >= MIN_SPAN:
            scales.append(Scale(width, factor, first, length))
    return scales


def says_failure(series: Series) -> bool:
    """Whether the messages of a template report a failure: by their level, or by their words where there is none."""
    if series.level == "none":
        return _SAYS_ERROR.search(" ".join(series.words)) is not None
    return series.level == "error"


def severity_of(series: Series) -> str:
    """Error, warning or other, of all records total: a level where there is one, else what the words say."""
    if series.name != "template":
        return series.name
    if series.level in ("error", "warning"):
        return series.level
    text = " ".join(series.words)
    if series.level != "none":
        return "other"
    return "error" if _SAYS_FATAL.search(text) else "warning" if _SAYS_ERROR.search(text) else "other"


def strength_of(weight: float, ratio: float, excess: float) -> float:
    """How much a deviation is worth: it grows with the logarithms of how many times and of how many more came."""
    return weight * min(6.0, math.log2(max(ratio, 1.0))) * math.log10(1 + max(excess, 0.0))


def within(cells: Mapping[int, object], scale: Scale, run: Run) -> list[int]:
    """The stored buckets of a run, ascending."""
    low, high = (scale.first + run.first) * scale.factor, (scale.first + run.last + 1) * scale.factor
    return sorted(bucket for bucket in cells if low <= bucket < high)


def count_plot(series: Series, scale: Scale, run: Run) -> Plot:
    """The series around the whole log in at most `PLOT_POINTS` sums of neighbouring buckets."""
    counts = scale.counts(Cells.of(series.cells))
    step = -(-len(counts) // PLOT_POINTS)
    sums = np.add.reduceat(counts, np.arange(0, len(counts), step))
    return Plot(
        times=tuple(scale.time(i * step) for i in range(len(sums))),
        y=tuple(float(value) for value in sums),
        seconds=scale.width * step,
        marked=(run.first // step, run.last // step),
    )
