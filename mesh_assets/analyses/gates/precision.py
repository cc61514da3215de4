"""The highest share of the right rows that can be kept so that of what is kept a target share is right, for sure.

A part of the labels says where to look: how far down the scores what is kept may reach, and which rows are best
labelled one by one. Then rows are drawn uniformly, without putting back, from all that would be kept, and the number of
wrong ones is tested against the hypergeometric law: exact for any scores and any number of rows. Labelled rows are
known, so right ones are kept wherever they are, wrong ones nowhere: what may be wrong among the others grows with them.
Sets are tested from the safest outward, each at the full `delta`, until one fails (fixed sequence: Bauer, 1991), as
BARGAIN (arXiv 2509.02896) and SUPG (VLDB 2020) descend their thresholds.
"""

from __future__ import annotations

import numpy as np

from mesh_assets.analyses.gates.belief import Belief, believe, curves_at
from mesh_assets.analyses.gates.bins import Bins, Floats, Ints
from mesh_assets.analyses.gates.draws import Draw, Labels, apportion, columns, fill, scatter
from mesh_assets.analyses.gates.laws import binomial, hypergeometric

# Shares of the verdicts: to look around, then to test with; what is left is for single rows.
_PILOT = 0.3
_TESTED = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
# The test of the widest set is planned to pass even if it meets so many standard deviations more wrong rows.
_CAUTION = 1.0
# Rows of the tested sets, as shares of the widest.
_SEQUENCE = (0.6, 0.8, 0.9, 1.0)


def most_kept(
    bins: Bins, draw: Draw, budget: int, target: float, delta: float, rng: np.random.Generator
) -> tuple[Ints, Labels]:
    """Label at most `budget` rows; how many bins from above are kept, (trials), and the labels.

    With probability 1 - `delta` at least `target` of the rows kept (those bins and the rows known to be right, without
    those known to be wrong) are right. 0 bins: nothing is kept but what is known to be right.
    """
    labels = Labels(bins.rows, draw)
    curves = curves_at(bins)
    pilot = np.full(draw.trials, int(np.ceil(budget * _PILOT)))
    labels.add(apportion(np.ones(labels.room.shape), pilot, labels.room))
    rest = labels.left(budget)
    belief = believe(curves, labels.right, labels.labelled)
    widest, tested = _plan(belief, labels, rest, target, delta)
    # Single rows first: what is known of them makes the test easier, and they lie outside of what is tested.
    outside = columns(len(bins.rows)) >= widest[:, None]
    labels.add(fill(np.where(outside, labels.room, 0), np.where(widest > 0, rest - tested, rest)))
    return _descend(labels, widest, tested, target, delta, rng), labels


def _plan(belief: Belief, labels: Labels, rest: Ints, target: float, delta: float) -> tuple[Ints, Ints]:
    """How many bins to test, and with how many labels, (trials): where most right rows are likely to be kept."""
    best = np.full(rest.shape, -1.0)
    widest, tested = np.zeros_like(rest), np.zeros_like(rest)
    for share in _TESTED:
        number = np.floor(rest * share).astype(np.int64)
        kept = _likely_kept(belief, labels, rest, number, target, delta)
        end = kept.argmax(axis=1)
        value = np.take_along_axis(kept, end[:, None], axis=1)[:, 0]
        better = value > best
        best = np.where(better, value, best)
        widest = np.where(better, end + 1, widest)
        tested = np.where(better, number, tested)
    return widest, tested


def _likely_kept(belief: Belief, labels: Labels, rest: Ints, number: Ints, target: float, delta: float) -> Floats:
    """Right rows that are kept, (trials, bins), if the test is of so many bins and with `number` labels of the `rest`.

    -1 where the test is likely to fail.
    """
    room, chance = labels.room.astype(np.float64), belief.chance
    bins = room.shape[1]
    single = np.zeros(room.shape)
    for end in range(bins):
        singles = fill(np.where(columns(bins) > end, labels.room, 0), rest - number)
        single[:, end] = (singles * chance).sum(axis=1)
    unlabelled = np.cumsum(room, axis=1)
    wrong = np.cumsum(room * (1 - chance), axis=1)
    known = labels.right.sum(axis=1, keepdims=True) + single
    drawn = np.minimum(number[:, None].astype(np.float64), unlabelled)
    rate = wrong / np.maximum(unlabelled, 1)
    spread = np.sqrt(np.maximum(drawn * rate * (1 - rate), 0) * (1 - drawn / np.maximum(unlabelled, 1)))
    met = np.ceil(drawn * rate + _CAUTION * spread - 0.5).clip(0)
    passes = (drawn > 0) & (_too_few_wrong(met, drawn, unlabelled, known, target) <= delta)
    return np.where(passes, known + unlabelled - wrong, -1.0)


def _fewest_bad(met: Floats, unlabelled: Floats, known: Floats, target: float) -> Floats:
    """The fewest wrong rows among `unlabelled` with which the target is missed after `met` of them were found."""
    return np.floor(met + (1 - target) * (known + unlabelled - met) + 1e-9) + 1


def _too_few_wrong(met: Floats, drawn: Floats, unlabelled: Floats, known: Floats, target: float) -> Floats:
    """About the chance to meet that few wrong rows where the target is missed: Wise's binomial, to plan with."""
    bad = _fewest_bad(met, unlabelled, known, target)
    rate = np.clip((2 * bad - met) / np.maximum(2 * unlabelled - drawn + 1, 1), 0, 1)
    return np.where(bad > unlabelled, 0.0, binomial(met, drawn, rate))


def _descend(labels: Labels, widest: Ints, tested: Ints, target: float, delta: float, rng: np.random.Generator) -> Ints:
    """Draw `tested` rows of the `widest` bins and keep the widest set of the sequence up to which all pass."""
    number = columns(labels.room.shape[1])
    before = np.where(number < widest[:, None], labels.room, 0)
    known = labels.right.sum(axis=1)
    take = scatter(before, tested, rng)
    right = labels.add(take)
    kept, going = np.zeros_like(widest), widest > 0
    for share in _SEQUENCE:
        upto = np.cumsum(before, axis=1)
        ends = np.minimum((upto < share * upto[:, -1:]).sum(axis=1) + 1, widest)
        inside = number < ends[:, None]
        drawn, unlabelled = np.where(inside, take, 0).sum(axis=1), np.where(inside, before, 0).sum(axis=1)
        met = drawn - np.where(inside, right, 0).sum(axis=1)
        others = known + np.where(inside, 0, right).sum(axis=1)
        bad = _fewest_bad(met.astype(float), unlabelled.astype(float), others.astype(float), target)
        chance = hypergeometric(met, drawn, np.minimum(bad, unlabelled).astype(np.int64), unlabelled)
        going = going & ((bad > unlabelled) | (chance <= delta))
        kept = np.where(going, ends, kept)
    return kept
