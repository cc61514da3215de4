"""Where a series changes its level for good: before values around one number, afterwards around another.

The course of the day is taken away first, where there is one. A change lies where the means of ranks on both sides
differ most (the statistic of Pettitt, 1979); each side is searched again, and the weakest of these places is given up
until all are changes. As neighbouring values of metrics are alike, no test for independent ones would do: a change must
part the medians of `_BLOCKS` blocks on its two sides, without overlap, by `APART` times what the blocks of either side
differ among themselves, and the two levels by `STEP` robust standard deviations of the values around them. A drift and
a random walk have no such place. Single values and bursts belong to `series_anomalies`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How far levels are apart: in ranges of the medians of a side, and in robust standard deviations.
APART, STEP = 2.0, 2.0
# What is further apart is all the same; constants are infinitely far.
FAR = 1000.0
# Blocks of a side; a level has so many points at least, and such a share of the series.
_BLOCKS, _LEAST_POINTS, _LEAST_SHARE = 6, 48, 0.1
# How often what lies between two places is searched again: at most seven changes.
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Change:
    """From the point `at` to that before `stop` values are around `after`, from `first` to `at` around `before`.

    Both are medians; `z` is how many robust standard deviations apart, at most `FAR`.
    """

    at: int
    first: int
    stop: int
    before: float
    after: float
    z: float


def changes(values: NDArray[np.float64], course: NDArray[np.float64]) -> list[Change]:
    """The changes of the level of `values` over the usual `course` of the season (zeros for none), in order."""
    if not len(values):
        return []
    level = values - course + np.median(course)
    side = max(_LEAST_POINTS, int(_LEAST_SHARE * len(level)))
    bounds = sorted({0, len(level), *_candidates(level, side, 0, len(level), _DEPTH)})
    while len(bounds) > 2:
        judged = [_judged(level, *bounds[at - 1 : at + 2]) for at in range(1, len(bounds) - 1)]
        weakest = min(range(len(judged)), key=lambda at: judged[at].part)
        if judged[weakest].part >= 1:
            return [each.change for each in judged]
        del bounds[weakest + 1]
    return []


def _candidates(level: NDArray[np.float64], side: int, first: int, stop: int, depth: int) -> list[int]:
    """Where the level may change between `first` and `stop`: the likeliest place, and those on its two sides."""
    if stop - first < 2 * side or not depth:
        return []
    at = first + _likeliest(level[first:stop], side)
    return [at, *_candidates(level, side, first, at, depth - 1), *_candidates(level, side, at, stop, depth - 1)]


def _likeliest(part: NDArray[np.float64], side: int) -> int:
    """Where the ranks before and after differ most, moved to where the medians of both sides part the values best."""
    _, inverse, counts = np.unique(part, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2)[inverse] - len(part) / 2
    places = slice(side - 1, len(part) - side)
    at = side + int(np.argmax(np.abs(np.cumsum(ranks))[places]))
    apart = np.abs(part - np.median(part[:at])) - np.abs(part - np.median(part[at:]))
    return side + int(np.argmin(np.cumsum(apart)[places]))


@dataclass(frozen=True, slots=True)
class _Judged:
    """A change, and how much of what makes it one it has: at least 1 if it is one."""

    change: Change
    part: float


def _judged(level: NDArray[np.float64], first: int, at: int, stop: int) -> _Judged:
    sides = level[first:at], level[at:stop]
    before, after = (float(np.median(side)) for side in sides)
    medians = [np.array([np.median(block) for block in np.array_split(side, _BLOCKS)]) for side in sides]
    within = max(float(np.ptp(each)) for each in medians)
    lower, upper = sorted(medians, key=lambda each: float(np.median(each)))
    gap = float(upper.min() - lower.max())
    around = np.concatenate((np.abs(sides[0] - before), np.abs(sides[1] - after)))
    spread = 1.4826 * float(np.median(around)) or 1.2533 * float(np.mean(around))
    apart = abs(after - before)
    z = min(apart / spread, FAR) if spread > 0 else FAR * (apart > 0)
    parted = gap / (APART * within) if within > 0 else FAR * (gap > 0)
    return _Judged(Change(at, first, stop, before, after, z), min(parted, z / STEP))
