"""Gates with a guarantee against SUPG's: `python benchmarks/gates.py --data FOLDER [--seeds 1000]`.

Each folder of FOLDER holds `source.csv`: id, label (whether the row is right), proxy_score. In each setting (folder,
what is promised, budget of verdicts, all rows at once or 32 slices) as many seeds draw other verdicts. In slices each
counts its own scores; the counts are added, one sample is drawn over all of them, and one threshold is for all: SUPG,
too, is given one sample and one threshold over the union. `missed` is the share of seeds in which the promise was not
kept. Quality is the mean recall under a promise of precision, and the mean precision under one of recall; what nothing
is kept of has precision 1.

`budget` is the smallest one at which our mean quality reaches SUPG's at the stated budget, over that: budgets of GRID
times the stated one are tried by halving, with all rows at once, and the crossing is interpolated in the logarithm; at
least the first of GRID, at most the last.

Last line: `violation_rate`, the worst `missed` of ours; `vs_supg`, the geometric mean of `budget` where our guarantee
holds (MOST_MISSED or less), so SUPG's quality counts even where it breaks its promise; `vs_supg_both`, the same where
SUPG's holds too. Minutes with OPENBLAS_NUM_THREADS=1, several times that without.

Our gates are tried on counts: rows of a bin are alike to them, so the right ones among those drawn are hypergeometric.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.analyses.gates.bins import Bins, Floats, Ints, bins_of, count_cells
from mesh_assets.analyses.gates.draws import CountDraw, Labels
from mesh_assets.analyses.gates.gate import Promise, place

TARGET, DELTA = 0.9, 0.05
BUDGETS = (100, 300, 1_000)
SLICES = (1, 32)
GRID = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0, 3.0, 4.0)
AT_ONCE = 100  # trials side by side
MOST_MISSED = 0.075  # delta, and the sampling error of 1,000 seeds over the settings


@dataclass(frozen=True)
class Rows:
    """A data set: `scores` falling, `right` 0 or 1."""

    name: str
    scores: Floats
    right: Ints


def read(folder: Path) -> Rows:
    with (folder / "source.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            (float(row["proxy_score"]), row["label"].strip().lower() in {"true", "1", "1.0"})
            for row in csv.DictReader(file)
        ]
    scores = np.array([score for score, _ in rows])
    falling = np.argsort(-scores, kind="stable")
    return Rows(folder.name, scores[falling], np.array([right for _, right in rows], np.int64)[falling])


def in_bins(rows: Rows, slices: int) -> tuple[Bins, Ints]:
    """The bins of all rows, counted slice by slice, and how many rows are right in each."""
    where = np.random.default_rng(slices).integers(slices, size=len(rows.scores))
    bins = bins_of(np.sum([count_cells(rows.scores[where == each]) for each in range(slices)], axis=0))
    return bins, np.bincount(bins.of(rows.scores), rows.right, minlength=len(bins.rows)).astype(np.int64)


def ours(rows: Rows, wanted: Promise, budget: int, trials: int, slices: int) -> tuple[Floats, Floats]:
    """Precision and recall of what our gate keeps, (trials)."""
    bins, right = in_bins(rows, slices)
    rng = np.random.default_rng([slices, budget])
    parts: list[tuple[Floats, Floats]] = []
    for number in range(0, trials, AT_ONCE):
        draw = CountDraw(bins.rows, right, min(AT_ONCE, trials - number), rng)
        kept, labels = place(bins, draw, wanted, budget=budget, target=TARGET, delta=DELTA, rng=rng)
        parts.append(outcome(labels, right, kept))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def outcome(labels: Labels, right: Ints, kept_bins: Ints) -> tuple[Floats, Floats]:
    inside = np.arange(len(right))[None, :] < kept_bins[:, None]
    kept_right = labels.right.sum(axis=1) + np.where(inside, right - labels.right, 0).sum(axis=1)
    kept = labels.right.sum(axis=1) + np.where(inside, labels.room, 0).sum(axis=1)
    return np.where(kept, kept_right / np.maximum(kept, 1), 1.0), kept_right / right.sum()


def missed_and_quality(wanted: Promise, precision: Floats, recall: Floats) -> tuple[float, float]:
    promised, quality = (precision, recall) if wanted == "precision" else (recall, precision)
    return float((promised < TARGET - 1e-9).mean()), float(quality.mean())


def budget_for(quality: float, rows: Rows, wanted: Promise, budget: int, trials: int) -> float:
    """The share of `budget` at which ours reaches `quality`, by halving GRID."""

    def reached(number: int) -> float:
        return missed_and_quality(wanted, *ours(rows, wanted, max(int(GRID[number] * budget), 1), trials, 1))[1]

    low, high = -1, len(GRID)  # too small, enough
    known: dict[int, float] = {}
    while high - low > 1:
        middle = (low + high) // 2
        known[middle] = reached(middle)
        low, high = (low, middle) if known[middle] >= quality else (middle, high)
    if low < 0 or high == len(GRID):
        return GRID[min(high, len(GRID) - 1)]
    part = (quality - known[low]) / (known[high] - known[low])
    return float(GRID[low] * (GRID[high] / GRID[low]) ** part)


@dataclass(frozen=True)
class Result:
    """Of a setting: shares of seeds in which ours and SUPG missed, and the budget that ours needs."""

    missed: float
    peer_missed: float
    budget: float

    @property
    def holds(self) -> bool:
        return self.missed <= MOST_MISSED


def measured(folders: list[Rows], trials: int) -> Iterator[Result]:
    """Each setting, printed as it is done."""
    print("folder               promised  verdicts slices | missed quality | SUPG: missed quality | budget")
    promises: tuple[Promise, ...] = ("precision", "recall")
    for rows, wanted, budget in itertools.product(folders, promises, BUDGETS):
        rng = np.random.default_rng(budget)
        peer_missed, peer_quality = missed_and_quality(wanted, *supg(rows, wanted, budget, trials, rng))
        share = budget_for(peer_quality, rows, wanted, budget, trials)
        for slices in SLICES:
            missed, quality = missed_and_quality(wanted, *ours(rows, wanted, budget, trials, slices))
            print(
                f"{rows.name:20} {wanted:9} {budget:8,} {slices:6} | {missed:6.3f} {quality:7.3f} | "
                f"      {peer_missed:6.3f} {peer_quality:7.3f} | {share:.2f}",
                flush=True,
            )
            yield Result(missed, peer_missed, share)


def geometric_mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1_000)
    arguments = parser.parse_args()
    folders = [read(path.parent) for path in sorted(arguments.data.glob("*/source.csv"))]
    if not folders:
        parser.error(f"{arguments.data} has no folder with a source.csv")
    results = list(measured(folders, arguments.seeds))
    both = [each.budget for each in results if each.holds and each.peer_missed <= MOST_MISSED]
    held = sum(each.holds for each in results)
    print(f"the guarantee holds in {held} of {len(results)} settings, SUPG's too in {len(both)} of them")
    print(
        f"violation_rate={max(each.missed for each in results):.3f} "
        f"vs_supg={geometric_mean([each.budget for each in results if each.holds]):.3f} "
        f"vs_supg_both={geometric_mean(both):.3f}"
    )


if __name__ == "__main__":
    main()
