"""How a prediction would have fared in the past: how often what it goes by came, and how often it then came true.

A case is the first moment of an episode, so that a burst counts once; it is over when the time that the prediction
gives has passed, so the newest ones are left out. A prediction must also beat chance: what follows as often after any
moment, or after most other messages of a busy log, was not foreseen. Where times come from belongs to `storage.past`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_assets.analyses.checkable import Prediction
from mesh_assets.insights.log_precursors import episode_starts
from mesh_assets.insights.wording import duration, plural

Floats = NDArray[np.float64]
# Fewer cases are an anecdote.
LEAST_CASES = 5
# Fewer other messages may all be part of the one story.
_LEAST_OTHERS = 3
# Windows of the past that are cases where a prediction goes by nothing.
_MOST_WINDOWS = 10_000
# Normal quantile of an interval of 95%.
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Times:
    """When a sign was seen: seconds since 1970, ascending. The past that was looked at is `start` to `stop`.

    `found` says in words what it was, of how many messages or series.
    """

    seen: Floats
    start: float
    stop: float
    found: str


@dataclass(frozen=True, slots=True)
class Fared:
    """Of `cases` it came true in `true`, by `lead` seconds in the median (NaN without); by chance in a share `base`.

    `low` and `high` are the Wilson interval (95%) of the share of cases that came true.
    """

    cases: int
    true: int
    base: float
    lead: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """Of the cases that came true; 0 without cases."""
        return self.true / self.cases if self.cases else 0.0


def wilson(true: int, cases: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927); all of 0 to 1 without cases."""
    if not cases:
        return 0.0, 1.0
    share, weight = true / cases, _Z * _Z / cases
    middle = (share + weight / 2) / (1 + weight)
    half = _Z / (1 + weight) * math.sqrt(share * (1 - share) / cases + weight / cases / 4)
    return min(max(0.0, middle - half), share), max(min(1.0, middle + half), share)


def fared(
    prediction: Prediction,
    when: Times | None,
    then: Times,
    *,
    others: Sequence[Floats],
    left_out: tuple[float, float] | None = None,
) -> Fared:
    """How `prediction` fared. `others` are first moments of each other message of the same logs, to tell chance by.

    `left_out` is a time (seconds) that the prediction was made of: no case is taken from it. Without `when` a case is
    each window of the prediction's length.
    """
    within = prediction.within
    start, stop = then.start, then.stop - within
    if when is None:
        step = max(within, (stop - start) / _MOST_WINDOWS)
        count = int((stop - start) // step) + 1 if stop >= start else 0
        moments = np.asarray(start + step * np.arange(count), np.float64)
    else:
        start, stop = max(start, when.start), min(stop, when.stop)
        moments = episode_starts(when.seen, within)
    moments = moments[(moments >= start) & (moments <= stop)]
    if left_out is not None:
        moments = moments[(moments < left_out[0] - within) | (moments > left_out[1])]
    # A sign does not follow on itself, only another one of it.
    leads = _leads(then.seen, moments, is_same=when is not None and np.array_equal(when.seen, then.seen))
    came = leads <= within
    cases, true = len(moments), int(came.sum())
    base = 0.0 if when is None else _by_chance(then.seen, others, (start, stop), within)
    lead = float(np.median(leads[came])) if true else math.nan
    return Fared(cases, true, base, lead, *wilson(true, cases))


def _leads(seen: Floats, moments: Floats, *, is_same: bool = False) -> Floats:
    """Seconds from each moment to the next time that is seen, infinite where there is none."""
    at = np.searchsorted(seen, moments, side="right" if is_same else "left")
    return np.append(seen, np.inf)[at] - moments


def _by_chance(seen: Floats, others: Sequence[Floats], past: tuple[float, float], within: float) -> float:
    """The share of all moments of the past that it is seen after, or what that is for most others where it is more."""
    start, stop = past
    if stop <= start:
        return 0.0
    within_past = seen[(seen >= start) & (seen <= stop + within)]
    covered = np.minimum(np.diff(within_past, prepend=start), within)
    of_time = min(float(covered.sum()) / (stop - start), 1.0)
    drawn = [each[(each >= start) & (each <= stop)] for each in others]
    shares = [float((_leads(seen, each) <= within).mean()) for each in drawn if len(each) >= LEAST_CASES]
    return max(of_time, float(np.median(shares)) if len(shares) >= _LEAST_OTHERS else 0.0)


def holds(prediction: Prediction, found: Fared) -> bool | None:
    """Whether it holds in the past: as often as it says, and more often than by chance for all that 95% can tell.

    None where there are too few cases, or the interval leaves it open.
    """
    if found.cases < LEAST_CASES:
        return None
    if found.high < prediction.share or (prediction.when is not None and found.share <= found.base):
        return False
    return True if found.share >= prediction.share and found.low > found.base else None


def in_words(prediction: Prediction, found: Fared, sources: Sequence[str]) -> str:
    """The figures as sentences. `sources` say what was looked at."""
    looked = "; ".join(dict.fromkeys(sources))
    if not found.cases:
        return f"The past has no case to test it by ({looked})."
    of_cases = f"{found.true:,} of {plural(found.cases, 'case')}"
    share = f"{of_cases} ({found.share:.0%}; 95% interval {found.low:.0%} to {found.high:.0%})"
    lead = f", {duration(found.lead)} later in the median" if found.true else ""
    chance = f"; by chance {found.base:.0%}" if prediction.when is not None else ""
    few = f" Fewer than {LEAST_CASES} cases tell nothing." if found.cases < LEAST_CASES else ""
    return f"It came true in {share}{lead}{chance}. Looked at: {looked}.{few}"
