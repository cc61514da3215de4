"""Gates with a guarantee against SUPG's: `python benchmarks/gates.py --data FOLDER [--seeds 1000]`."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.analyses.gates.bins import Bins, Floats, Ints, bins_of, count_cells
from mesh_assets.analyses.gates.draws import Labels


TARGET, DELTA = 0.9, 0.05


@dataclass(frozen=True)
class Rows:
    """A data set, rows by falling score."""

    name: str
    scores: Floats
    right: Ints


class CountDraw:
    """Draws rows of bins whose right rows are counted, for many trials at once: hypergeometric, as rows would be."""

    def __init__(self, rows: Ints, right: Ints, trials: int, rng: np.random.Generator) -> None:
        self.trials = trials
        self._right = np.repeat(right[None, :], trials, axis=0)
        self._wrong = np.repeat((rows - right)[None, :], trials, axis=0)
        self._rng = rng

    def label(self, take: Ints) -> Ints:
        right = self._rng.hypergeometric(self._right, self._wrong, take)
        self._right -= right
        self._wrong -= take - right
        return right


def in_bins(rows: Rows, slices: int) -> tuple[Bins, Ints]:
    parts = np.array_split(rows.scores, slices)
    bins = bins_of(sum(count_cells(part) for part in parts))
    return bins, np.bincount(bins.of(rows.scores), rows.right, minlength=len(bins.rows)).astype(np.int64)


def outcome(labels: Labels, right: Ints, kept_bins: Ints) -> tuple[Floats, Floats]:
    inside = np.arange(len(right))[None, :] < kept_bins[:, None]
    more = np.where(inside, right - labels.right, 0).sum(axis=1)
    kept_right = labels.right.sum(axis=1) + more
    kept = labels.right.sum(axis=1) + np.where(inside, labels.room, 0).sum(axis=1)
    return kept_right / np.maximum(kept, 1) + (kept == 0), kept_right / right.sum()


# ---- SUPG, from the paper (Kang et al., VLDB 2020): importance sampling by the square root of the score, a tenth of it
# uniform, normal bounds; what is returned are the rows from a threshold on and the right rows of the sample.

_CANDIDATE_STEP = 100  # labels from one candidate threshold to the next, as in the paper


def supg(rows: Rows, wanted: str, budget: int, trials: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Precision and recall of what SUPG returns, (trials)."""
    sampled, ends = (_supg_recall if wanted == "recall" else _supg_precision)(rows, budget, trials, rng)
    upto = np.concatenate([[0], np.cumsum(rows.right)])
    known = np.sort(np.where((rows.right[sampled] == 1) & (sampled >= ends[:, None]), sampled, len(rows.right)), axis=1)
    beside = (np.diff(known, axis=1, prepend=-1) > 0) & (known < len(rows.right))  # a row may be drawn twice
    right = upto[ends] + beside.sum(axis=1)
    returned = ends + beside.sum(axis=1)
    return np.where(returned, right / np.maximum(returned, 1), 1.0), right / upto[-1]


def _drawn(rows: Rows, upto: Ints, number: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Rows drawn with putting back among the first `upto` (trials), rising; how many rows each stands for, over all."""
    root = np.sqrt(rows.scores)
    cumulated = np.cumsum(0.9 * root / root.sum() + 0.1 / len(root))
    total = cumulated[upto - 1][:, None]
    at = np.sort(np.searchsorted(cumulated, rng.random((len(upto), number)) * total, side="right"), axis=1)
    at = np.minimum(at, upto[:, None] - 1)
    chance = np.diff(cumulated, prepend=0)[at] / total
    return at, 1 / (chance * upto[:, None])


def _bound(values: Floats, delta: Floats | float, sign: int) -> Floats:
    """The mean, and so much more or less: a normal bound by the tail exp(-z^2 / 2)."""
    return values.mean(axis=1) + sign * values.std(axis=1) * np.sqrt(2 * np.log(1 / delta) / values.shape[1])


def _with_ties(rows: Rows, at: Ints) -> Ints:
    """How many rows score as high as row `at` or higher."""
    return np.searchsorted(-rows.scores, -rows.scores[at], side="right")


def _supg_recall(rows: Rows, budget: int, trials: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    at, mass = _drawn(rows, np.full(trials, len(rows.right)), budget, rng)
    found = rows.right[at] * mass
    upto = np.cumsum(found, axis=1)
    share = upto / np.maximum(upto[:, -1:], 1e-300)

    def first_with(goal: Floats) -> Ints:
        return np.minimum((share < goal[:, None] - 1e-12).sum(axis=1), budget - 1)

    above = np.arange(budget)[None, :] <= first_with(np.full(trials, TARGET))[:, None]
    high, low = np.where(above, found, 0), np.where(above, 0, found)
    upper, lower = _bound(high, DELTA / 2, 1), np.maximum(_bound(low, DELTA / 2, -1), 0)
    ends = _with_ties(rows, at[np.arange(trials), first_with(upper / np.maximum(upper + lower, 1e-300))])
    return at, np.where(upto[:, -1] > 0, ends, len(rows.right))  # no right row seen: everything is returned


def _supg_precision(rows: Rows, budget: int, trials: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    number = len(rows.right)
    first, mass = _drawn(rows, np.full(trials, number), budget // 2, rng)
    matches = number * _bound(rows.right[first] * mass, DELTA / 2, 1)
    second, mass = _drawn(rows, np.clip(np.ceil(matches / TARGET), 1, number).astype(np.int64), budget // 2, rng)
    ends = np.zeros(trials, np.int64)
    steps = range(_CANDIDATE_STEP, budget // 2 + 1, _CANDIDATE_STEP)
    for labels in steps:
        weights = mass[:, :labels] / mass[:, :labels].mean(axis=1, keepdims=True)
        right = rows.right[second[:, :labels]]
        mean = (weights * right).mean(axis=1, keepdims=True)
        # of a ratio of means: what each label adds to it
        holds = _bound(mean + weights * (right - mean), DELTA / (2 * len(steps)), -1) > TARGET
        ends = np.where(holds, _with_ties(rows, second[:, labels - 1]), ends)
    return np.concatenate([first, second], axis=1), ends
