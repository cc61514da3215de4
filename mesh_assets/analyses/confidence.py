"""How likely an answer is right, learned from verdicts on other answers; *uncalibrated* until there are enough.

Signals come from elsewhere (`form`, the checks of an answer, agreement, the node's own word); how good the
probabilities are is measured by `calibration`; what follows from one is up to gates and the ladder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.errors import CalibrationError

# Fewer say less about an answer than the mean: with 100 the probability's own error is about .05.
MIN_VERDICTS = 100
MIN_OF_EACH = 15  # right ones, and wrong ones
FORM = 1  # of the file; another form is not read
FOLDS = 5
_BUCKETS = 2**12  # of hashed groups of letters, for question and answer each
_CHARS = 20_000
_FAR = 3.0  # standard deviations beyond which a signal says no more
# Chosen on seven of the fourteen recorded BBH tasks, by answers that were not learned from.
_SIGNALS_WEIGHT = 8.0  # the square length of all signals together, where that of a question's letters is 1
_ANSWER_WEIGHT = 0.3
_FREEDOM = 2.0  # inverse of the weight of the penalty
Floats = NDArray[np.float64]


class _Table(Protocol):
    """What is used of a sparse table of shape (answers, features), as scipy carries no types."""

    def __getitem__(self, rows: NDArray[np.int64], /) -> _Table: ...
    def __matmul__(self, weights: object, /) -> _Table: ...
    def __gt__(self, least: float, /) -> _Table: ...
    def sum(self, axis: int) -> object: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer that was judged, with its signals by name; all verdicts of a fit have the same names."""

    question: str
    answer: str
    signals: Mapping[str, float]
    is_right: bool


@dataclass(frozen=True)
class FittedConfidence:
    """A penalised logistic regression on letters of question and answer and on signals, and the curve of its scores.

    The curve (Platt 1999) was fitted on scores of verdicts that the regression had not seen. All that it is made of are
    numbers, so it is kept as JSON.
    """

    verdicts: int
    names: tuple[str, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]
    rarity: tuple[float, ...]
    weights: tuple[float, ...]
    base: float
    slope: float
    shift: float
    form: int = FORM

    @property
    def version(self) -> str:
        """Changes with any number of it."""
        return f"verdicts-{self.verdicts}-{blake3(self.to_json().encode()).hexdigest(length=4)}"

    def scores(
        self, questions: Sequence[str], answers: Sequence[str], signals: Sequence[Mapping[str, float]]
    ) -> Floats:
        """Log odds before they are calibrated, shape (questions,)."""
        if not questions:
            return np.empty(0)
        rows = _told(signals, self.names)
        blocks = _letters(questions, answers, np.array(self.rarity))
        scaled = _scaled(rows, np.array(self.means), np.array(self.spreads))
        return np.asarray(_beside([*blocks, scaled]) @ np.array(self.weights)) + self.base

    def probabilities(
        self, questions: Sequence[str], answers: Sequence[str], signals: Sequence[Mapping[str, float]]
    ) -> Floats:
        """How likely each answer is right, shape (questions,). CalibrationError where a signal is missing."""
        return _logistic(self.slope * self.scores(questions, answers, signals) + self.shift)

    def to_json(self) -> str:
        """All of it, the same text for the same numbers."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> FittedConfidence:
        """What `to_json` wrote. CalibrationError where it is none of this form."""
        remedy = "Fit it again from the verdicts."
        adapter = cast("Any", import_module("pydantic")).TypeAdapter(cls)
        try:
            made = cast("FittedConfidence", adapter.validate_json(text))
        except ValueError as error:
            raise CalibrationError(f"This is no calibration: {error}.", remedy=remedy) from error
        if made.form != FORM:
            raise CalibrationError(f"The calibration has form {made.form}, and {FORM} is read.", remedy=remedy)
        sizes = {len(made.means), len(made.spreads), len(made.weights) - 2 * _BUCKETS}
        numbers = np.array([*made.weights, *made.rarity, *made.means, *made.spreads, made.base, made.slope, made.shift])
        if sizes != {len(made.names)} or len(made.rarity) != _BUCKETS or not bool(np.isfinite(numbers).all()):
            raise CalibrationError("The calibration's numbers do not fit together.", remedy=remedy)
        return made


def standing(verdicts: Sequence[Verdict]) -> str:
    """Why confidence is uncalibrated, for people; empty where there are verdicts enough."""
    right = sum(verdict.is_right for verdict in verdicts)
    wrong = len(verdicts) - right
    if len(verdicts) >= MIN_VERDICTS and min(right, wrong) >= MIN_OF_EACH:
        return ""
    return (
        f"Uncalibrated: {len(verdicts)} verdicts ({right} right, {wrong} wrong) of {MIN_VERDICTS}, "
        f"with {MIN_OF_EACH} of each, that are needed."
    )


def fit_confidence(verdicts: Sequence[Verdict]) -> FittedConfidence | None:
    """Learns from verdicts; None while there are too few of them, which `standing` puts in words.

    The same verdicts in any order give the same: they are sorted first. CalibrationError where signals do not fit.
    """
    if standing(verdicts):
        return None
    ordered = sorted(verdicts, key=lambda verdict: (_identity(verdict), verdict.is_right))
    names = tuple(sorted(ordered[0].signals))
    questions, answers = [each.question for each in ordered], [each.answer for each in ordered]
    rows = _told([each.signals for each in ordered], names)
    right = np.array([each.is_right for each in ordered], dtype=np.float64)
    spread = rows.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    rarity = _rarity(questions)
    table = _beside([*_letters(questions, answers, rarity), _scaled(rows, rows.mean(axis=0), spread)])
    slope, shift = _curve(_held_out(table, right, questions), right)
    weights, base = _regression(table, right)
    return FittedConfidence(
        verdicts=len(ordered),
        names=names,
        means=tuple(rows.mean(axis=0).tolist()),
        spreads=tuple(spread.tolist()),
        rarity=tuple(rarity.tolist()),
        weights=tuple(weights.tolist()),
        base=base,
        slope=slope,
        shift=shift,
    )


def _identity(verdict: Verdict) -> bytes:
    said = f"{verdict.question}\x1f{verdict.answer}\x1f{sorted(verdict.signals.items())}"
    return blake3(said.encode("utf-8", "surrogatepass")).digest()


def _told(signals: Sequence[Mapping[str, float]], names: tuple[str, ...]) -> Floats:
    """Signals as rows, shape (answers, names)."""
    try:
        rows = np.array([[each[name] for name in names] for each in signals], dtype=np.float64)
    except KeyError as error:
        raise CalibrationError(
            f"An answer lacks the signal {error}.", remedy="Give the signals that the verdicts had."
        ) from error
    if not bool(np.isfinite(rows).all()):
        raise CalibrationError("A signal is no finite number.", remedy="Give .5 or 0 for what cannot be said.")
    return rows.reshape(len(signals), len(names))


def _scaled(rows: Floats, means: Floats, spreads: Floats) -> Floats:
    scaled = np.clip((rows - means) / spreads, -_FAR, _FAR)
    return scaled * np.sqrt(_SIGNALS_WEIGHT / max(rows.shape[1], 1))


def _held_out(table: _Table, right: Floats, questions: Sequence[str]) -> Floats:
    """The score of each verdict by a regression that saw no verdict on its question."""
    fold = np.array([blake3(question.encode("utf-8", "surrogatepass")).digest()[0] % FOLDS for question in questions])
    scores = np.zeros(len(right))
    for each in range(FOLDS):
        held, seen = fold == each, fold != each
        if held.any() and 0 < right[seen].sum() < seen.sum():
            weights, base = _regression(table[np.flatnonzero(seen)], right[seen])
            scores[held] = np.asarray(table[np.flatnonzero(held)] @ weights) + base
    return scores


def _regression(table: _Table, right: Floats) -> tuple[Floats, float]:
    """Weights and base of a penalised logistic regression."""
    model = cast("Any", import_module("sklearn.linear_model")).LogisticRegression(C=_FREEDOM, max_iter=300, tol=1e-3)
    model.fit(table, right)
    return np.asarray(model.coef_, dtype=np.float64)[0], float(model.intercept_[0])


def _curve(scores: Floats, right: Floats) -> tuple[float, float]:
    """Platt's slope and shift; the slope never turns the order of the answers round."""
    model = cast("Any", import_module("sklearn.linear_model")).LogisticRegression(C=100.0)
    model.fit(scores.reshape(-1, 1), right)
    slope = float(model.coef_[0][0])
    if slope > 0:
        return slope, float(model.intercept_[0])
    mean = float(right.mean())  # the scores say nothing about answers that were not seen: all get the mean
    return 0.0, float(np.log(mean / (1 - mean)))


def _logistic(odds: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))


# Two confidences that are asked about the same answers (would a deeper one be right?) count their letters once.
@lru_cache(maxsize=4)
def _counts(texts: tuple[str, ...], sizes: tuple[int, int]) -> _Table:
    """Groups of letters in each text, as logarithms of how often; nobody changes what is kept."""
    text = cast("Any", import_module("sklearn.feature_extraction.text"))
    clean = [each[:_CHARS].encode("utf-8", "replace").decode() for each in texts]
    hashed = text.HashingVectorizer(
        analyzer="char_wb", ngram_range=sizes, n_features=_BUCKETS, alternate_sign=False, norm=None
    )
    found = hashed.transform(clean).tocsr()
    found.data = np.log(found.data) + 1.0
    return cast("_Table", found)


def _rarity(questions: Sequence[str]) -> Floats:
    """Inverse document frequency of each bucket."""
    met = np.asarray((_counts(tuple(questions), (3, 3)) > 0).sum(axis=0)).ravel()
    return np.log((1.0 + len(questions)) / (1.0 + met)) + 1.0


def _letters(questions: Sequence[str], answers: Sequence[str], rarity: Floats) -> list[_Table]:
    """Letters of questions and of answers, each of length 1 (times its weight), sparse."""
    sparse = cast("Any", import_module("scipy.sparse"))
    normalize = cast("Any", import_module("sklearn.preprocessing")).normalize
    asked, said = _counts(tuple(questions), (3, 3)), _counts(tuple(answers), (1, 3))
    return [normalize(asked @ sparse.diags_array(rarity)), normalize(said) * np.sqrt(_ANSWER_WEIGHT)]


def _beside(blocks: Sequence[object]) -> _Table:
    sparse = cast("Any", import_module("scipy.sparse"))
    return sparse.hstack([sparse.csr_array(block) for block in blocks], format="csr")
