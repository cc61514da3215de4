"""What labels say of rows that have none: how likely a row of each bin is right, from a logistic curve with a floor.

The curve is p = floor + (ceiling - floor) / (1 + exp(-(a + b logit(score)))): `b` below 1 for scores that are too sure,
`floor` for right rows at any score, `ceiling` for wrong ones at the top. Its posterior is weighed on a grid, so that
a thousand trials are one matrix product. A belief plans; whether it may decide is for those who use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mesh_assets.analyses.gates.bins import Bins, Floats, Ints

# Values with prior weights: mild for honest scores, wide enough for scores that are shifted, too sure, or lie.
_SHIFTS = (np.linspace(-6, 6, 25), 2.0)  # and the standard deviation of its normal prior
_SLOPES = (np.array([-1.0, -0.5, -0.2, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0]), 0.5)
# The share of right rows that may be at any score.
_ANYWHERE = (
    np.array([0.0, 0.01, 0.03, 0.05, 0.08, 0.12, 0.3, 1.0]),
    np.array([0.74, 0.1, 0.08, 0.045, 0.02, 0.007, 0.005, 0.003]),
)
_CEILINGS = (np.array([1.0, 0.95, 0.8]), np.array([0.5, 0.3, 0.2]))
_SMALLEST = 1e-9
# A bin's own chance is taken to lie off its curve by a factor of about 1 / sqrt of this.
_TRUST = 2.0
# Curves of less weight in every trial are dropped: all of them together weigh less than a hundredth.
_LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class Curves:
    """The curves of the grid at some bins: `chance` of a right row, (curves, bins), and log prior weight of each."""

    chance: Floats
    log_prior: Floats

    def weigh(self, right: Ints, wrong: Ints) -> Floats:
        """Posterior weights (trials, curves) of the curves after labels (trials, bins)."""
        weights = right @ np.log(self.chance).T + wrong @ np.log1p(-self.chance).T + self.log_prior
        weights = np.exp(weights - weights.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


def curves_at(bins: Bins) -> Curves:
    """All curves of the grid at these bins."""
    shift, slope, anywhere, ceiling = (
        axis.ravel() for axis in np.meshgrid(_SHIFTS[0], _SLOPES[0], _ANYWHERE[0], _CEILINGS[0], indexing="ij")
    )
    rising = 1 / (1 + np.exp(-(shift[:, None] + slope[:, None] * bins.logit[None, :])))
    floor = anywhere[:, None] * (rising @ bins.rows / bins.rows.sum())[:, None]
    chance = np.clip(floor + (ceiling[:, None] - floor).clip(0) * rising, _SMALLEST, 1 - _SMALLEST)
    log_prior = -0.5 * (shift / _SHIFTS[1]) ** 2 - 0.5 * ((slope - 1) / _SLOPES[1]) ** 2
    priors = np.meshgrid(_SHIFTS[0], _SLOPES[0], np.log(_ANYWHERE[1]), np.log(_CEILINGS[1]), indexing="ij")
    return Curves(chance, log_prior + priors[2].ravel() + priors[3].ravel())


@dataclass(frozen=True)
class Belief:
    """Chances after labels: of each bin `chance` (trials, bins), the mean over curves and the bin's own labels."""

    curves: Curves
    weights: Floats
    right: Ints
    labelled: Ints
    # How many labelled rows the curve is worth in each bin: where a bin has more of its own they bend the curve.
    worth: Floats

    @property
    def chance(self) -> Floats:
        """The mean chance of a right row in each bin, (trials, bins)."""
        return (self.right + self.worth * (self.weights @ self.curves.chance)) / (self.labelled + self.worth)

    def totals(self, rows: Floats, counted: Floats) -> tuple[Floats, Floats]:
        """Mean and variance, (trials, curves), of the right ones among `rows` without labels, each `counted` so often.

        Both are (trials, bins).
        """
        seen = self.labelled + self.worth
        each = counted * rows / seen
        # A right row more or less, and a bin's chance that is off its curve.
        squared = counted**2 * (rows + rows**2 / (seen + 1)) * (1 - self.chance) / seen
        mean, variance = (
            (factor * self.right).sum(axis=1, keepdims=True) + (factor * self.worth) @ self.curves.chance.T
            for factor in (each, squared)
        )
        return mean, variance


def believe(curves: Curves, right: Ints, labelled: Ints) -> Belief:
    """The belief after `right` of `labelled` rows in each bin, both (trials, bins)."""
    weights = curves.weigh(right, labelled - right)
    likely = weights.max(axis=0) > _LEAST_WEIGHT
    curves = Curves(curves.chance[likely], curves.log_prior[likely])
    weights = weights[:, likely] / weights[:, likely].sum(axis=1, keepdims=True)
    mean = weights @ curves.chance
    return Belief(curves, weights, right, labelled, _TRUST / (mean * (1 - mean)))
