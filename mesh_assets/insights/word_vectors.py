"""Vectors made of the words of keyphrases: what likeness is told by where embeddings are switched off."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# Words are hashed into this many numbers; two words in one place blur a vector a little.
DIMENSION = 256


def phrase_lists(insights: pa.RecordBatch) -> list[list[str]]:
    """The keyphrases of each row of `CHUNK_INSIGHTS`, in lower case, best first."""
    lists = cast("pa.ListArray[Any]", insights.column("keyphrases"))
    flat = cast("list[str]", cast("pa.StructArray", lists.flatten()).field("phrase").to_pylist())
    stops = np.cumsum(np.asarray(lists.value_lengths(), np.int64)).tolist()
    return [[phrase.lower() for phrase in flat[start:stop]] for start, stop in zip([0, *stops], stops, strict=False)]


def word_vectors(phrases: list[list[str]]) -> NDArray[np.float32]:
    """Unit vectors of shape (rows, `DIMENSION`): the words of each row's phrases, rare ones weighing more.

    A row without phrases is all zeros: it is like nothing else.
    """
    words = [Counter(word for phrase in row for word in phrase.split()) for row in phrases]
    rows_with = Counter(word for row in words for word in row)
    places = {word: _place(word) for word in rows_with}
    vectors = np.zeros((len(phrases), DIMENSION), np.float32)
    for vector, row in zip(vectors, words, strict=True):
        for word, count in row.items():
            place, sign = places[word]
            vector[place] += sign * math.sqrt(count) * math.log(1 + len(phrases) / rows_with[word])
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _place(word: str) -> tuple[int, float]:
    """Where a word goes, and with which sign, so that words in one place do not add up to a likeness."""
    digest = zlib.crc32(word.encode("utf-8", "surrogatepass"))
    return digest % DIMENSION, 1.0 if digest & (1 << 31) else -1.0
