"""What changes over a large part of one log: a silence longer than any other, a message that comes ever more often.

The judgement on arrays is in `log_deviations`; bursts and shifts are in `log_scan`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.log_deviations import DRIFT_PARTS, Run, drifts, ends_at_once, longest_gap
from mesh_assets.insights.log_scales import (
    WEIGHTS,
    Cells,
    Deviation,
    Scale,
    count_plot,
    severity_of,
    strength_of,
    within,
)
from mesh_assets.insights.log_series import LogSeries

# Events that a message needs for its longest silence and for its drift to mean anything; events missed in a silence.
LEAST_REGULAR, LEAST_DRIFTING, LEAST_MISSING = 50, 30, 15
# Seconds: what lasts longer is no rhythm of a day.
_OVER_RHYTHM = 2 * 86_400


def longest_silences(log: LogSeries, found: list[Deviation], scale: Scale) -> list[Deviation]:
    """Silences of all records or of a common message that are much longer than any other one of it."""
    begin, end = scale.time(0), scale.time(scale.length)
    silences: list[Deviation] = []
    for series in (log.total, *log.templates):
        if series.count < LEAST_REGULAR:
            continue
        cells = [series.cells[bucket] for bucket in sorted(series.cells)]
        gap = longest_gap(np.array([c.first.time for c in cells]), np.array([c.last for c in cells]))
        if gap is None:
            continue
        before, after = cells[gap - 1], cells[gap]
        start, stop = before.last, after.first.time
        length = stop - start
        # What came in as long a time on either side: at night less is missing than by day.
        beside = sum(c.count for c in cells if start - length <= c.last and c.first.time <= stop + length) / 2
        expected = min(beside, series.count * length / max(end - begin - length, 1.0))
        known = (d for d in found if d.series is series and d.kind == "silence")
        is_told = any(d.start < stop and d.stop > start for d in known)
        if is_told or expected < LEAST_MISSING or not 0 < length <= (end - begin) / 3:
            continue
        first, last = (min(max(int((t - begin) // scale.width), 0), scale.length - 1) for t in (start, stop))
        run = Run(first, last, 0.0, expected, 0.0)
        silences.append(
            Deviation(
                source=log.source,
                kind="silence",
                series=series,
                severity=severity_of(series),
                start=start,
                stop=stop,
                observed=0.0,
                expected=expected,
                strength=strength_of(WEIGHTS["silence"], expected + 1, expected),
                width=scale.width,
                shown=(before.first, after.first),
                plot=count_plot(series, scale, run),
            )
        )
    return silences


def rate_drifts(log: LogSeries, found: list[Deviation], scale: Scale) -> list[Deviation]:
    """Messages that came more often for a large part of the log, though at no moment in a burst."""
    series = [each for each in log.templates if each.count >= LEAST_DRIFTING]
    if not series or scale.length < 2 * DRIFT_PARTS:
        return []
    parts = np.stack([_in_parts(scale.counts(Cells.of(each.cells))) for each in series])
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
        inside = within(each.cells, scale, run)
        start, stop = each.cells[inside[0]].first.time, each.cells[inside[-1]].last
        is_told = any(d.series is each and d.start < stop and d.stop > start for d in found)
        if is_told or (stop - start < _OVER_RHYTHM and not ends_at_once(counts, first, last)):
            continue
        made.append(
            Deviation(
                source=log.source,
                kind="drift",
                series=each,
                severity=severity_of(each),
                start=start,
                stop=stop,
                observed=observed,
                expected=expected,
                strength=strength_of(WEIGHTS["drift"], (observed + 1) / (expected + 1), observed - expected),
                width=scale.width,
                shown=tuple(each.cells[bucket].first for bucket in inside[-3:]),
                plot=count_plot(each, scale, run),
            )
        )
    return made


def _in_parts(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = np.arange(DRIFT_PARTS) * len(counts) // DRIFT_PARTS
    return np.add.reduceat(counts, edges)
