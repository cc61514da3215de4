"""The extractive summary of a dataset: of the sentences that summarise its slices, those that say most of all of it.

They are chosen as those of a slice are, by centrality and diversity, and keep the evidence that they have there.
Writing a summary in a model's own words belongs to `analyses.written_summary`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.summary import most_telling, words_of
from mesh_assets.insights.word_vectors import word_vectors

SENTENCES = 8
# Sentences that are weighed, the first of each slice before the second of any: 400 of them are two CPU-seconds of
# embedding, once, and every slice of a dataset of 400 is heard.
_WEIGHED = 400

Row = Mapping[str, Any]
Vectors = NDArray[np.float32]


def weighed(slices: Iterable[Sequence[Row]]) -> list[Row]:
    """The sentences that are weighed, each once: of the summary of each slice its rows of `INSIGHTS`, in its order."""
    found: dict[str, Row] = {}
    for turn in zip_longest(*slices):
        for row in turn:
            if row is not None:
                found.setdefault(row["statement"], row)
    return list(found.values())[:_WEIGHED]


def dataset_summary(rows: Sequence[Row], vectors: Vectors) -> list[dict[str, Any]]:
    """Those of the `rows` that summarise all of them, scores falling with their order. `vectors` are theirs, of length
    1, shape (len(rows), dimension)."""
    if not rows:
        return []
    centre = vectors.mean(axis=0)
    central = vectors @ (centre / max(float(np.linalg.norm(centre)), 1e-9))
    words = [words_of(row["statement"]) for row in rows]
    places = most_telling(words, range(len(rows)), central, vectors, SENTENCES)
    return [{**rows[at], "score": round(0.45 - 0.01 * rank, 2)} for rank, at in enumerate(places)]


def by_words(rows: Sequence[Row]) -> Vectors:
    """Vectors of their words, for where nothing embeds."""
    return word_vectors([sorted(words_of(row["statement"])) for row in rows])


def summarised(slices: Iterable[Sequence[Row]], encode: Callable[[list[str]], Vectors] | None) -> list[dict[str, Any]]:
    """The summary of a dataset from those of its slices; without `encode` likeness is told by words."""
    rows = weighed(slices)
    if not rows:
        return []
    return dataset_summary(rows, by_words(rows) if encode is None else encode([str(row["statement"]) for row in rows]))
