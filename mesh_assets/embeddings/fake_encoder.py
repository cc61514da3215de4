"""An encoder without a model: deterministic, instant, for tests and for trying the mesh out without torch."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")


class FakeEncoder:
    """Feature hashing of words (Weinberger et al. 2009): texts that share words are near each other.

    `dimension` is the length of the vectors. It knows no synonyms: use it where meaning does not matter.
    """

    def __init__(self, dimension: int = 64) -> None:
        self._dimension = dimension

    @property
    def model(self) -> str:
        """Names the algorithm and its one parameter."""
        return f"fake-{self._dimension}"

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        return self._dimension

    @property
    def engine(self) -> str:
        """`hashing`."""
        return "hashing"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimension); a text without words gets the first axis."""
        vectors = np.zeros((len(texts), self._dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in _WORD.findall(text.casefold()):
                code = int.from_bytes(blake3(word.encode("utf-8", "surrogatepass")).digest(length=8), "little")
                vector[(code >> 1) % self._dimension] += 1.0 if code & 1 else -1.0
            if not vector.any():
                vector[0] = 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
