"""Vectors between Arrow and numpy, and tables of one slice side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mesh_assets.embeddings.protocol import OFF
from mesh_assets.errors import CorruptTableError, MissingUpstreamError
from mesh_assets.storage.lake import LakeTable


def vectors_of(batch: pa.RecordBatch) -> NDArray[np.float16]:
    """The column `vector` of a batch of `EMBEDDINGS`, shape (rows, dimension)."""
    column = cast("pa.ListArray[Any]", batch.column(batch.schema.get_field_index("vector")))
    return column.flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)


def check_model(embeddings: LakeTable, model: str) -> None:
    """MissingUpstreamError where a slice's vectors are of another model than the one in use, and there are some."""
    theirs = embeddings.footer.extra.get("settings", {}).get("model")
    if theirs not in (model, OFF):
        raise MissingUpstreamError(
            f"The vectors of {embeddings.footer.partition} are of {theirs}, and {model} is in use now.",
            remedy="Materialize chunk_embeddings of that slice too.",
        )


def aligned(
    chunks: LakeTable,
    insights: LakeTable,
    embeddings: LakeTable,
    *,
    columns: Sequence[str] | None = None,
    rows: int = 2048,
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch, NDArray[np.float32]]]:
    """Batches of the three tables of one slice, row beside row; CorruptTableError where they do not match.

    Of the chunks only `columns`, `chunk_id` among them, where those are given; `rows` at once.
    Where embeddings are off there are no rows of them, and the vectors have shape (rows, 0).
    """
    is_off = embeddings.footer.extra.get("settings", {}).get("model") == OFF
    if chunks.footer.rows != insights.footer.rows or embeddings.footer.rows != (0 if is_off else chunks.footer.rows):
        raise _unequal(chunks)
    if is_off:
        for chunk_rows, insight_rows in zip(
            chunks.batches(columns, rows=rows), insights.batches(rows=rows), strict=True
        ):
            if not insight_rows.column("chunk_id").equals(chunk_rows.column("chunk_id")):
                raise _unequal(chunks)
            yield chunk_rows, insight_rows, np.empty((chunk_rows.num_rows, 0), np.float32)
        return
    vectors = embeddings.batches(["chunk_id", "vector"], rows=rows)
    streams = zip(chunks.batches(columns, rows=rows), insights.batches(rows=rows), vectors, strict=True)
    for chunk_rows, insight_rows, vector_rows in streams:
        ids = cast("pa.StringArray", chunk_rows.column("chunk_id"))
        if not (insight_rows.column("chunk_id").equals(ids) and vector_rows.column("chunk_id").equals(ids)):
            raise _unequal(chunks)
        yield chunk_rows, insight_rows, vectors_of(vector_rows).astype(np.float32)


def _unequal(chunks: LakeTable) -> CorruptTableError:
    return CorruptTableError(
        f"The tables of {chunks.footer.partition} do not have the same chunks.",
        remedy="Materialize the slice again from chunk_sets on.",
    )
