"""What the owner's corrections of labels teach: a light classifier beside the descriptions, off until it is better.

It is a logistic regression on vectors whose probabilities are mixed with those of the descriptions, so that a label
that nobody corrected can still be given; how much it weighs is what cross-validation likes best of a few shares. Where
corrections are kept is in `storage.label_corrections`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.labels import Vectors

# Corrections of a set before a classifier is tried, and of a label for it to be learnt.
LEAST, LEAST_OF_A_LABEL = 20, 3
FOLDS = 5
# Shares of what was learnt in the mixture; few, so that the choice of the best one flatters it little.
_WEIGHTS = (0.5, 0.7, 0.85)
_SEED = 7


@dataclass(frozen=True, slots=True)
class Correction:
    """A person's word on the label of one chunk, with the chunk's unit vector."""

    label_set: str
    label: str
    vector: Vectors


class Classifier(Protocol):
    """Gives probabilities of labels, shape (rows, labels + 1), for vectors (rows, dimension)."""

    def __call__(self, vectors: Vectors, described: NDArray[np.float64]) -> NDArray[np.float64]:
        """`described` are the probabilities by the descriptions."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """How many of `corrections` each way of labelling gets right, the learnt one by cross-validation."""

    corrections: int
    described: float
    learnt: float
    classifier: Classifier | None


def tried(names: Sequence[str], corrections: Sequence[Correction], described: NDArray[np.float64]) -> Trial:
    """A classifier of labels `names` where it beats the descriptions in cross-validation, else none.

    `described` are the probabilities (corrections, names) by the descriptions. A correction of a label that `names`
    has not, or that has too few, is left out.
    """
    counts = Counter(each.label for each in corrections)
    rows = [
        row for row, each in enumerate(corrections) if each.label in names and counts[each.label] >= LEAST_OF_A_LABEL
    ]
    truth = np.array([names.index(corrections[row].label) for row in rows], np.int64)
    if len(rows) < LEAST or len(set(truth.tolist())) < 2:
        return Trial(len(rows), 0.0, 0.0, None)
    vectors = np.stack([corrections[row].vector for row in rows])
    given = described[rows]
    by_description = float((given.argmax(axis=1) == truth).mean())
    right = _cross_validated(vectors, truth, given)
    best = int(right.argmax())
    learnt = float(right[best]) / len(rows)
    mixed = _Mixed(vectors, truth, _WEIGHTS[best]) if learnt > by_description else None
    return Trial(len(rows), by_description, learnt, mixed)


def _cross_validated(vectors: Vectors, truth: NDArray[np.int64], described: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of the held rows are right with each of `_WEIGHTS`."""
    from sklearn.model_selection import StratifiedKFold  # pyright: ignore[reportMissingTypeStubs]

    right = np.zeros(len(_WEIGHTS), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer rows than folds is missing from some
        folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED).split(vectors, truth))
    for known, held in cast("list[tuple[NDArray[np.int64], NDArray[np.int64]]]", folds):
        if len(set(truth[known].tolist())) < 2:
            return np.zeros_like(right)
        model = _Mixed(vectors[known], truth[known], 1.0)
        for at, weight in enumerate(_WEIGHTS):
            model.weight = weight
            made = model(vectors[held], described[held])
            right[at] += int((made.argmax(axis=1) == truth[held]).sum())
    return right


class _Mixed:
    """What was learnt, by the share `weight`, and what the descriptions say."""

    def __init__(self, vectors: Vectors, truth: NDArray[np.int64], weight: float) -> None:
        from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

        self.weight = weight
        # Unit vectors are small numbers: a weak penalty, or all labels stay alike.
        self._model: Any = LogisticRegression(C=10.0, max_iter=500, class_weight="balanced")
        self._model.fit(vectors, truth)

    def __call__(self, vectors: Vectors, described: NDArray[np.float64]) -> NDArray[np.float64]:
        learnt = np.zeros_like(described)
        learnt[:, self._model.classes_] = self._model.predict_proba(vectors)
        return self.weight * learnt + (1 - self.weight) * described
