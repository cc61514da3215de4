"""The score of the Numenta Anomaly Benchmark (NAB), by its published definition (Lavin and Ahmad, 2015).

Windows are labelled spans of a series. The first detection in a window earns up to 1, the more the earlier; every
detection outside costs up to `FP`, the less the closer it comes after a window; a window without a detection costs 1.
The first 15% of a series, at most 750 points, are not scored. The sum over all series is scaled such that no detection
is 0 and a perfect detector 100. A detection is a score of at least one threshold for all series. Where the paper leaves
a choice open (position counted from the point after the window, earnings scaled to 1 at the start), this is what the
repository of the benchmark does. No detector belongs here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Costs of the standard profile; a detection and a miss count 1.
FP = 0.11
_PROBATION, _PROBATION_OF = 0.15, 5000
# Further behind a window than this many of its widths a detection costs everything.
_FAR = 3.0


@dataclass(frozen=True)
class Series:
    """One series with its labels: `windows` are first and last point, `window` that of each point or -1.

    `worth` is what a detection at a point earns or costs; points before `scored` count nothing.
    """

    name: str
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    windows: list[tuple[int, int]]
    window: NDArray[np.int64]
    worth: NDArray[np.float64]
    scored: int


def load(folder: Path) -> list[Series]:
    """The labelled series of `folder` that have data, times in microseconds; SystemExit where there is none."""
    path = folder / "labels" / "combined_windows.json"
    if not path.is_file():
        raise SystemExit(f"{path} is missing: the folder must be as NAB lays it out.")
    labels: dict[str, list[list[str]]] = json.loads(path.read_text())
    found = [_read(folder / "data" / name, name, labels[name]) for name in sorted(labels) if _is_here(folder, name)]
    if not found:
        raise SystemExit(f"{folder} has none of the series that its labels name.")
    return found


def _is_here(folder: Path, name: str) -> bool:
    return (folder / "data" / name).is_file()


def _read(path: Path, name: str, spans: list[list[str]]) -> Series:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = [_moment(row["timestamp"]) for row in rows]
    windows = sorted((times.index(_moment(start)), times.index(_moment(stop))) for start, stop in spans)
    window, worth = _worth(len(rows), windows)
    return Series(
        name,
        np.array(times, np.int64),
        np.array([float(row["value"]) for row in rows]),
        windows,
        window,
        worth,
        int(min(np.floor(_PROBATION * len(rows)), _PROBATION * _PROBATION_OF)),
    )


def _moment(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1e6)


def _worth(points: int, windows: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The window of each point, and what a detection there is worth."""
    window = np.full(points, -1)
    worth = np.full(points, -FP)
    at = np.arange(points)
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        inside = at[first : last + 1]
        window[inside] = number
        worth[inside] = _sigmoid((inside - last - 1) / width) / _sigmoid(np.array(-1.0))
        after = (at[last + 1 :] - last) / max(width - 1, 1)
        worth[last + 1 :] = FP * np.where(after >= _FAR, -1.0, _sigmoid(np.minimum(after, _FAR)))
    return window, worth


def _sigmoid(position: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 / (1 + np.exp(5 * position)) - 1


def sweep(series: Sequence[Series], scores: Sequence[NDArray[np.float64]]) -> tuple[list[float], list[float]]:
    """Every threshold that tells points apart, falling, and the score from 0 to 100 that each gives."""
    found, gains = zip(*(_gains(one, of) for one, of in zip(series, scores, strict=True)), strict=True)
    found, gains = np.concatenate(found), np.concatenate(gains)
    order = np.argsort(-found, kind="stable")
    totals = np.cumsum(gains[order])
    ends = np.append(np.flatnonzero(np.diff(found[order])), len(order) - 1)
    windows = sum(_counted(one) for one in series)
    most = sum(len(one.windows) for one in series) + windows
    if not most:
        raise SystemExit("No series has a window that is scored.")
    return found[order][ends].tolist(), (100 * totals[ends] / most).tolist()


def best(series: Sequence[Series], scores: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """The threshold that earns most over all series, as NAB's own optimiser chooses it, and that score."""
    thresholds, earned = sweep(series, scores)
    at = int(np.argmax(earned))
    return (thresholds[at], earned[at]) if earned[at] > 0 else (np.inf, 0.0)


def fixed(series: Sequence[Series], scores: Sequence[NDArray[np.float64]], threshold: float) -> float:
    """The score of one threshold."""
    thresholds, earned = sweep(series, scores)
    reached = [score for level, score in zip(thresholds, earned, strict=True) if level >= threshold]
    return reached[-1] if reached else 0.0


def _counted(series: Series) -> int:
    return sum(last >= series.scored for _, last in series.windows)


def _gains(series: Series, scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of the points that count, and what each adds when thresholds fall to it; a miss is where all start."""
    gains = series.worth.copy()
    for number in range(len(series.windows)):
        inside = np.flatnonzero(series.window == number)
        inside = inside[inside >= series.scored]
        inside = inside[np.argsort(-scores[inside], kind="stable")]
        reached = np.maximum.accumulate(np.append(-1.0, series.worth[inside]))
        gains[inside] = np.diff(reached)
    return scores[series.scored :], gains[series.scored :]
