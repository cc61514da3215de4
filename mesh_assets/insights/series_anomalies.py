"""Where a series leaves its usual course: what was new when it came, and what stands out in hindsight.

The usual value of a moment is the median of its time of day over all days (of its time of the week where the series is
long enough and that fits better; without seasons nothing), plus how the level moves: the rolling median of the rest.
In hindsight a point stands out where its distance from that is `Z` robust standard deviations of all distances (1.4826
times their median), `APART` times as far as nine of ten points are, and `REACH` times what lies between the 5th and the
95th percentile of the values. Neighbouring points that stand out are one anomaly. What was new when it came says
`online_anomalies`, once `LEARNING` of the series is known; its scores of at least `NEW` are anomalies, told with the
extent that hindsight gives them. From there on hindsight alone makes none.

On the 18 series of the Numenta benchmark (NAB) that the numbers were chosen on, with 27 windows, the three strongest
anomalies of each series after the learning hit 15 windows and 6 times none; hindsight alone 13 and 12 times none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mesh_assets.insights.online_anomalies import QUIET, OnlineAnomalies

Z, APART, ORDINARY, REACH = 6.0, 3.0, 0.9, 0.5
# Fewer alarms than `ALARM` gives: what people read, not what a machine weighs.
NEW, LEARNING = 5.0, 0.15
# Fewer points have no usual course.
LEAST_POINTS = 50
_DAY, _WEEK = 86_400_000_000, 7 * 86_400_000_000
# A season is seen where it came so often, in at least so many points each time.
_LEAST_SEASONS, _LEAST_IN_SEASON = 3, 8
# The level is the median of this share of the series around a point, of at least so many points.
_LEVEL_SHARE, _LEAST_LEVEL = 0.3, 25
# Points that stand out are one anomaly with no more than so many others between them.
_BETWEEN = 6
# Moments further apart than the points suggest are gaps; a series of more of those than points has no grid.
_MAX_GRID = 4


@dataclass(frozen=True, slots=True)
class Anomaly:
    """The points from `first` to `last`; `peak` is the one furthest from what is `usual` there, `z` how far that is.

    `surprise` is the score of what was new when it came, else zero; `lasting` where it also stands out in hindsight.
    """

    first: int
    last: int
    peak: int
    usual: float
    z: float
    season: str
    surprise: float = 0.0
    lasting: bool = True

    @property
    def strength(self) -> float:
        """How many times the least that makes an anomaly."""
        return max(self.z / Z if self.lasting else 0.0, self.surprise / NEW)


def anomalies(times: NDArray[np.int64], values: NDArray[np.float64]) -> list[Anomaly]:
    """The anomalies of a series by the rule of this module, newest to all before first; `times` in us, ascending."""
    if len(values) < LEAST_POINTS:
        return []
    course, season = usual_course(times, values)
    usual = _levelled(values, course)
    apart = values - usual
    apart -= np.median(apart)
    spread = 1.4826 * float(np.median(np.abs(apart)))
    if spread <= 0:
        spread = 1.2533 * float(np.mean(np.abs(apart)))  # more than half of the points are exactly as usual
    if spread <= 0:
        return []
    z = np.abs(apart) / spread
    far = max(Z, APART * float(np.quantile(z, ORDINARY)))
    low, high = np.quantile(values, (0.05, 0.95)).tolist()
    out = np.flatnonzero((z >= far) & (np.abs(apart) >= REACH * (high - low)))
    groups = np.split(out, np.flatnonzero(np.diff(out) > _BETWEEN) + 1) if len(out) else []
    found = [
        Anomaly(int(group[0]), int(group[-1]), peak, float(usual[peak]), float(z[peak]), season)
        for group in groups
        for peak in [int(group[np.argmax(z[group])])]
    ]
    return sorted(_with_news(found, values, usual, z, season), key=lambda anomaly: (-anomaly.surprise, -anomaly.z))


def _with_news(
    found: list[Anomaly], values: NDArray[np.float64], usual: NDArray[np.float64], z: NDArray[np.float64], season: str
) -> Iterator[Anomaly]:
    """Of what was `found` in hindsight what was new or came while learning, and all else that was new."""
    scores = OnlineAnomalies().scores(values)
    learned = int(LEARNING * len(values))
    scores[:learned] = 0.0
    for anomaly in found:
        inside = scores[max(anomaly.first - _BETWEEN, 0) : anomaly.last + _BETWEEN + 1]
        surprise = float(inside.max())
        inside[:] = 0.0
        if surprise >= NEW or anomaly.first < learned:
            yield replace(anomaly, surprise=surprise)
    last = -QUIET
    for at in np.flatnonzero(scores >= NEW).tolist():
        # An event that grows is told once, as it began.
        if at - last >= QUIET:
            yield Anomaly(at, at, at, float(usual[at]), float(z[at]), season, float(scores[at]), lasting=False)
        last = at


def usual_course(times: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """The usual course of the season that fits best, without its level, and that season: day, week, or nothing."""
    candidates = [(np.zeros(len(values)), "")]
    step = int(np.median(np.diff(times)))
    if step > 0 and (times[-1] - times[0]) // step < _MAX_GRID * len(times):
        for season, name in ((_DAY, "day"), (_WEEK, "week")):
            phases = season // step
            if phases >= _LEAST_IN_SEASON and times[-1] - times[0] >= _LEAST_SEASONS * season:
                candidates.append((_seasonal((times // step) % phases, values), name))
    return min(candidates, key=lambda candidate: float(np.median(np.abs(values - _levelled(values, candidate[0])))))


def _seasonal(phases: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of all values of the same phase."""
    frame = pl.DataFrame({"phase": phases, "value": values})
    return frame.select(pl.col("value").median().over("phase")).to_series().to_numpy()


def _levelled(values: NDArray[np.float64], course: NDArray[np.float64]) -> NDArray[np.float64]:
    """`course`, moved to the level that the values have around each point."""
    window = max(int(_LEVEL_SHARE * len(values)), _LEAST_LEVEL) | 1
    left = pl.Series(values - course)
    level = left.rolling_median(window, min_samples=1, center=True)
    return course + cast("NDArray[np.float64]", level.to_numpy())
