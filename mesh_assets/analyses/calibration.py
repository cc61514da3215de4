"""How far stated probabilities can be trusted: calibration error, reliability, risk against coverage.

Measures only. What makes a probability of signals is `confidence`; what is drawn of them, `reports.plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_assets.errors import CalibrationError

BINS = 15
# Fewer in a bin say nothing of the share that is right; a curve of so many points is as good to the eye as one of all.
_ANSWERS_A_BIN, _POINTS = 5, 100
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same stated probability: the mean of it, and the share that was right."""

    stated: float
    right: float
    answers: int


def reliability(stated: Sequence[float] | Floats, right: Sequence[bool] | Floats, bins: int = BINS) -> list[Bin]:
    """Answers in order of their probability, cut into `bins` of equal mass (of equal number, to one).

    Equal probabilities that fall on a cut stay in their order, so `bins` of them are given where there are as many
    answers. CalibrationError where the two do not fit or a probability is outside 0..1.
    """
    p, y = _checked(stated, right)
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, min(bins, len(p)))
    return [Bin(float(p[part].mean()), float(y[part].mean()), len(part)) for part in parts]


def calibration_error(stated: Sequence[float] | Floats, right: Sequence[bool] | Floats, bins: int = BINS) -> float:
    """Expected calibration error in equal-mass bins: mean distance of stated and right, weighted by answers.

    Even a perfect probability has one by chance: about .4 times the root of `bins` over the number of answers.
    """
    found = reliability(stated, right, bins)
    return sum(abs(each.stated - each.right) * each.answers for each in found) / sum(each.answers for each in found)


def risk_coverage(stated: Sequence[float] | Floats, right: Sequence[bool] | Floats) -> list[tuple[float, float]]:
    """(coverage, risk): share of wrong answers among the surest, for each number of answers that is kept.

    Equal probabilities are kept or left together.
    """
    p, y = _checked(stated, right)
    order = np.argsort(-p, kind="stable")
    wrong = np.cumsum(1.0 - y[order])
    last = np.flatnonzero(np.append(p[order][1:] != p[order][:-1], True))
    return [((int(i) + 1) / len(p), float(wrong[i]) / (int(i) + 1)) for i in last]


@dataclass(frozen=True, slots=True)
class Quality:
    """How a fit did on answers that it did not see: `error` is the calibration error, `brier` the mean squared distance
    of stated and right. `bins` are (stated, right, answers), `risk` the points of risk against coverage.
    """

    answers: int
    error: float
    brier: float
    bins: tuple[tuple[float, float, int], ...]
    risk: tuple[tuple[float, float], ...]


def quality(stated: Sequence[float], right: Sequence[bool]) -> Quality | None:
    """That of unseen answers with these probabilities; None where they are too few for two bins."""
    bins = min(BINS, len(stated) // _ANSWERS_A_BIN)
    if bins < 2:
        return None
    p, y = _checked(stated, right)
    curve = risk_coverage(p, y)
    step = -(-len(curve) // _POINTS)
    return Quality(
        len(p),
        calibration_error(p, y, bins),
        float(((p - y) ** 2).mean()),
        tuple((each.stated, each.right, each.answers) for each in reliability(p, y, bins)),
        tuple(curve[step - 1 :: step]),
    )


def _checked(stated: Sequence[float] | Floats, right: Sequence[bool] | Floats) -> tuple[Floats, Floats]:
    p, y = np.asarray(stated, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(p) or p.shape != y.shape or p.ndim != 1:
        raise CalibrationError(
            f"{len(p)} probabilities do not fit {len(y)} verdicts.",
            remedy="Give one verdict for each, and one at least.",
        )
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise CalibrationError("A probability is not within 0 and 1.", remedy="Give calibrated values, not scores.")
    return p, y
