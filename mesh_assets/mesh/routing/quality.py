"""How well each node would answer a case, learned from records of how well it answered others.

Whether what was learned may be used is judged by `trial`; what an answer costs, and which node is asked, by `choice`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.errors import RoutingError
from mesh_assets.mesh.routing.verifiers import SIGNALS, signals

MIN_RECORDS = 30
# Chosen on a part of three sets of records (exams, school sums, nine models on mixed tasks): 10 to 30 were alike, 3 and
# 100 worse. The square length of a question's letters is 1.
SHRINKAGE = 20.0
_SIGNALS_WEIGHT = 3.0  # what the signals of an answer weigh beside the letters of its question: 1 to 10 were alike
_TASK_WEIGHT = 1.0  # 0.3 to 2 were alike
_FAR = 3.0  # standard deviations beyond which a signal says no more
# A question that is like none of a task gets what is left of this much doubt as the tasks' frequencies.
_TASK_DOUBT = 0.1
_TASK_SHRINKAGE = 0.5
_BUCKETS = 2**16  # of the hashed groups of letters
_QUESTION_CHARS = 20_000
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class _Letters(Protocol):
    def fit_transform(self, texts: Sequence[str]) -> object: ...
    def transform(self, texts: Sequence[str]) -> object: ...


class _Regression(Protocol):
    def fit(self, features: object, targets: Floats) -> object: ...
    def predict(self, features: object) -> Floats: ...


@dataclass(frozen=True)
class Records:
    """Questions, and how well each of `nodes` answered them: `scores`, shape (questions, nodes), 0 to 1.

    `answers` are what one cheap node said, where the choice is whether to keep that. `tasks` are the specialities of
    the questions, where they are known.
    """

    nodes: tuple[str, ...]
    questions: tuple[str, ...]
    scores: Floats
    answers: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.nodes or self.scores.shape != (len(self.questions), len(self.nodes)):
            raise RoutingError(
                f"Scores of shape {self.scores.shape} are not those of {len(self.questions)} questions and "
                f"{len(self.nodes)} nodes.",
                remedy="Give one score for each question and node.",
            )
        for name, given in (("answers", self.answers), ("tasks", self.tasks)):
            if given is not None and len(given) != len(self.questions):
                raise RoutingError(
                    f"{len(given)} {name} do not fit {len(self.questions)} questions.", remedy="Give one each, or none."
                )
        if not bool(((self.scores >= 0) & (self.scores <= 1)).all()):
            raise RoutingError("A score is not within 0 and 1.", remedy="Scale the scores, or leave the record out.")

    def __len__(self) -> int:
        return len(self.questions)

    def take(self, rows: Rows) -> Records:
        """Some of the records, by their numbers."""
        places = [int(row) for row in rows.tolist()]
        return Records(
            self.nodes,
            tuple(self.questions[place] for place in places),
            self.scores[rows],
            None if self.answers is None else tuple(self.answers[place] for place in places),
            None if self.tasks is None else tuple(self.tasks[place] for place in places),
        )


class QualityModel:
    """Ridge regression of each node's score on the letters of a question, its task, and the signals of an answer to it.

    Letters are groups of three within words, weighted by how rare they are (tf-idf). A task that was known for the
    records is recognised by the letters in a question whose task is not. Shrinkage lets a question that is like no
    other have each node's mean, so that a node is preferred to the best one only as far as records carry it.
    """

    def __init__(self, records: Records) -> None:
        if len(records) < MIN_RECORDS:
            raise RoutingError(
                f"{len(records)} records are too few to learn from.", remedy=f"Collect {MIN_RECORDS} or more."
            )
        self.nodes = records.nodes
        self._letters = _letters()
        letters = self._letters.fit_transform(_clean(records.questions))
        blocks = [letters]
        self._tasks = None
        if records.tasks is not None:
            self._tasks = _TaskRecogniser(letters, records.tasks)
            blocks.append(self._tasks.known(records.tasks) * np.sqrt(_TASK_WEIGHT))
        self._signals = None
        if records.answers is not None:
            told = _told(records.questions, records.answers)
            self._signals = _SignalScale(told)
            blocks.append(self._signals(told))
        self._regression = _ridge(SHRINKAGE)
        self._regression.fit(_beside(blocks), records.scores)

    def predict(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Floats:
        """Expected scores, shape (len(questions), nodes), 0 to 1. `answers`, if its records had some."""
        if (answers is None) != (self._signals is None):
            raise RoutingError(
                "The model was learned with answers and is asked without, or the other way round.",
                remedy="Use one model before an answer is there, and another that judges answers.",
            )
        if not questions:
            return np.empty((0, len(self.nodes)))
        letters = self._letters.transform(_clean(questions))
        blocks = [letters]
        if self._tasks is not None:
            blocks.append(self._tasks.recognised(letters) * np.sqrt(_TASK_WEIGHT))
        if self._signals is not None and answers is not None:
            blocks.append(self._signals(_told(questions, answers)))
        found = self._regression.predict(_beside(blocks))
        return np.clip(found.reshape(len(questions), len(self.nodes)), 0.0, 1.0)


class _TaskRecogniser:
    """Which task a question is of, by its letters."""

    def __init__(self, letters: object, tasks: Sequence[str]) -> None:
        self._names = {task: place for place, task in enumerate(sorted(set(tasks)))}
        known = self.known(tasks)
        self._frequency = known.mean(axis=0)
        self._regression = _ridge(_TASK_SHRINKAGE)
        self._regression.fit(letters, known)

    def known(self, tasks: Sequence[str]) -> Floats:
        """Shape (len(tasks), tasks): 1 for the task, 0 for others."""
        return np.eye(len(self._names))[[self._names[task] for task in tasks]]

    def recognised(self, letters: object) -> Floats:
        """Shares of each task, of sum 1, shape (questions, tasks); squared, so that the likeliest has most of it."""
        found = self._regression.predict(letters)
        likely = np.maximum(found.reshape(-1, len(self._names)), 0.0) ** 2
        return (likely + _TASK_DOUBT * self._frequency) / (likely.sum(axis=1, keepdims=True) + _TASK_DOUBT)


class _SignalScale:
    """Brings signals to the scale that they had in the records, so that none outweighs the others by its unit."""

    def __init__(self, told: Floats) -> None:
        spread = told.std(axis=0)
        self._mean, self._spread = told.mean(axis=0), np.where(spread > 0, spread, 1.0)

    def __call__(self, told: Floats) -> Floats:
        scaled = np.clip((told - self._mean) / self._spread, -_FAR, _FAR)
        return scaled * np.sqrt(_SIGNALS_WEIGHT / len(SIGNALS))


def _told(questions: Sequence[str], answers: Sequence[str]) -> Floats:
    return np.array([signals(question, answer) for question, answer in zip(questions, answers, strict=True)])


def _clean(questions: Sequence[str]) -> list[str]:
    return [question[:_QUESTION_CHARS].encode("utf-8", "replace").decode() for question in questions]


def _beside(blocks: Sequence[object]) -> object:
    sparse = cast("Any", import_module("scipy.sparse"))
    return sparse.hstack([sparse.csr_array(block) for block in blocks], format="csr")


def _letters() -> _Letters:
    # sklearn carries no types: what is used of it is said by the Protocols above
    text = cast("Any", import_module("sklearn.feature_extraction.text"))
    pipeline = cast("Any", import_module("sklearn.pipeline"))
    counts = text.HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 3), n_features=_BUCKETS, alternate_sign=False, norm=None
    )
    return pipeline.make_pipeline(counts, text.TfidfTransformer(sublinear_tf=True))


def _ridge(shrinkage: float) -> _Regression:
    return cast("Any", import_module("sklearn.linear_model")).Ridge(alpha=shrinkage, solver="sparse_cg", tol=1e-3)
