"""What deviates in one log: its volume, its levels, its templates and the numbers in them, at several scales.

The judgement on one array of numbers is in `log_deviations`; here series become such arrays, and runs get their exact
times, their weight and the lines that show them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.log_deviations import USUAL_RUNS, Run, count_runs, sharpened, value_runs
from mesh_assets.insights.log_scales import (
    PLOT_POINTS,
    WEIGHTS,
    Cells,
    Deviation,
    Plot,
    Scale,
    count_plot,
    scales_of,
    severity_of,
    strength_of,
    within,
)
from mesh_assets.insights.log_series import LogSeries, Numbers, Series
from mesh_assets.insights.log_slow_changes import longest_silences, rate_drifts

# Events beyond the expected that make a burst worth saying.
LEAST_ERRORS = 8
LEAST_EVENTS = 25
LEAST_VOLUME = 40
LEAST_NEW = 12
# A new message: chance that it falls where it did by itself, for all templates together.
_CHANCE = 1e-7
# What did not happen before weighs more than more of the same.
_NOVELTY = 1.25


def scan(log: LogSeries) -> list[Deviation]:
    """What deviates in `log`, strongest first; nothing where it has no times or is too short for a baseline."""
    scales = scales_of(log)
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
    found += longest_silences(log, found, scales[0])
    found += rate_drifts(log, found, scales[0])
    return sorted(found, key=lambda deviation: -deviation.strength)


def _least(severity: str) -> int:
    return {"error": LEAST_ERRORS, "warning": LEAST_ERRORS, "total": LEAST_VOLUME}.get(severity, LEAST_EVENTS)


def _count_deviations(log: LogSeries, series: Series, scales: list[Scale]) -> list[Deviation]:
    severity = severity_of(series)
    runs: list[tuple[Scale, Run]] = []
    cells = Cells.of(series.cells)
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


def _sharpened(run: Run, scale: Scale, finest: Scale, counts: NDArray[np.float64]) -> Run:
    """`run` of a coarse scale as a run of the finest, with the edges that can be seen there."""
    times = scale.width // finest.width
    length = (run.last - run.first + 1) * times
    first = (scale.first + run.first) * times - finest.first
    around = times if times > 1 else 0  # what strays need not begin with a coarse bucket
    low, high = max(0, first - around), min(finest.length - 1, first + length - 1 + around)
    first, last = sharpened(counts, low, high, run.observed / length, run.expected / length)
    observed = float(counts[first : last + 1].sum())
    return Run(first, last, observed, run.expected / length * (last - first + 1), run.z)


def _keep(runs: list[tuple[Scale, Run]], scale: Scale, run: Run) -> None:
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


def _count_deviation(log: LogSeries, series: Series, severity: str, scale: Scale, run: Run) -> Deviation:
    inside = within(series.cells, scale, run)
    weight = WEIGHTS[severity]
    if run.rises:
        # Stragglers just before the run belong to it: a message is new if nothing came long before.
        earliest = min(series.cells)
        is_first = earliest >= min(inside) - max(3, max(inside) - min(inside))
        # In the first slice of a log, what is there from the start was there before.
        is_late = bool(log.earlier) or run.first > 0.05 * scale.length
        is_new = is_first and is_late and not log.earlier.have(series.words)
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
        strength=strength_of(weight, ratio, excess),
        width=scale.width,
        is_new=is_new and series.name == "template",
        shown=tuple(shown),
        plot=count_plot(series, scale, run),
    )


def _value_deviations(
    log: LogSeries, series: Series, label: str, numbers: Numbers, scales: list[Scale]
) -> list[Deviation]:
    runs: list[tuple[Scale, Run]] = []
    cells = Cells.measured(numbers.cells)
    for scale in scales:
        for run in value_runs(*scale.measured(cells)):
            _keep(runs, scale, run)
    found: list[Deviation] = []
    for scale, run in runs:
        inside = within(numbers.cells, scale, run)
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
                severity=severity_of(series),
                start=series.cells[inside[0]].first.time if inside[0] in series.cells else scale.time(run.first),
                stop=max(series.cells[b].last if b in series.cells else 0.0 for b in inside)
                or scale.time(run.last + 1),
                observed=run.observed,
                expected=run.expected,
                strength=strength_of(WEIGHTS["shift"], (high + 1) / (low + 1), count),
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


def _new_templates(log: LogSeries, burst: set[int], scale: Scale) -> list[Deviation]:
    """Messages that were first seen late and are too many for chance, though no burst.

    Where earlier slices have the log, late is whatever they do not have.
    """
    begin, end = scale.time(0), scale.time(scale.length)
    span = end - begin
    found: list[Deviation] = []
    templates = log.templates
    held = [(cell.first.time, cell.last, cell.count) for cell in log.total.cells.values()]
    firsts, lasts, counts = np.array(held, np.float64).T
    for series in templates:
        severity = severity_of(series)
        if id(series) in burst or series.count < (5 if severity != "other" else LEAST_NEW):
            continue
        start, stop = min(c.first.time for c in series.cells.values()), max(c.last for c in series.cells.values())
        if (start < begin + 0.1 * span and not log.earlier) or start >= end or stop > end + scale.width:
            continue
        if log.earlier.have(series.words):
            continue
        late, dense = (end - start) / span, max(stop - start, scale.width) / span
        chance = min(series.count * math.log10(late), math.log10(series.count) + (series.count - 1) * math.log10(dense))
        share = series.count / max(1.0, float(counts[(start <= lasts) & (firsts <= stop)].sum()))
        if (chance > math.log10(_CHANCE / len(templates)) and not log.earlier) or (
            severity == "other" and (share < 0.02 or dense > 0.25)
        ):
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
                strength=strength_of(WEIGHTS[severity] * _NOVELTY, series.count + 1, series.count),
                width=scale.width,
                is_new=True,
                shown=tuple(series.cells[b].first for b in buckets),
                plot=count_plot(series, scale, run),
            )
        )
    ordinary = [deviation for deviation in found if deviation.severity == "other"]
    if len(ordinary) > USUAL_RUNS:  # a log that goes through phases, each with messages of its own
        found = [deviation for deviation in found if deviation.severity != "other"]
    return found
