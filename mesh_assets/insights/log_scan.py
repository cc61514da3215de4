"""What deviates in one log: its volume, its levels, its templates and the numbers in them, at several scales.

The judgement on one array of numbers is in `log_deviations`; here series become such arrays, and runs get their exact
times, their weight and the lines that show them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.log_deviations import (
    DRIFT_PARTS,
    USUAL_RUNS,
    Run,
    count_runs,
    drifts,
    ends_at_once,
    longest_gap,
    sharpened,
    value_runs,
)
from mesh_assets.insights.log_reader import Witness
from mesh_assets.insights.log_series import WIDTHS, Cell, LogSeries, Measured, Numbers, Series

# Buckets of a scale: fewer have no baseline, more only cost time.
MIN_BUCKETS = 16
MAX_BUCKETS = 6000
PLOT_POINTS = 240
# Events beyond the expected that make a burst worth saying.
LEAST_ERRORS = 8
LEAST_EVENTS = 25
LEAST_VOLUME = 40
LEAST_NEW = 12
# Events that a message needs for its longest silence and for its drift to mean anything; events missed in a silence.
LEAST_REGULAR, LEAST_DRIFTING, LEAST_MISSING = 50, 30, 15
# Seconds: what lasts longer is no rhythm of a day.
_OVER_RHYTHM = 2 * 86_400
# A log has many messages, each with a longest silence.
_TEMPLATE_GAP_CHANCE = 0.2
# A new message: chance that it falls where it did by itself, for all templates together.
_CHANCE = 1e-7
# Seconds; a shorter log is a single episode, with nothing usual to compare with.
MIN_SPAN = 300
_WEIGHTS = {"error": 1.0, "warning": 0.8, "total": 0.7, "other": 0.5, "shift": 1.2, "drift": 1.0, "silence": 0.9}
# What did not happen before weighs more than more of the same.
_NOVELTY = 1.25
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


class _Cells(NamedTuple):
    """Cells as arrays: their buckets, and columns of what they hold."""

    buckets: NDArray[np.int64]
    columns: NDArray[np.float64]

    @classmethod
    def of(cls, cells: Mapping[int, Cell]) -> _Cells:
        """With the column of the counts."""
        counts = np.fromiter((cell.count for cell in cells.values()), np.float64, len(cells))
        return cls(np.fromiter(cells, np.int64, len(cells)), counts[None, :])

    @classmethod
    def measured(cls, cells: Mapping[int, Measured]) -> _Cells:
        """With columns of counts, totals and squares."""
        columns = np.array([(cell.count, cell.total, cell.squares) for cell in cells.values()], np.float64).T
        return cls(np.fromiter(cells, np.int64, len(cells)), columns)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Buckets of `width` seconds: bucket `first` of the log is index 0; `factor` stored buckets make one."""

    width: int
    factor: int
    first: int
    length: int

    def counts(self, cells: _Cells) -> NDArray[np.float64]:
        """Events by bucket."""
        return self._sum(cells.buckets, cells.columns[0])

    def measured(self, cells: _Cells) -> tuple[NDArray[np.float64], ...]:
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


def scan(log: LogSeries) -> list[Deviation]:
    """What deviates in `log`, strongest first; nothing where it has no times or is too short for a baseline."""
    scales = _scales(log)
    if not scales:
        return []
    found: list[Deviation] = []
    for series in log.all_series():
        if series.count >= LEAST_ERRORS:
            found += _count_deviations(log, series, scales)
        if series.count >= 16:
            for label, numbers in series.numbers.items():
                if not numbers.is_counter:
                    found += _value_deviations(log, series, label, numbers, scales)
    burst = {id(deviation.series) for deviation in found if deviation.kind == "burst"}
    found += _new_templates(log, burst, scales[0])
    found += _longest_silences(log, found, scales[0])
    found += _drifts(log, found, scales[0])
    return sorted(found, key=lambda deviation: -deviation.strength)


def _scales(log: LogSeries) -> list[_Scale]:
    span = log.span()
    if span is None:
        return []
    widths = [log.width, *(width for width in WIDTHS if width > log.width)]
    scales: list[_Scale] = []
    for width in widths:
        factor = width // log.width
        first, last = span[0] // factor, span[1] // factor
        # A bucket that the log covers in part only would look like a collapse.
        first += (span[0] - first * factor) > factor // 5
        last -= ((last + 1) * factor - 1 - span[1]) > factor // 5
        length = last - first + 1
        if MIN_BUCKETS <= length <= MAX_BUCKETS and length * width >= MIN_SPAN:
            scales.append(_Scale(width, factor, first, length))
    return scales


def says_failure(series: Series) -> bool:
    """Whether the messages of a template report a failure: by their level, or by their words where there is none."""
    if series.level == "none":
        return _SAYS_ERROR.search(" ".join(series.words)) is not None
    return series.level == "error"


def _severity(series: Series) -> str:
    if series.name != "template":
        return series.name
    if series.level in ("error", "warning"):
        return series.level
    text = " ".join(series.words)
    if series.level != "none":
        return "other"
    return "error" if _SAYS_FATAL.search(text) else "warning" if _SAYS_ERROR.search(text) else "other"


def _least(severity: str) -> int:
    return {"error": LEAST_ERRORS, "warning": LEAST_ERRORS, "total": LEAST_VOLUME}.get(severity, LEAST_EVENTS)


def _strength(weight: float, ratio: float, excess: float) -> float:
    return weight * min(6.0, math.log2(max(ratio, 1.0))) * math.log10(1 + max(excess, 0.0))


def _count_deviations(log: LogSeries, series: Series, scales: list[_Scale]) -> list[Deviation]:
    severity = _severity(series)
    runs: list[tuple[_Scale, Run]] = []
    cells = _Cells.of(series.cells)
    every = [scale.counts(cells) for scale in scales]
    for scale, counts in zip(scales, every, strict=True):
        # Errors that come back now and then are still errors; anything else that does is a routine.
        usual = USUAL_RUNS if severity == "error" else USUAL_RUNS - 1
        for run in count_runs(counts, least=_least(severity), usual=usual):
            if run.rises or (run.first > 0 and (severity == "total" or series.name == "template")):
                _keep(runs, scale, run)
    finest, counts = scales[0], every[0]
    return [
        _count_deviation(log, series, severity, finest, _sharpened(run, scale, finest, counts)) for scale, run in runs
    ]


def _sharpened(run: Run, scale: _Scale, finest: _Scale, counts: NDArray[np.float64]) -> Run:
    """`run` of a coarse scale as a run of the finest, with the edges that can be seen there."""
    times = scale.width // finest.width
    length = (run.last - run.first + 1) * times
    first = (scale.first + run.first) * times - finest.first
    around = times if times > 1 else 0  # what strays need not begin with a coarse bucket
    low, high = max(0, first - around), min(finest.length - 1, first + length - 1 + around)
    first, last = sharpened(counts, low, high, run.observed / length, run.expected / length)
    observed = float(counts[first : last + 1].sum())
    return Run(first, last, observed, run.expected / length * (last - first + 1), run.z)


def _keep(runs: list[tuple[_Scale, Run]], scale: _Scale, run: Run) -> None:
    """Add a run of a coarser scale, unless a finer one shows it about as well and tells its time better."""
    start, stop = scale.time(run.first), scale.time(run.last + 1)
    same = [
        (finer, other)
        for finer, other in runs
        if finer.time(other.first) < stop and finer.time(other.last + 1) > start and other.rises == run.rises
    ]
    if any(other.z * 1.7 >= run.z for _, other in same):
        return
    for item in same:
        runs.remove(item)
    runs.append((scale, run))


def _count_deviation(log: LogSeries, series: Series, severity: str, scale: _Scale, run: Run) -> Deviation:
    inside = _within(series.cells, scale, run)
    weight = _WEIGHTS[severity]
    if run.rises:
        # Stragglers just before the run belong to it: a message is new if nothing came long before.
        earliest = min(series.cells)
        is_new = earliest >= min(inside) - max(3, max(inside) - min(inside)) and run.first > 0.05 * scale.length
        weight *= _NOVELTY if is_new and series.name == "template" else 1.0
        start = series.cells[earliest if is_new else min(inside)].first.time
        stop = max(series.cells[bucket].last for bucket in inside)
        shown = [series.cells[bucket].first for bucket in ([earliest] if is_new else []) + inside[:3]]
        ratio, excess, kind = (run.observed + 1) / (run.expected + 1), run.observed - run.expected, "burst"
    else:
        before = max((b for b in series.cells if b // scale.factor - scale.first < run.first), default=None)
        after = min((b for b in series.cells if b // scale.factor - scale.first > run.last), default=None)
        start = series.cells[before].last if before is not None else scale.time(run.first)
        stop = series.cells[after].first.time if after is not None else scale.time(run.last + 1)
        shown = [series.cells[bucket].first for bucket in (before, after) if bucket is not None]
        is_new, weight = False, 0.9 if series.name == "total" else 0.7
        ratio, excess, kind = (run.expected + 1) / (run.observed + 1), run.expected - run.observed, "silence"
    return Deviation(
        source=log.source,
        kind=kind,
        series=series,
        severity=severity,
        start=start,
        stop=stop,
        observed=run.observed,
        expected=run.expected,
        strength=_strength(weight, ratio, excess),
        width=scale.width,
        is_new=is_new and series.name == "template",
        shown=tuple(shown),
        plot=_count_plot(series, scale, run),
    )


def _within(cells: Mapping[int, object], scale: _Scale, run: Run) -> list[int]:
    low, high = (scale.first + run.first) * scale.factor, (scale.first + run.last + 1) * scale.factor
    return sorted(bucket for bucket in cells if low <= bucket < high)


def _count_plot(series: Series, scale: _Scale, run: Run) -> Plot:
    """The series around the whole log in at most `PLOT_POINTS` sums of neighbouring buckets."""
    counts = scale.counts(_Cells.of(series.cells))
    step = -(-len(counts) // PLOT_POINTS)
    sums = np.add.reduceat(counts, np.arange(0, len(counts), step))
    return Plot(
        times=tuple(scale.time(i * step) for i in range(len(sums))),
        y=tuple(float(value) for value in sums),
        seconds=scale.width * step,
        marked=(run.first // step, run.last // step),
    )


def _value_deviations(
    log: LogSeries, series: Series, label: str, numbers: Numbers, scales: list[_Scale]
) -> list[Deviation]:
    runs: list[tuple[_Scale, Run]] = []
    cells = _Cells.measured(numbers.cells)
    for scale in scales:
        for run in value_runs(*scale.measured(cells)):
            _keep(runs, scale, run)
    found: list[Deviation] = []
    for scale, run in runs:
        inside = _within(numbers.cells, scale, run)
        count = sum(numbers.cells[bucket].count for bucket in inside)
        high, low = max(run.observed, run.expected), min(run.observed, run.expected)
        witnesses = sorted((numbers.cells[b] for b in inside), key=lambda c: -c.largest)[:3]
        held, means, _ = scale.measured(cells)
        where = np.flatnonzero(held)
        step = -(-len(where) // PLOT_POINTS)
        found.append(
            Deviation(
                source=log.source,
                kind="shift",
                series=series,
                severity=_severity(series),
                start=series.cells[inside[0]].first.time if inside[0] in series.cells else scale.time(run.first),
                stop=max(series.cells[b].last if b in series.cells else 0.0 for b in inside)
                or scale.time(run.last + 1),
                observed=run.observed,
                expected=run.expected,
                strength=_strength(_WEIGHTS["shift"], (high + 1) / (low + 1), count),
                width=scale.width,
                label=label,
                shown=tuple(sorted((cell.shown for cell in witnesses), key=lambda w: w.time)),
                plot=Plot(
                    times=tuple(scale.time(int(i)) for i in where[::step]),
                    y=tuple(float(np.expm1(means[i])) for i in where[::step]),
                    seconds=scale.width,
                    marked=(int((where < run.first).sum()) // step, int((where < run.last).sum()) // step),
                ),
            )
        )
    return found


def _new_templates(log: LogSeries, burst: set[int], scale: _Scale) -> list[Deviation]:
    """Messages that were first seen late and are too many for chance, though no burst."""
    begin, end = scale.time(0), scale.time(scale.length)
    span = end - begin
    found: list[Deviation] = []
    templates = log.templates
    held = [(cell.first.time, cell.last, cell.count) for cell in log.total.cells.values()]
    firsts, lasts, counts = np.array(held, np.float64).T
    for series in templates:
        severity = _severity(series)
        if id(series) in burst or series.count < (5 if severity != "other" else LEAST_NEW):
            continue
        start, stop = min(c.first.time for c in series.cells.values()), max(c.last for c in series.cells.values())
        if start < begin + 0.1 * span or start >= end or stop > end + scale.width:
            continue
        late, dense = (end - start) / span, max(stop - start, scale.width) / span
        chance = min(series.count * math.log10(late), math.log10(series.count) + (series.count - 1) * math.log10(dense))
        share = series.count / max(1.0, float(counts[(start <= lasts) & (firsts <= stop)].sum()))
        if chance > math.log10(_CHANCE / len(templates)) or (severity == "other" and (share < 0.02 or dense > 0.25)):
            continue
        first, last = int((start - begin) // scale.width), int((stop - begin) // scale.width)
        run = Run(max(first, 0), min(last, scale.length - 1), series.count, 0.0, 0.0)
        buckets = sorted(series.cells)[:3]
        found.append(
            Deviation(
                source=log.source,
                kind="new",
                series=series,
                severity=severity,
                start=start,
                stop=stop,
                observed=series.count,
                expected=0.0,
                strength=_strength(_WEIGHTS[severity] * _NOVELTY, series.count + 1, series.count),
                width=scale.width,
                is_new=True,
                shown=tuple(series.cells[b].first for b in buckets),
                plot=_count_plot(series, scale, run),
            )
        )
    ordinary = [deviation for deviation in found if deviation.severity == "other"]
    if len(ordinary) > USUAL_RUNS:  # a log that goes through phases, each with messages of its own
        found = [deviation for deviation in found if deviation.severity != "other"]
    return found


def _longest_silences(log: LogSeries, found: list[Deviation], scale: _Scale) -> list[Deviation]:
    """Silences of all records or of a common message that are much longer than any other one of it."""
    begin, end = scale.time(0), scale.time(scale.length)
    silences: list[Deviation] = []
    for series in (log.total, *log.templates):
        if series.count < LEAST_REGULAR:
            continue
        cells = [series.cells[bucket] for bucket in sorted(series.cells)]
        gap = longest_gap(np.array([c.first.time for c in cells]), np.array([c.last for c in cells]))
        if gap is None or (series is not log.total and gap[1] > _TEMPLATE_GAP_CHANCE):
            continue
        before, after = cells[gap[0] - 1], cells[gap[0]]
        start, stop = before.last, after.first.time
        expected = series.count * (stop - start) / max(end - begin - (stop - start), 1.0)
        known = (d for d in found if d.series is series and d.kind == "silence")
        is_told = any(d.start < stop and d.stop > start for d in known)
        if is_told or expected < LEAST_MISSING or not 0 < stop - start <= (end - begin) / 3:
            continue
        run = Run(
            *(min(max(int((time - begin) // scale.width), 0), scale.length - 1) for time in (start, stop)),
            0,
            expected,
            0,
        )
        silences.append(
            Deviation(
                source=log.source,
                kind="silence",
                series=series,
                severity=_severity(series),
                start=start,
                stop=stop,
                observed=0.0,
                expected=expected,
                strength=_strength(_WEIGHTS["silence"], expected + 1, expected),
                width=scale.width,
                shown=(before.first, after.first),
                plot=_count_plot(series, scale, run),
            )
        )
    return silences


def _drifts(log: LogSeries, found: list[Deviation], scale: _Scale) -> list[Deviation]:
    """Messages that came more often for a large part of the log, though at no moment in a burst."""
    series = [each for each in log.templates if each.count >= LEAST_DRIFTING]
    if not series or scale.length < 2 * DRIFT_PARTS:
        return []
    parts = np.stack([_in_parts(scale.counts(_Cells.of(each.cells))) for each in series])
    made: list[Deviation] = []
    for each, counts, drift in zip(series, parts, drifts(parts), strict=True):
        if drift is None:
            continue
        first, last, _ = drift
        length = last - first + 1
        observed = float(counts[first : last + 1].sum())
        expected = float(counts.sum() - observed) * length / (DRIFT_PARTS - length)
        run = Run(
            first * scale.length // DRIFT_PARTS, ((last + 1) * scale.length - 1) // DRIFT_PARTS, observed, expected, 0
        )
        inside = _within(each.cells, scale, run)
        start, stop = each.cells[inside[0]].first.time, each.cells[inside[-1]].last
        is_told = any(d.series is each and d.start < stop and d.stop > start for d in found)
        if is_told or (stop - start < _OVER_RHYTHM and not ends_at_once(counts, first, last)):
            continue
        made.append(
            Deviation(
                source=log.source,
                kind="drift",
                series=each,
                severity=_severity(each),
                start=start,
                stop=stop,
                observed=observed,
                expected=expected,
                strength=_strength(_WEIGHTS["drift"], (observed + 1) / (expected + 1), observed - expected),
                width=scale.width,
                shown=tuple(each.cells[bucket].first for bucket in inside[-3:]),
                plot=_count_plot(each, scale, run),
            )
        )
    return made


def _in_parts(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = np.arange(DRIFT_PARTS) * len(counts) // DRIFT_PARTS
    return np.add.reduceat(counts, edges)
