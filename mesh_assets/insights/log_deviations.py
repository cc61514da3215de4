"""What deviates in one series of counts or values: bursts, silences and shifts against a robust baseline.

Counts are compared as square roots, where Poisson noise is the same at every rate (Anscombe 1948); the noise of a
series is estimated from the differences of neighbouring buckets, so that a series that is bursty by nature is judged
by its own burstiness and a long incident does not hide itself. Each series is looked at with several bucket widths.
How deviations become one finding belongs to `log_incidents`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Standard deviations that start a run. Six leave about one false start in a billion buckets of honest noise; real
# noise has heavier tails, which the effect sizes below answer for.
SEED = 6.0
# A trend: blocks of the log, and the rank correlation of their levels with time.
_TREND_BLOCKS = 12
_MONOTONE = 0.9
# A run goes on while it stays this far out ...
EXTEND = 2.5
# ... and over gaps of this many buckets.
BRIDGE = 1
# What a person would call a burst, a collapse, a jump: observed against expected.
BURST_RATIO = 3.0
SILENCE_RATIO = 0.2
SHIFT_RATIO = 1.8
# The noise of the square root of a Poisson count.
_POISSON = 0.5
# Blocks of the local baseline: a day in blocks of an hour follows day and night.
_BLOCKS = 24
# A series that strays more often than this, each time at least half as far, does so by nature.
USUAL_RUNS = 3
DWARFS = 2.0
# Standard deviations at which a stretch has left the noise.
_LEAVES = 3.5
# A bucket cannot hold less than nothing: where few events are usual, a silence shows by its length. Such a lull starts
# and goes on at these standard deviations, and counts once the whole of it is as unlikely as this.
_LULL = (1.5, 1.0)
QUIET = 8.0
# Of all buckets those of the longest silence, and of the others those that may be empty; so many must hold an event.
_LONGEST_SILENCE, _EMPTY = 0.6, 0.1
_LEAST_FILLED = 0.99 * (1 - _LONGEST_SILENCE) * (1 - _EMPTY)


# The longest of all gaps between events is a silence where it is this many times the second longest, and so much longer
# by this chance only, as the others are spread; so many of the longest tell how they are.
GAP_RATIO, GAP_CHANCE = 1.5, 0.2
_GAPS = 10
# Parts of a log among which a drift is looked for, shares of them that it may take, how it must stand out of the noise
# between the parts, and how many times more must come.
DRIFT_PARTS = 40
_DRIFT_SHARES = (0.1, 0.5)
_DRIFT_Z = 5.0
DRIFT_RATIO = 2.5
# Two parts of a log inside and outside of what ends at once.
EDGE_RATIO, EDGE_EVENTS = 3.0, 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """Buckets `first` to `last` (inclusive) in which a series strays. `z` is the strength of the whole run.

    `observed` and `expected` are events for counts, typical values for measurements.
    """

    first: int
    last: int
    observed: float
    expected: float
    z: float

    @property
    def rises(self) -> bool:
        """Whether it strays upwards."""
        return self.observed > self.expected


def count_runs(counts: Floats, *, least: int, usual: int = USUAL_RUNS) -> list[Run]:
    """The runs of a series of counts that stand out, bursts and silences; `least` is the excess that a burst needs.

    A silence needs a series that was regular: no more than a tenth of the buckets outside of it may be empty. More
    than `usual` runs that are alike are the nature of the series, and none of them stands out.
    """
    total = float(counts.sum())
    # Directions in which no run can stand out need not be looked at: too few events for a burst, in all or in any
    # bucket, too many empty buckets outside of any silence.
    may_fall = total >= _LEAST_FILLED * len(counts)
    if not may_fall and (total < least or not _may_rise(counts, _POISSON)):
        return []
    roots = np.sqrt(counts + 0.375)
    noise = _noise(roots)
    signs = [1.0] * (total >= least and _may_rise(counts, noise)) + [-1.0] * may_fall
    if not signs:
        return []
    runs: list[Run] = []
    excursions: dict[bool, list[float]] = {True: [], False: []}
    for baseline, sharp in ((_local_baseline(counts), False), (np.full_like(counts, np.median(counts)), True)):
        z = (roots - np.sqrt(baseline + 0.375)) / noise
        for sign in signs:
            for first, last in _stretches(sign * z, *((_LEAVES, EXTEND) if sign > 0 else _LULL)):
                observed, expected = float(counts[first : last + 1].sum()), float(baseline[first : last + 1].sum())
                run = Run(first, last, observed, expected, _run_z(observed, expected, noise))
                if not sharp:
                    excursions[run.rises].append(run.z)
                stands_out = _is_burst(run, counts, least) if run.rises else _is_silence(run, counts)
                seeded = float((sign * z[first : last + 1]).max()) >= SEED or (sign < 0 and run.z >= QUIET)
                if stands_out and seeded and (not sharp or _has_edges(counts, run)):
                    runs.append(run)
    return _unusual(_distinct(runs), excursions, usual)


def sharpened(counts: Floats, first: int, last: int, observed: float, expected: float) -> tuple[int, int]:
    """The buckets within `first` to `last` (inclusive) where the run really lies, told by finer buckets.

    `observed` and `expected` are events a bucket. The stretch with the greatest sum of what is above (of a silence,
    below) a level between the two; of sparse events the gaps between them belong to the run.
    """
    part = counts[first : last + 1]
    rises = observed > expected
    excess = part - (expected + 0.25 * (observed - expected)) if rises else (observed + expected) / 2 - part
    sums = np.concatenate(([0.0], np.cumsum(excess)))
    lowest = np.minimum.accumulate(sums[:-1])
    stop = int(np.argmax(sums[1:] - lowest))
    start = int(np.argmin(sums[: stop + 1]))
    return first + start, first + stop


def longest_gap(firsts: Floats, lasts: Floats) -> int | None:
    """The place before which the longest gap is, where it is one that does not fit the others.

    `firsts` and `lasts` are the moments of the first and last event of each bucket, ascending. The long gaps are taken
    to be spread as a power of their length, whose exponent they tell (Hill 1975): the cautious of the usual shapes.
    """
    if len(firsts) < 3 * _GAPS:
        return None
    gaps = firsts[1:] - lasts[:-1]
    longest = int(gaps.argmax())
    others = np.sort(np.delete(gaps, longest))[::-1][: _GAPS + 1]
    if gaps[longest] < GAP_RATIO * max(others[0], 1.0) or others[-1] <= 0:
        return None
    spread = float(np.log(others[:-1] / others[-1]).mean())
    chance = float(others[0] / gaps[longest]) ** (1 / max(spread, 0.05))
    return longest + 1 if chance <= GAP_CHANCE else None


def drifts(counts: Floats) -> list[tuple[int, int, float] | None]:
    """Of each row of counts by part of a log (series, `DRIFT_PARTS`) the parts in which far more came, and how far out.

    First and last part, inclusive, and standard errors (Welch 1947) of the difference of the mean square roots inside
    and outside: many parts must agree, so that a short burst is none.
    """
    roots = np.sqrt(counts + 0.375)
    low, high = (round(share * DRIFT_PARTS) for share in _DRIFT_SHARES)
    firsts, sizes = (each.ravel() for each in np.meshgrid(np.arange(DRIFT_PARTS), np.arange(low, high + 1)))
    fits = (firsts + sizes <= DRIFT_PARTS) & (firsts > 0)
    firsts, sizes = firsts[fits], sizes[fits]
    rest = DRIFT_PARTS - sizes
    sums, squares, events = (
        np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0))) for values in (roots, roots * roots, counts)
    )
    inside, inside_squares, came = (each[:, firsts + sizes] - each[:, firsts] for each in (sums, squares, events))
    mean, other = inside / sizes, (sums[:, -1:] - inside) / rest
    spread = np.maximum(inside_squares / sizes - mean**2, _POISSON**2) / sizes
    spread += np.maximum((squares[:, -1:] - inside_squares) / rest - other**2, _POISSON**2) / rest
    z = (mean - other) / np.sqrt(spread)
    z[came / sizes < DRIFT_RATIO * (events[:, -1:] - came + 1) / rest] = 0.0
    best = z.argmax(axis=1)
    found = zip(best.tolist(), z.max(axis=1).tolist(), strict=True)
    return [(int(firsts[at]), int(firsts[at] + sizes[at]) - 1, far) if far >= _DRIFT_Z else None for at, far in found]


def ends_at_once(counts: Floats, first: int, last: int) -> bool:
    """Whether what came more often in `first` to `last` (inclusive) begins or ends within a bucket, unlike a day."""
    inner = counts[first : first + 2].sum(), counts[last - 1 : last + 1].sum()
    outer = counts[max(first - 2, 0) : first].sum(), counts[last + 1 : last + 3].sum()
    has_outer = first >= 2, last + 2 < len(counts)
    return any(
        there and inside >= EDGE_RATIO * outside + EDGE_EVENTS
        for inside, outside, there in zip(inner, outer, has_outer, strict=True)
    )


def value_runs(numbers: Floats, means: Floats, squares: Floats) -> list[Run]:
    """The runs in which measured values shift: arrays by bucket of how many, mean and mean square of log(1 + value).

    Empty buckets have a count of 0 and are skipped. Observed and expected are the values themselves, typical ones.
    """
    held = np.flatnonzero(numbers > 0)
    if len(held) < 8:
        return []
    n, mean = numbers[held], means[held]
    base = _weighted_median(mean, n)
    within = np.sqrt(max(_weighted_median(np.maximum(squares[held] - mean**2, 0.0)[n > 1], n[n > 1]), 1e-6))
    # What is left of the spread of the buckets after the noise of their means.
    seen = (1.4826 * _weighted_median(np.abs(mean - base), n)) ** 2
    between = math.sqrt(max(seen - within**2 / float(np.median(n)), 0.0))
    z = (mean - base) / np.sqrt(within**2 / n + between**2 + 1e-4)
    runs: list[Run] = []
    excursions: dict[bool, list[float]] = {True: [], False: []}
    for sign in (1.0, -1.0):
        for first, last in _stretches(sign * z, _LEAVES, EXTEND):
            part = slice(first, last + 1)
            many, shifted = float(n[part].sum()), float(np.average(mean[part], weights=n[part]))
            spread = math.sqrt(within**2 / many + between**2 / (last - first + 1) + 1e-4)
            run = Run(
                int(held[first]), int(held[last]), math.expm1(shifted), math.expm1(base), abs(shifted - base) / spread
            )
            excursions[run.rises].append(run.z)
            # What drifts is judged by where it gets to.
            reached = float(np.quantile(sign * (mean[part] - base), 0.9))
            far = reached >= math.log(SHIFT_RATIO) and float((sign * z[part]).max()) >= SEED
            if far and 5 <= many <= n.sum() / 2:
                runs.append(run)
    return _unusual(_distinct(runs), excursions, USUAL_RUNS) or _trend(n, mean, held)


def _trend(numbers: Floats, means: Floats, held: NDArray[np.int64]) -> list[Run]:
    """A value that climbs or falls nearly all the time, so that no level of it is the usual one."""
    if len(held) < 2 * _TREND_BLOCKS:
        return []
    parts = np.array_split(np.arange(len(held)), _TREND_BLOCKS)
    levels = np.array([np.average(means[part], weights=numbers[part]) for part in parts])
    ranks = np.argsort(np.argsort(levels)).astype(float)
    monotone = abs(float(np.corrcoef(ranks, np.arange(_TREND_BLOCKS))[0, 1]))
    start, end = float(levels[:2].mean()), float(levels[-2:].mean())
    if monotone < _MONOTONE or abs(end - start) < math.log(SHIFT_RATIO) or numbers.sum() < 10 * _TREND_BLOCKS:
        return []
    # Where it has left its first level by a fifth of the way.
    left = int((np.abs(levels - start) < 0.2 * abs(end - start)).sum())
    first = int(parts[min(left, _TREND_BLOCKS - 1)][0])
    return [Run(int(held[first]), int(held[-1]), math.expm1(end), math.expm1(start), SEED)]


def _weighted_median(values: Floats, weights: Floats) -> float:
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    middle = int((np.cumsum(weights[order]) < weights.sum() / 2).sum())
    return float(values[order][min(middle, len(values) - 1)])


def _noise(roots: Floats) -> float:
    """Standard deviation of a bucket, from differences of neighbours; their 95th percentile counts burstiness in."""
    if len(roots) < 3:
        return _POISSON
    differences = np.abs(np.diff(roots)) / math.sqrt(2)
    return max(_POISSON, float(np.quantile(differences, 0.95)) / 1.96)


def _local_baseline(counts: Floats) -> Floats:
    """Medians of blocks, smoothed over five and joined by lines: follows a day, ignores what lasts a tenth of it."""
    many = min(_BLOCKS, max(1, len(counts) // 4))
    length, longer = divmod(len(counts), many)
    cut = longer * (length + 1)  # as numpy splits: the first blocks have one more
    medians = np.concatenate(
        (
            np.median(counts[:cut].reshape(longer, length + 1), axis=1),
            np.median(counts[cut:].reshape(many - longer, length), axis=1),
        )
    )
    padded = np.pad(medians, 2, mode="reflect" if len(medians) > 2 else "edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    sizes = np.full(many, length)
    sizes[:longer] += 1
    edges = np.concatenate(([0], np.cumsum(sizes)))
    return np.interp(np.arange(len(counts)) + 0.5, (edges[:-1] + edges[1:]) / 2, smooth)


def _stretches(z: Floats, seed: float, extend: float) -> list[tuple[int, int]]:
    """Stretches (inclusive) that hold a bucket beyond `seed`, with their neighbours beyond `extend`."""
    seeds = np.flatnonzero(z >= seed)
    if not len(seeds):
        return []
    far = np.flatnonzero(z >= extend)
    breaks = np.flatnonzero(np.diff(far) > BRIDGE + 1)
    firsts, lasts = far[np.concatenate(([0], breaks + 1))], far[np.concatenate((breaks, [len(far) - 1]))]
    inside = np.searchsorted(seeds, lasts, side="right") > np.searchsorted(seeds, firsts, side="left")
    return [(int(first), int(last)) for first, last in zip(firsts[inside], lasts[inside], strict=True)]


def _run_z(observed: float, expected: float, noise: float) -> float:
    return abs(math.sqrt(observed + 0.375) - math.sqrt(expected + 0.375)) / noise


def _may_rise(counts: Floats, noise: float) -> bool:
    """Whether a run upwards may start anywhere, whatever the baseline."""
    return math.sqrt(float(counts.max()) + 0.375) - math.sqrt(0.375) >= SEED * noise


def _is_burst(run: Run, counts: Floats, least: int) -> bool:
    length = run.last - run.first + 1
    return (
        run.observed - run.expected >= least
        and run.observed >= BURST_RATIO * (run.expected + 1)
        and length <= len(counts) / 2
    )


def _is_silence(run: Run, counts: Floats) -> bool:
    outside = np.concatenate((counts[: run.first], counts[run.last + 1 :]))
    length = run.last - run.first + 1
    return (
        length <= _LONGEST_SILENCE * len(counts)
        and run.observed <= SILENCE_RATIO * run.expected
        and len(outside) >= 8
        and run.expected >= 20
        and float((outside == 0).mean()) <= _EMPTY
    )


def _has_edges(counts: Floats, run: Run) -> bool:
    """Whether a run begins or ends at once, unlike the slow change of a day. The ends of the log are no edges."""
    step = max(1, min((run.last - run.first + 1) // 2, len(counts) // _BLOCKS))
    inner_left = counts[run.first : run.first + step].mean()
    inner_right = counts[run.last + 1 - step : run.last + 1].mean()
    edges: list[bool] = []
    for inner, outer in (
        (inner_left, counts[max(0, run.first - step) : run.first]),
        (inner_right, counts[run.last + 1 : run.last + 1 + step]),
    ):
        if len(outer):
            low, high = sorted((float(inner), float(outer.mean())))
            edges.append(high >= 2 * low + 1 / step)
    return bool(edges) and all(edges)


def _distinct(runs: list[Run]) -> list[Run]:
    """The strongest of runs that overlap."""
    kept: list[Run] = []
    for run in sorted(runs, key=lambda r: -r.z):
        if all(run.last < other.first or run.first > other.last for other in kept):
            kept.append(run)
    return kept


def _unusual(runs: list[Run], excursions: dict[bool, list[float]], usual: int) -> list[Run]:
    """`runs`, strongest first, less those of a series that strays at least half as far more than `usual` times.

    `excursions` are the strengths of all stretches that leave the noise, by direction, whatever their effect.
    """
    kept = [run for run in runs if sum(z >= run.z / DWARFS for z in excursions[run.rises]) <= usual]
    return sorted(kept, key=lambda r: -r.z)
