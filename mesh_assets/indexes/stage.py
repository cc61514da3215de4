"""The stage `indexes`: a slice's rows stream into an index, one row of state comes out. No engine is known here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.errors import IndexDownError
from mesh_assets.indexes.protocol import Document, FulltextIndex, Stored, VectorIndex
from mesh_assets.schemas.chunks import embedding_text
from mesh_assets.schemas.index_states import INDEX_STATES, PENDING, READY
from mesh_assets.schemas.outcome import Outcome
from mesh_assets.schemas.rejects import printable

# What of `CHUNKS` a full-text index is made from.
DOCUMENT_COLUMNS = ("chunk_id", "kind", "path", "symbol", "context", "text")


def index_vectors(
    index: VectorIndex, slice_key: str, model: str, embeddings: Iterable[pa.RecordBatch], outcome: Outcome
) -> pa.RecordBatch:
    """Make `embeddings` (rows of `EMBEDDINGS`) what `index` holds of the slice: one row of `INDEX_STATES`.

    An index that is down gives a row that is `pending`, and every row of the input counts as skipped (decision 11).
    """

    def replace(batches: Iterable[pa.RecordBatch]) -> Stored:
        return index.replace_slice(slice_key, model, map(_vectors, batches))

    return _indexed(index.engine, slice_key, embeddings, outcome, replace)


def index_documents(
    index: FulltextIndex, slice_key: str, chunks: Iterable[pa.RecordBatch], outcome: Outcome
) -> pa.RecordBatch:
    """Make `chunks` (the `DOCUMENT_COLUMNS` of `CHUNKS`) what `index` holds of the slice: one row, as above."""

    def replace(batches: Iterable[pa.RecordBatch]) -> Stored:
        return index.replace_slice(slice_key, documents_of(batches))

    return _indexed(index.engine, slice_key, chunks, outcome, replace)


def documents_of(chunks: Iterable[pa.RecordBatch]) -> Iterator[Document]:
    """What a full-text index holds of `chunks` (the `DOCUMENT_COLUMNS` of `CHUNKS`)."""
    for batch in chunks:
        yield from _documents(batch)


def _indexed(
    engine: str,
    slice_key: str,
    batches: Iterable[pa.RecordBatch],
    outcome: Outcome,
    replace: Callable[[Iterable[pa.RecordBatch]], Stored],
) -> pa.RecordBatch:
    rows = iter(batches)
    before = outcome.done
    state = {"slice": slice_key, "engine": engine, "state": READY, "entries": 0, "location": "", "detail": ""}
    try:
        stored = replace(_counted(rows, outcome))
        state |= {"entries": stored.entries, "location": stored.location}
    except IndexDownError as error:
        # What the index took before it went down is not in it; what it never asked for is still to be counted.
        outcome.skipped += outcome.done - before + sum(batch.num_rows for batch in rows)
        outcome.done = before
        state |= {"state": PENDING, "detail": printable(str(error))}
    return INDEX_STATES.batch([dict[str, object](state)])


def _counted(batches: Iterator[pa.RecordBatch], outcome: Outcome) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        outcome.advance(batch.num_rows)
        yield batch


def _vectors(batch: pa.RecordBatch) -> tuple[Sequence[str], Sequence[str], NDArray[np.float16]]:
    lists = cast("pa.ListArray[pa.HalfFloatScalar]", batch.column("vector"))
    values = cast("NDArray[np.float16]", lists.flatten().to_numpy(zero_copy_only=False))
    ids = cast("list[str]", batch.column("chunk_id").to_pylist())
    kinds = cast("list[str]", batch.column("kind").to_pylist())
    return ids, kinds, values.reshape(batch.num_rows, values.size // max(batch.num_rows, 1))


def _documents(batch: pa.RecordBatch) -> Iterator[Document]:
    columns: list[list[str | None]] = [
        batch.column(name).to_numpy(zero_copy_only=False).tolist() for name in DOCUMENT_COLUMNS
    ]
    for chunk_id, kind, path, symbol, context, text in zip(*columns, strict=True):
        yield Document(chunk_id or "", kind or "", path or "", symbol or "", embedding_text(context or "", text or ""))
