"""How unlike everything before it each value of a series is, scored as the values come: no look-ahead, no settings.

The course of the last 1, 2 and 4 values is compared with that of every earlier moment in memory: the distance (mean
absolute difference) to the nearest one is its novelty, as in left discords of a matrix profile and in conformal nearest
neighbours (KNN-CAD). So any season needs no clock: what came before is not novel. Each novelty is set against its own
past: above its 98th percentile the tail falls by a power (Hill's estimator, drawn towards a prior where exceedances are
few), and the surprise is the logarithm of how rare such a novelty is there, in powers of e. The score of a point is the
sum of the three; it is zero unless it exceeds all scores of the `QUIET` points before, so that one event is one alarm.
What of this people are told, with what only hindsight knows, belongs to `series_anomalies`.

The numbers were chosen on every second series of the Numenta benchmark's 35 at hand and on made series, see
`benchmarks/metrics.py` for what is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# An alarm: a point with at least this score.
ALARM = 3.3
# Points that an alarm silences weaker ones for.
QUIET = 100
# Values that are compared with, and novelties that a new one is judged by. Before `_LEAST` of those scores are zero.
_MEMORY, _PAST, _LEAST = 2048, 8192, 50
# Courses compared: each is twice as long as the one before.
_LENGTHS = (1, 2, 4)
# The tail starts at this quantile; its index before anything is known, worth so many exceedances.
_TAIL, _INDEX, _WORTH = 0.98, 0.3, 20
# Novelties below this share of the spread of the values are no news.
_FLOOR = 1e-3
# Surprise of one novelty, at most: what a value says that leaves a constant.
_MOST = 10.0
# Sums of differences of such values are still numbers.
_LARGEST = 1e307
# The tail is estimated anew after so many points, and so many are compared at once.
_STEP = 64


@dataclass(slots=True)
class OnlineAnomalies:
    """The state of one series. Scores do not depend on how the values are cut into calls."""

    _values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    _novelties: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(_LENGTHS), 0)))
    _surprises: NDArray[np.float64] = field(default_factory=lambda: np.zeros(QUIET))
    _tails: NDArray[np.float64] | None = None
    _seen: int = 0

    def scores(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of the next `values`, zero or more; a value that is not finite scores zero and is not remembered."""
        scores = np.zeros(len(values))
        finite = np.flatnonzero(np.isfinite(values))
        at = 0
        while at < len(finite):
            stop = min(at + _STEP - self._seen % _STEP, len(finite))
            scores[finite[at:stop]] = self._step(np.clip(values[finite[at:stop]], -_LARGEST, _LARGEST))
            at = stop
        return scores

    def _step(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores of values that the same tails judge."""
        if self._seen % _STEP == 0:
            self._tails = self._estimate()
        longest = _LENGTHS[-1]
        before = np.concatenate((np.full(_MEMORY + longest, np.inf), self._values))[-_MEMORY - longest :]
        novelties = _nearest(np.concatenate((before, values)), len(values))
        surprises = self._surprise(novelties)
        self._values = np.concatenate((self._values, values))[-_PAST:]
        self._novelties = np.concatenate((self._novelties, novelties), axis=1)[:, -_PAST:]
        self._seen += len(values)
        recent = np.concatenate((self._surprises, surprises))
        self._surprises = recent[-QUIET:]
        surprises[surprises <= sliding_window_view(recent[:-1], QUIET).max(axis=1)] = 0.0
        return surprises

    def _estimate(self) -> NDArray[np.float64] | None:
        """For each course where the tail starts, its index, and what is added to every novelty."""
        if self._novelties.shape[1] < _LEAST:
            return None
        low, high = np.quantile(self._values, (0.05, 0.95)).tolist()
        floor = _FLOOR * (high - low) + 1e-9 * max(abs(low), abs(high)) + np.finfo(float).tiny
        tails: list[tuple[float, float, float]] = []
        for past in self._novelties:
            known = past[np.isfinite(past)] + floor
            start = float(np.quantile(known, _TAIL))
            beyond = np.minimum(np.log(known[known > start]) - np.log(start), _MOST)
            tails.append((start, (float(beyond.sum()) + _WORTH * _INDEX) / (len(beyond) + _WORTH), floor))
        return np.array(tails, np.float64)

    def _surprise(self, novelties: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._tails is None:
            return np.zeros_like(novelties[0])
        start, index, floor = (self._tails[:, [part]] for part in range(3))
        known = np.where(np.isfinite(novelties), novelties, 0.0)
        surprises: NDArray[np.float64] = np.clip((np.log(known + floor) - np.log(start)) / index, 0.0, _MOST)
        return surprises.sum(axis=0)


def _nearest(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """For each length and each of the last `count` values: how far its course is from the nearest that ended before it.

    An infinite value stands for none; infinite is also the distance where nothing is in memory.
    """
    longest = _LENGTHS[-1]
    rows = count + longest - 1
    current = values[-rows:]
    earlier = sliding_window_view(values[:-1], _MEMORY)[-rows:]
    far = np.abs(earlier - np.where(np.isinf(current), 0.0, current)[:, None])
    found: list[NDArray[np.float64]] = []
    for length in _LENGTHS:
        # Columns are lags: earlier moments that overlap the course itself are none.
        found.append(far[-count:, : _MEMORY - length + 1].min(axis=1) / length)
        far = far[length:] + far[:-length]
    return np.array(found)
