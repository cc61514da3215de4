"""Whether what was learned may choose nodes: only where it beat the best single node on records that it had not seen.

How it learns belongs to `quality`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from mesh_assets.mesh.routing.choice import Candidate, OpenCase, choose
from mesh_assets.mesh.routing.quality import Floats, QualityModel, Records, Rows

FOLDS = 3
# Shares of the money that the best single node would cost.
BUDGETS = (Decimal("0.25"), Decimal("0.5"), Decimal("0.75"), Decimal(1))
_ONE_SIDED_95 = 1.645  # standard errors


@dataclass(frozen=True, slots=True)
class Trial:
    """What learning gained a record, and with 95% certainty at least `gain_low`, over the best that needs no learning.

    That is, for the same money: the best single node, or where it cannot be paid for all, the best mixture of nodes by
    lot. `best_node_gain` is the gain over the best single node for all the money that this costs, with 95% certainty no
    more than `best_node_gain_high`.
    """

    records: int
    gain: float
    gain_low: float
    best_node: str
    best_node_gain: float
    best_node_gain_high: float

    @property
    def passed(self) -> bool:
        """Whether it may choose: it is better for the same money, and for all the money no worse but by chance."""
        return self.gain_low > 0 and self.best_node_gain_high >= 0

    @property
    def sentence(self) -> str:
        """What came out, for people."""
        return (
            f"The learned router is {'on' if self.passed else 'off'}: on {self.records} records that it had not seen "
            f"it was {self.gain:+.3f} (at least {self.gain_low:+.3f}) better than nodes by lot for the same money, and "
            f"{self.best_node_gain:+.3f} better than {self.best_node} alone."
        )


def held_out_predictions(records: Records) -> Floats:
    """What models that were learned without a record predict for it, shape (records, nodes)."""
    predicted = np.empty(records.scores.shape)
    order: Rows = np.random.default_rng(0).permutation(len(records)).astype(np.int64)
    for fold in range(FOLDS):
        left = order[fold::FOLDS]
        learned, held = records.take(np.setdiff1d(order, left)), records.take(left)
        predicted[left] = QualityModel(learned).predict(held.questions, held.answers)
    return predicted


def try_out(records: Records, cost_usd: Sequence[Decimal]) -> Trial:
    """The trial of a model learned from `records` against single nodes, whose cost of an answer is `cost_usd`."""
    predicted, means = held_out_predictions(records), records.scores.mean(axis=0)
    best = int(means.argmax())
    gains: list[Floats] = []
    for share in BUDGETS:
        budget = max(cost_usd[best], min(cost_usd)) * share * len(records)
        routed = _routed(records, predicted, cost_usd, budget)
        gains.append(routed - records.scores @ _lot(means, cost_usd, budget / len(records)))
    gain: Floats = np.mean(gains, axis=0)
    return Trial(
        records=len(records),
        gain=float(gain.mean()),
        gain_low=float(gain.mean()) - _margin(gain),
        best_node=records.nodes[best],
        best_node_gain=float(gains[-1].mean()),
        best_node_gain_high=float(gains[-1].mean()) + _margin(gains[-1]),
    )


def _margin(gains: Floats) -> float:
    return _ONE_SIDED_95 * float(gains.std(ddof=1)) / len(gains) ** 0.5


def _routed(records: Records, predicted: Floats, cost_usd: Sequence[Decimal], budget: Decimal) -> Floats:
    """The score of each record under the node that it was given; 0 where the budget left it without."""
    cases = [
        OpenCase(str(row), tuple(map(Candidate, records.nodes, expected, cost_usd)))
        for row, expected in enumerate(predicted.tolist())
    ]
    place = {node: column for column, node in enumerate(records.nodes)}
    chosen = [choice.chosen for choice in choose(cases, budget)]
    return np.array([records.scores[row, place[each.node]] if each else 0.0 for row, each in enumerate(chosen)])


def _lot(means: Floats, cost_usd: Sequence[Decimal], budget: Decimal) -> Floats:
    """Shares of nodes of the best mixture by lot whose mean cost is `budget` or less, shape (nodes,)."""
    costs, money = [float(cost) for cost in cost_usd], float(budget)
    best = np.zeros(len(costs))
    for dear in range(len(costs)):
        for cheap in (*range(len(costs)), None):  # None: no node is asked
            low = costs[cheap] if cheap is not None else 0.0
            if low > money or costs[dear] < low:
                continue
            share = 1.0 if costs[dear] <= money else (money - low) / (costs[dear] - low)
            mixture = np.zeros(len(costs))
            mixture[dear] += share
            if cheap is not None:
                mixture[cheap] += 1.0 - share
            if mixture @ means > best @ means:
                best = mixture
    return best
