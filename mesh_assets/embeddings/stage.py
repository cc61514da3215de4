"""The stage `embeddings`: chunks stream in, one vector a chunk streams out. No model is known here.

A text that was embedded before gets the vector it had; where such vectors lie belongs to `storage.known_vectors`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from blake3 import blake3
from numpy.typing import NDArray

from mesh_assets.embeddings.protocol import HASH_BYTES, NOTHING_KNOWN, OFF, Encoder, KnownVectors, Vector
from mesh_assets.schemas.chunks import embedding_text
from mesh_assets.schemas.embeddings import EMBEDDINGS
from mesh_assets.schemas.outcome import Outcome

# Distinct texts whose vectors are remembered: 154 MB at 384 dimensions in float16.
REMEMBERED = 200_000
# Texts encoded between two looks at the clock and at the owner's pause: as many as take a second or two, which is 32
# on two cores. A GPU gets more at once.
_LEAST_PIECE, _LARGEST_PIECE, _PIECE_SECONDS = 32, 1024, 2.0


def embedding_counts() -> Counter[str]:
    """What `embedding_batches` counts of the chunks, each once: `embedded` now, `reused` from an earlier run
    or another slice, `repeated` from an earlier chunk of the slice."""
    return Counter(embedded=0, reused=0, repeated=0)


def embedding_batches(
    chunks: Iterable[pa.RecordBatch],
    encoder: Encoder,
    outcome: Outcome,
    *,
    known: KnownVectors = NOTHING_KNOWN,
    counts: Counter[str] | None = None,
    group: int = 2048,
    remembered: int = REMEMBERED,
) -> Iterator[pa.RecordBatch]:
    """Batches of the table `EMBEDDINGS`, a row for each row of `chunks` and in their order.

    A text that `known` has is not embedded, and what is embedded is given to `known` as soon as it is there. At most
    `group` rows are encoded together, shortest text first (padding costs time). A text is embedded once as long as it
    is among the last `remembered` distinct ones; one that comes back later is embedded again, to the same vector. So
    memory is bounded by a group and the remembered vectors. ModelError where the encoder cannot run.
    With embeddings off there are no rows, and `chunks` is not read.
    """
    if encoder.model == OFF:
        return
    work = _Work(encoder, known, remembered, outcome, embedding_counts() if counts is None else counts)
    try:
        for batch in _groups(chunks, group):
            yield work.embedded(batch)
    except BaseException:  # also where the run is stopped, or its table cannot be written
        known.flush()
        raise


def _groups(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, size - sum(b.num_rows for b in held))
            start += part.num_rows
            held.append(part)
            if sum(b.num_rows for b in held) == size:
                yield _joined(held)
                held = []
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


class _Work:
    """One pass over a slice: which texts have a vector already, and which are to be encoded."""

    def __init__(
        self, encoder: Encoder, known: KnownVectors, remembered: int, outcome: Outcome, counts: Counter[str]
    ) -> None:
        self._encoder = encoder
        self._known = known
        self._memory = _Memory(remembered)
        self._outcome = outcome
        self._counts = counts
        self._piece = _LEAST_PIECE

    def embedded(self, chunks: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of `EMBEDDINGS` for these rows of `CHUNKS`."""
        contexts = cast("list[str]", chunks.column("context").to_pylist())
        texts = [
            embedding_text(context, text)
            for context, text in zip(contexts, cast("list[str]", chunks.column("text").to_pylist()), strict=True)
        ]
        hashes = [text_hash(text) for text in texts]
        found = self._vectors(dict(zip(hashes, texts, strict=True)), Counter(hashes))
        vectors = np.stack([found[digest] for digest in hashes])
        columns: list[pa.Array[Any]] = [
            cast("pa.Array[Any]", chunks.column("chunk_id")),
            cast("pa.Array[Any]", chunks.column("kind")),
            pa.array([digest.hex() for digest in hashes]),
            cast("pa.Array[Any]", pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])),
        ]
        return EMBEDDINGS.cast(pa.RecordBatch.from_arrays(columns, names=EMBEDDINGS.schema.names))

    def _vectors(self, texts: dict[bytes, str], rows_of: Counter[bytes]) -> dict[bytes, Vector]:
        """The vector of each of the distinct `texts`; `rows_of` tells how many rows have it."""
        found = {digest: vector for digest in texts if (vector := self._memory.get(digest)) is not None}
        self._counts["repeated"] += rows_of.total() - len(texts) + len(found)
        stored = self._known.find([digest for digest in texts if digest not in found])
        self._counts["reused"] += len(stored)
        found |= stored
        self._outcome.advance(sum(rows_of[digest] for digest in found))
        fresh = sorted((digest for digest in texts if digest not in found), key=lambda digest: len(texts[digest]))
        start = 0
        while piece := fresh[start : start + self._piece]:
            start += len(piece)
            began = time.monotonic()
            vectors = self._encoder.encode([texts[digest] for digest in piece]).astype(np.float16)
            made = dict(zip(piece, vectors, strict=True))
            self._known.keep(made)
            found |= made
            self._counts["embedded"] += len(piece)
            self._pace(time.monotonic() - began)
            self._outcome.advance(sum(rows_of[digest] for digest in piece))
        for digest in (*stored, *fresh):
            self._memory.put(digest, found[digest])
        return found

    def _pace(self, seconds: float) -> None:
        """Let the next piece take about `_PIECE_SECONDS`, after one that took `seconds`."""
        if seconds < _PIECE_SECONDS / 2:
            self._piece = min(2 * self._piece, _LARGEST_PIECE)
        elif seconds > 2 * _PIECE_SECONDS:
            self._piece = max(self._piece // 2, _LEAST_PIECE)


def known_or_made(texts: Sequence[str], encoder: Encoder, known: KnownVectors) -> NDArray[np.float32]:
    """The vectors of a few distinct `texts` as they are stored, shape (len(texts), dimension); what `known` lacks is
    made and kept. The model is not loaded where it lacks nothing. ModelError where the encoder cannot run."""
    hashes = [text_hash(text) for text in texts]
    found = known.find(hashes)
    missing = [at for at, digest in enumerate(hashes) if digest not in found]
    if missing:
        vectors = encoder.encode([texts[at] for at in missing]).astype(np.float16)
        made = dict(zip((hashes[at] for at in missing), vectors, strict=True))
        known.keep(made)
        found |= made
    return np.stack([found[digest] for digest in hashes]).astype(np.float32)


def text_hash(text: str) -> bytes:
    """By which the vector of a text is found again."""
    return blake3(text.encode("utf-8")).digest(length=HASH_BYTES)


def rows_to_embed(chunks: int, encoder: Encoder) -> int:
    """How many of so many chunks get a vector: none where embeddings are off."""
    return 0 if encoder.model == OFF else chunks


class _Memory:
    """Vectors by text hash, at most `capacity` of them: a ring in one array, the oldest gives way."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rows: dict[bytes, int] = {}
        self._hashes: list[bytes] = []
        self._vectors: Vector = np.empty((0, 0), np.float16)
        self._oldest = 0

    def get(self, digest: bytes) -> Vector | None:
        """A copy of the vector: its place in the ring may be taken while the caller holds it."""
        row = self._rows.get(digest)
        return None if row is None else self._vectors[row].copy()

    def put(self, digest: bytes, vector: Vector) -> None:
        if not self._capacity:
            return
        if len(self._hashes) < self._capacity:
            row = len(self._hashes)
            self._hashes.append(digest)
            self._grow(row + 1, vector.size)
        else:
            row = self._oldest
            self._oldest = (row + 1) % self._capacity
            del self._rows[self._hashes[row]]
            self._hashes[row] = digest
        self._rows[digest] = row
        self._vectors[row] = vector

    def _grow(self, rows: int, dimension: int) -> None:
        if rows > len(self._vectors):
            larger = np.empty((min(max(1024, 2 * rows), self._capacity), dimension), np.float16)
            larger[: len(self._vectors)] = self._vectors.reshape(-1, dimension)
            self._vectors = larger
