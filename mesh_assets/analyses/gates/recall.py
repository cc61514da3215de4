"""The fewest wrong rows that must be kept so that of all right rows a target share is kept.

Where right rows are rare no sample can bound, for any scores at all, how many lie among the tens of thousands at the
bottom: all would have to be kept. So a curve of the score, whose posterior the labels give, says how many are missed,
with room for scores that are shifted or too sure, for bins off the curve and for right rows at any score (`belief`).
Rows are kept down to where the posterior chance to keep the target share is high enough. Labels go where they help in
rounds: some to rows below, which show whether right ones are there, most to the least likely of the rows that are kept,
where known wrong ones are left out. With too few right rows found, everything is kept.

SUPG (Kang et al., VLDB 2020) bounds the same by normal approximation of importance-weighted labels, which takes no
right row seen below for none there.
"""

from __future__ import annotations

import numpy as np

from mesh_assets.analyses.gates.belief import Belief, believe, curves_at
from mesh_assets.analyses.gates.bins import Bins, Ints
from mesh_assets.analyses.gates.draws import Draw, Labels, apportion, columns, fill
from mesh_assets.analyses.gates.laws import normal

# Share of the verdicts to look around with, and rounds for the rest.
_PILOT = 0.3
_ROUNDS = 4
# Share of a round that goes to rows below what is kept; of the whole where everything is kept so far.
_EXPLORED = 0.2
_EXPLORED_OF_ALL = 0.5
# The posterior chance to miss the target, for each of `delta`: scores that lie in other ways than the curves do.
_RISK = 0.5
# Right rows that must be found before anything is left out: fewer say nothing about a curve.
_FEWEST_RIGHT = 10


def fewest_kept(bins: Bins, draw: Draw, budget: int, target: float, delta: float) -> tuple[Ints, Labels]:
    """Label at most `budget` rows; how many bins from above are kept, (trials), and the labels.

    At least `target` of the right rows are kept (those in these bins, and those known to be right) with a posterior
    probability of more than 1 - `delta`.
    """
    labels = Labels(bins.rows, draw)
    curves = curves_at(bins)
    pilot = np.full(draw.trials, int(np.ceil(budget * _PILOT)))
    labels.add(apportion(np.ones(labels.room.shape), pilot, labels.room))
    for rounds_left in range(_ROUNDS, 0, -1):
        belief = believe(curves, labels.right, labels.labelled)
        kept = _reach(belief, labels, target, delta * _RISK)
        labels.add(_round(belief, labels, kept, -(-labels.left(budget) // rounds_left)))
    return _reach(believe(curves, labels.right, labels.labelled), labels, target, delta * _RISK), labels


def _round(belief: Belief, labels: Labels, kept: Ints, number: Ints) -> Ints:
    """What to label next, `number` rows (trials) where `kept` bins would be kept."""
    bins = labels.room.shape[1]
    inside = columns(bins) < kept[:, None]
    explored = np.floor(number * np.where(kept < bins, _EXPLORED, _EXPLORED_OF_ALL)).astype(np.int64)
    doubt = labels.room * np.sqrt(belief.chance * (1 - belief.chance))
    explore = apportion(np.where(inside, 1e-9 * doubt, doubt), explored, labels.room)
    room = np.where(inside, labels.room - explore, 0)[:, ::-1]
    return explore + fill(room, number - explore.sum(axis=1))[:, ::-1]


def _reach(belief: Belief, labels: Labels, target: float, delta: float) -> Ints:
    """How many bins from above must be kept, (trials), by halving."""
    trials, number = labels.room.shape
    low, high = np.full(trials, -1), np.full(trials, number)  # fails, holds
    known = labels.right.sum(axis=1, keepdims=True)
    missed = (1 - target) / target  # right rows that may be missed for each one that is kept
    while bool((high - low > 1).any()):
        middle = (low + high) // 2
        counted = np.where(columns(number) < middle[:, None], missed, -1.0)
        mean, variance = belief.totals(labels.room.astype(np.float64), counted)
        holds = (belief.weights * normal((missed * known + mean) / np.sqrt(variance + 1e-12))).sum(axis=1) >= 1 - delta
        going = high - low > 1
        high = np.where(going & holds, middle, high)
        low = np.where(going & ~holds, middle, low)
    return np.where(known[:, 0] < _FEWEST_RIGHT, number, high)
