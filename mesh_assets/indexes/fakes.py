"""Indexes in memory: what the engines promise in the fewest lines. For tests, and for running without a disk."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mesh_assets.indexes.protocol import Around, Document, Filter, Hit, Stored
from mesh_assets.indexes.words import all_words, query_words, with_parts
from mesh_assets.slices import SliceKey, check_dataset_key

# Okapi BM25 with the constants of Lucene and tantivy.
_K1, _B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class _Vector:
    chunk_id: str
    kind: str
    values: NDArray[np.float32]


class InMemoryVectorIndex:
    """A VectorIndex that compares with every vector, by exact cosine."""

    def __init__(self) -> None:
        self._slices: dict[tuple[str, str], list[_Vector]] = {}

    @property
    def engine(self) -> str:
        """`memory`."""
        return "memory"

    def replace_slice(
        self, slice_key: str, model: str, batches: Iterable[tuple[Sequence[str], Sequence[str], NDArray[np.float16]]]
    ) -> Stored:
        """See the Protocol."""
        SliceKey.parse(slice_key)
        entries = [
            _Vector(chunk_id, kind, vector.astype(np.float32))
            for ids, kinds, vectors in batches
            for chunk_id, kind, vector in zip(ids, kinds, vectors, strict=True)
        ]
        self._slices[slice_key, model] = entries
        return Stored(entries=len(entries), location="memory")

    def held(self, slice_key: str, model: str) -> int | None:
        """See the Protocol."""
        SliceKey.parse(slice_key)
        entries = self._slices.get((slice_key, model))
        return None if entries is None else len(entries)

    def models(self, dataset: str | None = None) -> frozenset[str]:
        """See the Protocol."""
        return frozenset(model for key, model in self._slices if dataset in (None, SliceKey.parse(key).dataset))

    def forget_slices(self, slice_keys: Collection[str], *, but: str | None = None) -> None:
        """See the Protocol."""
        gone = {str(SliceKey.parse(key)) for key in slice_keys}
        self._slices = {at: held for at, held in self._slices.items() if at[0] not in gone or at[1] == but}

    def forget_dataset(self, dataset: str) -> None:
        """See the Protocol."""
        check_dataset_key(dataset)
        self.forget_slices([key for key, _ in self._slices if SliceKey.parse(key).dataset == dataset])

    def search(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> list[Hit]:
        """See the Protocol."""
        hits = [
            Hit(entry.chunk_id, slice_key, round(float(entry.values @ vector), 6))
            for (slice_key, of_model), entries in self._slices.items()
            for entry in entries
            if of_model == model and _passes(where, slice_key, entry.kind)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]

    def around(self, model: str, vector: NDArray[np.float32], *, limit: int, where: Filter | None = None) -> Around:
        """See the Protocol."""
        again = partial(self.search, model, limit=limit, where=where)
        return Around(again(vector), again)

    def vectors_of(self, model: str, hits: Sequence[Hit]) -> NDArray[np.float32]:
        """See the Protocol."""
        found = [
            entry.values
            for hit in hits
            for entry in self._slices.get((hit.slice, model), [])
            if entry.chunk_id == hit.chunk_id
        ]
        return np.stack(found) if found else np.empty((0, 0), np.float32)


class InMemoryFulltextIndex:
    """A FulltextIndex over word counts, scored by BM25 (Robertson and Zaragoza 2009); words are not stemmed."""

    def __init__(self) -> None:
        self._slices: dict[str, list[tuple[Document, Counter[str]]]] = {}

    @property
    def engine(self) -> str:
        """`memory`."""
        return "memory"

    def replace_slice(self, slice_key: str, documents: Iterable[Document]) -> Stored:
        """See the Protocol."""
        SliceKey.parse(slice_key)
        entries = [
            (
                d,
                Counter(
                    all_words(
                        with_parts(f"{d.path} {d.symbol} {d.text}")
                        if d.kind != "text"
                        else f"{d.path} {d.symbol} {d.text}"
                    )
                ),
            )
            for d in documents
        ]
        self._slices[slice_key] = entries
        return Stored(entries=len(entries), location="memory")

    def held(self, slice_key: str) -> int | None:
        """See the Protocol."""
        SliceKey.parse(slice_key)
        entries = self._slices.get(slice_key)
        return None if entries is None else len(entries)

    def forget_slices(self, slice_keys: Collection[str]) -> None:
        """See the Protocol."""
        gone = {str(SliceKey.parse(key)) for key in slice_keys}
        self._slices = {key: entries for key, entries in self._slices.items() if key not in gone}

    def forget_dataset(self, dataset: str, documents: Callable[[str], Iterable[Document]]) -> None:
        """See the Protocol. Slices share nothing here, so `documents` are not asked for."""
        del documents
        check_dataset_key(dataset)
        self.forget_slices([key for key in self._slices if SliceKey.parse(key).dataset == dataset])

    def search(self, query: str, *, limit: int, where: Filter | None = None) -> list[Hit]:
        """See the Protocol."""
        everything = [(key, document, words) for key, held in self._slices.items() for document, words in held]
        mean = sum(words.total() for *_, words in everything) / max(len(everything), 1)
        wanted = Counter(query_words(query))
        weights: dict[str, float] = {}
        for word, count in wanted.items():
            holding = sum(word in words for *_, words in everything)
            weights[word] = count * math.log(1 + (len(everything) - holding + 0.5) / (holding + 0.5))
        whole = sum(weights.values())
        hits: list[Hit] = []
        for slice_key, document, words in everything:
            length = _K1 * (1 - _B + _B * words.total() / mean) if mean else 1.0
            score = sum(weight * words[w] * (_K1 + 1) / (words[w] + length) for w, weight in weights.items())
            if score > 0 and _passes(where, slice_key, document.kind):
                hits.append(Hit(document.chunk_id, slice_key, score / whole))
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]


def _passes(where: Filter | None, slice_key: str, kind: str) -> bool:
    if where is None:
        return True
    dataset = SliceKey.parse(slice_key).dataset
    within = where.slices is None or slice_key in where.slices
    return within and where.dataset in (None, dataset) and where.kind in (None, kind)
