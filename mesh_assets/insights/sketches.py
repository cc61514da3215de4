"""Which distinct values a stream has, from the smallest of their hashes: how many, how often, and shared with others.

Bottom-k sketches (Beyer et al. 2007, "On synopses for distinct-value estimation under multiset operations"). Exact
while there are no more than `SIZE` values. Two streams are compared value by value because one value has one hash.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Relative error of a count: about 1 / sqrt(SIZE), 4%.
SIZE = 512
# Fewer shared hashes than this show nothing.
LEAST = 10


class DistinctSketch:
    """The `SIZE` smallest hashes of the values seen, with how often each occurred."""

    def __init__(self) -> None:
        self._hashes = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.int64)
        self._is_full = False

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Take in values by their hashes."""
        if self._is_full:
            hashes = hashes[hashes <= self._hashes[-1]]
        self._merge(*np.unique(hashes, return_counts=True))

    def add_texts(self, texts: pl.Series) -> None:
        """Take in values."""
        if self._is_full:
            self.add(hashes_of(texts))
            return
        # Of few distinct values each is hashed once.
        found = texts.alias("").value_counts(name="n")
        hashes = hashes_of(found.to_series(0))
        order = np.argsort(hashes)
        self._merge(hashes[order], found["n"].to_numpy()[order].astype(np.int64))

    def _merge(self, found: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
        if not len(found):
            return
        merged = np.concatenate((self._hashes, found))
        values, places = np.unique(merged, return_inverse=True)
        totals = np.bincount(places, weights=np.concatenate((self._counts, counts)), minlength=len(values))
        self._is_full = self._is_full or len(values) > SIZE
        self._hashes, self._counts = values[:SIZE], totals[:SIZE].astype(np.int64)

    @property
    def is_exact(self) -> bool:
        """Whether all values are held."""
        return not self._is_full

    @property
    def is_many(self) -> bool:
        """Whether there are far more distinct values than are held."""
        return self._is_full and self.distinct > 20 * SIZE

    @property
    def distinct(self) -> int:
        """How many distinct values there are; an estimate where not all are held."""
        if not self._is_full:
            return len(self._hashes)
        return round((SIZE - 1) / (float(self._hashes[-1]) / 2.0**64))

    @property
    def repeated(self) -> float:
        """The share of the distinct values held that occurred more than once."""
        return float((self._counts > 1).mean()) if len(self._counts) else 0.0

    def contained_in(self, other: DistinctSketch) -> float | None:
        """The share of these distinct values that the other stream has too; None where too few can be compared."""
        limits = [sketch._hashes[-1] for sketch in (self, other) if sketch._is_full]
        own, others = self._hashes, other._hashes
        if limits:
            own, others = own[own <= min(limits)], others[others <= min(limits)]
        if len(own) < LEAST:
            return None
        return float(np.isin(own, others, assume_unique=True).mean())


def hashes_of(texts: pl.Series) -> NDArray[np.uint64]:
    """A hash for each text, equal for equal ones wherever they stand; not the same in other versions of polars."""
    return texts.hash(seed=0).to_numpy()
