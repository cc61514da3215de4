"""Topics: what the slice is about, by clusters of its vectors, each named by the phrases that tell it apart.

Where embeddings are switched off, the words of the phrases stand for the vectors.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mesh_assets.insights.protocol import Insight, SliceBatch
from mesh_assets.insights.sampling import ChunkSample
from mesh_assets.insights.word_vectors import phrase_lists, word_vectors
from mesh_assets.insights.wording import share

Vectors = NDArray[np.float32]

# Enough for shares within two percentage points: their standard error is at most 1.1.
SAMPLE = 2000
# Fewer chunks are read faster than their topics.
LEAST_CHUNKS = 12
MAX_TOPICS = 12
# A cluster below this share of the chunks is not what the slice is about.
LEAST_SHARE = 0.03
_ROUNDS = 25
_SEED = 7
_STARTS = 5
_NAMES = 3


class TopicInsight:
    """Samples chunks with their vectors and phrases, and clusters the sample; without vectors, by their words."""

    def __init__(self) -> None:
        self._sample = ChunkSample(SAMPLE)

    def observe(self, batch: SliceBatch) -> None:
        """Sample the chunks."""
        self._sample.add(batch)

    def conclude(self) -> Iterable[Insight]:
        """The topics, largest first."""
        drawn = self._sample.drawn()
        if drawn is None or drawn.chunks.num_rows < LEAST_CHUNKS:
            return
        lists = phrase_lists(drawn.insights)
        vectors = drawn.vectors if drawn.vectors.shape[1] else word_vectors(lists)
        labels, centres = spherical_kmeans(vectors, clusters=topic_count(len(lists)), seed=_SEED)
        sizes = np.bincount(labels, minlength=len(centres))
        phrases = [Counter(p for i in np.flatnonzero(labels == k) for p in lists[i]) for k in range(len(centres))]
        everywhere: Counter[str] = Counter()
        for counter in phrases:
            everywhere.update(counter)
        told: set[frozenset[str]] = set()
        for cluster in cast("list[int]", np.argsort(-sizes, kind="stable").tolist()):
            if sizes[cluster] >= max(3, LEAST_SHARE * len(lists)):
                names = telling_phrases(phrases[cluster], everywhere, int(sizes[cluster]), len(lists))
                if names and frozenset(names) not in told:  # a second cluster of that name tells nothing new
                    told.add(frozenset(names))
                    members = np.flatnonzero(labels == cluster)
                    near = members[np.argsort(-(vectors[members] @ centres[cluster]), kind="stable")]
                    yield self._topic(names, drawn, cast("list[int]", near.tolist()))

    def _topic(self, names: list[str], drawn: SliceBatch, members: list[int]) -> Insight:
        """A topic of the rows `members` of the sample `drawn`, the clearest first."""
        all_kinds = drawn.strings("kind")
        kinds = Counter(all_kinds[row] for row in members)
        kind, most = kinds.most_common(1)[0]
        shown = [drawn.chunk(row) for row in _of_distinct_files(members, drawn.strings("path"), 3)]
        files = ", ".join(chunk.path for chunk in shown)
        count, total = len(members), drawn.chunks.num_rows
        sampled = f" (told from a sample of {total:,})" if total < self._sample.seen else ""
        return Insight(
            kind=kind if most == len(members) else "mixed",
            type="topic",
            title=", ".join(names),
            statement=f"About {share(count, total)} of the chunks{sampled} are about {_listed(names)}, most clearly "
            f"{files}.",
            score=0.3 + 0.15 * count / total,
            value={"share": round(count / total, 3), "sampled_chunks": total, "chunks": self._sample.seen},
            evidence=tuple(chunk.cite_opening() for chunk in shown),
        )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _of_distinct_files(rows: list[int], paths: list[str], count: int) -> list[int]:
    """The first rows of the first `count` files."""
    first: dict[str, int] = {}
    for row in rows:
        if len(first) < count:
            first.setdefault(paths[row], row)
    return list(first.values())


def topic_count(chunks: int) -> int:
    """How many topics to look for: grows with the square root of the chunks, at most `MAX_TOPICS`."""
    return max(2, min(MAX_TOPICS, round(math.sqrt(chunks / 6))))


def spherical_kmeans(vectors: Vectors, *, clusters: int, seed: int) -> tuple[NDArray[np.int64], Vectors]:
    """Labels (rows,) and unit centres (clusters, dimension) of unit `vectors` (rows, dimension), by cosine.

    Dhillon and Modha 2001, started by k-means++ (Arthur and Vassilvitskii 2007): the best of several starts where there
    are few vectors, of which an unlucky start makes most. An empty cluster keeps its centre.
    """
    random = np.random.default_rng(seed)
    starts = max(1, min(_STARTS, 2 * SAMPLE // len(vectors)))
    found = [_settled(vectors, _started(vectors, clusters, random)) for _ in range(starts)]
    return max(found, key=lambda made: float(np.einsum("ij,ij->", vectors, made[1][made[0]])))


def _started(vectors: Vectors, clusters: int, random: np.random.Generator) -> Vectors:
    centres = vectors[[int(random.integers(len(vectors)))]]
    for _ in range(clusters - 1):
        far = np.maximum(1.0 - (vectors @ centres.T).max(axis=1), 0.0).astype(np.float64) ** 2
        if far.sum() <= 1e-9:  # fewer distinct vectors than clusters
            break
        centres = np.vstack((centres, vectors[[int(random.choice(len(vectors), p=far / far.sum()))]]))
    return centres


def _settled(vectors: Vectors, centres: Vectors) -> tuple[NDArray[np.int64], Vectors]:
    labels = np.full(len(vectors), -1, np.int64)
    for _ in range(_ROUNDS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        sums = (labels == np.arange(len(centres))[:, None]).astype(np.float32) @ vectors
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 1e-9, sums / np.maximum(norms, 1e-9), centres)
    return labels, centres


def telling_phrases(phrases: Counter[str], everywhere: Counter[str], inside: int, total: int) -> list[str]:
    """The phrases of a cluster of `inside` chunks that are rare in the rest of all `total` chunks.

    None shares a word with another.
    """

    def tells(phrase: str) -> float:
        here = phrases[phrase]
        elsewhere = (everywhere[phrase] - here + 0.5) / (total - inside + 1)
        return here / inside * math.log1p(here / inside / elsewhere) * (1.0 if " " in phrase else 0.6)

    names: list[str] = []
    for phrase in sorted(phrases, key=lambda p: (-tells(p), p)):
        words = set(phrase.split())
        if all(not words & set(name.split()) for name in names):
            names.append(phrase)
        if len(names) == _NAMES:
            break
    return names
