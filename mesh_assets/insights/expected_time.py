"""How long a drop will take: from what its kinds usually cost, set right by what slices took on this machine.

Two estimates, each with an interval. Before a slice is done, seconds for the bytes of each kind; once some are, the
pace at which slices were finished, one after the other, whatever stood between them. What ran when is in
`storage.run_times`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Bytes that one slice run gets through in a second, all stages and the default model, on a core of 2026: nearly all of
# it is embedding. What they are on this machine is learned from its slices.
BYTES_PER_SECOND: Mapping[str, float] = {
    "text": 45_000,
    "code": 45_000,
    "log": 45_000,
    "structured": 60_000,
    "metric": 60_000,
    "image": 250_000,
    "audio": 700_000,
    "video": 1_000_000,
    "archive": 60_000,
    "unknown": 50_000_000,
}
# Seconds that a slice takes beside its bytes: the process, its models and the commits of the indexes.
SLICE_SECONDS = 8.0
# Logarithm of how far off the first estimate is on a machine that has not finished a slice: a factor of 3.
_UNKNOWN_SPREAD = math.log(3.0)
# No estimate is better than this: what comes is never quite like what was.
_LEAST_SPREAD = math.log(1.15)
# Of a normal distribution nine of ten values lie within so many standard deviations.
_NORMAL_90 = 1.645
# A pause between two slices longer than so many usual ones is no work: the mesh was down, or the owner had paused it.
_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds: the likely number, and the interval in which nine of ten outcomes lie."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How many times as long as `BYTES_PER_SECOND` says slices take on this machine, with the standard deviation of
    the logarithm of that; `slices` is how many it was learned from."""

    factor: float = 1.0
    spread: float = _UNKNOWN_SPREAD / _NORMAL_90
    slices: int = 0


def work_seconds(bytes_by_kind: Mapping[str, float]) -> float:
    """Seconds of one run for these bytes by `BYTES_PER_SECOND`."""
    return sum(size / BYTES_PER_SECOND.get(kind, BYTES_PER_SECOND["unknown"]) for kind, size in bytes_by_kind.items())


def learned(runs: Sequence[tuple[Mapping[str, float], float]]) -> Pace:
    """The pace of this machine by slices that it finished: the bytes of each by kind, and the seconds it took."""
    ratios = np.array([seconds / (SLICE_SECONDS + work_seconds(sizes)) for sizes, seconds in runs if seconds > 0])
    if not len(ratios):
        return Pace()
    logs = np.log(ratios)
    # One slice says where the pace is, and nothing of how it varies.
    spread = float(np.std(logs, ddof=1)) if len(logs) > 2 else _UNKNOWN_SPREAD / _NORMAL_90 / 2
    return Pace(float(np.exp(np.median(logs))), spread, len(logs))


def expected(bytes_by_kind: Mapping[str, float], slices: int, pace: Pace, side_by_side: int) -> Span:
    """How long `slices` slices with these bytes in all will take, `side_by_side` of them at once."""
    seconds = pace.factor * (slices * SLICE_SECONDS + work_seconds(bytes_by_kind))
    return _around(seconds / max(min(side_by_side, slices), 1), pace.spread * math.sqrt(1 / max(slices, 1) + 0.5))


def remaining(finished: Sequence[tuple[float, float]], bytes_left: float, slices_left: int) -> Span | None:
    """How long the rest takes at the pace so far; None where fewer than two slices are finished.

    `finished` are the moment (seconds since 1970) and the bytes of each slice. The first only starts the clock, and
    pauses in which nothing was worked on do not count.
    """
    moments, sizes = np.array(sorted(finished)).T if finished else (np.zeros(0), np.zeros(0))
    gaps = np.diff(moments)
    if not len(gaps) or not sizes[1:].sum() or gaps.max() <= 0:
        return None
    usual = float(np.median(gaps[gaps > 0]))
    worked = gaps <= _PAUSE * usual
    seconds, done = float(gaps[worked].sum()), float(sizes[1:][worked].sum())
    if not done or not seconds:
        return None
    variation = float(np.std(gaps[worked]) / np.mean(gaps[worked])) if worked.sum() > 2 else 1.0
    # Few slices show less than their spread (as Student's distribution has it): 1 + 2/n widens it by as much.
    few = 1 + 2 / worked.sum()
    spread = variation * few * math.sqrt(1 / worked.sum() + 1 / max(slices_left, 1))
    return _around(bytes_left * seconds / done, spread)


def _around(seconds: float, spread: float) -> Span:
    reach = math.exp(max(_NORMAL_90 * spread, _LEAST_SPREAD))
    return Span(seconds / reach, seconds, seconds * reach)
