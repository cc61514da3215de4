"""The second of two efforts: where an index holds static vectors, the full model embeds a question's candidates.

How candidates are found and fused belongs to `hybrid`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_assets.embeddings.protocol import Encoder
from mesh_assets.indexes.protocol import Hit
from mesh_assets.schemas.chunks import embedding_text
from mesh_assets.search.protocol import ChunkStore

# Candidates that are embedded in all after each round: from what a round finds, static vectors look for the next ones.
# On Chroma's chunking evaluation three rounds keep .93 of the full model's ten first, one .905, five no more.
ROUNDS = (16, 33, 50)


class ExactVectors:
    """Vectors by the full model `encoder` of at most 50 chunks of one question."""

    def __init__(self, question: str, encoder: Encoder, chunks: ChunkStore) -> None:
        self._encoder = encoder
        self._chunks = chunks
        self._slices: dict[str, str] = {}
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self.question = encoder.encode([question])[0]

    def __contains__(self, chunk_id: str) -> bool:
        return chunk_id in self._vectors

    def __len__(self) -> int:
        return len(self._vectors)

    def embed(self, candidates: Iterable[tuple[str, Sequence[str]]], *, upto: int) -> None:
        """Embed the first of the `candidates` (chunk ids with their slices) until there are `upto` vectors.

        What the lake does not have any more is passed over, and one place of this round with it. ModelError where the
        model cannot run.
        """
        wanted: dict[str, list[str]] = {}
        left = upto - len(self)
        for chunk_id, slices in candidates:
            if left <= 0:
                break
            if chunk_id in self:
                continue
            left -= 1
            for slice_key in slices:
                wanted.setdefault(slice_key, []).append(chunk_id)
        rows = self._chunks.fetch(wanted)
        if rows:
            vectors = self._encoder.encode([embedding_text(row.context, row.text) for row in rows.values()])
            self._slices |= {chunk_id: row.slice for chunk_id, row in rows.items()}
            self._vectors |= dict(zip(rows, vectors, strict=True))

    def hits(self, vector: NDArray[np.float32]) -> list[Hit]:
        """The embedded chunks by their cosine with the unit `vector`, best first, ties by chunk id."""
        found = [Hit(i, self._slices[i], float(known @ vector)) for i, known in self._vectors.items()]
        return sorted(found, key=lambda hit: (-hit.score, hit.chunk_id))

    def mean(self, chunk_ids: Sequence[str]) -> NDArray[np.float32]:
        """The mean of these embedded chunks' vectors."""
        return np.mean([self._vectors[i] for i in chunk_ids], axis=0)


def then_static(exact: list[Hit], static: Iterable[Hit]) -> list[Hit]:
    """The `exact` hits, then the others of `static` in their order, their cosines moved to end where those begin."""
    known = {hit.chunk_id for hit in exact}
    rest = [hit for hit in static if hit.chunk_id not in known]
    if not exact or not rest:
        return exact or rest
    shift = exact[-1].score - rest[0].score
    return [*exact, *(Hit(hit.chunk_id, hit.slice, hit.score + shift) for hit in rest)]
