"""Codes of vectors, a bit a dimension, and the scan that finds those whose signs fit a query best.

Only the stored side is rounded to signs; the query keeps its numbers (asymmetric distance, Jegou et al. 2011), so that
the error is half that of a Hamming distance. Four bits choose one of sixteen sums of the query's numbers, from tables
that stay in registers, for 32 entries at once (André et al. 2015: product quantization with fast scan). FAISS does it,
with the instructions that the processor has, and its layout is that of the file: 32 entries side by side.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Entries that lie side by side: a scan begins at a multiple of them.
BLOCK = 32
# FAISS's way to search that collects what is beyond a rising bound. Its heap reads what was in the answer's memory.
_RESERVOIR = 13
# Entries that are packed, or copied for a scan, at a time: 768 KiB at 384 dimensions, which a processor's cache holds.
PIECE = 1 << 14


def code_bytes(dimension: int) -> int:
    """Bytes of the code of one entry."""
    return -(-dimension // 8)


def packed(vectors: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The codes of `vectors`, shape (rows, dimension), as blocks: shape (blocks, bytes of a block).

    The last block is filled up. Packing a multiple of 32 rows at a time gives the same.
    """
    import faiss

    width = code_bytes(vectors.shape[1])
    codes = np.packbits(vectors > 0, axis=1, bitorder="little")
    flat: Any = faiss.IndexPQ(8 * width, 2 * width, 4, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(_signs(width), flat.pq.centroids)
    flat.is_trained = True
    faiss.copy_array_to_vector(codes.ravel(), flat.codes)
    flat.ntotal = len(codes)
    made: Any = faiss.IndexPQFastScan(flat, BLOCK)
    return faiss.rev_swig_ptr(made.codes.get(), made.codes.size()).reshape(-1, BLOCK * width).copy()


class SignScan:
    """A scan of packed codes for one query of any length; for one thread."""

    def __init__(self, query: NDArray[np.float32]) -> None:
        import faiss

        width = code_bytes(query.size)
        self._query = np.zeros((1, 8 * width), np.float32)
        self._query[0, : query.size] = np.nan_to_num(query, posinf=0.0, neginf=0.0)
        self._index: Any = faiss.IndexPQFastScan(8 * width, 2 * width, 4, faiss.METRIC_INNER_PRODUCT, BLOCK)
        faiss.copy_array_to_vector(_signs(width), self._index.pq.centroids)
        self._index.is_trained = True
        self._index.implem = _RESERVOIR
        self._index.codes.resize(PIECE * width)
        # The index has no view of foreign memory: pieces of a mapped file are copied into its own.
        self._held: NDArray[np.uint8] = faiss.rev_swig_ptr(self._index.codes.get(), PIECE * width)

    def best(
        self, codes: NDArray[np.uint8], start: int, stop: int, wanted: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Products of the query with the signs of the entries `start` to `stop`, the largest `wanted`, and their rows.

        At most `PIECE` entries less a block. Products are rounded, in every piece alike: each of the sums of
        four numbers to a 255th of what the widest of them spans. Of equal products some are chosen.
        """
        import faiss

        # One query is scanned by one thread anyway; others would only spin, for seconds where the cores are busy.
        faiss.omp_set_num_threads(1)
        first = start // BLOCK
        blocks = codes[first : -(-stop // BLOCK)].reshape(-1)
        self._held[: blocks.size] = blocks
        rows = stop - first * BLOCK
        self._index.ntotal, self._index.ntotal2 = rows, -(-rows // BLOCK) * BLOCK
        before = start - first * BLOCK
        # One alone would be searched for in 15 bits, which the products of long codes do not fit.
        products, found = self._index.search(self._query, max(min(wanted + before, rows), 2))
        # The rows before are no answer, and -1 stands for none.
        inside = np.flatnonzero(found[0] >= before)[:wanted]
        products, found = products[0][inside], found[0][inside] + first * BLOCK
        if (lacking := min(wanted, stop - start) - len(found)) > 0:
            # Products as low as can be are not told.
            others = np.setdiff1d(np.arange(start, stop), found)[:lacking]
            lowest = np.full(lacking, -np.abs(self._query).sum(), np.float32)
            products, found = np.concatenate([products, lowest]), np.concatenate([found, others])
        return products, found


@cache
def _signs(width: int) -> NDArray[np.float32]:
    """What each value of four bits stands for, four signs; as FAISS's product quantizer holds its centroids."""
    bits = np.unpackbits(np.arange(16, dtype=np.uint8)[:, None], axis=1, count=4, bitorder="little")
    return np.tile(2 * bits.astype(np.float32) - 1, (2 * width, 1)).ravel()
