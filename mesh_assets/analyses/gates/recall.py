"""The fewest wrong rows that must be kept so that of all right rows a target share is kept.

Where right rows are rare no sample can bound, for any scores at all, how many lie among the tens of thousands at the
bottom: all would have to be kept. So a curve of the score, whose posterior the labels give, says how many are missed,
with room for scores that are shifted or too sure, for bins off the curve and for right rows at any score (`belief`).
Rows are kept down to where the posterior chance to keep the target share is high enough. Labels go where they help in
rounds: some to rows below, which show whether right ones are there, most to the least likely of the rows that are kept,
where known wrong ones are left out. Where the budget reaches for all rows that are likely to be right, it goes to them
first, then below: they are known then, so almost nothing wrong is kept, and what is missed is a guess about rows that
no label could settle. With too few right rows found, everything is kept.

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
# Share of a round that goes to rows below what is kept; where everything is kept so far or no likely row is left.
_EXPLORED = 0.2
_EXPLORED_OF_ALL = 0.5
# Where all rows this likely to be right can still be labelled, they are, from the top: nothing else tells as much of
# where right rows end, and of what is labelled no wrong row is kept.
_LIKELY = 0.1
# The posterior chance to miss the target, for each of `delta`: scores that lie in other ways than the curves do.
_RISK = 0.5
# The same where no likely row is left: in what ways the scores lie there was seen, and only those below are guessed.
_RISK_BELOW = 0.9
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
        kept = _reach(belief, labels, target, delta)
        left = labels.left(budget)
        labels.add(_round(belief, labels, kept, left, -(-left // rounds_left)))
    return _reach(believe(curves, labels.right, labels.labelled), labels, target, delta), labels


def _round(belief: Belief, labels: Labels, kept: Ints, left: Ints, number: Ints) -> Ints:
    """What to label next, `number` rows (trials) of the `left` ones, where `kept` bins would be kept."""
    bins = labels.room.shape[1]
    likely = _likely_left(belief, labels)
    few = likely <= left
    inside = columns(bins) < np.where(few, bins, kept)[:, None]
    explored = np.floor(number * np.where((kept < bins) & (likely > 0), _EXPLORED, _EXPLORED_OF_ALL)).astype(np.int64)
    doubt = labels.room * np.sqrt(belief.chance * (1 - belief.chance))
    explore = apportion(np.where(inside, 1e-9 * doubt, doubt), explored, labels.room)
    room, rest = np.where(inside, labels.room - explore, 0), number - explore.sum(axis=1)
    return explore + np.where(few[:, None], fill(room, rest), fill(room[:, ::-1], rest)[:, ::-1])


def _likely_left(belief: Belief, labels: Labels) -> Ints:
    """How many rows without a label are likely to be right, (trials)."""
    return np.where(belief.chance >= _LIKELY, labels.room, 0).sum(axis=1)


def _reach(belief: Belief, labels: Labels, target: float, delta: float) -> Ints:
    """How many bins from above must be kept, (trials), by halving."""
    trials, number = labels.room.shape
    sure = 1 - delta * np.where(_likely_left(belief, labels) > 0, _RISK, _RISK_BELOW)
    low, high = np.full(trials, -1), np.full(trials, number)  # fails, holds
    known = labels.right.sum(axis=1, keepdims=True)
    missed = (1 - target) / target  # right rows that may be missed for each one that is kept
    while bool((high - low > 1).any()):
        middle = (low + high) // 2
        counted = np.where(columns(number) < middle[:, None], missed, -1.0)
        mean, variance = belief.totals(labels.room.astype(np.float64), counted)
        holds = (belief.weights * normal((missed * known + mean) / np.sqrt(variance + 1e-12))).sum(axis=1) >= sure
        going = high - low > 1
        high = np.where(going & holds, middle, high)
        low = np.where(going & ~holds, middle, low)
    return np.where(known[:, 0] < _FEWEST_RIGHT, number, high)
