"""Topics: what the slice is about, by clusters of its vectors, each named by the phrases that tell it apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.locators import ChunkText, chunk_texts
from mesh_assets.insights.protocol import Insight
from mesh_assets.insights.sampling import Reservoir
from mesh_assets.insights.wording import share

Vectors = NDArray[np.float32]

# Enough for shares within two percentage points; 4,000 vectors of 384 numbers are 6 MiB.
SAMPLE = 4000
# Fewer chunks are read faster than their topics.
LEAST_CHUNKS = 12
MAX_TOPICS = 12
# A cluster below this share of the chunks is not what the slice is about.
LEAST_SHARE = 0.03
_ROUNDS = 25
_SEED = 7
_NAMES = 3


class _Sampled(NamedTuple):
    chunk: ChunkText
    vector: NDArray[np.float16]
    phrases: tuple[str, ...]


class TopicInsight:
    """Samples chunks with their vectors and phrases, and clusters the sample."""

    def __init__(self) -> None:
        self._sample: Reservoir[_Sampled] = Reservoir(SAMPLE)

    def observe(self, chunks: pa.RecordBatch, insights: pa.RecordBatch, vectors: NDArray[np.float32]) -> None:
        """Sample the chunks."""
        lists = cast("list[list[dict[str, object]] | None]", insights.column("keyphrases").to_pylist())
        for chunk, phrases, vector in zip(chunk_texts(chunks), lists, vectors, strict=True):
            at = self._sample.place()
            if at is not None:
                names = tuple(str(phrase["phrase"]).lower() for phrase in phrases or ())
                self._sample.put(at, _Sampled(chunk, vector.astype(np.float16), names))

    def conclude(self) -> Iterable[Insight]:
        """The topics, largest first."""
        items = self._sample.items
        if len(items) < LEAST_CHUNKS:
            return
        vectors = np.stack([item.vector for item in items]).astype(np.float32)
        labels, centres = spherical_kmeans(vectors, clusters=topic_count(len(items)), seed=_SEED)
        sizes = np.bincount(labels, minlength=len(centres))
        phrases = [
            Counter(p for i in np.flatnonzero(labels == k) for p in items[i].phrases) for k in range(len(centres))
        ]
        told: set[frozenset[str]] = set()
        for cluster in np.argsort(-sizes, kind="stable"):
            if sizes[cluster] >= max(3, LEAST_SHARE * len(items)):
                names = telling_phrases(phrases, sizes, int(cluster))
                if names and frozenset(names) not in told:  # a second cluster of that name tells nothing new
                    told.add(frozenset(names))
                    members = np.flatnonzero(labels == cluster)
                    near = members[np.argsort(-(vectors[members] @ centres[cluster]), kind="stable")]
                    yield self._topic(names, [items[i].chunk for i in near], int(sizes[cluster]))

    def _topic(self, names: list[str], members: list[ChunkText], count: int) -> Insight:
        kinds = Counter(chunk.kind for chunk in members)
        kind, most = kinds.most_common(1)[0]
        shown = list(_of_distinct_files(members, 3))
        files = ", ".join(chunk.path for chunk in shown)
        total = len(self._sample.items)
        return Insight(
            kind=kind if most == count else "mixed",
            type="topic",
            title=", ".join(names),
            statement=f"About {share(count, total)} of the chunks are about {_listed(names)}, most clearly {files}.",
            score=0.3 + 0.15 * count / total,
            value={"share": round(count / total, 3)},
            evidence=tuple(chunk.cite_opening() for chunk in shown),
        )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _of_distinct_files(chunks: list[ChunkText], count: int) -> Iterator[ChunkText]:
    paths: set[str] = set()
    for chunk in chunks:
        if chunk.path not in paths and len(paths) < count:
            paths.add(chunk.path)
            yield chunk


def topic_count(chunks: int) -> int:
    """How many topics to look for: grows with the square root of the chunks, at most `MAX_TOPICS`."""
    return max(2, min(MAX_TOPICS, round(math.sqrt(chunks / 6))))


def spherical_kmeans(vectors: Vectors, *, clusters: int, seed: int) -> tuple[NDArray[np.int64], Vectors]:
    """Labels (rows,) and unit centres (clusters, dimension) of unit `vectors` (rows, dimension), by cosine.

    Dhillon and Modha 2001, started by k-means++ (Arthur and Vassilvitskii 2007). An empty cluster keeps its centre.
    """
    random = np.random.default_rng(seed)
    centres = vectors[[int(random.integers(len(vectors)))]]
    for _ in range(clusters - 1):
        far = np.maximum(1.0 - (vectors @ centres.T).max(axis=1), 0.0).astype(np.float64) ** 2
        if far.sum() <= 1e-9:  # fewer distinct vectors than clusters
            break
        centres = np.vstack((centres, vectors[[int(random.choice(len(vectors), p=far / far.sum()))]]))
    labels = np.full(len(vectors), -1, np.int64)
    for _ in range(_ROUNDS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, vectors)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 1e-9, sums / np.maximum(norms, 1e-9), centres)
    return labels, centres


def telling_phrases(phrases: list[Counter[str]], sizes: NDArray[np.int64], cluster: int) -> list[str]:
    """The phrases of `cluster` that are frequent in it and rare in the others; none shares most words with another."""
    total = int(sizes.sum())
    all_phrases: Counter[str] = Counter()
    for counter in phrases:
        all_phrases.update(counter)
    inside = int(sizes[cluster])

    def tells(phrase: str) -> float:
        here = phrases[cluster][phrase]
        elsewhere = (all_phrases[phrase] - here + 0.5) / (total - inside + 1)
        return here / inside * math.log1p(here / inside / elsewhere) * (1.0 if " " in phrase else 0.6)

    names: list[str] = []
    for phrase in sorted(phrases[cluster], key=lambda p: (-tells(p), p)):
        words = set(phrase.split())
        if all(not words & set(name.split()) for name in names):
            names.append(phrase)
        if len(names) == _NAMES:
            break
    return names
