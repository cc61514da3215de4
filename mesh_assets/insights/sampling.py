"""Fair samples of a stream of unknown length, in bounded memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.insights.columns import rows_of
from mesh_assets.insights.protocol import SliceBatch


class NumberSample:
    """Keeps each of the numbers seen with equal probability (Vitter 1985, algorithm R), the same ones on every run."""

    def __init__(self, size: int, *, seed: int = 0) -> None:
        self.seen = 0
        self._size = size
        self._kept = np.zeros(0)
        self._random = np.random.default_rng(seed)

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers that are kept."""
        return self._kept

    def add(self, values: NDArray[np.float64]) -> None:
        """Take in more numbers."""
        room = self._size - len(self._kept)
        if room > 0:
            self._kept = np.concatenate((self._kept, values[:room]))
            self.seen += len(values[:room])
            values = values[room:]
        if not len(values):
            return
        places = (self._random.random(len(values)) * (self.seen + 1 + np.arange(len(values)))).astype(np.int64)
        chosen = np.flatnonzero(places < self._size)
        self._kept[places[chosen]] = values[chosen]  # of two at one place the later stays
        self.seen += len(values)


class ChunkSample:
    """The chunks whose ids are smallest: ids are hashes, so that is a fair sample, whatever the order and the batches.

    A chunk that stays in its slice mostly stays in the sample, so that what is said of it changes little.
    """

    def __init__(self, size: int) -> None:
        self.seen = 0
        self._size = size
        self._limit = np.iinfo(np.uint64).max
        self._held: list[tuple[NDArray[np.uint64], pa.RecordBatch, pa.RecordBatch, NDArray[np.float16]]] = []
        self._count = 0

    def add(self, batch: SliceBatch, rows: NDArray[np.int64] | None = None) -> None:
        """Take in the chunks of a batch, or some of its rows."""
        keys = batch.keys
        rows = np.arange(len(keys)) if rows is None else rows
        self.seen += len(rows)
        rows = rows[keys[rows] <= self._limit]
        if len(rows):
            vectors = batch.vectors[rows].astype(np.float16)
            self._held.append((keys[rows], rows_of(batch.chunks, rows), rows_of(batch.insights, rows), vectors))
            self._count += len(rows)
        if self._count > 2 * self._size:
            self._shrink()

    def _shrink(self) -> None:
        keys = np.concatenate([held[0] for held in self._held])
        self._limit = np.partition(keys, self._size - 1)[self._size - 1]
        kept: list[tuple[NDArray[np.uint64], pa.RecordBatch, pa.RecordBatch, NDArray[np.float16]]] = []
        for key, chunks, insights, vectors in self._held:
            rows = np.flatnonzero(key <= self._limit)
            if len(rows):
                kept.append((key[rows], rows_of(chunks, rows), rows_of(insights, rows), vectors[rows]))
        self._held = kept
        self._count = sum(len(held[0]) for held in kept)

    def drawn(self) -> SliceBatch | None:
        """The sample, ordered by id; None where nothing was seen."""
        if self._count > self._size:
            self._shrink()
        if not self._held:
            return None
        order = np.argsort(np.concatenate([held[0] for held in self._held]), kind="stable")
        order = order[: self._size]
        chunks = rows_of(pa.Table.from_batches([held[1] for held in self._held]), order).combine_chunks()
        insights = rows_of(pa.Table.from_batches([held[2] for held in self._held]), order).combine_chunks()
        vectors = np.concatenate([held[3] for held in self._held])[order].astype(np.float32)
        return SliceBatch(chunks.to_batches()[0], insights.to_batches()[0], vectors)
